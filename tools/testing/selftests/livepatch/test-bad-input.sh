#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel must refuse bad livepatches, and bad values for the sysfs files of a good
# livepatch, with the right errors and messages, and leave nothing behind.

. $(dirname $0)/functions.sh
. $(dirname $0)/functions-extra.sh

MOD_BAD=test_klp_bad_input
MOD_UNMARKED=test_klp_not_livepatch
MOD_LIVEPATCH=test_klp_livepatch
MOD_TARGET=test_klp_mod_target
MOD_INIT=test_klp_sleep_target
MOD_INIT_LP=test_klp_sleep_patch
INIT_FUNCTION=test_klp_sleep_freed

EINVAL_INSMOD="Invalid parameters"	# insmod's own words
EINVAL="Invalid argument"

setup_config

# As long as the name of a symbol can be: KSYM_NAME_LEN - 1
LONGEST_SYMBOL=$(printf 'x%.0s' {1..511})

# choose_symbols() - look for symbols of vmlinux that cannot be patched; print
#	- the name that most static functions have, "-" if each name is unique
#	- the number of symbols with this name
#	- a function with a unique name that ftrace cannot patch, neither under this
#	  nor under another name of its address, "-" if there is none
#
# Reading /proc/kallsyms can take long, so this function reads it once.
function choose_symbols() {
	awk 'NR == FNR { traceable[$1] = 1; next }
	     NF != 3 { next }
	     { count[$3]++ }
	     $3 in traceable { patchable[$1] = 1 }
	     $3 == "_stext" { text = 1 }
	     $3 == "_etext" { text = 0 }
	     !text || $3 !~ /^[a-z][a-z0-9_]*$/ { next }
	     $2 == "t" { static[$3]++ }
	     tolower($2) == "t" { addr[$3] = $1; names[++n] = $3 }
	     END {
		ambiguous = "-"
		most = 1
		for (i = 1; i <= n; i++)
			if (static[names[i]] > most) {
				ambiguous = names[i]
				most = static[ambiguous]
			}
		untraceable = "-"
		for (i = n; i > 0; i--)
			if (count[names[i]] == 1 && !(addr[names[i]] in patchable))
				untraceable = names[i]
		print ambiguous, count[ambiguous] + 0, untraceable
	     }' "$SYSFS_TRACING_DIR/available_filter_functions" /proc/kallsyms
}

# check_gone(modname) - die if anything of a livepatch is left
#	modname - module that was refused or removed
function check_gone() {
	local mod="$1"

	grep -q "^$mod " /proc/modules &&
		die "module $mod is still loaded"
	check_clean
	grep -q "test_klp" /proc/cmdline &&
		die "/proc/cmdline is still patched"
}

# refused(test, modname, messages, params) - one case: the kernel refuses a patch
#	test - title of the case
#	modname - module with the patch
#	messages - the kernel's messages, or nothing
#	params - module parameters to pass to insmod
function refused() {
	local test="$1"; shift
	local mod="$1"; shift
	local messages="$1"; shift
	local command="% insmod test_modules/$mod.ko $*"

	start_test "$test"

	load_failing_mod $mod "$@"
	check_gone $mod

	check_result "${command%% }
${messages:+$messages
}insmod: ERROR: could not insert module test_modules/$mod.ko: $EINVAL_INSMOD"
}

read -r AMBIGUOUS AMBIGUOUS_COUNT UNTRACEABLE < <(choose_symbols)


# Structures without a necessary field.  The kernel returns an error before it does
# anything else, and logs no message.

for what in null_patch null_mod null_objs null_funcs null_old_name; do
	refused "$what" $MOD_BAD "" what=$what
done


# A function without replacement.  The kernel notices this when the patch and its
# object, and in the second case another function, are in sysfs already.

refused "null_new_func" $MOD_BAD "" what=null_new_func
refused "null_new_func of the second function" $MOD_BAD "" what=second_null_new_func


# A good patch, but its module is not marked as a livepatch.

refused "module that is no livepatch" $MOD_UNMARKED \
	"livepatch: module $MOD_UNMARKED is not marked as a livepatch module"


# Functions that the kernel cannot find: the symbol does not exist, is not unique, or
# does not exist as often as the patch's position demands.

refused "unknown symbol" $MOD_BAD \
	"livepatch: symbol 'test_klp_no_such_function' not found in symbol table" \
	what=symbol symbol=test_klp_no_such_function

