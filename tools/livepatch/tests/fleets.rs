// SPDX-License-Identifier: GPL-2.0

//! The answers for monitoring.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;

use super::store::{install, set_boot, set_release};
use super::{klpctl, klpctl_in, read_source, Scratch};
use crate::args::parse;
use crate::elf::tests::{build, note};
use crate::exit::Exit;
use crate::nagios;
use crate::root::Root;
use crate::store::Store;

fn metrics(tree: &Scratch) -> String {
    let answer = klpctl_in(tree, &["metrics"]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    assert_exposition(&answer.out);
    answer.out
}

/// Checks the form: each sample belongs to the family before it, and no family or sample comes
/// twice.
fn assert_exposition(text: &str) {
    let mut families = HashSet::new();
    let mut samples = HashSet::new();
    let mut family = "";
    let body = text.strip_suffix("# EOF\n").expect("no end");
    for line in body.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            family = name.strip_suffix(" gauge").expect(line);
            assert!(families.insert(family), "{family} comes twice");
        } else if let Some(help) = line.strip_prefix("# HELP ") {
            assert!(help.starts_with(&format!("{family} ")), "{line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').expect(line);
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(samples.insert(sample), "{line} comes twice");
            let name = sample.split('{').next().unwrap();
            assert_eq!(name, family, "{line}");
            let labels = &sample[name.len()..];
            assert!(labels.is_empty() || labels.ends_with("\"}"), "{line}");
        }
    }
}

