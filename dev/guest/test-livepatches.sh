#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Use the livepatches of bugs and their fixes, inside the virtual machine.  Each check
# prints a line "TEST: NAME ... ok".
#
#   dev/guest/test-livepatches.sh MODULES NAME...
#
# MODULES is the directory with NAME-bug.ko, NAME-fix.ko and, if there is a fix.rs,
# NAME-rust.ko.  dev/klp-build/fixes/NAME has the command that shows the behaviour, and the
# lines that it prints.

modules=$1
shift
klpctl=$KBUILD/selftests/livepatch/klpctl
sysfs=/sys/kernel/livepatch

# check WHAT COMMAND...: one test; if COMMAND fails, show its output.
check() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then
		echo "TEST: $name: $what ... ok"
	else
		echo "TEST: $name: $what ... not ok"
		echo "  failed: $*"
		printf "  %s\n" "${said//$'\n'/$'\n'  }"
		return 1
	fi
}

# eventually COMMAND...: wait for as long as a slow machine may need.
eventually() {
	local end=$((SECONDS + 300))
	until "$@" 2>/dev/null; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "not so after 300 s"
			return 1
		fi
		sleep 0.1
	done
}

# shows LINE: the behaviour is that which the line of the file "expected" names.
shows() {
	local wanted said
	wanted=$(sed -n "s/^$1: //p" "$fix/expected")
	said=$(bash "$fix/show" 2>&1)
	[ -n "$wanted" ] && [ "$said" = "$wanted" ] && return
	echo "wanted: $wanted"
	echo "shown:  $said"
	return 1
}

# sysfs_name MODULE: print the name that the kernel gives it.
sysfs_name() {
	echo "${1//-/_}"
}

gone() {
	[ ! -e "$1" ]
}

put() {
	echo "$2" >"$1"
}

# is_applied MODULE: its transition has ended, and it replaces functions.
is_applied() {
	local directory
	directory=$sysfs/$(sysfs_name "$1")
	[ "$(cat "$directory/enabled")" = 1 ] && [ "$(cat "$directory/transition")" = 0 ] &&
		compgen -G "$directory/*/*,*" >/dev/null
}

# functions_of MODULE: print the functions that it replaces, with their objects.
functions_of() {
	(cd "$sysfs/$(sysfs_name "$1")" && compgen -G '*/*,*')
}

# replaces_some MODULE FUNCTION...: it replaces one of these at least.
replaces_some() {
	functions_of "$1" | grep -xF "$(printf '%s\n' "${@:2}")"
}

# replaces_all MODULE: it has taken the place of the livepatches that were there before.
replaces_all() {
	[ "$(cat "$sysfs/$(sysfs_name "$1")/replace")" = 1 ]
}

# is_enabled MODULE: no livepatch has replaced it.
is_enabled() {
	[ "$(cat "$sysfs/$(sysfs_name "$1")/enabled")" = 1 ]
}

# lines_of MODULE: print the number of lines that it has logged.
lines_of() {
	dmesg | grep -c "\] $(sysfs_name "$1"): "
}

# shows_and_logs LINE MODULE: the module logs a line with the behaviour.  So its function
# ran, and not the kernel's own, which may behave in the same way.
shows_and_logs() {
	local before
	before=$(lines_of "$2")
	shows "$1" || return
	[ "$(lines_of "$2")" -gt "$before" ] && return
	echo "the behaviour is right, and $(sysfs_name "$2") has logged nothing"
	return 1
}

# load MODULE: check it, load it, and wait for its transition.
load() {
	check "$1: klpctl finds no fault in it" "$klpctl" check "$modules/$1.ko"
	check "$1: it is loaded" insmod "$modules/$1.ko" || return
	check "$1: it replaces functions" eventually is_applied "$1"
}

# leave MODULE: wait until no task uses it, and unload it.
leave() {
	check "$1: it leaves sysfs" eventually gone "$sysfs/$(sysfs_name "$1")" || return
	check "$1: it is unloaded" eventually rmmod "$1"
}

# disable MODULE: return to the functions below it, and unload it.
disable() {
	check "$1: it is disabled" put "$sysfs/$(sysfs_name "$1")/enabled" 0 || return
	leave "$1"
}

# use_rust: use the livepatch in Rust while that with the bug is loaded.  Sets loaded to the
# one that is loaded afterwards.
use_rust() {
	load "$name-rust" || return
	if replaces_all "$name-rust"; then
		leave "$name-bug" || return
		loaded=$name-rust
		check "with the fix in Rust" shows_and_logs fix "$name-rust"
	else
		# The bug is still there.  Only the livepatch in Rust keeps it from being seen.
		check "$name-bug: it stays" is_enabled "$name-bug" || return
		check "with the fix in Rust" shows fix
		disable "$name-rust" || return
		check "without the fix in Rust" shows bug
	fi
}

# use_livepatches: use those of one fix.  If a livepatch cannot be loaded or does not leave,
# the later checks would find nothing more: the status is 1.
use_livepatches() {
	local loaded=$name-bug functions
	check "the kernel as it was built" shows original
	load "$name-bug" || return
	check "with the bug" shows bug
	mapfile -t functions < <(functions_of "$name-bug")
	[ ! -f "$fix/fix.rs" ] || use_rust || return
	load "$name-fix" || return
	leave "$loaded" || return
	# Where it replaces none of these, the behaviour is that of the kernel as it was built.
	check "$name-fix: it replaces a function that had the bug" replaces_some "$name-fix" "${functions[@]}"
	check "with the fix" shows fix
	disable "$name-fix" || return
	check "without a livepatch" shows original
}

# remove_all: disable and unload all livepatches, so that they do not disturb the next ones.
remove_all() {
	local livepatch
	for livepatch in "$sysfs"/*/; do
		put "${livepatch}enabled" 0 2>/dev/null
	done
	for livepatch in bug rust fix; do
		livepatch=$name-$livepatch
		[ ! -e "/sys/module/$(sysfs_name "$livepatch")" ] || eventually rmmod "$livepatch"
	done
}

for name; do
	fix=dev/klp-build/fixes/$name
	# Load the module to which the patched file belongs, if it belongs to one.
	file=$(sed -n 's#^--- a/##p' "$fix/bug.patch")
	target=$KBUILD/${file%.c}.ko
	[ ! -f "$target" ] || check "the module to patch is loaded" insmod "$target"
	use_livepatches || remove_all
	[ ! -f "$target" ] || check "the module that was patched is unloaded" rmmod "$(basename "$target" .ko)"
done
