// SPDX-License-Identifier: GPL-2.0

//! The installed patches, and which of them a boot loads in which order.

use std::fs;

use super::installed::applied;
use super::schema::assert_valid;
use super::store::{install, set_boot, set_release};
use super::units::{shut_down, start_up};
use super::{klpctl_in, Answer, Scratch};
use crate::command::Command;
use crate::commands::load::load;
use crate::commands::Outcome;
use crate::elf::tests::module;
use crate::exit::Exit;
use crate::modfile::ModuleFile;
use crate::options::Options;
use crate::root::Root;
use crate::store::Store;

/// The tree of a kernel 7.3.4 with these patches.
pub fn machine(patches: &[&[&str]]) -> Scratch {
    let tree = Scratch::tree("none");
    set_boot(&tree, "1");
    set_release(&tree, "7.3.4");
    let root = Root::captured(tree.path());
    for fields in patches {
        install(&Store::new(&root), fields);
    }
    tree
}

pub fn load_all(tree: &Scratch) -> Answer {
    let answer = klpctl_in(tree, &["load", "--all", "--dry-run"]);
    let out = answer.out.replace(tree.path().to_str().unwrap(), "");
    Answer { out, ..answer }
}

/// Returns the same answer in JSON, which is as the schema describes it.
pub fn events(tree: &Scratch) -> String {
    let answer = klpctl_in(tree, &["load", "--all", "--dry-run", "--json"]);
    assert_valid(&answer.out);
    answer.out
}

pub const WOULD: &str = "would run: insmod /var/lib/klpctl/7.3.4";

#[test]
fn in_the_order_of_installation() {
    let tree = machine(&[&["name=b"], &["name=a"]]);
    let answer = load_all(&tree);
    assert_eq!(answer.out, format!("{WOULD}/b.ko\n{WOULD}/a.ko\n"));
    assert_eq!(answer.exit, Exit::Done);

    let answer = load_all(&machine(&[]));
    assert_eq!(answer.out, "no livepatch is installed for 7.3.4\n");
    assert_eq!(answer.exit, Exit::Done);
}

#[test]
fn after_those_that_it_needs() {
    let tree = machine(&[
        &["name=first", "depends=ext4,second", "klp_after=third"],
        &["name=second"],
        &["name=third", "depends=loaded"],
        &["name=one", "klp_after=other"],
        &["name=other", "klp_after=one"],
    ]);
    fs::create_dir_all(tree.path().join("sys/module/loaded")).unwrap();
    let answer = load_all(&tree);
    assert_eq!(
        answer.out,
        format!(
            "{WOULD}/second.ko\n{WOULD}/third.ko\nwould run: modprobe ext4\n{WOULD}/first.ko\n\
             {WOULD}/one.ko\n{WOULD}/other.ko\n"
        )
    );
}

/// modpost writes the name of the file, which may have dashes, and the kernel has none of them.
#[test]
fn after_a_module_whose_file_has_a_dash() {
    let tree = machine(&[
        &["name=first", "depends=second-one,loaded-one"],
        &["name=second_one", "klp_after=third-one"],
        &["name=third_one"],
    ]);
    fs::create_dir_all(tree.path().join("sys/module/loaded_one")).unwrap();
    // The administrator may have copied the file.
    let folder = tree.path().join("var/lib/klpctl/7.3.4");
    fs::rename(folder.join("third_one.ko"), folder.join("third-one.ko")).unwrap();
    let expected = format!("{WOULD}/third-one.ko\n{WOULD}/second_one.ko\n{WOULD}/first.ko\n");
    assert_eq!(load_all(&tree).out, expected);
}