#[test]
fn a_running_transition() {
    let text = metrics(&Scratch::tree("kernel-thread"));
    for line in [
        "klp_supported 1\n",
        "klp_patch_state{patch=\"test_klp_callbacks_demo\",state=\"applying\"} 1\n",
        "klp_patch_state{patch=\"test_klp_callbacks_demo\",state=\"applied\"} 0\n",
        "klp_transition_seconds{patch=\"test_klp_callbacks_demo\",direction=\"patching\"} ",
        "klp_transition_tasks{patch=\"test_klp_callbacks_demo\",state=\"waiting\"} 1\n",
        "klp_transition_tasks{patch=\"test_klp_callbacks_demo\",state=\"switched\"} 4\n",
        "klp_modules_held 0\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn patches_that_are_applied() {
    let tree = Scratch::tree("stacked");
    fs::create_dir_all(tree.path().join("sys/module/test_klp_livepatch")).unwrap();
    fs::write(
        tree.path().join("sys/module/test_klp_livepatch/srcversion"),
        "A\"\\\n",
    )
    .unwrap();
    fs::create_dir_all(tree.path().join("run/klpctl")).unwrap();
    let record = "srcversion A\"\\\\\nfixes CVE-1\nfixes CVE-2\nfixes CVE-1\n";
    fs::write(tree.path().join("run/klpctl/test_klp_livepatch"), record).unwrap();
    let text = metrics(&tree);
    for line in [
        "klp_patch_info{patch=\"test_klp_livepatch\",version=\"\",\
         srcversion=\"A\\\"\\\\\\\\\",build_id=\"\"} 1\n",
        "klp_patch_fix{patch=\"test_klp_livepatch\",fix=\"CVE-1\"} 1\n",
        // 29.6 s before the look.
        "klp_patch_applied_timestamp_seconds{patch=\"test_klp_livepatch\"} 1795427970\n",
        "klp_look_timestamp_seconds 1795428000\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let held = metrics(&Scratch::tree("held"));
    assert!(held.contains("klp_modules_held 1\n"), "{held}");
    let none = metrics(&Scratch::tree("unsupported"));
    assert!(none.contains("klp_supported 0\n"), "{none}");
}

#[test]
fn installed_patches() {
    let tree = Scratch::tree("none");
    set_boot(&tree, "1");
    set_release(&tree, "7.3.4");
    let root = Root::captured(tree.path());
    for name in ["name=a", "name=b", "name=c"] {
        install(&Store::new(&root), &[name]);
    }
    Store::new(&root).begin().unwrap();
    Store::new(&root).mark(&"a".into()).unwrap();
    set_boot(&tree, "2");
    let text = metrics(&tree);
    for line in [
        "klp_installed_patches{state=\"crashed\"} 1\n",
        "klp_installed_patches{state=\"loaded\"} 0\n",
        "klp_installed_patches{state=\"not loaded\"} 2\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn into_a_file() {
    let tree = Scratch::tree("stacked");
    let file = tree.path().join("klpctl.prom");
    let answer = klpctl_in(&tree, &["metrics", "--output", file.to_str().unwrap()]);
    assert_eq!((answer.exit, answer.out.as_str()), (Exit::Done, ""));
    assert_exposition(&fs::read_to_string(&file).unwrap());
    let files = fs::read_dir(tree.path()).unwrap().flatten();
    let mut names = files.map(|file| file.file_name().into_string().unwrap());
    assert!(!names.any(|name| name.ends_with(".new")));
    // Devices and links are not replaced.
    let link = tree.path().join("link");
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    let answer = klpctl_in(&tree, &["metrics", "-o", link.to_str().unwrap()]);
    assert_eq!(answer.exit, Exit::Error);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let answer = klpctl_in(&tree, &["metrics", "-o", "/no/such/folder/x"]);
    assert_eq!(answer.exit, Exit::Error);
    assert!(answer.err.contains("/no/such/folder/x: "), "{}", answer.err);
}

#[test]
fn for_nagios() {
    for (tree, arguments, code, state, start) in [
        (
            "stacked",
            &[][..],
            0,
            "OK",
            "test_klp_livepatch: applied, test_klp_atomic_replace: applied \
             | patches=2 waiting=0 transition=0s\n",
        ),
        ("none", &[], 0, "OK", "no livepatch is applied | "),
        ("free", &[], 0, "OK", "no livepatch is applied | "),
        (
            "free",
            &["test_klp_callbacks_demo"],
            2,
            "CRITICAL",
            "test_klp_callbacks_demo is disabled | ",
        ),
        (
            "none",
            &["absent"],
            2,
            "CRITICAL",
            "livepatch absent is not loaded\n",
        ),
        (
            "forced",
            &[],
            1,
            "WARNING",
            "test_klp_callbacks_demo: forced | ",
        ),
        (
            "kernel-thread",
            &["--stuck-after", "1h"],
            1,
            "WARNING",
            "test_klp_callbacks_demo: applying for ",
        ),
        (
            "kernel-thread",
            &["--stuck-after", "1"],
            2,
            "CRITICAL",
            "test_klp_callbacks_demo: stuck for ",
        ),
        (
            "none",
            &["--nonsense"],
            3,
            "UNKNOWN",
            "there is no option '--nonsense'",
        ),
    ] {
        let start = format!("LIVEPATCH {state} - {start}");
        let arguments = [&["status", "--nagios"], arguments].concat();
        let answer = klpctl_in(&Scratch::tree(tree), &arguments);
        assert!(answer.out.starts_with(&start), "{start}: {}", answer.out);
        assert_eq!(answer.out.lines().count(), 1);
        assert_eq!(nagios::code(answer.exit), code, "{}", answer.out);
    }
    // The flag counts in any place.
    let arguments = ["status", "x", "y", "--nagios"].map(OsString::from);
    assert!(crate::args::asks_for("--nagios", &arguments));
    assert!(klpctl(&["status", "x", "y", "--nagios"])
        .out
        .starts_with("LIVEPATCH UNKNOWN - "));
}

/// Returns the words behind `klpctl` in the examples for other programs.
fn examples() -> Vec<Vec<String>> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split([' ', ',', '"', '[', ']']);
        let words = words.filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let behind = |file: &str, start: &str| -> Vec<Vec<String>> {
        let text = read_source(&format!("contrib/{file}"));
        // The values of the playbook's variables are times or names of files.
        let text = text
            .replace("{{ patience }}", "5m")
            .replace("{{ copied }}", "a.ko")
            .replace("{{ patch }}", "a")
            .replace("{{ replaces }}", "b")
            .replace("{{ kernel }}", "7.3.4");
        let lines = text.lines().filter_map(|line| line.split_once(start));
        lines.map(|(_, rest)| words(rest)).collect()
    };
    [
        behind("rollout.yml", "argv: [klpctl"),
        behind("sos/klpctl.py", "\"klpctl "),
        behind("supportconfig/klpctl", "section klpctl"),
        behind("nagios/klpctl.cfg", "sbin/klpctl"),
    ]
    .concat()
}

#[test]
fn examples_are_command_lines() {
    let examples = examples();
    assert!(examples.len() > 15, "{examples:?}");
    for words in examples {
        let failure = parse(words.iter().map(OsString::from)).err();
        let failure = failure.map(|failure| failure.message);
        assert_eq!(failure, None, "{words:?}");
    }
}

/// The playbook loads a patch unless `same_build` is true, and stops if that is null or load fails.
#[test]
fn what_the_playbook_asks_load() {
    assert!(read_source("contrib/rollout.yml").contains("map(attribute='same_build')"));
    let tree = Scratch::tree("stacked");
    let notes = tree.path().join("sys/module/test_klp_atomic_replace/notes");
    fs::create_dir_all(&notes).unwrap();
    fs::write(notes.join(".note.gnu.build-id"), note(&[0x17; 20])).unwrap();
    let ask = |name: &str, id: u8| {
        let file = tree.path().join("x.ko");
        fs::write(&file, build(&["livepatch=Y", name], &[id; 20])).unwrap();
        let file = file.to_str().unwrap();
        let answer = klpctl_in(&tree, &["load", "--dry-run", "--json", file]);
        (answer.exit, answer.out)
    };
    for (name, id, exit, words) in [
        ("name=new", 0x17, Exit::Done, "\"action\":\"insmod "),
        (
            "name=test_klp_livepatch",
            0x17,
            Exit::Done,
            "\"same_build\":null",
        ),
        (
            "name=test_klp_atomic_replace",
            0x17,
            Exit::Done,
            "\"same_build\":true",
        ),
        (
            "name=test_klp_atomic_replace",
            0x18,
            Exit::Error,
            "\"exit\":1",
        ),
    ] {
        let (ended, text) = ask(name, id);
        assert_eq!(ended, exit, "{name}: {text}");
        assert!(text.contains(words), "{name}: {text}");
        let compared = text.contains("same_build");
        assert_eq!(compared, words.contains("same_build"), "{name}: {text}");
    }
}

/// Without compression, the report of a system with many tasks is larger than sos keeps.
#[test]
fn reports_for_support_are_compressed() {
    let mut count = 0;
    for words in examples().iter().filter(|words| words[0] == "report") {
        let file = words.last().unwrap();
        assert!(file.ends_with(".tar.gz"), "{words:?}");
        count += 1;
    }
    assert_eq!(count, 2);
}

/// The kernel log may lack the start of a revert. Then its age is not known, and it is never stuck.
#[test]
fn an_alert_for_a_transition_of_unknown_age() {
    let tree = Scratch::tree("reverting");
    fs::write(tree.path().join("dev/kmsg"), "6,503,1,-;usb: x\n").unwrap();
    let text = metrics(&tree);
    assert!(!text.contains("klp_transition_seconds{"), "{text}");
    let line = "klp_patch_state{patch=\"test_klp_sleep_patch\",state=\"reverting\"} 1\n";
    assert!(text.contains(line), "{text}");

    let alerts = read_source("contrib/alerts.yml");
    let rule = "        expr: klp_patch_state{state=~\"applying|reverting\"} == 1\n        \
                for: 10m\n";
    assert!(alerts.contains(rule), "{alerts}");
}

/// Returns a tree with an applied patch. Its kernel log begins after the transition.
fn without_a_log() -> Scratch {
    let tree = Scratch::tree("stacked");
    fs::write(tree.path().join("dev/kmsg"), "6,503,1,-;usb: x\n").unwrap();
    tree
}

#[test]
fn whether_a_patch_was_forced() {
    let forced = metrics(&Scratch::tree("forced"));
    let line = "klp_patch_forced{patch=\"test_klp_callbacks_demo\"} 1\n";
    assert!(forced.contains(line), "{forced}");
    let stacked = metrics(&Scratch::tree("stacked"));
    let line = "klp_patch_forced{patch=\"test_klp_livepatch\"} 0\n";
    assert!(stacked.contains(line), "{stacked}");

    let unknown = metrics(&without_a_log());
    assert!(!unknown.contains("klp_patch_forced{"), "{unknown}");
    let answer = klpctl_in(&without_a_log(), &["status", "--nagios"]);
    let text = "LIVEPATCH OK - test_klp_livepatch: applied (not known whether forced), \
                test_klp_atomic_replace: applied (not known whether forced) | ";
    assert!(answer.out.starts_with(text), "{}", answer.out);
}
