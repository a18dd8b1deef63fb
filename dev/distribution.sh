#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Run klpctl on the distribution's own kernel packages: the core in C, with the
# distribution's configuration and modules, and with livepatches that its headers package and
# its compiler have built.  Each case is one test; the last line is "N passed, N failed".
#
#   dev/distribution.sh      SUITES='trixie bookworm ...', by default the suite that has the
#                            base; TESTS='test-klpctl.sh ...'; CAPTURE=1 takes the reports of
#                            the machines into tools/livepatch/tests/trees
#
# dev/lib/root.sh unpacks the packages in a directory; nothing is installed.  The kernels have
# no 9p, so all files of a machine are in its initial RAM disk, and it answers by its serial
# lines.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/lib/lib.sh"
# shellcheck source=dev/lib/apt.sh
. "$repo/dev/lib/apt.sh"
# shellcheck source=dev/lib/machine.sh
. "$repo/dev/lib/machine.sh"
# shellcheck source=dev/lib/runs.sh
. "$repo/dev/lib/runs.sh"
native_only

# test-distribution.sh comes last, because it leaves a module in the kernel for ever.
read -ra tests <<<"${TESTS:-test-klpctl.sh test-distribution.sh}"
case ${CAPTURE:=0} in
0 | 1) ;;
*) die "CAPTURE=$CAPTURE: not understood" "use CAPTURE=1 or CAPTURE=0" ;;
esac

# The modules of the selftests that klpctl's tests load.
modules=(test_klp_atomic_replace test_klp_callbacks_busy test_klp_callbacks_demo
	test_klp_callbacks_mod test_klp_livepatch test_klp_sleep_patch test_klp_sleep_target)

tree=$("$repo/dev/tree.sh")
"$repo/dev/package.sh" >/dev/null
mkdir -p "$cache/log"
run="make distribution${SUITES:+ SUITES='$SUITES'}$(unusual CAPTURE=0 CPUS= MEM= APPEND=)"
[ -n "${SUITES:-}" ] || SUITES=$(suite_of_base "${BASE:-${supported[*]}}")

# build: build the modules of the tests with the suite's headers and compiler, whose programs
# run with the suite's C library.
build() {
	# shellcheck disable=SC2016 # the inner shell has its own arguments
	unshare --map-root-user --mount bash -e -c '
		mount --rbind /dev "$1/dev"
		mount --rbind /proc "$1/proc"
		mount --bind "$2" "$1/mnt"
		exec chroot "$1" make -C "/lib/modules/$3/build" M=/mnt/test_modules modules
	' build "$root" "$selftests" "$version"
}

# copy_tests: copy the scripts, and the sources of the modules, as they are.
copy_tests() {
	local from=$tree/tools/testing/selftests module
	mkdir -p "$selftests/test_modules" "$initrd/selftests/kselftest"
	cp "$from/kselftest/ktap_helpers.sh" "$initrd/selftests/kselftest/"
	cp "$from/livepatch"/{functions*,test-*}.sh "$selftests/"
	cp "$repo/dev/guest/distribution.sh" "$selftests/test-distribution.sh"
	for module in "${modules[@]}"; do
		cp "$from/livepatch/test_modules/$module.c" "$selftests/test_modules/"
	done
	cp "$tree/samples/livepatch/livepatch-sample.c" "$selftests/test_modules/"
	printf 'obj-m := %s livepatch-sample.o\n' "${modules[*]/%/.o}" >"$selftests/test_modules/Kbuild"
}