#[test]
fn not_if_the_kernel_was_told_so() {
    let tree = machine(&[&["name=a"]]);
    for (line, off) in [
        ("quiet klpctl.enable=0 ro\n", true),
        ("klpctl.enable=0 klpctl.enable=1\n", false),
        ("noklpctl.enable=0\n", false),
    ] {
        fs::write(tree.path().join("proc/cmdline"), line).unwrap();
        let answer = load_all(&tree);
        assert_eq!(answer.exit, Exit::Done);
        assert_eq!(
            answer.out.contains("switches this off"),
            off,
            "{}",
            answer.out
        );
        assert_eq!(answer.out.contains("insmod"), !off, "{}", answer.out);
        assert_eq!(events(&tree).contains("\"event\":\"off\""), off);
    }
}

#[test]
fn not_after_a_crash() {
    let tree = machine(&[&["name=a"], &["name=b", "klp_after=a"], &["name=c"]]);
    let root = Root::captured(tree.path());
    let store = Store::new(&root);
    store.begin().unwrap();
    store.mark(&"a".into()).unwrap();
    assert_eq!(load_all(&tree).out.matches("insmod").count(), 3);

    set_boot(&tree, "2");
    let answer = load_all(&tree);
    assert_eq!(
        answer.out,
        format!(
            "a is not loaded: it was loaded when the machine crashed; to have it loaded again: \
             klpctl allow a\nb is not loaded: it needs a, which is not applied\n{WOULD}/c.ko\n"
        )
    );
    assert_eq!(answer.exit, Exit::Error);
    let events = events(&tree);
    assert!(events.contains("\"event\":\"failed\""), "{events}");
    assert!(
        answer.err.contains("of 3 installed patches, 2 not applied"),
        "{}",
        answer.err
    );

    let answer = klpctl_in(&tree, &["installed"]);
    assert!(
        answer.out.contains("7.3.4   a      crashed     "),
        "{}",
        answer.out
    );
    let answer = klpctl_in(&tree, &["allow", "a", "--dry-run"]);
    assert_eq!(answer.out, "would allow a of 7.3.4\n");
    store.allow(&"7.3.4".into(), &"a".into()).unwrap();
    assert_eq!(load_all(&tree).out.matches("insmod").count(), 3);
    assert_eq!(
        klpctl_in(&tree, &["allow", "a", "--dry-run"]).exit,
        Exit::Nothing
    );
}

/// modprobe would load a patch that is held back, if `/lib/modules` has it.
#[test]
fn no_patch_that_is_held_back_as_a_dependency() {
    let held_back = |name: &str| format!("7.3.4 {name}\n");
    let file = "var/lib/klpctl/crashed";
    let tree = machine(&[
        &["name=first", "depends=ext4,second-one"],
        &["name=second_one"],
    ]);
    fs::write(tree.path().join(file), held_back("second_one")).unwrap();
    let answer = load_all(&tree);
    let text = "first is not loaded: it needs second_one, which is not applied\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);
    assert!(!answer.out.contains("would"), "{}", answer.out);

    // It is not installed any more.
    let tree = machine(&[&["name=first", "depends=ext4,second-one"]]);
    fs::write(tree.path().join(file), held_back("second_one")).unwrap();
    let text =
        "first is not loaded: it needs second_one, which was loaded when the machine crashed\n";
    assert_eq!(load_all(&tree).out, text);
}

#[test]
fn a_file_that_is_no_livepatch() {
    let tree = machine(&[&["name=a"], &["name=b"]]);
    let folder = tree.path().join("var/lib/klpctl/7.3.4");
    fs::write(folder.join("a.ko"), "text").unwrap();
    for other in [".x.ko", "README", "b.ko.bak", "b.ko~", "b.ko.old.xz", ".ko"] {
        fs::write(folder.join(other), "text").unwrap();
    }
    fs::write(folder.join("c.ko"), module(&["livepatch=Y", "name=d"])).unwrap();
    let answer = load_all(&tree);
    assert_eq!(
        answer.out,
        format!(
            "a is not loaded: /var/lib/klpctl/7.3.4/a.ko is not a kernel module\n{WOULD}/b.ko\n\
             c is not loaded: /var/lib/klpctl/7.3.4/c.ko is the module d\n"
        )
    );
    assert_eq!(answer.exit, Exit::Error);
}

