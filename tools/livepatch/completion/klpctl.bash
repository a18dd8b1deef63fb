# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# bash completion for klpctl(8)

# The words that COMPREPLY is made of are names without blanks.
# shellcheck disable=SC2207
_klpctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="status list why wait check load install uninstall installed allow unload enable disable force watch report metrics help"
	local options="--root --stuck-after --help --version"
	local command="" i

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--root | --kernel | --stuck-after | --limit | -n | --timeout | -t | --interval | -i | --count | -c | --output | -o)
			i=$((i + 1))
			;;
		-*) ;;
		*)
			command=${COMP_WORDS[i]}
			break
			;;
		esac
	done

	case $prev in
	--kernel)
		COMPREPLY=($(compgen -W "$(klpctl installed 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur"))
		return
		;;
	--root)
		compopt -o dirnames
		return
		;;
	--output | -o)
		compopt -o default
		return
		;;
	--stuck-after | --limit | -n | --timeout | -t | --interval | -i | --count | -c)
		return
		;;
	esac

	case $command in
	list) options+=" --verbose --all" ;;
	why) options+=" --limit --all" ;;
	wait) options+=" --timeout" ;;
	load) options+=" --timeout --revert-on-timeout --replace --all --dry-run" ;;
	install) options+=" --dry-run" ;;
	uninstall | allow) options+=" --kernel --dry-run" ;;
	unload) options+=" --timeout --all --dry-run" ;;
	enable | disable) options+=" --timeout --dry-run" ;;
	force) options+=" --yes --dry-run" ;;
	watch) options+=" --interval --count --until-done" ;;
	report | metrics) options+=" --output" ;;
	status) options+=" --nagios" ;;
	help) options="--help --version" ;;
	esac

	[[ $command == metrics || $command == help ]] || options+=" --json"

	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		return
	fi
	case $command in
	"" | help)
		COMPREPLY=($(compgen -W "$commands" -- "$cur"))
		;;
	check | load | install)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur"; compgen -f -X '!*.ko*' -- "$cur")
		;;
	uninstall | allow)
		COMPREPLY=($(compgen -W "$(klpctl installed 2>/dev/null | awk 'NR > 1 { print $2 }')" -- "$cur"))
		;;
	status | wait | enable | disable | force)
		COMPREPLY=($(compgen -W "$(_klpctl_patches)" -- "$cur"))
		;;
	list | why | unload)
		# Modules of patches that are disabled can be unloaded, too, if nothing holds them.
		COMPREPLY=($(compgen -W "$(_klpctl_patches) $(awk '/\(.*K.*\)$/ { print $1 }' /proc/modules 2>/dev/null)" -- "$cur"))
		;;
	esac
}

_klpctl_patches()
{
	local folder

	for folder in /sys/kernel/livepatch/*/; do
		[[ -e $folder/enabled ]] && basename "$folder"
	done
}

complete -F _klpctl klpctl
