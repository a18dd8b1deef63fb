# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # the scripts that source it set tree and kmake
#
# The kernel's options, for the scripts that configure one.  They source this file after
# lib.sh.

# check_options WANTED BUILD: fail if the configuration of BUILD lacks an option that the
# file WANTED switches on.  If an option is listed several times, the last value counts.
check_options() {
	local missing why=''
	missing=$(awk -F= '/^CONFIG_/ { value[$1] = $2 }
		END { for (name in value) if (value[name] ~ /^[ym]$/) print name "=" value[name] }' "$1" |
		grep -Fxv -f "$2/.config" || true)
	[ -n "$missing" ] || return 0
	# Most often Rust is missing.  The kernel's own check finds the fault of the
	# compiler, and its Kconfig file names the options that exclude Rust.
	if grep -q '^CONFIG_RUST=' <<<"$missing"; then
		if why=$("${kmake[@]}" -s -C "$tree" O="$2" rustavailable 2>&1); then
			why=$(sed -n '/^config RUST$/,/^\thelp$/s/^\t\(depends on .*\)/\1/p' "$tree/init/Kconfig")
		else
			why=$(grep -v '^make' <<<"$why" | head -n 20) || true
		fi
	fi
	die "the kernel's configuration refuses what is wanted" "$missing" \
		"${why:+the kernel says of Rust:}" "$why"
}