#[test]
fn which_are_installed() {
    let tree = machine(&[&["name=a"], &["name=b"]]);
    fs::create_dir_all(tree.path().join("sys/kernel/livepatch/b")).unwrap();
    let old = tree.path().join("var/lib/klpctl/7.2.1");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("a.ko.xz"), "").unwrap();
    let answer = klpctl_in(&tree, &["installed"]);
    let words: Vec<Vec<&str>> = answer
        .out
        .lines()
        .map(|l| l.split("  ").collect())
        .collect();
    let column = |n: usize| -> Vec<&str> {
        let cells = words.iter().skip(1);
        cells
            .map(|row| *row.iter().filter(|c| !c.is_empty()).nth(n).unwrap())
            .collect()
    };
    assert_eq!(column(0), ["7.2.1", "7.3.4", "7.3.4"]);
    let states: Vec<_> = column(2).iter().map(|state| state.trim()).collect();
    assert_eq!(states, ["other kernel", "not loaded", "loaded"]);
    let answer = klpctl_in(&tree, &["installed", "--json"]);
    assert!(
        answer.out.contains("\"state\": \"other kernel\""),
        "{}",
        answer.out
    );
    let answer = klpctl_in(&machine(&[]), &["installed"]);
    assert_eq!(answer.exit, Exit::Nothing);

    let answer = klpctl_in(&tree, &["uninstall", "a", "--kernel", "7.2.1", "--dry-run"]);
    assert_eq!(answer.out, "would uninstall a of 7.2.1\n");
    for wrong in ["../../lib", "7.2.1/../7.3.4", "/tmp", ".."] {
        let answer = klpctl_in(&tree, &["uninstall", "a", "--kernel", wrong, "--dry-run"]);
        assert_eq!(answer.exit, Exit::Usage, "{wrong}");
    }
    let answer = klpctl_in(&tree, &["uninstall", "c", "--dry-run"]);
    assert_eq!(answer.exit, Exit::Nothing);
    assert!(
        answer.err.contains("c is not installed for 7.3.4"),
        "{}",
        answer.err
    );
}

