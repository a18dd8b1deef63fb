#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# package/build.sh deb|rpm FILES VERSION OUTPUT: make a package of the directory
# FILES, which make install has filled with prefix=/usr, and print its path.

set -euo pipefail

die() {
	echo "build.sh: $*" >&2
	exit 1
}

[ $# -eq 4 ] || die "usage: build.sh deb|rpm FILES VERSION OUTPUT"
kind=$1 files=$(realpath "$2") version=$3 output=$(realpath "$4")
[ -x "$files/usr/sbin/klpctl" ] || die "$files: there is no usr/sbin/klpctl in it"
# A pre-release sorts before the release in both kinds of packages.
version=${version//-/\~}

# The architecture is that of the program: its machine, in the ELF header.
machine=$(od -An -t u2 -j 18 -N 2 "$files/usr/sbin/klpctl" | tr -d ' ')
case $machine in
62) deb=amd64 rpm=x86_64 ;;
183) deb=arm64 rpm=aarch64 ;;
21) deb=ppc64el rpm=ppc64le ;;
258) deb=loong64 rpm=loongarch64 ;;
22 | 5632) deb=s390x rpm=s390x ;;
*) die "$files/usr/sbin/klpctl is for machine $machine, which has no name here" ;;
esac

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -a "$files/." "$stage"
find "$stage" -name '*.8' -exec gzip -n9 {} +

case $kind in
deb)
	command -v dpkg-deb >/dev/null || die "there is no dpkg-deb: install dpkg"
	mkdir "$stage/DEBIAN"
	install -D -m 644 "$(dirname "$0")/copyright" "$stage/usr/share/doc/klpctl/copyright"
	cat >"$stage/DEBIAN/control" <<-end
		Package: klpctl
		Version: $version
		Architecture: $deb
		Maintainer: The kernel live patching maintainers <live-patching@vger.kernel.org>
		Section: kernel
		Priority: optional
		Depends: kmod
		Installed-Size: $(du -sk --apparent-size "$stage" | cut -f 1)
		Description: show and change the state of kernel live patching
		 klpctl loads and unloads livepatches, also at boot, says which state they
		 are in, and which tasks hold a transition up and why. It serves monitoring
		 systems.
	end
	cat >"$stage/DEBIAN/postinst" <<-'end'
		#!/bin/sh
		systemctl daemon-reload >/dev/null 2>&1 || :
		# From now on, a livepatch that crashes the machine is noted.
		systemctl start klpctl-clean.service >/dev/null 2>&1 || :
	end
	cat >"$stage/DEBIAN/prerm" <<-'end'
		#!/bin/sh
		[ "$1" = remove ] || exit 0
		systemctl disable --now klpctl-metrics.timer >/dev/null 2>&1 || :
		systemctl disable klpctl.service >/dev/null 2>&1 || :
		systemctl stop klpctl-clean.service >/dev/null 2>&1 || :
	end
	cat >"$stage/DEBIAN/postrm" <<-'end'
		#!/bin/sh
		systemctl daemon-reload >/dev/null 2>&1 || :
		# The installed livepatches stay until the package is purged.
		[ "$1" != purge ] || rm -rf /var/lib/klpctl
	end
	chmod 755 "$stage"/DEBIAN/{postinst,prerm,postrm}
	dpkg-deb --root-owner-group --build "$stage" "$output/klpctl_${version}_$deb.deb" >/dev/null
	echo "$output/klpctl_${version}_$deb.deb"
	;;
rpm)
	command -v rpmbuild >/dev/null || die "there is no rpmbuild: install rpm or rpm-build"
	top=$(mktemp -d)
	trap 'rm -rf "$stage" "$top"' EXIT
	rpmbuild -bb --quiet --target "$rpm" --define "_topdir $top" \
		--define "klpctl_version $version" --define "klpctl_files $stage" \
		"$(dirname "$0")/klpctl.spec" >"$top/log" 2>&1 || {
		cat "$top/log" >&2
		die "rpmbuild fails"
	}
	cp "$top/RPMS/$rpm/klpctl-$version-1.$rpm.rpm" "$output/"
	echo "$output/klpctl-$version-1.$rpm.rpm"
	;;
*)
	die "$kind: not deb or rpm"
	;;
esac
