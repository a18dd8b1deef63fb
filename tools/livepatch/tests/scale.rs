// SPDX-License-Identifier: GPL-2.0

//! Many tasks that wait: the answer stays short, and is there soon.

use std::fs;
use std::time::{Duration, Instant};

use super::{klpctl_in, Scratch};
use crate::exit::Exit;

/// The tree of a transition with so many tasks, of which `describe` tells PID, TID and unit.
fn crowd(count: u32, describe: impl Fn(u32) -> (u32, u32, String)) -> Scratch {
    let tree = Scratch::tree("user-process");
    let proc = tree.path().join("proc");
    // Files that are the same are made once.
    let (stack, state) = (
        proc.join("210/task/210/stack"),
        proc.join("210/task/210/patch_state"),
    );
    for number in 0..count {
        let (pid, tid, unit) = describe(number);
        let folder = proc.join(format!("{pid}/task/{tid}"));
        fs::create_dir_all(&folder).unwrap();
        let stat = format!("{tid} (worker {number}) S 1 {pid} 1 0 -1 4194304\n");
        fs::write(folder.join("stat"), stat).unwrap();
        fs::hard_link(&state, folder.join("patch_state")).unwrap();
        fs::hard_link(&stack, folder.join("stack")).unwrap();
        let cgroup = proc.join(&unit);
        if !cgroup.exists() {
            fs::write(&cgroup, format!("0::/system.slice/{unit}\n")).unwrap();
        }
        fs::hard_link(cgroup, folder.join("cgroup")).unwrap();
    }
    tree
}

#[test]
fn thousands_of_tasks() {
    let tree = crowd(10_000, |number| {
        let pid = 100_000 + number / 4000;
        let tid = if number % 4000 == 0 {
            pid
        } else {
            200_000 + number
        };
        (pid, tid, "java.service".to_owned())
    });
    let cmdline = tree.path().join("proc/100000/cmdline");
    fs::write(cmdline, "java\0-jar\0a b.jar\0").unwrap();

    let begin = Instant::now();
    let answer = klpctl_in(&tree, &["why"]);
    let took = begin.elapsed();
    assert_eq!(answer.exit, Exit::Transition);
    let lines = answer.out.lines().count();
    assert!(lines <= 60, "{lines} lines: {}", answer.out);
    for text in [
        "worker 0 (100000) and 9999 more tasks, user processes, asleep\n",
        "  3 processes of java.service: worker 0 (100000, 4000 threads), worker 4000 (100001, ",
        "  command: java -jar 'a b.jar'\n",
        "  > test_klp_sleep_show+",
        "systemctl restart java.service",
    ] {
        assert!(answer.out.contains(text), "{text}: {}", answer.out);
    }
    // This is not optimized, and the machine may be busy.
    assert!(took < Duration::from_secs(600), "{took:?}");
}

#[test]
fn each_task_by_itself() {
    let tree = crowd(30, |number| {
        (1000, 1000 + number, "java.service".to_owned())
    });
    fs::write(
        tree.path().join("proc/1000/cmdline"),
        "java\0-jar\0a b.jar\0",
    )
    .unwrap();
    let json = klpctl_in(&tree, &["why", "--json"]);
    assert!(json.out.contains("\"tasks\": 30,"), "{}", json.out);
    assert!(json
        .out
        .contains("\"command_line\": \"java -jar 'a b.jar'\""));
    assert_eq!(json.out.matches("\"advice\"").count(), 32);

    let all = klpctl_in(&tree, &["why", "--all"]);
    assert_eq!(all.out.matches("  > test_klp_sleep_show+").count(), 31);

    // A report has one blocker of each group in why.json, and no command lines.
    let file = tree.path().join("report.tar");
    klpctl_in(&tree, &["report", "-o", file.to_str().unwrap()]);
    let report = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    assert_eq!(report.matches("\"advice\"").count(), 3);
    assert!(report.contains("\"tasks\": 30,") && !report.contains("a b.jar"));

    // The same as a file for tar(1) to expand.
    let plain = tree.path().join("report.tar");
    let file = tree.path().join("report.tgz");
    klpctl_in(&tree, &["report", "-o", file.to_str().unwrap()]);
    let (long, short) = (
        fs::read(plain).unwrap().len(),
        fs::read(&file).unwrap().len(),
    );
    assert!(short * 10 < long, "{short} of {long} bytes");
    let tar = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(&file)
        .output();
    let list = tar.expect("the test needs tar");
    assert!(list.status.success(), "{list:?}");
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains("klpctl-report/why.json\n"), "{list}");
}

