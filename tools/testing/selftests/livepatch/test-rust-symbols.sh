#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Livepatches in Rust that use functions and variables which are not exported, and
# livepatches that call the functions which they replace.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

LP_SYMBOLS=test_klp_rust_symbols
LP_NO_SYMBOL=test_klp_rust_no_symbol
LP_TWO_SYMBOLS=test_klp_rust_two_symbols
MOD_TARGET=test_klp_symbols_target
LP_TRACED=test_klp_rust_traced_patch
MOD_TRACED=test_klp_rust_traced

PROC=/proc/test_klp_symbols

setup_config

[[ -f "test_modules/$LP_SYMBOLS.ko" ]] ||
	skip "no test_modules/$LP_SYMBOLS.ko (CONFIG_RUST, and an objtool that knows klp)"

# expect(file, text) - a file has that content
#	file - its path
#	text - its content
function expect() {
	local file="$1"
	local text="$2"

	[[ "$(cat "$file")" == "$text" ]] ||
		die "$file is not \"$text\" but \"$(cat "$file")\""
}

cmdline=$(cat /proc/cmdline)
version=$(cat /proc/version)


# - a livepatch calls a function of the kernel that is not exported, reads a variable that
#   is not exported, and calls the function that it replaces
# - the same for a module that is there already
# - of two functions with the same name, it calls the one that its position selects

start_test "Rust symbols of the kernel and of a module"

load_mod $MOD_TARGET limit=50
expect $PROC "original: 51 52"
load_lp $LP_SYMBOLS
expect /proc/cmdline "patched: ${#cmdline}
$version
$cmdline"
expect $PROC "patched: 51 52
original: 51 52"
echo 60 > /sys/module/$MOD_TARGET/parameters/limit
expect $PROC "patched: 61 62
original: 61 62"
disable_lp $LP_SYMBOLS
expect /proc/cmdline "$cmdline"
expect $PROC "original: 61 62"
unload_lp $LP_SYMBOLS
unload_mod $MOD_TARGET

check_result "% insmod test_modules/$MOD_TARGET.ko limit=50
% insmod test_modules/$LP_SYMBOLS.ko
$(patching_messages $LP_SYMBOLS)
% echo 0 > $SYSFS_KLP_DIR/$LP_SYMBOLS/enabled
$(unpatching_messages $LP_SYMBOLS)
% rmmod $LP_SYMBOLS
% rmmod $MOD_TARGET"


# - the module is loaded after the livepatch, is unloaded, and is loaded again, with
#   another value and perhaps at another address

start_test "Rust symbols of a module that comes later"

load_lp $LP_SYMBOLS
load_mod $MOD_TARGET
expect $PROC "patched: 41 42
original: 41 42"
unload_mod $MOD_TARGET
load_mod $MOD_TARGET limit=70
expect $PROC "patched: 71 72
original: 71 72"
unload_mod $MOD_TARGET
disable_lp $LP_SYMBOLS
unload_lp $LP_SYMBOLS
expect /proc/cmdline "$cmdline"

check_result "% insmod test_modules/$LP_SYMBOLS.ko
$(patching_messages $LP_SYMBOLS)
% insmod test_modules/$MOD_TARGET.ko
livepatch: applying patch '$LP_SYMBOLS' to loading module '$MOD_TARGET'
% rmmod $MOD_TARGET
livepatch: reverting patch '$LP_SYMBOLS' on unloading module '$MOD_TARGET'
% insmod test_modules/$MOD_TARGET.ko limit=70
livepatch: applying patch '$LP_SYMBOLS' to loading module '$MOD_TARGET'
% rmmod $MOD_TARGET
livepatch: reverting patch '$LP_SYMBOLS' on unloading module '$MOD_TARGET'
% echo 0 > $SYSFS_KLP_DIR/$LP_SYMBOLS/enabled
$(unpatching_messages $LP_SYMBOLS)
% rmmod $LP_SYMBOLS"


# - a livepatch is refused if the kernel does not have the function
# - a livepatch is refused if the module that it names is loaded, has two functions of
#   the name, and the livepatch selects neither; if the module is loaded later, the
#   module is refused

start_test "Rust symbols that cannot be found"

load_failing_mod $LP_NO_SYMBOL
load_mod $MOD_TARGET
load_failing_mod $LP_TWO_SYMBOLS
expect $PROC "original: 41 42"
unload_mod $MOD_TARGET
load_lp $LP_TWO_SYMBOLS
load_failing_mod $MOD_TARGET
[[ ! -e /sys/module/$MOD_TARGET ]] ||
	die "the refused module is still there"
disable_lp $LP_TWO_SYMBOLS
unload_lp $LP_TWO_SYMBOLS
check_clean
expect /proc/cmdline "$cmdline"

AMBIGUOUS="unresolvable ambiguity for symbol 'test_klp_symbols_helper' in object '$MOD_TARGET'"
REFUSED="failed for module '$MOD_TARGET', refusing to load module '$MOD_TARGET'"
INVALID="Invalid parameters"
check_result "% insmod test_modules/$LP_NO_SYMBOL.ko
livepatch: symbol 'test_klp_no_such_function' not found in symbol table
insmod: ERROR: could not insert module test_modules/$LP_NO_SYMBOL.ko: $INVALID
% insmod test_modules/$MOD_TARGET.ko
% insmod test_modules/$LP_TWO_SYMBOLS.ko
livepatch: $AMBIGUOUS
insmod: ERROR: could not insert module test_modules/$LP_TWO_SYMBOLS.ko: $INVALID
% rmmod $MOD_TARGET
% insmod test_modules/$LP_TWO_SYMBOLS.ko
$(patching_messages $LP_TWO_SYMBOLS)
% insmod test_modules/$MOD_TARGET.ko
livepatch: $AMBIGUOUS
livepatch: failed to initialize patch '$LP_TWO_SYMBOLS' for module '$MOD_TARGET' (-22)
livepatch: patch '$LP_TWO_SYMBOLS' $REFUSED
insmod: ERROR: could not insert module test_modules/$MOD_TARGET.ko: $INVALID
% echo 0 > $SYSFS_KLP_DIR/$LP_TWO_SYMBOLS/enabled
$(unpatching_messages $LP_TWO_SYMBOLS)
% rmmod $LP_TWO_SYMBOLS"


# - ftrace reaches a function in Rust, if its module is built for that
# - a livepatch replaces the function, and calls the original

ANSWER=$SYSFS_DEBUG_DIR/$MOD_TRACED/answer

title="Rust function that ftrace reaches"
if [[ -e "test_modules/$LP_TRACED.ko" ]]; then
	start_test "$title"

	load_mod $MOD_TRACED
	expect $ANSWER 42
	grep -q "^${MOD_TRACED}_answer " $SYSFS_TRACING_DIR/available_filter_functions ||
		die "ftrace does not know ${MOD_TRACED}_answer"
	load_lp $LP_TRACED
	expect $ANSWER 4200
	disable_lp $LP_TRACED
	expect $ANSWER 42
	unload_lp $LP_TRACED
	unload_mod $MOD_TRACED

	check_result "% insmod test_modules/$MOD_TRACED.ko
% insmod test_modules/$LP_TRACED.ko
$(patching_messages $LP_TRACED)
% echo 0 > $SYSFS_KLP_DIR/$LP_TRACED/enabled
$(unpatching_messages $LP_TRACED)
% rmmod $LP_TRACED
% rmmod $MOD_TRACED"
else
	skip_case "$title" "this kernel has no $LP_TRACED.ko"
fi

finish