refused "unknown symbol with a position" $MOD_BAD \
	"livepatch: symbol 'test_klp_no_such_function' not found in symbol table" \
	what=symbol symbol=test_klp_no_such_function sympos=1

if [[ "$AMBIGUOUS" != "-" ]]; then
	refused "ambiguous symbol" $MOD_BAD \
		"livepatch: unresolvable ambiguity for symbol '$AMBIGUOUS' in object '(null)'" \
		what=symbol symbol=$AMBIGUOUS

	# One further than the last
	POSITION=$((AMBIGUOUS_COUNT + 1))
	SYMBOL="symbol '$AMBIGUOUS' in object 'vmlinux'"
	refused "position of an ambiguous symbol out of range" $MOD_BAD \
		"livepatch: symbol position $POSITION for $SYMBOL not found" \
		what=symbol symbol=$AMBIGUOUS sympos=$POSITION
else
	skip_case "ambiguous symbol" "each name is unique"
	skip_case "position of an ambiguous symbol out of range" "each name is unique"
fi

SYMBOL="symbol 'cmdline_proc_show' in object 'vmlinux'"
refused "position out of range" $MOD_BAD \
	"livepatch: symbol position 999 for $SYMBOL not found" \
	what=symbol sympos=999


# Names of the greatest length, and names that are longer by one.

refused "longest symbol" $MOD_BAD \
	"livepatch: symbol '$LONGEST_SYMBOL' not found in symbol table" \
	what=symbol_longest

refused "symbol too long" $MOD_BAD "" what=symbol_too_long
refused "object too long" $MOD_BAD "" what=object_too_long

ENABLE_BAD="livepatch: enabling patch '$MOD_BAD'
livepatch: '$MOD_BAD': initializing patching transition
livepatch: '$MOD_BAD': starting patching transition
livepatch: '$MOD_BAD': completing patching transition
livepatch: '$MOD_BAD': patching complete"
DISABLE_BAD="% echo 0 > $SYSFS_KLP_DIR/$MOD_BAD/enabled
livepatch: '$MOD_BAD': initializing unpatching transition
livepatch: '$MOD_BAD': starting unpatching transition
livepatch: '$MOD_BAD': completing unpatching transition
livepatch: '$MOD_BAD': unpatching complete
% rmmod $MOD_BAD"

start_test "longest object"

load_lp $MOD_BAD what=object_longest
compgen -G "$SYSFS_KLP_DIR/$MOD_BAD/xxxx*x/cmdline_proc_show,1" > /dev/null ||
	die "no directory of the object in $SYSFS_KLP_DIR/$MOD_BAD"
disable_lp $MOD_BAD
unload_lp $MOD_BAD
check_gone $MOD_BAD

check_result "% insmod test_modules/$MOD_BAD.ko what=object_longest
$ENABLE_BAD
$DISABLE_BAD"


# A patch may have no objects.

start_test "no objects"

load_lp $MOD_BAD what=no_objects
check_sysfs_value "$MOD_BAD" "enabled" "1"
disable_lp $MOD_BAD
unload_lp $MOD_BAD
check_gone $MOD_BAD

check_result "% insmod test_modules/$MOD_BAD.ko what=no_objects
$ENABLE_BAD
$DISABLE_BAD"


# The second function is bad, and the first is good.

refused "unknown second symbol" $MOD_BAD \
	"livepatch: symbol 'test_klp_no_such_function' not found in symbol table" \
	what=second_symbol symbol=test_klp_no_such_function


# A function that ftrace cannot patch.  The kernel notices this later than the other
# errors, when it is about to enable the patch.  If the second function is the bad one,
# the first has been patched already.  If the first one is, the second never is.

if [[ "$UNTRACEABLE" != "-" ]]; then
	for what in symbol first_symbol second_symbol; do
		refused "function that is not traceable ($what)" $MOD_BAD \
			"livepatch: enabling patch '$MOD_BAD'
livepatch: '$MOD_BAD': initializing patching transition
livepatch: failed to find location for function '$UNTRACEABLE'
livepatch: failed to patch object 'vmlinux'
livepatch: failed to enable patch '$MOD_BAD'
livepatch: '$MOD_BAD': canceling patching transition, going to unpatch
livepatch: '$MOD_BAD': completing unpatching transition
livepatch: '$MOD_BAD': unpatching complete" \
			what=$what symbol=$UNTRACEABLE
	done
else
	skip_case "function that is not traceable" "ftrace can patch each function"
fi


# Bad patches of modules.

