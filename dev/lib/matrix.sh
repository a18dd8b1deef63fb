# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # lib.sh sets repo
#
# The kernels of dev/config/matrix/, for the scripts that build one of them.  They source
# this file after lib.sh.

kernels=$repo/dev/config/matrix

all_kernels() {
	(cd "$kernels" && printf '%s\n' *.config | sed 's/\.config$//')
}

# check_kernels NAME...: fail if there is no such kernel.
check_kernels() {
	local name
	for name in "$@"; do
		[ -f "$kernels/$name.config" ] || die "MATRIX names $name, which is not in dev/config/matrix" \
			"use some of: $(all_kernels | xargs)"
	done
}

# title NAME: print the title of a kernel.
title() {
	sed -n '1s/^# //p' "$kernels/$1.config"
}

# settings NAME: print the variables of a kernel, one a line.
settings() {
	sed -n '2s/^# \([A-Z].*=.*\)/\1/p' "$kernels/$1.config" | tr ' ' '\n'
}

# select_kernel NAME: export the variables with which make kernel and make vm take a kernel,
# and provide its compiler.
select_kernel() {
	local name=$1 work setting
	work=$(work_dir)/matrix
	mkdir -p "$work"
	export O FRAGMENT=$work/$name.config
	O=$(build_dir "matrix/$name")
	cp "$kernels/$name.config" "$FRAGMENT"
	# The KUnit tests are those of the core in Rust.
	[ "$CORE" = c ] || cat "$repo/dev/config/matrix-kunit.config" >>"$FRAGMENT"
	while IFS= read -r setting; do
		[ -z "$setting" ] || export "${setting?}"
	done < <(settings "$name")
	[ -z "${LLVM:-}" ] || "$repo/dev/toolchain.sh" clang
	if [ -n "${DISTRIBUTION:-}" ]; then
		DEFAULTS=$("$repo/dev/lib/distribution.sh" "$DISTRIBUTION") || return 1
		export DEFAULTS
	fi
	if cat ${DEFAULTS:+"$DEFAULTS"} "$FRAGMENT" | grep -xE 'CONFIG_(DEBUG_INFO_BTF|GENDWARFKSYMS)=y' >/dev/null; then
		"$repo/dev/toolchain.sh" btf
	fi
}
