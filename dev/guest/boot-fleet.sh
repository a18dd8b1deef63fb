# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Use klpctl's examples, as its package has installed them, with the programs that they are
# for.  dev/guest/boot.sh sources this file.
#
# shellcheck disable=SC2154 # boot.sh sets fleet, textfiles and before

examples=/usr/share/klpctl/contrib
export HOME=/run/fleet
mkdir -p $HOME

# play HOSTS FILE ARGUMENT...: Ansible rolls a livepatch out to these hosts, all of which are this one.
play() {
	"$fleet/ansible/bin/python3" "$fleet/ansible/bin/ansible-playbook" -i "$1" -c local \
		-e ansible_python_interpreter=/usr/bin/python3 -e "livepatch=$2" "${@:3}" $examples/rollout.yml 2>&1
}

# plays CHANGES ARGUMENT...: the livepatch is rolled out, with as many changes.
plays() {
	local changes=$1 output
	shift
	output=$(play localhost, "/share/$before.ko" "$@")
	echo "$output"
	grep -qE "^localhost .* changed=$changes .* unreachable=0 .* failed=0 " <<<"$output"
}

# stops: the first host refuses a livepatch, and the second does not get it.
stops() {
	local output
	head -c 4096 "/share/$before.ko" >$HOME/broken.ko
	output=$(play first,second, $HOME/broken.ko)
	echo "$output"
	grep -qF 'is not a kernel module' <<<"$output" &&
		grep -qE '^first .* changed=0 .* failed=1 ' <<<"$output" && ! grep -q '^second ' <<<"$output"
}

# reports SOS: sos takes the state of the livepatch and the report.
reports() {
	local libraries=$1/usr/lib/python3/dist-packages archive
	cp $examples/sos/klpctl.py "$libraries/sos/report/plugins/" || return 1
	rm -f /tmp/sosreport-*
	PYTHONPATH=$libraries /usr/bin/python3 "$1/usr/bin/sos" report --batch -o klpctl --tmp-dir /tmp || return 1
	archive=$(echo /tmp/sosreport-*.tar.xz)
	tar -xOf "$archive" --wildcards '*/sos_commands/klpctl/klpctl_status' | grep "$before.* applied" || return 1
	tar -xOf "$archive" --wildcards '*/sos_commands/klpctl/klpctl-report.tar.gz' | tar -tz | grep kernel/livepatch
}

# supports: supportconfig does.
supports() {
	mkdir -p /tmp/support
	LOG=/tmp/support $examples/supportconfig/klpctl | grep "$before.* applied" &&
		tar -tf /tmp/support/klpctl-report.tar.gz | grep kernel/livepatch
}

# page_examples: print the examples of the manual pages, one in a line.
page_examples() {
	zcat -f /usr/share/man/man8/klpctl*.8* |
		sed -n '/^\.EX/,/^\.EE/{ /^\.E[XE]/d; s/\\-/-/g; p }'
}

# alarm TEXT: an example calls this if a livepatch is stuck.
alarm() {
	echo "$1"
	return 1
}

jq() {
	LD_LIBRARY_PATH=$fleet/jq/usr/lib/x86_64-linux-gnu "$fleet/jq/usr/bin/jq" "$@"
}

# follow_pages: run the examples.  The file that they name is the sample's.
follow_pages() {
	local example count=0
	cp /share/livepatch-sample.ko livepatch-cve.ko
	while IFS= read -r example; do
		count=$((count + 1))
		check "manual pages: $example" eval "$example"
	done < <(page_examples)
	check "the manual pages have examples" test "$count" -ge 4
	check "the first of them has loaded the livepatch" says "livepatch_sample: applied" klpctl status livepatch_sample
	check "klpctl unloads that" klpctl unload livepatch_sample
}

promtool=$fleet/prometheus/usr/bin/promtool
check "Ansible shows what it would do" plays 0 --check
check "and does none of it" test ! -e "/sys/kernel/livepatch/$before"
check "Ansible loads and installs a livepatch" plays 2
check "klpctl says that $before is loaded" is "$before loaded /"
check "Ansible has nothing to do again" plays 0
check "Ansible stops at the first host that refuses a livepatch" stops
mkdir -p "$textfiles"
check "the metrics are written" klpctl metrics --output "$textfiles"/klpctl.prom
check "Prometheus takes the metrics" eval "$promtool check metrics <$textfiles/klpctl.prom"
check "Prometheus takes the rules" "$promtool" check rules $examples/alerts.yml
check "the alerts come when they should" "$promtool" test rules tools/livepatch/tests/alerts.yml
check "sos of this distribution" reports "$fleet/sos-own"
check "the newest sos" reports "$fleet/sos-new"
check "supportconfig" supports
cd "$HOME" && follow_pages
cd "$OLDPWD" || exit 1
check "klpctl uninstalls it" klpctl uninstall "$before"
check "klpctl unloads it" klpctl unload "$before"
