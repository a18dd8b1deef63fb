#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run upstream's tests of the users of ftrace that share functions with live patching,
# unmodified, in their own kernel: BPF's tests livepatch_trampoline and modify_return, the
# latter with a livepatch of its function (dev/upstream/), and the tests of ftrace twice,
# alone and with a livepatch.  That livepatch is settled, so that its function jumps, and
# the script checks it all the time.  Each of these tests is one test here.  One more test
# is that the log has no report of the kernel.  The script prints a test that could not
# run, with the reason, and does not count it.  The last line is "N passed, N failed".
#
#   dev/upstream.sh           TESTS='livepatch_trampoline kprobe ftrace/func_hotplug.tc',
#                             the tests of BPF and files or directories in
#                             tools/testing/selftests/ftrace/test.d, by default all
#   dev/upstream.sh --list    print the tests that would run

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

# Tests of ftrace, or directories of them, that do not run | reason.
left_out='
selftest/bashisms.tc|looks for mistakes in the other tests themselves
remotes/hypervisor|needs the hypervisor of arm64
'

all_bpf=(livepatch_trampoline modify_return)
available=$(tree_dir)/tools/testing/selftests/ftrace/test.d
[ -d "$available" ] || die "there are no tests of ftrace in $available" "make tree"

# tests_in NAME: print the test of that name, or the tests in the directory of that name.
tests_in() {
	(cd "$available" && find "./$1" -name '*.tc' 2>/dev/null | sed 's|^\./||; s|^\./||' | LC_ALL=C sort) || true
}

left_out_files=
while IFS='|' read -r name why; do
	[ -n "$name" ] || continue
	files=$(tests_in "$name")
	[ -n "$files" ] || die "$0 leaves out $name, which is not in $available" "correct the name in left_out, or remove it"
	left_out_files+=$files$'\n'
	not_run+=("$name: $why")
done <<<"$left_out"

# A test that TESTS names runs even if it is left out by default.
tests=() bpf=()
if [ -z "${TESTS:-}" ]; then
	bpf=("${all_bpf[@]}")
	mapfile -t tests < <(tests_in . | grep -vxFf <(printf '%s' "$left_out_files"))
else
	not_run=()
	for name in $TESTS; do
		if [[ " ${all_bpf[*]} " == *" $name "* ]]; then
			bpf+=("$name")
			continue
		fi
		files=$(tests_in "$name")
		[ -n "$files" ] || die "TESTS names $name, which is not in $available" \
			"use ${all_bpf[*]}, and files or directories that are there"
		mapfile -t -O ${#tests[@]} tests <<<"$files"
	done
fi
case ${1:-} in
'') ;;
--list)
	[ ${#bpf[@]} = 0 ] || printf '%s\n' "${bpf[@]}"
	[ ${#tests[@]} = 0 ] || printf '%s\n' "${tests[@]}"
	exit
	;;
*) die "$1: not understood" "dev/upstream.sh [--list]" ;;
esac

"$repo/dev/toolchain.sh" upstream
O=$(build_dir upstream)
export O DEBUG=0 FRAGMENT=$repo/dev/config/upstream.config
out=$("$repo/dev/kernel.sh")
tree=$(tree_dir)
results=$out/upstream
rm -rf "$results"
mkdir -p "$results"

# Build test_progs.  Its makefile builds all tests that it finds, so it gets a copy of its
# directory with only the tests that run.
selftests=tools/testing/selftests
programs=$O/bpf
build_bpf() {
	local source=$programs/source
	rm -rf "$source/$selftests/bpf"/prog{_test,}s
	mkdir -p "$source" "$programs/output" "$programs/livepatch"
	(cd "$tree" &&
		rsync -a --relative --exclude="/$selftests/bpf/prog*/*.c" --exclude="/$selftests/bpf/map_tests" \
			include/uapi kernel/bpf/disasm.[ch] scripts/bpf_doc.py tools/{arch,bpf,build,include,lib,scripts} \
			$selftests/{bpf,lib.mk} "$source/" &&
		for test in "${bpf[@]}"; do
			rsync -a --relative $selftests/bpf/prog{_test,}s/"$test".c "$source/"
		done)
	# Empty variables other than O disable parts that belong to other tests.
	make -j"$(nproc)" --no-print-directory -C "$source/$selftests/bpf" O= OUTPUT="$programs/output" \
		CLANG=clang-19 LLVM_STRIP=llvm-strip-19 VMLINUX_BTF="$out/vmlinux" SKIP_{LLVM,LIBBFD,CRYPTO,DOCS}=1 \
		{LINKED_SKELS,LSKELS,LSKELS_EXTRA,LSKELS_SIGNED,LIBARENA_SKEL,LIBARENA_ASAN_SKEL,TRUNNER_EXTRA_FILES}= \
		test_progs
	rsync -a "$repo/dev/upstream/" "$programs/livepatch/"
	"${kmake[@]}" -C "$tree" O="$out" M="$programs/livepatch" modules
}

# ftracetest gets a copy, too: it needs a program, and modules where modprobe finds them.
build_ftrace() {
	rsync -a "$tree/$selftests/ftrace" "$out/selftests/"
	gcc -O2 -o "$out/selftests/ftrace/poll" "$out/selftests/ftrace/poll.c"
	"${kmake[@]}" -C "$tree" O="$out" INSTALL_MOD_PATH="$out/modules" INSTALL_MOD_STRIP=1 modules_install
}

set_kmake
(
	take_turns "$(work_dir)"
	[ ${#bpf[@]} = 0 ] || run_logged "building test_progs" "$out/log/upstream-bpf" build_bpf
	[ ${#tests[@]} = 0 ] || run_logged "preparing ftracetest" "$out/log/upstream-ftrace" build_ftrace
)

names=() machines=()
trap 'kill "${machines[@]}" 2>/dev/null || true' EXIT

# start NAME ARGUMENT...: start a machine.
start() {
	local name=$1 command
	shift
	printf -v command '%q ' dev/guest/upstream.sh "$@"
	echo "# $name.sh" >"$results/$name"
	names+=("$name")
	DMESG=$results/$name.dmesg "$repo/dev/vm.sh" "$command" >>"$results/$name" 2>&1 </dev/null &
	machines+=($!)
}

[ ${#bpf[@]} = 0 ] || start bpf bpf "$programs" "${bpf[@]}"
if [ ${#tests[@]} != 0 ]; then
	start ftrace ftrace "$results/ftrace.logs" "${tests[@]}"
	start ftrace-patched ftrace-patched "$results/ftrace-patched.logs" "${tests[@]}"
fi
say "running ${names[*]} (logs: $results)"
while [ -n "$(jobs -rp)" ]; do
	sleep 15
	say "$(cd "$results" && grep -HcE '^(TEST: |  not run: )' "${names[@]}" | tr '\n' ' ')tests are done"
done
for i in "${!names[@]}"; do
	status=0
	wait "${machines[i]}" || status=$?
	echo "# ${names[i]}.sh: exit status $status" >>"$results/${names[i]}"
done

(cd "$results" && cat "${names[@]}" >output && cat "${names[@]/%/.dmesg}" >dmesg)
cat "$results/output"
[ ${#not_run[@]} = 0 ] || printf 'left out: %s\n' "${not_run[@]}"
for name in "${names[@]}"; do
	grep -oE '^  not run: [a-z]+' "$results/$name" | sort | uniq -c | sed -E "s/^ *([0-9]+) +not run: (.*)/$name: \1 \2/" || true
done
judge_run "$results/output" "$results/dmesg"
[ -n "${TESTS:-}" ] || keep_run "make upstream"
totals
