#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test klpctl on a distribution's own kernel, with a livepatch from its headers package and
# among its modules, and take reports for the trees of klpctl's tests.  dev/distribution.sh
# starts this script beside the livepatch selftests.  The output is in their notation.
#
# CAPTURES is a directory for reports, one in each.

cd "$(dirname "$0")" || exit 1
# shellcheck disable=SC1091 # these are in the tree, and dev/style.sh checks them there
. ./functions.sh
# shellcheck disable=SC1091
. ./functions-extra.sh
# shellcheck disable=SC1091
. ./functions-klpctl.sh

MOD_SAMPLE=livepatch_sample
MOD_TARGET=test_klp_sleep_target
MOD_SLEEP=test_klp_sleep_patch
MOD_REPLACE=test_klp_atomic_replace
MOD_LIVEPATCH=test_klp_livepatch

# capture(name) - keep a report of the system as it is
function capture() {
	klpctl 0 report --output "$CAPTURES/$1.tar"
	mkdir -p "$CAPTURES/$1"
	tar -C "$CAPTURES/$1" --strip-components=1 -xf "$CAPTURES/$1.tar" ||
		fail "the report is not a tar file"
	rm "$CAPTURES/$1.tar"
}


start_test "the distribution's kernel"

! is_rust ||
	fail "the core is the one in Rust"
grep -qi debian /proc/version ||
	fail "not of the distribution: $(cat /proc/version)"
pass


# Administrators install the file of a livepatch beside the modules of the kernel.
start_test "a livepatch from the headers package"

INSTALLED=/lib/modules/$(uname -r)/updates/livepatch-sample.ko
install -D -m 644 test_modules/livepatch-sample.ko "$INSTALLED"
depmod
klpctl 0 check "$INSTALLED"
says "kernel: $(uname -r)"
says "changes: cmdline_proc_show of vmlinux"
klpctl 0 load livepatch-sample
is_patched ||
	fail "the patch is not in effect"
klpctl 0 status $MOD_SAMPLE
says "$MOD_SAMPLE: applied"
klpctl 0 list $MOD_SAMPLE
says cmdline_proc_show
klpctl 0 unload $MOD_SAMPLE
! is_patched ||
	fail "the patch is still in effect"
rm "$INSTALLED"
depmod
pass_clean


# The modules of the package are signed, and some are compressed.
start_test "modules of the distribution"

modprobe dummy ||
	fail "modprobe dummy"
klpctl 5 status
says "livepatch: none"
klpctl 1 load dummy
says "is not a livepatch"
modprobe -r dummy
pass_clean


start_test "a report of patches that are applied, disabled, and in transition"

load_mod $MOD_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
klpctl 0 load test_modules/$MOD_LIVEPATCH.ko test_modules/$MOD_REPLACE.ko replace=1
loop_until '[[ ! -e $SYSFS_KLP_DIR/$MOD_LIVEPATCH ]]'
klpctl 3 load --timeout 0 test_modules/$MOD_SLEEP.ko
wait_until '[[ "$(tasks_waiting)" == "$SLEEPER" ]]'
klpctl 3 why
says "on function test_klp_sleep_show of $MOD_TARGET"
capture waiting
end_processes "$SLEEPER"
klpctl 0 wait
klpctl 0 unload --all
unload_mod $MOD_TARGET
pass_clean


# The C core keeps the module until the next boot, so this is the last case.
start_test "reports of patches that are applied and removed by force"

load_mod $MOD_TARGET
start_sleeper test_klp_sleep test_klp_sleep_show
klpctl 3 load --timeout 0 test_modules/$MOD_SLEEP.ko
klpctl 0 force --yes
klpctl 6 status
says "livepatch: forced"
capture forced
end_processes "$SLEEPER"
start_sleeper test_klp_sleep livepatch_test_klp_sleep_show
klpctl 3 disable --timeout 0 $MOD_SLEEP
klpctl 0 force --yes
klpctl 5 status
grep -q "^$MOD_SLEEP  *disabled, held" "$SCRATCH/output" ||
	fail "$MOD_SLEEP is not shown as held"
klpctl 5 why $MOD_SLEEP
says "($SLEEPER), user process, "
klpctl 1 unload --timeout 1 $MOD_SLEEP
says "module $MOD_SLEEP is still held"
capture held
end_processes "$SLEEPER"
pass

# Without the clean-up, which would wait a minute for the module that stays.
trap - EXIT
pop_config
finish