# make_initrd FILE: write the initial RAM disk, with the suite's files, klpctl, the tests and
# the first process.  Headers, compilers and documentation are left out.
make_initrd() {
	mkdir -p "$initrd/mnt"
	cp -a "$cache/packages/files/." "$initrd/"
	cp "$repo/dev/guest/init.sh" "$initrd/init"
	chmod +x "$initrd/init"
	: >"$initrd/mnt/mounts"
	cat >"$initrd/mnt/run" <<-end
		#!/bin/bash
		# The terminals must not add carriage returns to the output of the tests.
		stty -F /dev/ttyS1 -opost
		stty -F /dev/ttyS2 -opost
		mount -t debugfs debugfs /sys/kernel/debug
		mount -t tracefs tracefs /sys/kernel/tracing
		echo 300 2>/dev/null >/proc/sys/kernel/hung_task_timeout_secs
		export KBUILD=/ CAPTURES=/captures KLPCTL=/usr/sbin/klpctl
		mkdir /captures
		cd /selftests/livepatch
		for script in ${tests[*]}; do
			echo "# \$script"
			status=0
			KDIR=/ ./\$script </dev/null 2>&1 || status=\$?
			echo "# \$script: exit status \$status"
		done >/dev/ttyS1
		tar -C /captures -cz . | base64 >/dev/ttyS2
	end
	chmod +x "$initrd/mnt/run"
	{
		(cd "$root" && find . \( -path ./usr/src -o -path ./usr/include -o -path ./usr/share \
			-o -path ./usr/lib/gcc -o -path ./usr/libexec/gcc -o -path ./boot -o -path ./var/cache \
			-o -name '*.a' -o -path './usr/lib/modules/*/vmlinuz' -o -path ./dev -o -path ./mnt \) -prune \
			-o -print | cpio --quiet -o -H newc -R 0:0)
		(cd "$initrd" && find . | cpio --quiet -o -H newc -R 0:0)
	} >"$1"
}

# boot: boot the machine, and keep the output of its serial lines.
boot() {
	local command
	command=(qemu-system-x86_64 -kernel "$kernel" -initrd "$out/initrd.cpio" -m "${MEM:-2G}"
		-smp "${CPUS:-2}" -accel "tcg,thread=single" -display none -monitor none -no-reboot
		-serial "file:$out/console" -serial "file:$out/output" -serial "file:$out/captures"
		-append "console=ttyS0 panic=-1 oops=panic log_buf_len=16M $patience ${APPEND:-}")
	timeout --kill-after=10 "${TIMEOUT:-7200}" "${command[@]}" </dev/null >"$out/log/qemu" 2>&1 &
	machine_pid=$!
	wait "$machine_pid" || true
	machine_pid=
}

# take_captures: make trees of the reports, such as debian-6-12-waiting.tree.
take_captures() {
	local report name trees=$repo/tools/livepatch/tests
	for report in "$out/reports"/*/; do
		[ -d "$report" ] || die "the machine has sent no reports" "its log: $out/console"
		name=debian-$(cut -d . -f 1,2 <<<"$version" | tr . -)-$(basename "$report")
		"$trees/capture.sh" "$report" >"$trees/trees/$name.tree"
	done
	say "captured: now run make -C tools/livepatch test BLESS=1, and look at the answers"
}

machine_pid=
trap '[ -z "$machine_pid" ] || kill "$machine_pid" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
for suite in $SUITES; do
	root=$("$repo/dev/lib/root.sh" "$suite")
	version=$(basename "$root"/usr/lib/modules/*)
	kernel=$root/boot/vmlinuz-$version
	[ -f "$kernel" ] || kernel=$root/usr/lib/modules/$version/vmlinuz
	[ -f "$kernel" ] || die "the packages of $suite have no kernel $version: $root"
	out=$(build_dir "distribution/$suite")
	initrd=$out/initrd
	selftests=$initrd/selftests/livepatch
	rm -rf "$out"
	mkdir -p "$out/log" "$out/reports"
	copy_tests
	run_logged "building livepatches for $version" "$out/log/modules" build
	make_initrd "$out/initrd.cpio"
	say "booting $version (log: $out/console; output: $out/output)"
	boot
	rm -f "$out/initrd.cpio"
	# The machine may have ended before a script began.
	for script in "${tests[@]}"; do
		grep -q "^# $script: exit status " "$out/output" ||
			printf '\n# %s: exit status 1\n' "$script" >>"$out/output"
	done
	base64 -di "$out/captures" 2>/dev/null | tar -C "$out/reports" -xz 2>/dev/null || true
	[ "$CAPTURE" = 0 ] || take_captures
	sed "s/^TEST: /&$version: /" "$out/output"
	# The kernels have the core in C.
	MAY_SKIP="${MAY_SKIP:+$MAY_SKIP|}the C core " \
		"$repo/dev/lib/judge.sh" "$out/output" "$out/console" >"$out/verdict" || true
	count_suite "$out/verdict" || count 0 1
	grep -v ' passed, ' "$out/verdict" | sed "s/^/$version: /" || true
done
[ -n "${TESTS:-}" ] || keep_run "$run"
totals
