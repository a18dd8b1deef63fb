// SPDX-License-Identifier: GPL-2.0

//! The systemd units, and the scripts of the packages that start them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process;

use super::boot::{load_all, machine, WOULD};
use super::store::set_boot;
use super::{read_source, Scratch};
use crate::exit::Exit;
use crate::root::Root;
use crate::store::Store;

/// The files of a unit, as `Section.Name` and value.
fn unit(file: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    let text = read_source(file).replace("\\\n", " ");
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((name, value)) = line.split_once('=') {
            settings.push((format!("{section}.{name}"), value.to_owned()));
        }
    }
    settings
}

/// The service fails if a patch cannot be loaded, and systemd then never runs its ExecStop. The
/// patches that were loaded must not be blamed for a crash then: another unit notes the shutdown.
#[test]
fn a_unit_of_its_own_notes_the_shutdown() {
    let has = |file: &str, name: &str, value: &str| {
        let settings = unit(file);
        let mut values = settings.iter().filter(|(n, _)| n == name);
        values.any(|(_, v)| v.split(' ').any(|word| word == value))
    };
    let service = "klpctl.service.in";
    let clean = "klpctl-clean.service";
    assert!(unit(service).iter().all(|(n, _)| n != "Service.ExecStop"));
    assert!(has(service, "Unit.Wants", clean) && has(service, "Unit.After", clean));
    assert!(has(clean, "Service.RemainAfterExit", "yes"));
    assert!(has(clean, "Unit.Conflicts", "shutdown.target"));
    // Without the order, the shutdown may be over before the file is removed.
    assert!(has(clean, "Unit.Before", "shutdown.target"));
    // The services that stop before it may crash the machine as they do.
    assert!(has(clean, "Unit.Before", "sysinit.target"));
}

/// A container shares the kernel with its host, which loads the patches and notes its own shutdown.
#[test]
fn the_units_are_not_for_containers() {
    let conditions = |file: &str| -> Vec<_> {
        let settings = unit(file).into_iter();
        let names = ["Unit.ConditionVirtualization", "Unit.ConditionCapability"];
        let ours = settings.filter(|(name, _)| names.contains(&name.as_str()));
        ours.map(|(_, value)| value).collect()
    };
    // Where one is skipped, the other is, so that each boot that loads patches is watched.
    for file in ["klpctl.service.in", "klpctl-clean.service"] {
        assert_eq!(conditions(file), ["!container", "CAP_SYS_MODULE"], "{file}");
    }
}

/// Stops the unit on a tree, as a shutdown does.
pub fn shut_down(tree: &Scratch) {
    run_clean(tree, "Service.ExecStop");
}

/// Starts the unit on a tree.
pub fn start_up(tree: &Scratch) {
    run_clean(tree, "Service.ExecStart");
}

