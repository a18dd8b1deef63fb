// SPDX-License-Identifier: GPL-2.0

//! Held modules, and the tasks in their code: the cases that no tree of the golden tests has.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use super::{klpctl_in, Scratch};
use crate::commands::unload::unload;
use crate::commands::Outcome;
use crate::exit::Exit;
use crate::forced;
use crate::identity;
use crate::name::Name;
use crate::options::Options;
use crate::root::Root;

/// Runs `why PATCH` on a tree with more files, and returns its report.
fn why(tree: &str, patch: &str, more: &str) -> (String, Exit) {
    let tree = fs::read_to_string(super::source().join(format!("tests/trees/{tree}.tree")));
    let tree = Scratch::tree_of(&format!("{}{more}", tree.unwrap()));
    let answer = klpctl_in(&tree, &["why", patch]);
    (answer.out + &answer.err, answer.exit)
}

const HELD: &str = "/proc/modules
\ttest_klp_callbacks_demo 12288 1 - Live 0x0000000000000000 (K)
\tlp_old 12288 1 - Live 0x0000000000000000 (K)
\tlp_older 12288 1 - Live 0x0000000000000000 (K)
\tlp_free 12288 0 - Live 0x0000000000000000 (K)
/proc/90/task/91/stat
\t91 (worker) S 1 90 90 0 -1 4194304
/proc/90/task/91/stack
\t[<0>] old_show+0x1c/0x40 [lp_old]
\t[<0>] older_show+0x1c/0x40 [lp_older]
\t[<0>] entry_SYSCALL_64_after_hwframe+0x76/0x7e
";

#[test]
fn of_one_patch_there_is_nothing_else() {
    // Another patch is in transition.
    let (out, exit) = why("kernel-thread", "lp_old", HELD);
    assert_eq!(exit, Exit::Transition);
    assert!(out.starts_with("\nlp_old: disabled, held (1 reference); 1 task is in its code\n"));
    assert!(
        out.contains("worker (90, thread 91), user process"),
        "{out}"
    );
    assert!(!out.contains("busymod_work_func"), "{out}");
    assert!(!out.contains("lp_older: disabled"), "{out}");

    let (out, _) = why("kernel-thread", "test_klp_callbacks_demo", HELD);
    assert!(out.contains("> busymod_work_func"), "{out}");
    assert!(!out.contains("lp_old: disabled"), "{out}");

    let (out, _) = why("kernel-thread", "lp_free", HELD);
    assert!(!out.contains("disabled, held"), "{out}");
    assert!(out.contains("klpctl unload lp_free removes it"), "{out}");
}

#[test]
fn a_task_can_be_in_two_modules() {
    let tree = Scratch::tree_of(&format!("/sys/kernel/livepatch/\n{HELD}"));
    let out = klpctl_in(&tree, &["why"]).out;
    for (module, frame) in [("lp_old", "old_show"), ("lp_older", "older_show")] {
        let section = format!("{module}: disabled, held (1 reference); 1 task is in its code");
        assert!(out.contains(&section), "{out}");
        assert!(out.contains(&format!("  > {frame}+")), "{out}");
    }
}

#[test]
fn no_more_than_was_asked_for() {
    let tree = Scratch::tree("held");
    let answer = klpctl_in(&tree, &["why", "--limit", "1"]);
    assert!(answer.out.contains("cat (210)"), "{}", answer.out);
    assert!(!answer.out.contains("(44)"), "{}", answer.out);
    assert!(answer.out.contains("and 2 more tasks"), "{}", answer.out);
}

/// Without CONFIG_MODULE_UNLOAD the kernel counts no references.
#[test]
fn references_that_are_not_counted() {
    let tree = Scratch::tree_of(
        "/sys/kernel/livepatch/\n\
         /proc/modules\n\tlp 12288 - - Live 0x0000000000000000 (K)\n",
    );
    let answer = klpctl_in(&tree, &["status"]);
    assert!(answer.out.contains("lp     disabled  -"), "{}", answer.out);
    assert!(!answer.out.contains("held"), "{}", answer.out);
    let answer = klpctl_in(&tree, &["status", "--json"]);
    assert!(answer.out.contains("\"module\": null"), "{}", answer.out);
}

/// The next patch of that name may get the same inode.
#[test]
fn unload_forgets_what_was_loaded_and_forced() {
    const TOOLS: &str = "KLPCTL_TEST_TOOLS";
    const TEST: &str = "tests::held::unload_forgets_what_was_loaded_and_forced";

    // An rmmod that removes nothing is found in PATH, which all tests of a process share.
    if env::var_os(TOOLS).is_none() {
        let tools = Scratch::new();
        let rmmod = tools.path().join("rmmod");
        fs::write(&rmmod, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&rmmod, fs::Permissions::from_mode(0o755)).unwrap();
        let mut again = Command::new(env::current_exe().unwrap());
        let again = again.args(["--exact", TEST]);
        let output = again.env(TOOLS, "1").env("PATH", tools.path()).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }

    let patch = Name::from("test_klp_callbacks_demo");
    let tree = Scratch::tree("free");
    let root = Root::captured(tree.path());
    let records = [forced::record_of(&patch), identity::record_of(&patch)];
    fs::create_dir_all(root.path(identity::RECORDS)).unwrap();
    for record in &records {
        fs::write(root.path(record), "1\n").unwrap();
    }
    // The tree still has the module.
    let failure = unload_at_once(&tree, &patch, &Options::default()).unwrap_err();
    assert!(failure.message.contains("not unloaded"), "{failure}");
    for record in records {
        assert!(!root.exists(&record), "{record:?}");
    }
}

/// Unloads a patch by the real function, without waiting.
fn unload_at_once(tree: &Scratch, patch: &Name, options: &Options) -> Outcome {
    let mut out = Vec::new();
    unload(&mut tree.context(options, &mut out), patch, Duration::ZERO)
}

#[test]
fn what_unload_has_waited_for_is_its_exit_status() {
    let patch = Name::from("test_klp_sleep_patch");
    let options = Options::default();
    let stuck = Options {
        stuck_after: Some(Duration::ZERO),
        ..Options::default()
    };
    for (options, exit) in [(&options, Exit::Transition), (&stuck, Exit::Stuck)] {
        let ended = unload_at_once(&Scratch::tree("reverting"), &patch, options);
        assert_eq!(ended.unwrap(), exit);
    }
    let ended = unload_at_once(&Scratch::tree("held"), &patch, &options);
    assert_eq!(ended.unwrap_err().exit, Exit::Error);
}