#[test]
fn tasks_of_many_services() {
    let tree = crowd(500, |number| {
        let pid = 1000 + number;
        (pid, pid, format!("x{number}.service"))
    });
    let answer = klpctl_in(&tree, &["why"]);
    let lines = answer.out.lines().count();
    assert!((50..=60).contains(&lines), "{lines} lines: {}", answer.out);
    assert!(
        answer.out.contains("[test_klp_sleep_target]\n    ...\n"),
        "{}",
        answer.out
    );
    assert!(
        answer.out.contains(" more tasks, which --all shows\n"),
        "{}",
        answer.out
    );
    let answer = klpctl_in(&tree, &["why", "--limit", "2"]);
    assert!(
        answer.out.ends_with(
            "and 500 more tasks\nnote: kernel log (not there): not known \
                                  whether a patch was forced, nor exactly since when one is in \
                                  transition\n"
        ),
        "{}",
        answer.out
    );
}

/// The stack may hold hundreds of frames.
#[test]
fn a_long_stack() {
    let tree = crowd(0, |_| (0, 0, String::new()));
    let file = tree.path().join("proc/210/task/210/stack");
    let short = fs::read_to_string(&file).unwrap();
    let more = "[<0>] do_something+0x1/0x2\n".repeat(64);
    fs::write(&file, format!("{more}{short}")).unwrap();
    let answer = klpctl_in(&tree, &["why"]);
    assert!(answer.out.lines().count() <= 60, "{}", answer.out);
    assert!(
        answer.out.contains("  > test_klp_sleep_show+"),
        "{}",
        answer.out
    );
    assert!(answer.out.contains("cat (211)"), "{}", answer.out);
    let answer = klpctl_in(&tree, &["why", "--all"]);
    assert!(answer.out.lines().count() > 70, "{}", answer.out);
}

/// A single group may have a stack of 64 frames, which are as many as the kernel shows.
#[test]
fn one_group_with_a_long_stack() {
    let tree = Scratch::tree("kernel-thread");
    let file = tree.path().join("proc/43/task/43/stack");
    let short = fs::read_to_string(&file).unwrap();
    let more = "[<0>] do_something+0x1/0x2\n".repeat(64);
    fs::write(&file, format!("{more}{short}")).unwrap();
    let answer = klpctl_in(&tree, &["why"]);
    let lines = answer.out.lines().count();
    assert!(lines <= 60, "{lines} lines: {}", answer.out);
    let text = "    ...\n  > busymod_work_func+";
    assert!(answer.out.contains(text), "{}", answer.out);
}

/// A transition that waits for tasks of many services, and held modules with some in their code.
#[test]
fn a_transition_and_held_modules() {
    for (held, tasks) in [(1, 10_000), (2, 200), (3, 200), (4, 200)] {
        let tree = crowd(tasks, |number| {
            let pid = 100_000 + number;
            (pid, pid, format!("x{}.service", number % 50))
        });
        let modules = tree.path().join("proc/modules");
        let mut text = fs::read_to_string(&modules).unwrap();
        for module in 0..held {
            text += &format!("lp_{module} 12288 1 - Live 0x0000000000000000 (K)\n");
            for number in 0..30 {
                let task = tree
                    .path()
                    .join(format!("proc/{0}/task/{0}", 100_000 + 30 * module + number));
                let frame = format!("[<0>] f{number}+0x1/0x2 [lp_{module}]\n");
                let stack = fs::read_to_string(task.join("stack")).unwrap();
                fs::remove_file(task.join("stack")).unwrap();
                fs::write(task.join("stack"), frame.repeat(60) + &stack).unwrap();
            }
        }
        fs::write(modules, text).unwrap();

        let answer = klpctl_in(&tree, &["why"]);
        let lines = answer.out.lines().count();
        assert!(
            (50..=60).contains(&lines),
            "{held}: {lines} lines: {}",
            answer.out
        );
        for module in 0..held {
            let line =
                format!("\nlp_{module}: disabled, held (1 reference); 30 tasks are in its code\n");
            assert!(answer.out.contains(&line), "{line}: {}", answer.out);
        }
        let more = answer
            .out
            .matches(" more tasks, which --all shows\n")
            .count();
        assert_eq!(more, 1 + held as usize, "{}", answer.out);
    }
}

