#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Compare the two cores: dev/parity/compare.sh builds|tours C RUST, the latter
# being the build folders.  "builds" is about what is built, "tours" about what
# dev/guest/parity.sh has recorded.  Prints what differs, then "N passed, N
# failed"; exits with 1 if any did.

# shellcheck source=dev/lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"

declare -A build=([c]=$2 [rust]=$3)
passed=0 failed=0

# same NAME IN_C IN_RUST: one check: two files are the same.
same() {
	local difference
	if difference=$(diff -u --label "$1: core in C" --label "$1: core in Rust" "$2" "$3"); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'not ok: %s\n%s\n' "$1" "$difference"
	fi
}

# bad NAME TEXT: a check that failed.
bad() {
	failed=$((failed + 1))
	printf 'not ok: %s: %s\n' "$1" "$2"
}

# --- What is built

compare_builds() {
	local scratch core name
	scratch=$(mktemp -d)
	for core in c rust; do
		# Name, module, type of export, namespace; not the checksum.
		awk -F'\t' '$2 ~ /^klp_/ { print $2, $3, $4, $5 }' "${build[$core]}/Module.symvers" | sort >"$scratch/klp.$core"
		[ -s "$scratch/klp.$core" ] || die "no klp_* symbol in ${build[$core]}/Module.symvers"
		# Whatever its name is, mangled or not: a symbol of the core for modules.
		awk -F'\t' 'tolower($2) ~ /klp|livepatch/ { print $2, $3 }' "${build[$core]}/Module.symvers" | sort >"$scratch/any.$core"
		nm "${build[$core]}/vmlinux" | awk 'tolower($3) ~ /__ksymtab_.*(klp|livepatch)/ { print $3 }' | sort >"$scratch/ksymtab.$core"
		nm "${build[$core]}/vmlinux" | awk '$2 ~ /[A-Z]/ { print $2, $3 }' >"$scratch/global.$core"
	done
	same "exported klp_* symbols" "$scratch"/klp.{c,rust}
	same "exported symbols of the core" "$scratch"/any.{c,rust}
	same "export table of vmlinux" "$scratch"/ksymtab.{c,rust}

	# Where a global symbol is, in a data or a text section, is for C to say.
	for name in $(declared); do
		for core in c rust; do
			grep -E " $name\$" "$scratch/global.$core" >"$scratch/one.$core" || true
		done
		if [ ! -s "$scratch/one.c" ]; then
			bad "declared: $name" "it is not in the C core either: does this script still read the headers well?"
		else
			same "declared: $name" "$scratch"/one.{c,rust}
		fi
	done
	rm -rf "$scratch"
}

# declared: the global functions and keys that the headers declare.
declared() {
	local headers=("$(tree_dir)"/include/linux/livepatch*.h)
	sed -nE -e 's/^(int|void|bool|struct [a-z_]+) \**([a-z_0-9]+)\(.*/\2/p' \
		-e 's/^DECLARE_STATIC_KEY_FALSE\((.*)\);/\1/p' "${headers[@]}" | sort -u
}

# --- The tour

# messages KMSG FOLDER: append each step's messages to its file in FOLDER.
#
# The level, the text and the order are compared.  Not compared are time and
# caller; addresses; the place, the registers and the stack that a warning
# reports, because the two cores are different code; and what depends on how
# busy the machine is: the scheduler's and the like, and that remaining tasks
# are signaled, which the step that waits for it records.
messages() {
	sed -E -e '/^ /d' -e 's/0x[0-9a-f]{8,}/ADDRESS/g' -e 's/\b[0-9a-f]{16}\b/ADDRESS/g' "$1" |
		awk -v folder="$2" '
		function flush(  i, file) {
			if (!step)
				return
			file = sprintf("%s/%03d", folder, step)
			print "# messages" >>file
			for (i = 0; i < n; i++)
				print lines[i] >>file
			close(file)
		}
		{
			split($0, head, /[,;]/)
			level = head[1] % 8
			text = substr($0, index($0, ";") + 1)
		}
		text ~ /^parity: begin / {
			flush()
			split(text, words, " ")
			step = words[3]
			n = warning = stack = 0
			next
		}
		text ~ /^parity: end of the tour/ { flush(); step = 0; next }
		text ~ /^workqueue: .* hogged CPU|^clocksource: |^hrtimer: interrupt took|^perf: interrupt took/ { next }
		text ~ /^sched: |^rcu: .*expedited/ { next }
		text ~ /^livepatch: signaling remaining tasks/ { next }
		text ~ /^WARNING: / { warning = 1; lines[n++] = level ": WARNING"; next }
		text ~ /^---\[ end trace/ { warning = 0 }
		warning { next }
		text ~ /^CPU: [0-9]+ / { stack = 1 }
		text ~ /<\/TASK>/ { stack = 0; next }
		stack { next }
		{ lines[n++] = level ": " text }
		END { flush() }'
}

# steps CORE: put what was recorded on CORE together, one file for each step.
steps() {
	local parity=${build[$1]}/parity file
	rm -rf "$parity/steps"
	mkdir -p "$parity/steps"
	for file in "$parity"/records/[0-9]*; do
		cp "$file" "$parity/steps/"
	done
	[ ! -f "$parity/records/kmsg" ] || messages "$parity/records/kmsg" "$parity/steps"
}

compare_tours() {
	local core file name count=0 reports
	for core in c rust; do
		steps $core
		grep -q 'parity: end of the tour' "${build[$core]}/parity/records/kmsg" ||
			bad "the tour with the core in ${core^}" "it did not come to its end"
		reports=$(grep -E ';(BUG: |INFO: |Oops|kernel BUG|.*kernel BUG at)' "${build[$core]}/parity/records/kmsg") &&
			bad "the tour with the core in ${core^}" "the kernel's own checks report: $reports"
	done
	for file in $(find "${build[c]}/parity/steps" "${build[rust]}/parity/steps" -type f -printf '%f\n' | sort -u); do
		count=$((count + 1))
		name=$file
		for core in c rust; do
			[ -f "${build[$core]}/parity/steps/$file" ] || : >"${build[$core]}/parity/steps/$file"
			name="$file $(sed -n '1s/^# //p' "${build[$core]}/parity/steps/$file")"
		done
		if grep -q "^TIMED OUT" "${build[c]}/parity/steps/$file" "${build[rust]}/parity/steps/$file"; then
			bad "$name" "a state was never reached: $(grep -h "^TIMED OUT" "${build[c]}/parity/steps/$file" "${build[rust]}/parity/steps/$file" | sort -u)"
		fi
		same "$name" "${build[c]}/parity/steps/$file" "${build[rust]}/parity/steps/$file"
	done
	[ $count -ge 60 ] || [ -n "${TOURS:-}" ] || bad "the tour" "it has no more than $count steps"
}

case $1 in
builds) compare_builds ;;
tours) compare_tours ;;
*) die "$1: not understood" "compare builds or tours" ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
