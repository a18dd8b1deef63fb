#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run formatters and lints on all new files.  Each check is one test, and any warning
# fails it.  The last line is "N passed, N failed".

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"

take_turns "$(work_dir)"
tree=$("$repo/dev/tree.sh")
out=$(build_dir style)
set_kmake
checks=$out/log
mkdir -p "$checks"
cd "$tree"

ours() {
	(cd "$repo" && find Documentation include kernel rust samples scripts tools -type f -name "$1" 2>/dev/null) || true
}
# machine.h defines the kernel's own macros, reduced to the parts that the core needs.
mapfile -t c_files < <(ours '*.[ch]' | grep -vx tools/testing/livepatch/versus/include/machine.h)
mapfile -t rust_files < <(ours '*.rs')
mapfile -t scripts < <(ours '*.sh')

checkpatch() {
	# checkpatch wants a MAINTAINERS entry for a new file: make series has those.  The
	# kernel has names like Elf_Shdr.
	scripts/checkpatch.pl --strict --terse --no-summary --showfile \
		--ignore FILE_PATH_CHANGES,CAMELCASE -f "$@"
}

# Configure a build directory for the kernel's compiler checks, which builds no kernel.
configure() {
	mapfile -t fragments < <(arch_fragments rust)
	cat "${fragments[@]}" "$repo/dev/config/style.config" >"$out/wanted.new"
	cmp -s "$out/wanted.new" "$out/wanted" ||
		"${kmake[@]}" -C "$tree" O="$out" KCONFIG_ALLCONFIG="$out/wanted.new" allnoconfig
	"${kmake[@]}" -C "$tree" O="$out" prepare
	mv "$out/wanted.new" "$out/wanted"
}
run_logged "preparing the lints" "$out/log/prepare" configure

# warnings_of TARGET...: make the targets, and print only warnings and errors.
warnings_of() {
	local log=$out/log/make
	if ! "${kmake[@]}" -C "$tree" O="$out" "$@" >"$log" 2>&1; then
		tail -n 40 "$log"
		return 1
	fi
	grep -A 12 -E '(^|[^-])(warning|error):|^(warning|error)' "$log" || true
}
clippy() {
	rm -f "$out"/rust/{kernel.o,libmacros.so} "$out"/{kernel,samples}/livepatch/*.o
	warnings_of CLIPPY=1 rust/kernel.o kernel/livepatch/ samples/livepatch/
}
extra_warnings() {
	rm -f "$out"/kernel/livepatch/*.o
	warnings_of W=1 kernel/livepatch/
}
sparse_warnings() {
	rm -f "$out"/kernel/livepatch/*.o
	warnings_of C=1 kernel/livepatch/
}
documentation() {
	warnings_of rustdoc | grep -A 12 -B 2 livepatch || true
	core_documentation
}
# The kernel's rustdoc target leaves out crates that are not in rust/: document this
# one, private items too, with the flags that compile it.
core_documentation() {
	local command
	warnings_of kernel/livepatch/lib.o
	command=$(sed -n 's/^savedcmd_[^ ]* := //p' "$out/kernel/livepatch/.lib.o.cmd" |
		sed -E 's# --emit=[^ ]*##g; s# --crate-type rlib##; s# --remap-path-[^ ]*##g; s# -Zbinary_dep_depinfo=y##
			s#--out-dir [^ ]*#--document-private-items --out-dir rustdoc-core#
			s#[^ ]*rustc --edition#RUSTC_BOOTSTRAP=1 '"$(dirname "$(find_rustc)")"'/rustdoc --edition#')
	(cd "$out" && eval "$command") 2>&1 || true
	[ -s "$out/rustdoc-core/livepatch/index.html" ] || echo "there is no page of the core"
}
htmldocs() {
	local log=$out/log/htmldocs.make python
	# Use Sphinx's own interpreter: another one in PATH may not have Sphinx.  Do not pass
	# our RUSTDOC: the kernel's script takes it for one of its own arguments.
	python=$(sed -n '1s/^#! *//p' "$(command -v sphinx-build)")
	if ! make -C "$tree" O="$out" PYTHON3="$python" htmldocs SPHINXDIRS=livepatch >"$log" 2>&1; then
		tail -n 40 "$log"
		return 1
	fi
	# Upstream's ABI files have warnings of their own.
	grep -iE 'warning|error' "$log" | grep Documentation/livepatch/ || true
	[ -s "$out/Documentation/output/livepatch/rust-core.html" ] || echo "there is no rust-core.html"
}
layers() {
	local core=$repo/kernel/livepatch
	"$repo/dev/style/layers.py" "$core"
	grep -q '^#!\[deny(unsafe_code)\]$' "$core/lib.rs" || echo "lib.rs does not deny unsafe code"
	grep -EA 1 '(allow|expect)[(]unsafe_code' "$core/lib.rs" | sed -n 's/^mod \(.*\);$/\1/p' | grep -vxE 'hooks|edge|live_kunit' |
		sed 's/$/ may contain unsafe code/'
	find "$core" -name tests -prune -o -name '*.rs' ! -name '*_kunit.rs' -print0 |
		xargs -0 grep -nE '\.(unwrap|expect)\(|panic!|unreachable!|todo!|unimplemented!' |
		grep -vE 'host\.expect\(|unwrap_or' || true
}

dev_scripts() {
	find "$repo/dev" -name '*.sh' -exec shellcheck "$repo/.ci/run" {} +
}

rustfmt=$(dirname "$(find_rustc)")/rustfmt

check "rustfmt" "$rustfmt" --check --edition 2021 --config-path .rustfmt.toml "${rust_files[@]}" "$repo"/dev/klp-build/fixes/*/fix.rs
check "clippy" clippy
check "rustdoc" documentation
check "htmldocs" htmldocs
check "layers" layers
check "reasons for unsafe" "$repo/dev/style/unsafe_reasons.py"
check "checkpatch --strict, C" checkpatch "${c_files[@]}"
check "checkpatch --strict, Rust" checkpatch "${rust_files[@]}"
check "checkpatch --strict, scripts" checkpatch "${scripts[@]}"
check "kernel-doc" scripts/kernel-doc -none -Wall "${c_files[@]}"
check "W=1" extra_warnings
# sparse up to 0.6.4 cannot parse this kernel's headers.  The kernel's script knows that.
if [ "$(scripts/checker-valid.sh sparse 2>/dev/null)" = 1 ]; then
	check "sparse" sparse_warnings
else
	say "not run: sparse, which is not here, or older than this kernel needs"
fi
check "shellcheck, selftests" shellcheck -S warning -e SC2046,SC2086 "${scripts[@]}"
cd "$repo"
check "shellcheck, dev" dev_scripts
check "figures" dev/lib/figures.sh
check "codespell" codespell --quiet-level 3 --skip '*/target' --ignore-words-list crate,extraversion README.md dev include kernel rust samples series tools Documentation

totals