fn run_clean(tree: &Scratch, which: &str) {
    let settings = unit("klpctl-clean.service");
    let commands = settings.iter().filter(|(n, _)| n == which);
    let commands: Vec<_> = commands.map(|(_, command)| command).collect();
    assert_eq!(commands.len(), 1, "{commands:?}");
    let script = commands[0].strip_prefix("/bin/sh -c '").unwrap();
    let script = script.strip_suffix('\'').unwrap();
    // These have a meaning for systemd.
    assert!(!script.contains(['%', '$', '\'', '"', '\\']), "{script}");
    let root = tree.path().to_str().unwrap();
    let script = script.replace(" /", &format!(" {root}/"));
    let shell = process::Command::new("/bin/sh")
        .args(["-c", &script])
        .output();
    let output = shell.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn a_shutdown_is_noted_although_a_patch_was_not_loaded() {
    let tree = machine(&[&["name=bad"], &["name=good"]]);
    let root = Root::captured(tree.path());
    let store = Store::new(&root);
    fs::write(tree.path().join("var/lib/klpctl/7.3.4/bad.ko"), "text").unwrap();
    assert_eq!(load_all(&tree).exit, Exit::Error);
    store.begin().unwrap();
    store.mark(&"good".into()).unwrap();
    shut_down(&tree);
    assert!(!tree.path().join("var/lib/klpctl/running").exists());
    set_boot(&tree, "2");
    let answer = load_all(&tree);
    assert!(
        answer.out.contains(&format!("{WOULD}/good.ko\n")),
        "{}",
        answer.out
    );
}

/// In a boot without klpctl.service, the file is that of the boot that has crashed. With
/// klpctl.enable=0, a rescue boot is one.
#[test]
fn a_boot_that_loads_nothing_does_not_hide_a_crash() {
    const CRASHED: &str = "0f5d1c0e-6d1c-4c5e-9d0a-1a2b3c4d5e6f";

    let tree = machine(&[&["name=a"]]);
    let root = Root::captured(tree.path());
    let store = Store::new(&root);
    set_boot(&tree, CRASHED);
    store.begin().unwrap();
    store.mark(&"a".into()).unwrap();
    // An ID that is a part of the other must not be enough.
    for rescue in ["1f5d1c0e-6d1c-4c5e-9d0a-1a2b3c4d5e6f", &CRASHED[1..]] {
        set_boot(&tree, rescue);
        shut_down(&tree);
        assert_eq!(store.crashed(&"7.3.4".into()).unwrap(), ["a".into()].into());
    }
    set_boot(&tree, "3");
    let answer = load_all(&tree);
    let text = "a is not loaded: it was loaded when the machine crashed";
    assert!(answer.out.starts_with(text), "{}", answer.out);

    // No patch was ever loaded.
    fs::remove_file(tree.path().join("var/lib/klpctl/running")).unwrap();
    shut_down(&tree);
}

/// Returns a script of a package, from the file that has it.
fn script_of(file: &str, start: &str, end: &str) -> String {
    let text = read_source(file);
    let (_, rest) = text.split_once(start).unwrap();
    rest.split_once(end).unwrap().0.to_owned()
}

/// From the installation on, a patch that crashes the machine is noted. An upgrade may come in a
/// boot that has loaded patches: without the unit, the next reboot would be taken for a crash.
#[test]
fn a_package_has_the_shutdown_noted() {
    let tools = Scratch::new();
    let systemctl = tools.path().join("systemctl");
    fs::write(&systemctl, "#!/bin/sh\necho $* >>${0%/*}/called\nexit 1\n").unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let called = tools.path().join("called");
    let calls = "daemon-reload\nstart klpctl-clean.service\n";
    for (file, start, end) in [
        ("package/build.sh", "/postinst\" <<-'end'\n", "\n\tend\n"),
        ("package/klpctl.spec", "\n%post\n", "\n\n"),
    ] {
        let script = script_of(file, start, end);
        let run = || {
            let mut shell = process::Command::new("/bin/sh");
            let output = shell.args(["-c", &script]).env("PATH", tools.path());
            let output = output.output().unwrap();
            // The package is installed even if systemd reports an error, or is not there.
            assert!(output.status.success(), "{file}: {output:?}");
            let text = fs::read_to_string(&called).unwrap();
            fs::remove_file(&called).unwrap();
            text
        };
        assert_eq!(run(), calls, "{file}");
    }
}

/// The livepatches outlive the removal of the package, as a configuration does, and not the purge.
#[test]
fn a_purge_removes_the_store() {
    let tree = machine(&[&["name=a"]]);
    let store = tree.path().join("var/lib/klpctl");
    let script = script_of("package/build.sh", "/postrm\" <<-'end'\n", "\n\tend\n");
    let root = tree.path().to_str().unwrap();
    let tools = Scratch::new();
    let systemctl = tools.path().join("systemctl");
    fs::write(&systemctl, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    let script = script.replace(" /var", &format!(" {root}/var"));
    for (action, stays) in [("remove", true), ("upgrade", true), ("purge", false)] {
        let mut shell = process::Command::new("/bin/sh");
        let output = shell.args(["-c", &script, "postrm", action]);
        let output = output.env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{action}: {output:?}");
        assert_eq!(store.exists(), stays, "{action}");
    }
}
