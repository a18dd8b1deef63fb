// SPDX-License-Identifier: GPL-2.0

//! The program itself, on a terminal and in the examples of its documents.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::boot::machine;
use super::{is_installed, klpctl_in, left_out, source, Scratch};
use crate::elf::tests::module;
use crate::functions::tests::patch;

/// Returns the program that `make test` has built.
fn program() -> Option<PathBuf> {
    let program = std::env::var_os("KLPCTL").map(PathBuf::from);
    if program.is_none() {
        left_out("the program: KLPCTL does not name it, as make test does");
    }
    program
}

/// Runs a script of the shell in a directory. The programs in `bin` there come first.
fn shell(folder: &Scratch, script: &str, variables: &[(&str, &Path)]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .current_dir(folder.path())
        .env(
            "PATH",
            format!("{}:{path}", folder.path().join("bin").display()),
        )
        .env("LC_ALL", "C.UTF-8")
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    shell.output().expect("the test needs sh")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a script to `bin`.
fn script(folder: &Scratch, name: &str, content: &str) {
    let bin = folder.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join(name), format!("#!/bin/sh\n{content}\n")).unwrap();
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

/// `watch` on a terminal of 100 columns that becomes one of 40.
#[test]
fn on_a_terminal() {
    let Some(program) = program() else {
        return;
    };
    if !is_installed("script") {
        return left_out("klpctl on a terminal: there is no script(1) here");
    }
    let folder = Scratch::new();
    let tree = Scratch::tree("user-process");
    // The end of a screen is the escape sequence that clears the rest.
    script(
        &folder,
        "resize",
        "screens() { grep -ao \"$(printf '\\033\\\\[J')\" typescript | wc -l; }\n\
         stty cols 100 rows 12\n\
         \"$KLPCTL\" watch --interval 0.1 --root \"$TREE\" &\n\
         until [ \"$(screens)\" -ge 1 ]; do sleep 0.1; done\n\
         stty cols 40 rows 9\n\
         seen=$(screens)\n\
         until [ \"$(screens)\" -ge $((seen + 3)) ]; do sleep 0.1; done\n\
         kill $!",
    );
    let variables = [
        ("KLPCTL", program.as_path()),
        ("TREE", tree.path()),
        ("TERM", Path::new("xterm")),
        ("NO_COLOR", Path::new("1")),
    ];
    let command = "unset COLUMNS LINES; script -qfc resize typescript";
    let output = shell(&folder, command, &variables);
    assert!(output.status.success(), "{output:?}");

    let typescript = text(&fs::read(folder.path().join("typescript")).unwrap());
    let screens: Vec<_> = typescript.split("\x1b[H").collect();
    let size = |screen: &str| {
        let (screen, _) = screen.split_once("\x1b[J").expect("a whole screen");
        let lines = screen
            .lines()
            .map(|line| line.trim_end().trim_end_matches("\x1b[K"));
        let widths: Vec<_> = lines.map(|line| line.chars().count()).collect();
        (widths.iter().copied().max().unwrap_or(0), widths.len())
    };
    let (width, height) = size(screens[1]);
    assert!(
        (60..100).contains(&width) && height <= 12,
        "{width}x{height}: {typescript:?}"
    );
    let (width, height) = size(screens[screens.len() - 2]);
    assert!(
        (30..40).contains(&width) && height <= 9,
        "{width}x{height}: {typescript:?}"
    );
}

/// Returns the examples of all manual pages, in the order of the pages' names.
fn examples() -> Vec<String> {
    let pages = fs::read_dir(source().join("man")).unwrap();
    let mut pages: Vec<_> = pages.map(|page| page.unwrap().path()).collect();
    pages.sort();
    let pages = pages.iter().map(|page| fs::read_to_string(page).unwrap());
    let examples = pages.flat_map(|page| {
        let parts = page.split("\n.EX\n").skip(1);
        let examples = parts.map(|part| part.split_once("\n.EE").unwrap().0.replace("\\-", "-"));
        examples.collect::<Vec<_>>()
    });
    examples.collect()
}

/// Returns the tree of a transition that is stuck.
fn stuck() -> Scratch {
    let tree = Scratch::tree("kernel-thread");
    fs::write(tree.path().join("proc/uptime"), "2000.50 200.00\n").unwrap();
    tree
}

#[test]
fn examples_of_the_manual_pages() {
    let Some(program) = program() else {
        return;
    };
    let folder = Scratch::new();
    script(
        &folder,
        "klpctl",
        "case $1 in load) set -- \"$@\" --dry-run ;; esac\nexec \"$KLPCTL\" \"$@\" --root \"$TREE\"",
    );
    script(&folder, "alarm", "echo \"alarm: $*\"");
    let file = patch(&["name=livepatch_cve"], &[("vmlinux", "a", 0)]);
    fs::write(folder.path().join("livepatch-cve.ko"), file).unwrap();
    let run = |example: &str, tree: &Scratch| {
        let variables = [("KLPCTL", program.as_path()), ("TREE", tree.path())];
        let output = shell(&folder, example, &variables);
        assert_eq!(text(&output.stderr), "", "{example}");
        (text(&output.stdout), output.status.code())
    };

    let [load, alarm, nagios, services] = &examples()[..] else {
        panic!("this test knows four examples, not {:?}", examples());
    };
    let (out, code) = run(load, &Scratch::tree("none"));
    assert_eq!(
        (out.as_str(), code),
        ("would run: insmod livepatch-cve.ko\n", Some(0)),
        "{load}"
    );

    let (out, _) = run(alarm, &stuck());
    assert_eq!(out, "alarm: livepatch is stuck\n", "{alarm}");
    for tree in ["kernel-thread", "stacked", "none"] {
        assert_eq!(run(alarm, &Scratch::tree(tree)).0, "", "{alarm}: {tree}");
    }

    let (out, code) = run(nagios, &stuck());
    assert!(
        out.starts_with("LIVEPATCH CRITICAL") && out.lines().count() == 1,
        "{nagios}: {out}"
    );
    assert_eq!(code, Some(2), "{nagios}");

    if !is_installed("jq") {
        return left_out("an example of klpctl-why(8): there is no jq here");
    }
    let (out, code) = run(services, &Scratch::tree("user-process"));
    assert_eq!(
        (out.as_str(), code),
        ("cron.service\nsession-1.scope\n", Some(0)),
        "{services}"
    );
}

/// The page of the kernel's documentation says how to read a report elsewhere.
#[test]
fn a_report_as_the_documentation_reads_it() {
    let Some(program) = program() else {
        return;
    };
    let page = source().join("../../Documentation/livepatch/klpctl.rst");
    let Ok(page) = fs::read_to_string(page) else {
        return left_out("an example of klpctl.rst: this is no kernel tree");
    };
    let (_, section) = page.split_once("\nReports\n=======\n").unwrap();
    let (section, _) = section.split_once("\n====").unwrap();
    let commands: Vec<_> = section
        .lines()
        .filter_map(|line| line.strip_prefix("    $ "))
        .collect();
    let file = commands[0]
        .strip_prefix("tar xf ")
        .expect("the report is unpacked first");

    let folder = Scratch::new();
    script(&folder, "klpctl", "exec \"$KLPCTL\" \"$@\"");
    let tree = Scratch::tree("kernel-thread");
    let report = folder.path().join(file);
    klpctl_in(&tree, &["report", "-o", report.to_str().unwrap()]);
    let output = shell(&folder, &commands.join(" && "), &[("KLPCTL", &program)]);
    assert_eq!(text(&output.stderr), "", "{commands:?}");
    assert_eq!(
        text(&output.stdout),
        klpctl_in(&tree, &["why"]).out,
        "{commands:?}"
    );
}

/// A machine without room for another thread is one of those that need `why`.
#[test]
fn without_room_for_threads() {
    let Some(program) = program() else {
        return;
    };
    if !is_installed("prlimit") || !is_installed("setpriv") {
        return left_out("klpctl without threads: there is no prlimit(1) or setpriv(1) here");
    }
    let tree = Scratch::tree("kernel-thread");
    let folder = Scratch::new();
    // The limit is not for root, and other users may not have the program's directory.
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(&program, folder.path().join("klpctl")).unwrap();
    let run = |limit: &str, command: &str| {
        let script = format!(
            "[ $(id -u) != 0 ] || user='setpriv --reuid=65534 --clear-groups'\n\
             exec $user {limit} ./klpctl {command} --root \"$TREE\""
        );
        let output = shell(&folder, &script, &[("TREE", tree.path())]);
        (
            text(&output.stdout),
            text(&output.stderr),
            output.status.code(),
        )
    };
    for command in ["why", "why --json", "wait --timeout 0.1"] {
        let expected = run("", command);
        assert_eq!(expected.2, Some(3), "{command}: {expected:?}");
        assert_eq!(run("prlimit --nproc=1", command), expected, "{command}");
    }
}

/// In a locale without UTF-8, a name in UTF-8 is escaped.
#[test]
fn names_in_a_plain_locale() {
    let Some(program) = program() else {
        return;
    };
    let tree = Scratch::tree("kernel-thread");
    let task = fs::read_dir(tree.path().join("proc")).unwrap().flatten();
    for process in task.filter(|entry| entry.path().join("task").is_dir()) {
        for task in fs::read_dir(process.path().join("task")).unwrap().flatten() {
            let file = task.path().join("stat");
            let Ok(stat) = fs::read_to_string(&file) else {
                continue;
            };
            let (start, end) = (stat.find('(').unwrap(), stat.rfind(')').unwrap());
            let stat = format!("{}(k\u{fc}hl{}", &stat[..start], &stat[end..]);
            fs::write(file, stat).unwrap();
        }
    }
    let folder = Scratch::new();
    for (locale, name) in [("C", "k\\xc3\\xbchl"), ("C.UTF-8", "k\u{fc}hl")] {
        let script = format!("LC_ALL={locale} exec \"$KLPCTL\" why --root \"$TREE\"");
        let variables = [("KLPCTL", program.as_path()), ("TREE", tree.path())];
        let output = shell(&folder, &script, &variables);
        let out = text(&output.stdout);
        assert!(out.contains(name), "{locale}: {out}");
    }
}

/// Other users may write to the working directory of root.
#[test]
fn files_of_the_working_directory() {
    let Some(program) = program() else {
        return;
    };
    let (folder, tree) = (Scratch::new(), machine(&[&["name=klp_own"]]));
    for file in ["klp_own", "x=1", "other fix", "klp_own.ko.bak", "own.ko"] {
        fs::write(folder.path().join(file), module(&["livepatch=Y"])).unwrap();
    }
    let run = |operands: &str| {
        let script = format!("exec \"$KLPCTL\" load --dry-run --root \"$TREE\" {operands} 2>&1");
        let variables = [("KLPCTL", program.as_path()), ("TREE", tree.path())];
        text(&shell(&folder, &script, &variables).stdout)
    };
    let installed = format!("{}/var/lib/klpctl/7.3.4/klp_own.ko", tree.path().display());
    for (operands, end) in [
        ("klp_own x=1", format!("insmod {installed} x=1\n")),
        ("own.ko", "insmod own.ko\n".to_owned()),
        ("./klp_own", "insmod ./klp_own\n".to_owned()),
        ("'other fix'", "klpctl load './other fix'\n".to_owned()),
        (
            "klp_own.ko.bak",
            "klpctl load ./klp_own.ko.bak\n".to_owned(),
        ),
        ("no_file", "no such module\n".to_owned()),
    ] {
        let said = run(operands);
        assert!(said.ends_with(&end), "{operands}: {said}");
    }
}

/// The format of Prometheus is UTF-8, and `\x` is no escape in it.
#[test]
fn metrics_in_a_plain_locale() {
    let Some(program) = program() else {
        return;
    };
    let tree = Scratch::tree_of("/sys/kernel/livepatch/k\u{fc}hl/enabled\n\t1\n");
    let script = "LC_ALL=C exec \"$KLPCTL\" metrics --root \"$TREE\"";
    let variables = [("KLPCTL", program.as_path()), ("TREE", tree.path())];
    let output = shell(&Scratch::new(), script, &variables);
    let out = text(&output.stdout);
    assert!(out.contains("patch=\"k\u{fc}hl\""), "{out}");
}
