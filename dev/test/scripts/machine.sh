# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # scripts.sh, and the parts before this one, set them
#
# A part of dev/test/scripts.sh: machines without some of their commands, archives, and rights.

# A machine without some of its commands.
without() {
	local bin=$scratch/bin
	rm -rf "$bin"
	mkdir "$bin"
	ln -s /usr/sbin/* /sbin/* /usr/bin/* /bin/* "$bin/" 2>/dev/null || true
	(cd "$bin" && rm -f "$@")
}
fresh() {
	env -u KDIR PATH="$scratch/bin" LIVEPATCH_RUST_CACHE="$scratch/fresh" "$@"
}
without apt-get
expect "no apt, no KDIR: the package" 1 "linux-source-${supported[0]} " fresh "$repo/dev/lib/base.sh"
expect "no apt, no KDIR: a tree" 1 "make KDIR=path" fresh "$repo/dev/lib/base.sh"
without
printf 'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n' >"$scratch/apt.conf"
expect "apt without an archive" 1 "no archive configured" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/base.sh"
expect "apt without an archive: a tree" 1 "make KDIR=path" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/base.sh"
expect "apt without an archive: a foreign root" 1 "no archive configured" \
	fresh env ARCH=arm64 APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/root.sh"
expect "apt without an archive: no half of a root is left" 1 "" test -e "$scratch/fresh/root/arm64"
expect "apt without an archive: a library for klpctl" 1 "no standard library of Rust for s390x-unknown-linux-gnu" \
	fresh env ARCH=s390 APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/rust-std.sh"
expect "apt without an archive: a suite's root" 1 "has the suite bookworm" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/root.sh" bookworm
expect "apt without an archive: the suite of the base" 1 "no suite has a linux-image-cloud-amd64 of 7.3" \
	fresh env APT_CONFIG="$scratch/apt.conf" bash -c '. "$1/dev/lib/lib.sh"; . "$1/dev/lib/apt.sh"; suite_of_base 7.3' \
	"$repo/dev/scripts" "$repo"
expect "apt without an archive: clang" 1 "LLVM=newest needs a clang" \
	fresh env APT_CONFIG="$scratch/apt.conf" "$repo/dev/lib/clang.sh"
without apt-get
expect "no apt: clang" 1 "there is no apt here" fresh "$repo/dev/lib/clang.sh"
expect "no apt: a foreign root" 1 "ARCH=arm64 needs the packages of Debian's architecture arm64" \
	fresh env ARCH=arm64 "$repo/dev/lib/root.sh"

# apt_get: install a program that answers as apt-get does, for an archive in the directory
# $archive.  The input has what it answers beside the questions that are always the same,
# as patterns of "case".
archive=$scratch/archive
apt_get() {
	local answers
	answers=$(cat)
	rm -f "$scratch/bin/apt-get"
	cat >"$scratch/bin/apt-get" <<end
#!/bin/bash
case "\$*" in
indextargets*) echo http://archive.invalid/debian stable main Packages /usr/share/keyrings/archive.gpg ;;
*" update" | *" clean") ;;
$answers
*) exit 100 ;;
esac
end
	chmod +x "$scratch/bin/apt-get"
}

# An archive that has some series of the kernel.
without
apt_get <<end
*" --print-uris download "*) compgen -G "$archive/\${!#}_*.deb" ;;
*" download "*) deb=\$(compgen -G "$archive/\${!#}_*.deb") && [ -s "\$deb" ] && cp "\$deb" . ;;
end
# archive_has VERSION...: put the packages of these versions into the archive, and no others.
archive_has() {
	local version package numbers
	rm -rf "$archive" "$scratch/fresh"
	mkdir "$archive"
	for version in "$@"; do
		package=linux-source-${version%.*}
		mkdir -p "$archive/linux" "$archive/$package"/{DEBIAN,usr/src}
		IFS=. read -ra numbers <<<"$version"
		printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\n' "${numbers[@]}" >"$archive/linux/Makefile"
		tar -cJf "$archive/$package/usr/src/$package.tar.xz" -C "$archive" linux
		printf 'Package: %s\nVersion: %s-1\nArchitecture: all\nMaintainer: x\nDescription: x\n' \
			"$package" "$version" >"$archive/$package/DEBIAN/control"
		dpkg-deb --root-owner-group -b "$archive/$package" "$archive/${package}_$version-1_all.deb" >/dev/null
	done
}
archive_has "${supported[@]/%/.9}"
expect "an archive with all series: the newest is taken" 0 "base: Linux ${supported[0]}.9" fresh "$repo/dev/lib/base.sh"
expect "an archive with all series: BASE selects" 0 "base: Linux ${supported[-1]}.9" \
	fresh env BASE="${supported[-1]}" "$repo/dev/lib/base.sh"
expect "they do not replace each other" 0 "${supported[0]}.9" fresh bash -c '. "$0/dev/lib/lib.sh"; kernel_version "$(base_dir)"' "$repo"
archive_has "${supported[@]/%/.9}"
: >"$(compgen -G "$archive/linux-source-${supported[0]}_*.deb")"
expect "a download that fails: no other series is taken" 1 "no base could be fetched" fresh "$repo/dev/lib/base.sh"
archive_has "${supported[-1]}.9"
expect "the newest series has left the archive: the next is taken" 0 "base: Linux ${supported[-1]}.9" fresh "$repo/dev/lib/base.sh"
expect "then it is the base" 0 "$scratch/fresh/base/linux" fresh "$repo/dev/lib/base.sh"
archive_has "${supported[-1]}.9"
expect "the series that BASE names has left the archive" 1 "linux-source-${supported[0]} " \
	fresh env BASE="${supported[0]}" "$repo/dev/lib/base.sh"

# An archive that has some versions of clang.  Its programs print the version.
without bindgen apt-cache
apt_get <<end
*" install "*)
	for option; do
		case \$option in Dir::Cache::archives=*) cache=\${option#*=} ;; esac
	done
	cp "$archive/\${!#}"_*.deb "\$cache/" ;;
end
cat >"$scratch/bin/apt-cache" <<end
#!/bin/bash
cd "$archive" && printf '%s\n' *.deb | sed 's/^libclang1-\(.*\)_1_all.deb/clang-\1\nclang-\1-doc/'
end
printf '#!/bin/sh\necho "bindgen 0.72.1 with $LIBCLANG_PATH"\n' >"$scratch/bin/bindgen"
chmod +x "$scratch/bin"/{apt-cache,bindgen}
# archive_has_clang VERSION...: put packages with the programs of these versions into the
# archive.  One package has them all.
archive_has_clang() {
	local version package tool
	rm -rf "$archive" "$scratch/fresh"
	mkdir "$archive"
	for version in "$@"; do
		package=$archive/libclang1-$version
		mkdir -p "$package"/{DEBIAN,"usr/lib/llvm-$version"/{bin,lib},usr/lib/x86_64-linux-gnu}
		touch "$package/usr/lib/x86_64-linux-gnu/libclang-$version.so.$version"
		for tool in clang ld.lld llvm-{ar,nm,objcopy,objdump,readelf,strip}; do
			printf '#!/bin/sh\necho "%s version %s"\n' "$tool" "$version" >"$package/usr/lib/llvm-$version/bin/$tool"
		done
		chmod +x "$package/usr/lib/llvm-$version/bin"/*
		printf 'Package: libclang1-%s\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n' \
			"$version" >"$package/DEBIAN/control"
		dpkg-deb --root-owner-group -b "$package" "${package}_1_all.deb" >/dev/null
	done
}
clang=$scratch/fresh/clang
archive_has_clang 9 22 14
expect "an archive with some clangs: the newest is taken" 0 "clang version 22" fresh "$repo/dev/lib/clang.sh"
expect "its programs are there" 0 "llvm-strip version 22" "$clang/bin/llvm-strip"
expect "its libclang is there" 0 "" test -e "$clang/lib/libclang-22.so.22"
expect "bindgen takes that" 0 "bindgen 0.72.1 with $clang/lib" "$clang/bindgen"
archive_has_clang 9
fresh "$repo/dev/lib/clang.sh" >/dev/null 2>&1
expect "a clang that runs is not fetched again" 1 "" \
	grep -q fetching <(fresh "$repo/dev/lib/clang.sh" 2>&1)
rm "$clang/bin/ld.lld"
expect "a clang that does not run is" 0 "fetching clang 9" fresh "$repo/dev/lib/clang.sh"
archive_has_clang 9
echo no archive >"$archive/libclang1-9_1_all.deb"
expect "a package that cannot be unpacked" 1 "could not be unpacked" fresh "$repo/dev/lib/clang.sh"
expect "no half of a clang is left" 1 "" test -e "$clang"
archive_has_clang
expect "an archive without a clang" 1 "the archives of this machine have no clang" fresh "$repo/dev/lib/clang.sh"

# An installed QEMU, and an archive that has another one.
without qemu-system-s390x
apt_get <<end
*" download "*) cp "$archive"/*.deb . ;;
end
# qemu FILE VERSION: write a program that prints this version of QEMU, and its arguments.
qemu() {
	printf '#!/bin/sh\necho "QEMU emulator version %s (a test)" "$@"\n' "$2" >"$1"
	chmod +x "$1"
}
# archive_has_qemu VERSION: put a package with this version into the archive.
archive_has_qemu() {
	rm -rf "$archive" "$scratch/fresh"
	mkdir -p "$archive/s390"/{DEBIAN,usr/bin}
	qemu "$archive/s390/usr/bin/qemu-system-s390x" "$1"
	printf 'Package: s390\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n' \
		>"$archive/s390/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$archive/s390" "$archive/s390_1_all.deb" >/dev/null
}
for_s390() {
	fresh env ARCH=s390 "$repo/dev/lib/qemu.sh"
}
archive_has_qemu 10.0.2
qemu "$scratch/bin/qemu-system-s390x" 9.1.0
expect "QEMU that is new enough: the installed one" 0 "$scratch/bin/qemu-system-s390x" for_s390
qemu "$scratch/bin/qemu-system-s390x" 7.2.22
expect "QEMU that is too old: that of the archive" 0 "$scratch/fresh/qemu/s390/qemu-system-s390x" for_s390
expect "it finds its own files" 0 "10.0.2 (a test) -L $scratch/fresh/qemu/s390/usr/share/qemu -smp 2" \
	"$scratch/fresh/qemu/s390/qemu-system-s390x" -smp 2
expect "it is not fetched again" 1 "" grep -q fetching <(for_s390 2>&1)
archive_has_qemu 8.1.5
expect "an archive whose QEMU is too old, too" 1 "ARCH=s390 needs QEMU 8.2" for_s390
expect "it is not kept" 1 "" test -e "$scratch/fresh/qemu/s390"
archive_has_qemu 10.0.2
rm "$archive"/*.deb
expect "an archive without QEMU" 1 "no archive of this machine has qemu-system-s390x" for_s390

without
if [ "$(id -u)" = 0 ]; then
	without flex bison
	rm -rf "$scratch/fresh"
	install -d -o nobody "$scratch/fresh"
	chmod 755 "$scratch"
	expect "not root: names what is missing and why" 1 "missing: flex (Kconfig parser)" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	expect "not root: says what to run" 1 "sudo apt-get install" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without recountdiff
	expect "not root: names what klp-build needs" 1 "missing: patchutils (klp-build" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh" klp-build
	without aarch64-linux-gnu-gcc
	expect "not root: names what another architecture needs" 1 "missing: gcc-aarch64-linux-gnu (compiles the kernel)" \
		fresh env ARCH=arm64 setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without qemu-system-s390x
	expect "not root: names what another machine needs" 1 "missing: qemu-system-misc (the virtual machine)" \
		fresh env ARCH=s390 setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without powerpc64le-linux-gnu-gcc
	expect "not root: names what powerpc needs" 1 "missing: gcc-powerpc64le-linux-gnu (compiles programs)" \
		fresh env ARCH=powerpc setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh"
	without rpmbuild
	expect "not root: names what the packages of klpctl need" 1 "missing: rpm (makes the .rpm)" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh" package
	without pahole
	expect "not root: names what upstream's tests need" 1 "missing: pahole (" \
		fresh setpriv --reuid=nobody --clear-groups "$repo/dev/toolchain.sh" upstream
fi