# check_refuses(modname) - die unless the loaded patch keeps a module from being loaded
function check_refuses() {
	local mod="$1"

	load_failing_mod $mod
	grep -q "^$mod " /proc/modules &&
		die "module $mod is still loaded"
	check_sysfs_value "$MOD_BAD" "$mod/patched" "0"
	[[ -z "$(patched_functions)" ]] ||
		die "a function is patched"
}

# refusal(modname, symbol) - print the messages of check_refuses()
function refusal() {
	local mod="$1"
	local symbol="$2"

	echo "% insmod test_modules/$mod.ko
livepatch: symbol '$symbol' not found in symbol table
livepatch: failed to initialize patch '$MOD_BAD' for module '$mod' (-22)
livepatch: patch '$MOD_BAD' failed for module '$mod', refusing to load module '$mod'
insmod: ERROR: could not insert module test_modules/$mod.ko: $EINVAL_INSMOD"
}

# A bad patch of a module that is loaded.

start_test "position out of range in a module"

PARAMETERS="what=symbol object=$MOD_TARGET symbol=test_klp_mod_target_show"
SYMBOL="symbol 'test_klp_mod_target_show' in object '$MOD_TARGET'"
load_mod $MOD_TARGET
load_failing_mod $MOD_BAD $PARAMETERS sympos=2
check_gone $MOD_BAD
unload_mod $MOD_TARGET

check_result "% insmod test_modules/$MOD_TARGET.ko
$MOD_TARGET: test_klp_mod_target_init
% insmod test_modules/$MOD_BAD.ko $PARAMETERS sympos=2
livepatch: symbol position 2 for $SYMBOL not found
insmod: ERROR: could not insert module test_modules/$MOD_BAD.ko: $EINVAL_INSMOD
% rmmod $MOD_TARGET
$MOD_TARGET: test_klp_mod_target_exit"


# A bad patch of a module that is loaded later: the kernel enables the patch, and then
# refuses the module.

start_test "unknown symbol in a module that is loaded later"

PARAMETERS="what=symbol object=$MOD_TARGET symbol=test_klp_no_such_function"
load_lp $MOD_BAD $PARAMETERS
check_refuses $MOD_TARGET
disable_lp $MOD_BAD
unload_lp $MOD_BAD
check_gone $MOD_BAD
load_mod $MOD_TARGET
unload_mod $MOD_TARGET

check_result "% insmod test_modules/$MOD_BAD.ko $PARAMETERS
$ENABLE_BAD
$(refusal $MOD_TARGET test_klp_no_such_function)
$DISABLE_BAD
% insmod test_modules/$MOD_TARGET.ko
$MOD_TARGET: test_klp_mod_target_init
% rmmod $MOD_TARGET
$MOD_TARGET: test_klp_mod_target_exit"


# A patch of a module's init function.  The kernel frees the code of the function after
# the call.  So the core refuses the patch or the module, the one that is loaded later.

PARAMETERS="what=symbol object=$MOD_INIT symbol=$INIT_FUNCTION"
NOT_FOUND="livepatch: symbol '$INIT_FUNCTION' not found in symbol table
insmod: ERROR: could not insert module test_modules/$MOD_BAD.ko: $EINVAL_INSMOD"

start_test "init function of a module"

load_mod $MOD_INIT
load_failing_mod $MOD_BAD $PARAMETERS
check_gone $MOD_BAD
unload_mod $MOD_INIT

check_result "% insmod test_modules/$MOD_INIT.ko
% insmod test_modules/$MOD_BAD.ko $PARAMETERS
$NOT_FOUND
% rmmod $MOD_INIT"

# FIXED=1: with the fix "livepatch: Refuse init functions of modules"
if is_rust || [[ "${FIXED:-0}" == 1 ]]; then
	start_test "init function of a module that is loaded later"

	load_lp $MOD_BAD $PARAMETERS
	check_refuses $MOD_INIT
	disable_lp $MOD_BAD
	unload_lp $MOD_BAD
	check_gone $MOD_BAD

	check_result "% insmod test_modules/$MOD_BAD.ko $PARAMETERS
$ENABLE_BAD
$(refusal $MOD_INIT $INIT_FUNCTION)
$DISABLE_BAD"

	# The symbols of a livepatch's init functions are not freed.
	start_test "init function of a livepatch"

	PARAMETERS="what=symbol object=$MOD_INIT_LP symbol=$INIT_FUNCTION"
	load_lp $MOD_INIT_LP
	load_failing_mod $MOD_BAD $PARAMETERS
	disable_lp $MOD_INIT_LP
	unload_lp $MOD_INIT_LP
	check_gone $MOD_BAD

	check_result "% insmod test_modules/$MOD_INIT_LP.ko
