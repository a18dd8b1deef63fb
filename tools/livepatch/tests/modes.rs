// SPDX-License-Identifier: GPL-2.0

//! The modes of the files in the store and of the records, which do not depend on the umask.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::boot::{load_all, machine, WOULD};
use super::live::Machine;
use crate::elf::tests::module;
use crate::exit::Exit;

/// A kernel with an applied patch after a moment.
const INSMOD: &str = "\
mkdir /sys/kernel/livepatch/x
cd /sys/kernel/livepatch/x
echo 0 >transition
echo 1 >enabled";

#[test]
fn whatever_the_umask_is() {
    for umask in ["0", "027", "077"] {
        let Some(machine) = Machine::new() else {
            return;
        };
        machine.tool("insmod", INSMOD);
        let magic = format!("vermagic={} SMP ", machine.kernel);
        let file = module(&["livepatch=Y", "name=x", &magic]);
        fs::write(machine.tree.path().join("x.ko"), file).unwrap();
        let out = machine.text(&format!(
            "umask {umask}; klpctl install x.ko; klpctl load x; klpctl metrics -o metrics"
        ));
        assert!(out.ends_with("x: applied\n"), "{out}");
        let kernel = format!("var/lib/klpctl/{}", machine.kernel);
        for folder in ["var/lib/klpctl", &kernel, "run/klpctl"] {
            assert_eq!(machine.mode(folder), Some(0o755), "{umask}: {folder}");
        }
        let of_kernel = ["x.ko", "order"].map(|file| format!("{kernel}/{file}"));
        let files = ["var/lib/klpctl/running", "run/klpctl/x", "metrics"];
        let files = of_kernel.iter().map(String::as_str).chain(files);
        for file in files {
            assert_eq!(machine.mode(file), Some(0o644), "{umask}: {file}");
        }
        assert_eq!(machine.mode("run/klpctl.lock"), Some(0o600));
    }
}

#[test]
fn a_file_that_others_may_change_is_not_loaded() {
    let tree = machine(&[&["name=a"], &["name=b", "depends=ext4"]]);
    let file = tree.path().join("var/lib/klpctl/7.3.4/a.ko");
    fs::set_permissions(&file, Permissions::from_mode(0o646)).unwrap();
    let answer = load_all(&tree);
    let text = format!(
        "a is not loaded: users other than root may write to /var/lib/klpctl/7.3.4/a.ko; to end \
         that: chmod go-w\nwould run: modprobe ext4\n{WOULD}/b.ko\n"
    );
    assert_eq!((answer.out, answer.exit), (text, Exit::Error));

    let folder = tree.path().join("var/lib/klpctl");
    fs::set_permissions(&folder, Permissions::from_mode(0o775)).unwrap();
    let answer = load_all(&tree);
    assert!(!answer.out.contains("would"), "{}", answer.out);
}
