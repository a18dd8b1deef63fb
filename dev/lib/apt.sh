# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2034 # its variables are for the scripts that source it
# shellcheck disable=SC2154 # lib.sh and arch.sh set cache and debian
#
# Use apt with separate state: it fetches packages of other suites and other
# architectures without a change to this machine's configuration, and checks their
# signatures.  Scripts source this file after lib.sh.

apt_state=$cache/apt

# The suites that may have a base, in the order in which they are asked.
base_suites=(trixie-backports forky sid)

# archives: print address, suite and keyring of each archive with a plain "main" index
# that this machine installs from.
archives() {
	local fields='$(SITE) $(RELEASE) $(COMPONENT) $(CREATED_BY) $(SIGNED_BY)'
	apt-get indextargets --format "$fields" 2>/dev/null |
		awk '$3 == "main" && $4 == "Packages" {
			print $1, $2, $5 ~ "^/" ? $5 : "/usr/share/keyrings/debian-archive-keyring.gpg" }' |
		sort -u
}

# places: print address and keyring of each archive with whole suites.  Archives for
# security do not have whole suites.
places() {
	archives | awk '$2 !~ /security/ { print $1, $3 }' | sort -u
}

# places_of SUITE...: print address, keyring and name of each suite, in each archive.
places_of() {
	local site keyring suite
	while read -r site keyring; do
		for suite in "$@"; do
			printf '%s %s %s\n' "$site" "$keyring" "$suite"
		done
	done < <(places)
}

# use_suite SITE KEYRING SUITE LOG: set apt_options for a suite, and update its list.  Fails
# if the archive has no such suite.
use_suite() {
	mkdir -p "$apt_state"
	printf 'deb [signed-by=%s] %s %s main\n' "$2" "$1" "$3" >"$apt_state/$3.list"
	apt_options "$3"
	apt-get -q "${apt_options[@]}" update >>"$4" 2>&1 </dev/null
}

# download DIRECTORY LOG "SUITE ..." PACKAGE...: download packages into a directory, from the
# first of the suites that has all of them.  Fails if no suite has.
download() {
	local directory=$1 log=$2 site keyring suite suites
	read -ra suites <<<"$3"
	shift 3
	while read -r site keyring suite; do
		use_suite "$site" "$keyring" "$suite" "$log" || continue
		(cd "$directory" && apt-get -q "${apt_options[@]}" download "$@") >>"$log" 2>&1 </dev/null && return
	done < <(places_of "${suites[@]}")
	return 1
}

# apt_options NAME [DEBIAN_ARCH [DIRECTORY]]: set the array apt_options for the archives in
# the file NAME.list, and for an architecture, as if no package of it were installed.  The
# state for an architecture is in a directory of that name, or in DIRECTORY.
apt_options() {
	local lists=$apt_state/lists own=$apt_state/${3:-${2:-}}
	[ -z "${2:-}" ] || lists=$own/lists
	apt_options=(-o "Dir::Etc::sourcelist=$apt_state/$1.list" -o Dir::Etc::sourceparts=-
		-o "Dir::State::lists=$lists" -o "Dir::Cache=$apt_state/cache"
		-o APT::Sandbox::User=root -o Acquire::Retries=3)
	mkdir -p "$lists/partial" "$apt_state/cache/archives/partial"
	if [ -n "${2:-}" ]; then
		: >"$own/status"
		apt_options+=(-o "APT::Architecture=$2" -o "APT::Architectures=$2"
			-o "Dir::State::status=$own/status" -o "Dir::Cache=$own/cache")
		mkdir -p "$own/cache/archives/partial"
	fi
}

# list_archives NAME LOG: write the archives of this machine to the file NAME.list.  Fails if
# it has none.
list_archives() {
	mkdir -p "$apt_state" "$(dirname "$2")"
	archives | while read -r site suite keyring; do
		printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$site" "$suite"
	done >"$apt_state/$1.list"
	[ -s "$apt_state/$1.list" ]
}

# own_archives LOG: set apt_options for this machine's own architecture and packages, with
# current lists.  Fails if this machine has no archives.
own_archives() {
	list_archives own "$1" || return 1
	apt_options own
	apt-get -q "${apt_options[@]}" update >>"$1" 2>&1
}

# foreign_archives LOG: set apt_options for the foreign architecture, with current lists.
# Some archives may not have the architecture.  Fails if this machine has no archives.
foreign_archives() {
	list_archives "$debian" "$1" || return 1
	apt_options "$debian" "$debian"
	apt-get -q "${apt_options[@]}" update >>"$1" 2>&1 || true
}

# suite_archives SUITE DEBIAN_ARCH LOG: set apt_options for a whole suite, with current lists,
# as if no package were installed.  Packages of backports depend on those of the suite that
# they are for.  Fails if no archive has the suite.
suite_archives() {
	local suite=$1 site keyring
	mkdir -p "$apt_state" "$(dirname "$3")"
	while read -r site keyring; do
		printf "deb [signed-by=$keyring] $site %s main\n" "$suite" "${suite%-backports}" |
			sort -u >"$apt_state/root-$suite.list"
		apt_options "root-$suite" "$2" "root-$suite"
		! apt-get -q "${apt_options[@]}" update >>"$3" 2>&1 || return 0
	done < <(places)
	return 1
}

# suite_of_base 'SERIES...': print the suite whose kernel package is of the first of these series
# that any suite has.
suite_of_base() {
	local suite series log=$cache/log/suites
	mkdir -p "$cache/log"
	: >"$log"
	for series in $1; do
		for suite in "${base_suites[@]}"; do
			suite_archives "$suite" amd64 "$log" || continue
			if apt-cache "${apt_options[@]}" madison linux-image-cloud-amd64 2>>"$log" |
				grep -F "| $series." | grep -q " $suite/"; then
				printf '%s\n' "$suite"
				return 0
			fi
		done
	done
	die "no suite has a linux-image-cloud-amd64 of $1" "these were asked: ${base_suites[*]}" \
		"name one: make distribution SUITES=trixie" "the log: $log"
}
