#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Test a packaged kernel, in the system that dev/test-package-kernel.sh has installed and
# booted: its boot, the build of livepatches against the headers package, and klpctl.  The
# output is in the notation that dev/lib/judge.sh reads.
#
#   dev/guest/test-package-kernel.sh RELEASE CORE

release=$1 core=$2
headers=/lib/modules/$release/build
cd "$(dirname "$0")" || exit 1

# shellcheck source=dev/guest/check.sh
. ./check.sh

is_the_package() {
	local rust=0
	[ "$core" = c ] || rust=1
	[ "$(uname -r)" = "$release" ] &&
		dpkg-query --search "/boot/vmlinuz-$release" "/usr/src/linux-headers-$release/Makefile" \
			/usr/sbin/klpctl &&
		[ "$(grep -cx CONFIG_LIVEPATCH_RUST=y "/boot/config-$release")" = $rust ]
}

# Only the scripts of the initial RAM disk make this directory.
had_ramdisk() {
	[ -d /run/initramfs ] && [ "$(findmnt --noheadings --output FSTYPE /)" = ext4 ]
}

no_unit_failed() {
	local failed
	failed=$(systemctl list-units --failed --no-legend --plain)
	echo "$failed"
	[ -z "$failed" ]
}

# has_no_source: the link leads to the headers package, and neither the kernel's source nor
# its build is here.
has_no_source() {
	[ "$(readlink -f "$headers")" = "/usr/src/linux-headers-$release" ] &&
		[ ! -e "/lib/modules/$release/source" ] &&
		[ ! -e "$headers/vmlinux" ] && [ ! -e "$headers/kernel" ]
}

build() {
	make -C "$headers" M="$PWD/samples" modules || return 1
	for source in samples/*.c samples/*.rs; do
		case $source in *.mod.c) continue ;; esac
		[ -f "${source%.*}.ko" ] || { echo "there is no ${source%.*}.ko"; return 1; }
	done
}

# says TEXT COMMAND...: the command succeeds, and prints the text.
says() {
	local text=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	echo "$output"
	[ "$status" = 0 ] && grep -qF -e "$text" <<<"$output"
}

# changes FILE: the livepatch is loaded, shows its effect, and goes.
changes() {
	local name
	name=$(basename "$1")
	name=${name%%.*}
	name=${name//-/_}
	says "kernel: $release" klpctl check "$1" &&
		klpctl load --timeout 5m "$1" &&
		says "$name: applied" klpctl status "$name" &&
		says "this has been live patched" cat /proc/cmdline &&
		klpctl unload --timeout 5m "$name" &&
		says "root=/dev/vda" cat /proc/cmdline &&
		[ ! -e "/sys/module/$name" ]
}

# logs TEXT: wait until the kernel logs the text.
logs() {
	local tries
	for ((tries = 0; tries < 300; tries++)); do
		! dmesg | grep -qF -e "$1" || return 0
		sleep 0.2
	done
	echo "not in the log within 60 s: $1"
	return 1
}

# fixes_leak FILE TEXT: the livepatch fixes the leak of the module, and logs the text then.
fixes_leak() {
	local name
	name=$(basename "$1" .ko)
	name=${name//-/_}
	klpctl load --timeout 5m "$1" && logs "$2" && says "$name: applied" klpctl status "$name"
}

callbacks() {
	klpctl load --timeout 5m "samples/$1.ko" && logs "$1: post_patch: vmlinux" &&
		insmod samples/livepatch-callbacks-mod.ko &&
		logs "$1: post_patch: livepatch_callbacks_mod -> [MODULE_STATE_COMING]" &&
		rmmod livepatch_callbacks_mod && klpctl unload --timeout 5m "$1"
}

# shows KIND: the command of the fix shows this.
shows() {
	local output
	output=$(bash ./show 2>&1)
	echo "$output"
	[ "$output" = "$(sed -n "s/^$1: //p" expected)" ]
}

# is_of_diff FILE KIND: the livepatch is signed and fits, and shows its effect once it is loaded.
is_of_diff() {
	[ -n "$(modinfo -F signer "$1")" ] && says "kernel: $release" klpctl check "$1" && klpctl load --timeout 5m "$1" && shows "$2"
}

check "the packages' kernel, headers and klpctl are there" is_the_package
check "the initial RAM disk has mounted the disk" had_ramdisk
check "no unit of systemd has failed" no_unit_failed
check "there is neither source nor build, but the headers package" has_no_source
check "the samples in C and in Rust are built" build
check "the sample in C" changes samples/livepatch-sample.ko
check "the sample in Rust" changes samples/livepatch_rust_sample.ko
check "the sample in Rust that the package has" changes "$(modinfo -n livepatch_rust_sample)"

check "what a fix concerns, before" shows original
check "a livepatch that make livepatch has made of a diff" is_of_diff livepatch-bug.ko bug
check "its successor" is_of_diff livepatch-fix.ko fix
check "which has replaced it" klpctl unload --timeout 5m livepatch_bug
check "and goes" klpctl unload --timeout 5m livepatch_fix

check "a module that leaks" insmod samples/livepatch-shadow-mod.ko
check "its fix in C" fixes_leak samples/livepatch-shadow-fix1.ko \
	"livepatch_fix1_dummy_leak_dtor: dummy"
check "the fix in C goes" klpctl unload --timeout 5m livepatch_shadow_fix1
check "its fix in Rust" fixes_leak samples/livepatch_rust_shadow_fix1.ko \
	"livepatch_rust_shadow_fix1: dummy_free: prevented a leak"
check "the second version replaces it" fixes_leak samples/livepatch_rust_shadow_fix2.ko \
	"livepatch_rust_shadow_fix2: dummy_free: check counter"
check "all of them go" klpctl unload --timeout 5m --all
check "and the module" rmmod livepatch_shadow_mod
check "callbacks in Rust" callbacks livepatch_rust_callbacks

# The page takes the headers from this, and shows its commands and their output.
export KDIR=$headers
./page.py rust-api.rst guide
