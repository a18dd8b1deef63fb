#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Use the livepatch that klp-build has made, inside the virtual machine.  Each check
# prints a line "TEST: NAME ... ok".
#
#   dev/guest/test-klp-build.sh MODULE

livepatch=$1
sysfs=/sys/kernel/livepatch/klp_build_test
sample=$KBUILD/samples/kobject/kobject-example.ko

# Files with the output of the patched functions; the sample module has the last one.
attribute=/sys/class/tty/ttyS0/type
cmdline=/proc/cmdline
example=/sys/kernel/kobject_example

# check NAME COMMAND...: one test; if COMMAND fails, show the state.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "TEST: $when: $name ... ok"
	else
		echo "TEST: $when: $name ... not ok"
		echo "  failed: $*"
		grep -s . "$attribute" "$cmdline" "$example/foo" "$sysfs"/{enabled,transition,*/patched} | cut -c 1-120 | sed 's/^/  /'
	fi
}

# eventually COMMAND...: wait for as long as a slow machine may need.
eventually() {
	local end=$((SECONDS + 300))
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# put FILE TEXT
put() {
	echo "$2" >"$1"
}

# holds FILE TEXT
holds() {
	[ "$(cat "$1")" = "$2" ]
}

gone() {
	[ ! -e "$1" ]
}

# namesakes: print the output of other functions with the name type_show.  Other symbols
# are named dev_attr_type, too.
namesakes() {
	grep -s . /sys/bus/event_source/devices/*/type /sys/kernel/irq/*/type /sys/devices/system/cpu/cpu0/cache/index*/type
}

same_namesakes() {
	[ -n "$others" ] && [ "$(namesakes)" = "$others" ]
}

load() {
	check "the livepatch is loaded" insmod "$livepatch"
	check "its transition ends" eventually holds "$sysfs/transition" 0
	check "it is enabled" holds "$sysfs/enabled" 1
	check "vmlinux is patched" holds "$sysfs/vmlinux/patched" 1
	check "a static function is replaced" holds "$attribute" "patched: $type, by its own attribute"
	check "the other functions of that name are not" same_namesakes
	check "what is not exported is reached" holds "$cmdline" "patched: ${#arguments} $arguments"
}

unload() {
	check "the livepatch is disabled" put "$sysfs/enabled" 0
	check "it leaves sysfs" eventually gone "$sysfs"
	check "it is unloaded" eventually rmmod klp_build_test
	check "the static function is the old one" holds "$attribute" "$type"
	check "the function that reached what is not exported is the old one" holds "$cmdline" "$arguments"
}

type=$(cat "$attribute")
arguments=$(cat "$cmdline")
others=$(namesakes)

when="first the livepatch, then the module"
load
check "the module is not patched" holds "$sysfs/kobject_example/patched" 0
# Load the module twice: relocations that were not cleared when the module was unloaded
# cannot be written again.
for round in 1 2; do
	check "the module arrives, $round" insmod "$sample"
	check "the module is patched, $round" holds "$sysfs/kobject_example/patched" 1
	check "foo is set, $round" put "$example/foo" "7$round"
	check "baz is set, $round" put "$example/baz" "9$round"
	check "its function is replaced and reaches foo and baz, $round" \
		holds "$example/foo" "patched: foo 7$round, baz 9$round"
	[ "$round" = 1 ] || continue
	check "the module leaves" rmmod kobject_example
	check "the module is not patched any more" holds "$sysfs/kobject_example/patched" 0
done
unload
check "the module's function is the old one" holds "$example/foo" 72

when="first the module, then the livepatch"
load
check "the module is patched" holds "$sysfs/kobject_example/patched" 1
check "its function is replaced and reaches foo and baz" holds "$example/foo" "patched: foo 72, baz 92"
check "the module leaves" rmmod kobject_example
unload
