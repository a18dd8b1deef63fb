#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Make the modules that only the tour of dev/guest/parity.sh needs: the modules of
# dev/parity/modules/, and edited modules, which no compiler makes.
#
#   dev/parity/modules.sh BUILD AMBIGUOUS
#
# AMBIGUOUS is the name of a function that vmlinux has twice.  The modules go to
# BUILD/parity/modules.  For each edited module, a file with the suffix .what in
# this directory describes the edit.  The script removes the results of an earlier tour.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

build=$1 ambiguous=$2
rm -rf "$build/parity"
mkdir -p "$build/parity/modules"

build_parity_modules "$build"
cp "$build"/parity-modules/*.ko "$build/parity/modules/"

# edited NAME FILE TEXT OPTION...: edit the module in FILE with these options; TEXT is the
# description.
edited() {
	local name=$1 file=$2 what=$3
	shift 3
	"$repo/dev/lib/edit-module.py" "$file" "$build/parity/modules/$name.ko" "$@"
	echo "$what" >"$build/parity/modules/$name.what"
}

edited named_vmlinux "$build/selftests/livepatch/test_modules/test_klp_callbacks_mod.ko" \
	"called vmlinux" --name vmlinux

# Livepatch relocations, good and bad: test_klp_relocs with its relocation
# section and the two symbols that it refers to renamed.

number=0
# relocs TEXT SECTION FIRST [SECOND [OPTION...]]
relocs() {
	local what=$1 section=$2 first=$3 second=${4:-.klp.sym.vmlinux.version_proc_show,1}
	shift $(($# < 4 ? 3 : 4))
	number=$((number + 1))
	edited "relocs-$(printf '%02d' $number)" "$build/parity-modules/test_klp_relocs.ko" "$what" \
		--relocs .rela.klp_slots "$section" \
		--symbol test_klp_relocs_first "$first" --symbol test_klp_relocs_second "$second" "$@"
}

of_vmlinux=.klp.rela.vmlinux..klp_slots
of_target=.klp.rela.test_klp_mod_target..klp_slots
good=.klp.sym.vmlinux.cmdline_proc_show,1
shown=.klp.sym.test_klp_mod_target.test_klp_mod_target_show

relocs "of vmlinux" $of_vmlinux $good
relocs "of a module" $of_target $shown,1 $shown,0
relocs "of a module, one that is not there" $of_target $shown,1 .klp.sym.test_klp_mod_target.nothing,0
relocs "of a module, to vmlinux" $of_target $shown,1 $good
relocs "of a module, to another" $of_target .klp.sym.test_klp_relocs.test_klp_relocs_init,1 $shown,0
relocs "of a module, position out of range" $of_target $shown,2
relocs "of a module, not marked" $of_target $shown,1 "" \
	--plain-symbol .klp.sym.vmlinux.version_proc_show,1 $good
relocs "of a module that never comes" .klp.rela.nobody..klp_slots $good
relocs "of vmlinux, to a module that is not there" $of_vmlinux $good $shown,0
relocs "of vmlinux, first symbol not marked" $of_vmlinux $good "" --plain-symbol $good $good
relocs "of vmlinux, second symbol malformed" $of_vmlinux $good .klp.sym.vmlinux

# The longest names of an object and of a symbol.
object=$(printf 'x%.0s' {1..55})
symbol=$(printf 'y%.0s' {1..511})

sections=(
	""
	.klp
	.klp.rel.vmlinux.x
	.klp.rela
	.klp.rela.
	.klp.rela..
	.klp.rela..text
	".klp.rela. vmlinux.x"
	.klp.rela.vmlinux
	.klp.rela.vmlinuxx.x
	.klp.rela."$object".x
	.klp.rela."$object"x.x
	$'.klp.rela.\t'
	.rela.vmlinux
)
for name in "${sections[@]}"; do
	relocs "section $(printf '%q' "$name")" "$name" $good
done

vmlinux=.klp.sym.vmlinux
show=$vmlinux.cmdline_proc_show
symbols=(
	""
	".klp.sym"
	".klp.sym."
	".klp.sym..,0"
	".klp.sym..cmdline_proc_show,0"
	"klp.sym.vmlinux.cmdline_proc_show,1"
	".klp.sym_vmlinux.cmdline_proc_show,1"
	"$vmlinux"
	"$vmlinux."
	"$vmlinux.,0"
	"$vmlinux,cmdline_proc_show,1"
	"$vmlinux. cmdline_proc_show,1"
	# No position, and bad ones
	"$show"
	"$show,"
	"$show,,1"
	"$show,x"
	"$show,-1"
	"$show,+1"
	"$show,2"
	# Positions that sscanf() takes
	"$show,0"
	"$show,01"
	"$show, 1"
	"$show,"$'\v1'
	"$show,1x"
	"$show,0x1"
	# Too large: as it is, and wrapped around to 1 and to 10
	"$show,18446744073709551615"
	"$show,18446744073709551617"
	"$show,18446744073709551626"
	# Symbols that are not there or there twice
	"$vmlinux.$ambiguous,0"
	"$vmlinux.$ambiguous,2"
	"$vmlinux.test_klp_no_such_symbol,0"
	"$vmlinux.test_klp_no_such_symbol,1"
	# Lengths
	".klp.sym.$object.nothing,0"
	".klp.sym.${object}x.nothing,0"
	"$vmlinux.${symbol},0"
	"$vmlinux.${symbol}y,0"
	# Bytes that are no ASCII letters; not those that are no UTF-8, which the
	# Rust core shows escaped
	"$vmlinux."$'\t'",x"
	"$vmlinux."$'\xc3\xa4'",0"
)
for name in "${symbols[@]}"; do
	what=$(printf '%q' "$name")
	relocs "symbol ${what//yyyyyyyyyy/}" $of_vmlinux "$name"
done
