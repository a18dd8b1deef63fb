#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Provide the programs for which klpctl has examples: Ansible, promtool of Prometheus, jq, and
# sos, the distribution's and the newest.  They are unpacked in the cache, and nothing is
# installed.  The last line is their directory.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"

fleet=$tools/fleet
log=$cache/log/fleet
own=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

# unpack NAME SUITES PACKAGE...: unpack packages of the first suite that has them.
unpack() {
	local directory=$fleet.new/$1 package
	mkdir -p "$directory/packages"
	download "$directory/packages" "$log" "${@:2}" || return 1
	for package in "$directory"/packages/*.deb; do
		dpkg-deb -x "$package" "$directory" || return 1
	done
	rm -r "$directory/packages"
}

fetch() {
	local python=(python3-pexpect python3-ptyprocess python3-packaging)
	python3 -m venv "$fleet.new/ansible" || return 1
	"$fleet.new/ansible/bin/pip" install --disable-pip-version-check ansible-core==2.19.14 || return 1
	unpack prometheus "$own" prometheus || return 1
	unpack jq "$own" jq libjq1 libonig5 || return 1
	unpack sos-new 'forky sid' sos "${python[@]}" || return 1
	# Its package has had another name.
	unpack sos-own "$own" sos "${python[@]}" || unpack sos-own "$own" sosreport "${python[@]}"
}

# A cache may have those of an older version of this script.
if [ ! -d "$fleet/jq" ]; then
	rm -rf "$fleet.new" "$fleet"
	run_logged "fetching Ansible, Prometheus, jq and sos (25 MB)" "$log" fetch
	# The paths of a venv are absolute.
	sed -i "s|$fleet\.new/|$fleet/|g" "$fleet.new"/ansible/bin/ansible*
	mv "$fleet.new" "$fleet"
fi
printf '%s\n' "$fleet"
