# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# shellcheck disable=SC2154 # dev/guest/parity/record.sh sets the directories
#
# The tour of dev/guest/parity.sh: patches that must be refused, and other users of the
# functions to patch.

bad=test_klp_bad_input

# refused NAME PARAMETER...: a step that loads a bad patch, and a step that cleans up if
# the core has not refused it.
refused() {
	local name=$1
	shift
	step "$name" load $bad "$@"
	if [ -e /sys/module/$bad ]; then
		step "$name was accepted" go $bad
	fi
}

tour_bad_patches() {
	local what
	for what in null_patch null_mod null_objs null_funcs null_old_name null_new_func \
		second_null_new_func no_objects symbol_longest symbol_too_long \
		object_longest object_too_long no_such_flaw; do
		refused "patch: $what" what=$what
	done
	refused "no such function" what=symbol symbol=test_klp_no_such_function
	refused "no such function, position 1" what=symbol symbol=test_klp_no_such_function sympos=1
	refused "an empty name" what=symbol symbol=
	refused "a name with a slash" what=symbol symbol=a/b
	refused "an object that is called nothing" what=symbol object=
	refused "an object with a slash" what=symbol object=a/b
	refused "position out of range" what=symbol sympos=2
	refused "largest position" what=symbol sympos=18446744073709551615
	refused "ambiguous function" what=symbol "symbol=$AMBIGUOUS"
	refused "ambiguous function, first" what=symbol "symbol=$AMBIGUOUS" sympos=1
	refused "ambiguous function, last" what=symbol "symbol=$AMBIGUOUS" sympos=2
	refused "ambiguous function, out of range" what=symbol "symbol=$AMBIGUOUS" sympos=3
	refused "not traceable" what=symbol symbol=do_syscall_64
	refused "not a function" what=symbol symbol=linux_banner
	refused "bad second function" what=second_symbol symbol=test_klp_no_such_function
	refused "second function not traceable" what=second_symbol symbol=do_syscall_64
	refused "first function not traceable" what=first_symbol symbol=do_syscall_64
	refused "the same function twice" what=second_symbol symbol=cmdline_proc_show
	refused "two functions" what=second_symbol symbol=version_proc_show
	refused "replacing and bad" what=second_symbol symbol=do_syscall_64 replace=1

	step "a good patch" load test_klp_livepatch
	refused "not traceable, on top of a good patch" what=second_symbol symbol=do_syscall_64
	refused "to replace a good patch, not traceable" what=first_symbol symbol=do_syscall_64 replace=1
	refused "to replace a good patch, not there" what=symbol symbol=test_klp_no_such_function replace=1
	step "the good patch goes" go test_klp_livepatch
}

tour_bad_modules() {
	step "a module that is not marked as a livepatch" load test_klp_not_livepatch
	step "a target for bad patches" load test_klp_mod_target
	refused "no such function in a module" what=symbol object=test_klp_mod_target \
		symbol=test_klp_no_such_function
	refused "position out of range in a module" what=symbol object=test_klp_mod_target \
		symbol=test_klp_mod_target_show sympos=2
	refused "not a function, in a module" what=symbol object=test_klp_mod_target symbol=pde
	refused "a function of vmlinux in a module" what=symbol object=test_klp_mod_target \
		symbol=cmdline_proc_show
	step "the target of bad patches goes" unload test_klp_mod_target
}

# dev/parity/modules.sh has made these modules, named "relocs-" and a number, from
# test_klp_relocs.
tour_relocations() {
	local file module name
	for file in "$own"/relocs-*.ko; do
		module=$(basename "$file" .ko)
		name="relocations: $(cat "$own/$module.what")"
		case $name in
		*": section "* | *": symbol "*) continue ;;
		esac
		step "$name" load "$module"
		[ -e /sys/module/test_klp_relocs ] || continue
		case $name in
		*": of a module"*)
			step "$name: the target comes" load test_klp_mod_target
			step "$name: it goes and comes" come_and_go
			;;
		esac
		step "$name: all go" relocs_end
	done
	step "names of relocation sections" load_and_unload "section "
	step "names of livepatch symbols" load_and_unload "symbol "
}

# load_and_unload TEXT: load and unload the modules with this description, one after the
# other.
load_and_unload() {
	local file module what
	for file in "$own"/relocs-*.ko; do
		module=${file##*/}
		read -r what <"${file%.ko}.what"
		case $what in "$1"*) ;; *) continue ;; esac
		echo "== $what"
		mark "$what"
		load "${module%.ko}"
		if [ -e /sys/module/test_klp_relocs ]; then
			cat /sys/module/test_klp_relocs/parameters/slots
			go test_klp_relocs
		fi
	done
}

come_and_go() {
	[ ! -e /sys/module/test_klp_mod_target ] || unload test_klp_mod_target
	load test_klp_mod_target
}

relocs_end() {
	go test_klp_relocs
	[ ! -e /sys/module/test_klp_mod_target ] || unload test_klp_mod_target
}

tour_tracing() {
	local post
	step "a kprobe with a post handler" load test_klp_kprobe has_post_handler=y
	step "patch the probed function" load test_klp_livepatch
	step "patch it as the second of two" load $bad what=first_symbol symbol=version_proc_show
	step "patch it as the first of two" load $bad what=second_symbol symbol=version_proc_show
	step "patch another function" load $bad what=symbol symbol=version_proc_show
	step "patch the probed function meanwhile" load test_klp_livepatch
	step "disable and unload the other" go $bad
	step "the kprobe goes" unload test_klp_kprobe
	step "now patch that function" load test_klp_livepatch
	step "a kprobe with a post handler on the patched function" load test_klp_kprobe has_post_handler=y
	step "disable and unload the patch" go test_klp_livepatch

	step "a kprobe without a post handler" load test_klp_kprobe has_post_handler=n
	step "patch under that kprobe" load test_klp_livepatch
	step "that kprobe goes" unload test_klp_kprobe
	step "it comes back" load test_klp_kprobe has_post_handler=n
	step "the patch goes first" go test_klp_livepatch
	step "and the kprobe second" unload test_klp_kprobe

	for post in cmdline_proc_show livepatch_cmdline_proc_show; do
		step "patch to be traced" load test_klp_livepatch
		step "trace $post" trace $post
		step "the patch goes from under the trace of $post" go test_klp_livepatch
		step "end of the trace of $post" end_trace
	done
	step "trace before patching" trace cmdline_proc_show
	step "patch what is traced" load test_klp_livepatch
	step "disable ftrace" put 0 /proc/sys/kernel/ftrace_enabled
	step "disable and unload what is traced" go test_klp_livepatch
	step "end of the trace" end_trace
	# The steps above must not have left ftrace in a different state.
	step "functions that were ever touched" touched
}

# trace FUNCTION: print whether the tracer sees calls of it.
trace() {
	put "$1" "$tracing/set_ftrace_filter"
	put function "$tracing/current_tracer"
	cat /proc/cmdline >/dev/null
	grep -qw "$1" "$tracing/trace" && echo "$1 is in the trace"
}

end_trace() {
	put nop "$tracing/current_tracer"
	echo >"$tracing/set_ftrace_filter"
}

touched() {
	awk '{ print $1, $2 }' "$tracing/touched_functions" | sort
}
