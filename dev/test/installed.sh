#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Install the selftests as a CI system does, and run some of them on a machine without the
# source and without the build directory.  Each script is one test.  The last line is
# "N passed, N failed".
#
#   dev/test/installed.sh     TESTS='test-sysfs.sh ...'

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

native_only
# Run one of upstream's scripts, and one that needs more than its modules.
read -ra tests <<<"${TESTS:-test-sysfs.sh test-samples.sh}"

out=$("$repo/dev/kernel.sh")
tree=$(tree_dir)
set_kmake
installed=$out/installed

# The makefile builds the modules in the directory of their source.  So use a copy, to
# keep build results out of the tree.
install_all() {
	local source=$installed/source
	rm -rf "$installed"
	mkdir -p "$source"
	(cd "$tree" && rsync -a --relative tools/{build,include,livepatch,scripts} \
		tools/testing/selftests/{Makefile,*.h,lib.mk,run_kselftest.sh,kselftest,livepatch} scripts/{subarch.include,Makefile.*} "$source/")
	"${kmake[@]}" -C "$source/tools/testing/selftests" TARGETS=livepatch O="$out" KDIR="$out" \
		KSFT_INSTALL_PATH="$installed/selftests" install
	"${kmake[@]}" -C "$tree" O="$out" INSTALL_MOD_PATH="$installed/root" INSTALL_MOD_STRIP=1 modules_install
	# That machine has not the build directory, to which a link leads.
	rm -r "$source" "$installed"/root/lib/modules/*/build
}
run_logged "installing the selftests" "$out/log/installed" install_all

guest installed.sh "${tests[@]}" >"$installed/output" || true
cat "$installed/output"
for test in "${tests[@]}"; do
	check "installed: $test" grep -qE "^ok [0-9]+ selftests: livepatch: $test$" "$installed/output"
done
# test-klpctl.sh, which takes ten minutes, needs this program beside it.
check "installed: klpctl" grep -qx 'livepatch: none' "$installed/output"
# Upstream's scripts do not print these lines.
check "installed: a line for each case" grep -qE '^# ok [0-9]+ ' "$installed/output"
totals