#[test]
fn install_says_for_which_kernel() {
    let tree = machine(&[]);
    let file = tree.path().join("x.ko");
    fs::write(
        &file,
        module(&["livepatch=Y", "name=x", "vermagic=7.2.1 SMP "]),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let answer = klpctl_in(&tree, &["install", file, "--dry-run"]);
    assert_eq!(
        answer.out,
        "would install x for 7.2.1: /var/lib/klpctl/7.2.1/x.ko\n"
    );
    fs::write(file, module(&["livepatch=Y", "name=x"])).unwrap();
    let answer = klpctl_in(&tree, &["install", file, "--dry-run"]);
    assert!(
        answer.err.contains("it is not known for which kernel"),
        "{}",
        answer.err
    );
    assert_eq!(klpctl_in(&tree, &["install", file]).exit, Exit::Usage);
}

/// Loads the installed patch `a` by the real function, not with --dry-run. insmod fails before the
/// kernel is asked.
pub fn load_a(tree: &Scratch, options: &Options) -> Outcome {
    let file = tree.path().join("var/lib/klpctl/7.3.4/a.ko");
    let content = ModuleFile::read(&file).unwrap();
    let mut out = Vec::new();
    let mut context = tree.context(options, &mut out);
    load(&mut context, &content, "/no/such.ko".into(), Vec::new())
}

pub fn running(tree: &Scratch) -> String {
    fs::read_to_string(tree.path().join("var/lib/klpctl/running")).unwrap()
}

/// A patch that the kernel has refused is not blamed for a crash.
#[test]
fn a_patch_that_is_refused() {
    let tree = machine(&[&["name=a"]]);
    Store::new(&Root::captured(tree.path())).begin().unwrap();
    let options = Options {
        command: Command::Load,
        ..Options::default()
    };
    assert!(load_a(&tree, &options).is_err());
    assert_eq!(running(&tree), "1\n");
}

/// `load --all` loads those that depend on a patch that is held back and was loaded by hand.
#[test]
fn held_back_and_loaded_by_hand() {
    let tree = machine(&[&["name=a", "srcversion=A"], &["name=b", "klp_after=a"]]);
    Store::new(&Root::captured(tree.path()))
        .mark(&"a".into())
        .unwrap();
    set_boot(&tree, "2");
    assert_eq!(load_all(&tree).out.matches("is not loaded: ").count(), 2);
    applied(&tree, "a", "A");
    let answer = load_all(&tree);
    assert!(answer.out.contains("a is loaded already"), "{}", answer.out);
    assert!(
        answer.out.ends_with(&format!("{WOULD}/b.ko\n")),
        "{}",
        answer.out
    );
    assert_eq!(answer.exit, Exit::Done);
}

/// A soft reboot runs the units again, and keeps the kernel with its patches.
#[test]
fn a_patch_that_is_loaded_already() {
    let tree = machine(&[&["name=a", "srcversion=A"]]);
    Store::new(&Root::captured(tree.path())).begin().unwrap();
    let folder = tree.path().join("sys/kernel/livepatch/a");
    let module = tree.path().join("sys/module/a");
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&module).unwrap();
    for (file, flag) in [("enabled", "1\n"), ("transition", "0\n")] {
        fs::write(folder.join(file), flag).unwrap();
    }
    let dry = Options {
        command: Command::Load,
        dry_run: true,
        ..Options::default()
    };
    let options = Options {
        command: Command::Load,
        ..Options::default()
    };
    assert_eq!(load_a(&tree, &dry).unwrap(), Exit::Done);
    assert_eq!(running(&tree), "1\n");

    // Another build is not the one that is installed.
    fs::write(module.join("srcversion"), "B\n").unwrap();
    assert!(load_a(&tree, &options).is_err());
    assert_eq!(running(&tree), "1\n");

    fs::write(module.join("srcversion"), "A\n").unwrap();
    assert_eq!(load_a(&tree, &options).unwrap(), Exit::Done);
    assert_eq!(running(&tree), "1\n7.3.4 a\n");

    // Tasks run its functions before the end of the transition.
    fs::write(tree.path().join("var/lib/klpctl/running"), "1\n").unwrap();
    fs::write(folder.join("transition"), "1\n").unwrap();
    assert_eq!(load_a(&tree, &options).unwrap_err().exit, Exit::Transition);
    assert_eq!(running(&tree), "1\n7.3.4 a\n");

    // The administrator has loaded one that is not installed.
    applied(&tree, "by_hand", "A");
    shut_down(&tree);
    start_up(&tree);
    Store::new(&Root::captured(tree.path())).begin().unwrap();
    assert_eq!(running(&tree), "1\n7.3.4 a\n7.3.4 by_hand\n");
}

/// kpatch and modprobe take the name of a module, too.
#[test]
fn load_by_name() {
    let tree = machine(&[&["name=the_fix"]]);
    let modules = tree.path().join("lib/modules/7.3.4/updates");
    fs::create_dir_all(&modules).unwrap();
    let list = "kernel/ext4.ko: x\nupdates/other-fix.ko:\n";
    fs::write(modules.parent().unwrap().join("modules.dep"), list).unwrap();
    fs::write(modules.join("other-fix.ko"), module(&["livepatch=Y"])).unwrap();
    for (name, file) in [
        ("the-fix", "/var/lib/klpctl/7.3.4/the_fix.ko"),
        ("other_fix", "/lib/modules/7.3.4/updates/other-fix.ko"),
    ] {
        let answer = klpctl_in(&tree, &["load", name, "--dry-run"]);
        assert!(
            answer.out.ends_with(&format!("{file}\n")),
            "{}{}",
            answer.out,
            answer.err
        );
    }
    let answer = klpctl_in(&tree, &["load", "no-such", "--dry-run"]);
    let text =
        "no-such: no patch of that name is installed for 7.3.4, and /lib/modules/7.3.4 has no \
                such module\n";
    assert!(answer.err.ends_with(text), "{}", answer.err);
}
