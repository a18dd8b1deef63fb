#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# 100000 shadow variables at a time: each exists once, and has the right data.  With the
# Rust core, finding one takes at most twice as long as finding one of 1000.  They are
# freed all at once, or one by one, and each is destroyed once.  Readers in tasks and
# interrupts find the right variables while other tasks add and remove some.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_TEST=test_klp_shadow_scale

setup_config

# run_test(title, params) - one case: the module's init function makes all checks
#	title - title of the case
#	params - module parameters
function run_test() {
	local title="$1"; shift

	start_test "$title"
	load_mod $MOD_TEST "$@"
	FEW_US=$(cat /sys/module/$MOD_TEST/parameters/few_us)
	MANY_US=$(cat /sys/module/$MOD_TEST/parameters/many_us)
	unload_mod $MOD_TEST
	check_result "% insmod test_modules/$MOD_TEST.ko $*
$MOD_TEST: ${1#what=}: all is well
% rmmod $MOD_TEST"
}

run_test "100000 shadow variables, each made, found and destroyed once" what=correct

# The C core has 4096 chains for any number of variables, so the ratio has no limit.
RATIO=
is_rust && RATIO=max_ratio=2
run_test "finding one of 100000 shadow variables" what=scale $RATIO
echo "# 1000 gets: $FEW_US us among 1000 variables, $MANY_US us among 100000"

run_test "readers while shadow variables come and go" what=concurrent count=30000

finish