/// Adds functions to the two of the tree `stacked`.
fn add_functions(tree: &Scratch, count: u32) {
    let object = "sys/kernel/livepatch/test_klp_livepatch/vmlinux";
    for number in 0..count {
        let folder = tree.path().join(object).join(format!("f{number:03},1"));
        fs::create_dir(folder).unwrap();
    }
}

/// Functions are left out only if the answer would be too long, and no more of them than that.
#[test]
fn a_list_that_just_fits() {
    let list = |count: u32, module: &str, arguments: &[&str]| {
        let tree = Scratch::tree("stacked");
        add_functions(&tree, count - 2);
        let modules = tree.path().join("proc/modules");
        let text = fs::read_to_string(&modules).unwrap() + module;
        fs::write(modules, text).unwrap();
        let answer = klpctl_in(&tree, arguments);
        (answer.out.lines().count(), answer.out)
    };
    // A disabled patch has a line in the table, and a note.
    let disabled = "lp_free 12288 0 - Live 0x0000000000000000 (K)\n";
    for (module, most) in [("", 55), (disabled, 53)] {
        for (count, lines, more) in [
            (most - 1, 59, None),
            (most, 60, None),
            (most + 1, 60, Some(3)),
            (most + 2, 60, Some(4)),
        ] {
            let (all, text) = list(count, module, &["list", "--all"]);
            assert_eq!(all as u32, 60 + count - most, "{text}");
            let (shown, text) = list(count, module, &["list"]);
            assert_eq!(shown, lines, "{count}: {text}");
            match more {
                None => assert!(!text.contains("--all"), "{count}: {text}"),
                Some(more) => {
                    let line = format!("\nand {more} more functions, which --all shows\n");
                    assert!(text.contains(&line), "{count}: {text}");
                }
            }
        }
    }

    // Patches are not left out, and one function is shown.
    let disabled: Vec<_> = (0..70)
        .map(|n| disabled.replace("free", &n.to_string()))
        .collect();
    let (_, text) = list(3, &disabled.concat(), &["list"]);
    assert!(text.contains("\nnote: lp_69 is not applied"), "{text}");
    assert!(text.contains("\ncmdline_proc_show "), "{text}");
    assert!(
        text.contains("\nand 2 more functions, which --all shows\n"),
        "{text}"
    );
}

#[test]
fn a_patch_of_many_functions() {
    let tree = Scratch::tree("stacked");
    add_functions(&tree, 300);
    let answer = klpctl_in(&tree, &["list"]);
    let lines = answer.out.lines().count();
    assert!((50..=60).contains(&lines), "{lines} lines: {}", answer.out);
    assert!(
        answer.out.ends_with(" more functions, which --all shows\n"),
        "{}",
        answer.out
    );
    let answer = klpctl_in(&tree, &["list", "--all"]);
    assert!(answer.out.contains("\nf299 "), "{}", answer.out);
    assert!(answer.out.contains("\nmeminfo_proc_show "));
    assert_eq!(
        klpctl_in(&tree, &["list", "--json"])
            .out
            .matches("\"sympos\"")
            .count(),
        302
    );
}

/// Another patch is left out, but counts for the place and for the function that it serves.
#[test]
fn a_list_of_one_patch() {
    let tree = Scratch::tree("replacing");
    let both = klpctl_in(&tree, &["list"]);
    let answer = klpctl_in(&tree, &["list", "klp_fix_2"]);
    assert_eq!(answer.exit, both.exit);
    let rows = |text: &str, word: &str| -> Vec<String> {
        let rows = text.lines().filter(|line| line.contains(word));
        rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(
        rows(&answer.out, "klp_fix_2")[0],
        rows(&both.out, "klp_fix_2")[0]
    );
    assert!(
        answer.out.contains("klp_fix_1 -> klp_fix_2"),
        "{}",
        answer.out
    );
    assert_eq!(rows(&answer.out, "klp_fix_1  applied").len(), 0);
    assert_eq!(rows(&both.out, "klp_fix_1  applied").len(), 1);

    let answer = klpctl_in(&tree, &["list", "absent"]);
    assert_eq!(answer.exit, Exit::Nothing);
    let tree = Scratch::tree("free");
    let answer = klpctl_in(&tree, &["list", "test_klp_callbacks_demo"]);
    assert_eq!(answer.exit, Exit::Nothing);
    assert!(answer.out.contains("disabled, free"), "{}", answer.out);
}