${ENABLE_BAD//$MOD_BAD/$MOD_INIT_LP}
% insmod test_modules/$MOD_BAD.ko $PARAMETERS
$NOT_FOUND
${DISABLE_BAD//$MOD_BAD/$MOD_INIT_LP}"
else
	REASON="the C core looks for the symbol alone"
	skip_case "init function of a module that is loaded later" "$REASON"
	skip_case "init function of a livepatch" "$REASON"
fi


# The cases from here on have a good livepatch.

ENABLE="% insmod test_modules/$MOD_LIVEPATCH.ko
livepatch: enabling patch '$MOD_LIVEPATCH'
livepatch: '$MOD_LIVEPATCH': initializing patching transition
livepatch: '$MOD_LIVEPATCH': starting patching transition
livepatch: '$MOD_LIVEPATCH': completing patching transition
livepatch: '$MOD_LIVEPATCH': patching complete"
DISABLE="% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
livepatch: '$MOD_LIVEPATCH': initializing unpatching transition
livepatch: '$MOD_LIVEPATCH': starting unpatching transition
livepatch: '$MOD_LIVEPATCH': completing unpatching transition
livepatch: '$MOD_LIVEPATCH': unpatching complete
% rmmod $MOD_LIVEPATCH"


# Values that are no booleans.  The livepatch stays as it is.

for attr in enabled force; do
	start_test "garbage written to '$attr'"

	expected=
	load_lp $MOD_LIVEPATCH
	# check_clean() proves nothing if enabled_functions never shows the function.
	[[ -n "$(patched_functions)" ]] ||
		die "the patched function is not in enabled_functions"
	for value in garbage 2 -1 ""; do
		write_failing "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/$attr" "$value"
		expected+="
% echo $value > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/$attr
$SYSFS_KLP_DIR/$MOD_LIVEPATCH/$attr: $EINVAL"
	done
	check_sysfs_value "$MOD_LIVEPATCH" "enabled" "1"
	check_sysfs_value "$MOD_LIVEPATCH" "transition" "0"
	disable_lp $MOD_LIVEPATCH
	unload_lp $MOD_LIVEPATCH
	check_gone $MOD_LIVEPATCH

	check_result "$ENABLE$expected
$DISABLE"
done


# An enabled livepatch cannot be enabled again.

start_test "enable an enabled livepatch"

load_lp $MOD_LIVEPATCH
write_failing "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled" "1"
check_sysfs_value "$MOD_LIVEPATCH" "enabled" "1"
check_sysfs_value "$MOD_LIVEPATCH" "transition" "0"
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
check_gone $MOD_LIVEPATCH

check_result "$ENABLE
% echo 1 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled
$SYSFS_KLP_DIR/$MOD_LIVEPATCH/enabled: $EINVAL
$DISABLE"


# Without a transition there is nothing to force.  Writing 0 is allowed.

start_test "force without a transition"

load_lp $MOD_LIVEPATCH
write_failing "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/force" "1"
write_ok "$SYSFS_KLP_DIR/$MOD_LIVEPATCH/force" "0"
check_sysfs_value "$MOD_LIVEPATCH" "enabled" "1"
check_sysfs_value "$MOD_LIVEPATCH" "transition" "0"
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
check_gone $MOD_LIVEPATCH

check_result "$ENABLE
% echo 1 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/force
$SYSFS_KLP_DIR/$MOD_LIVEPATCH/force: $EINVAL
% echo 0 > $SYSFS_KLP_DIR/$MOD_LIVEPATCH/force
$DISABLE"


# The same livepatch again.  The module loader refuses it.

start_test "load a livepatch twice"

load_lp $MOD_LIVEPATCH
load_failing_mod $MOD_LIVEPATCH
check_sysfs_value "$MOD_LIVEPATCH" "enabled" "1"
check_sysfs_value "$MOD_LIVEPATCH" "transition" "0"
[[ "$(patched_functions | wc -l)" == "1" ]] ||
	die "not one function is patched"
disable_lp $MOD_LIVEPATCH
unload_lp $MOD_LIVEPATCH
check_gone $MOD_LIVEPATCH

check_result "$ENABLE
% insmod test_modules/$MOD_LIVEPATCH.ko
insmod: ERROR: could not insert module test_modules/$MOD_LIVEPATCH.ko: File exists
$DISABLE"

finish
