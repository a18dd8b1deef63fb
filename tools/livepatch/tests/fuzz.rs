// SPDX-License-Identifier: GPL-2.0

//! The parsers, for cargo-fuzz: each function takes any bytes, and must return. The targets in
//! `fuzz/` call them, and so do the tests here, with the bytes from which the fuzzer begins.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::elf::Elf;
use crate::exit::Exit;
use crate::modinfo::ModInfo;
use crate::term::Term;
use crate::{args, cmdline, demangle, functions, kmsg, name, proc, signature, trace, unit};

/// The file of a module.
pub fn module(bytes: &[u8]) {
    signature::of(bytes);
    let Some(elf) = Elf::parse(bytes.to_vec()) else {
        return;
    };
    functions::of(&elf);
    elf.build_id();
    let Some(section) = elf.find(".modinfo") else {
        return;
    };
    let info = ModInfo::new(section);
    info.is_livepatch();
    info.words("klp_fixes");
    info.first("vermagic");
}

/// The output of modinfo(8), symbols of Rust, and all that is shown of a name.
pub fn text(bytes: &[u8]) {
    ModInfo::from_tool(bytes).words("klp_target");
    demangle::demangle(bytes);
    demangle::last_part(bytes);
    let escaped = name::escape(bytes);
    assert!(!escaped.contains(char::is_control));
    let shell = name::shell(bytes);
    assert!(!shell.contains(char::is_control) && !shell.is_empty());
}

/// The files of a task, and the kernel's messages about it.
pub fn task(bytes: &[u8]) {
    proc::parse_stat(bytes);
    proc::parse_stack(bytes);
    proc::parse_wchan(bytes.to_vec());
    proc::patch_state(bytes);
    unit::Unit::parse(bytes);
    cmdline::words(bytes);
    trace::parse(bytes);
    for record in bytes.split(|&b| b == b'\n') {
        kmsg::message(record);
    }
}

/// The arguments, with zeros between them.
pub fn arguments(bytes: &[u8]) {
    let words = bytes.split(|&b| b == 0);
    let words: Vec<_> = words.map(|w| OsString::from_vec(w.to_vec())).collect();
    args::asks_for("--json", &words);
    let _ = args::parse(words);
}

/// The files of a tree, with 0xff between them.
const FILES: [&str; 14] = [
    "sys/kernel/livepatch/p/enabled",
    "sys/kernel/livepatch/p/transition",
    "sys/kernel/livepatch/p/stack_order",
    "sys/kernel/livepatch/p/replace",
    "dev/kmsg",
    "proc/7/task/7/patch_state",
    "proc/7/task/7/stat",
    "proc/7/task/7/stack",
    "proc/7/task/7/cgroup",
    "proc/7/task/7/wchan",
    "proc/modules",
    "proc/uptime",
    "sys/kernel/tracing/klp_task_blocked",
    "run/klpctl/p",
];

/// A whole tree, and each command that looks at one.
pub fn tree(bytes: &[u8]) {
    let folder = scratch();
    write_tree(&folder, bytes).expect("the tree cannot be written");
    let root = folder.into_os_string();
    for command in [&["status"][..], &["why"], &["list", "--json"], &["metrics"]] {
        let words = command.iter().map(OsString::from);
        let words = words.chain(["--root".into(), root.clone()]);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = crate::run(words, Term::NONE, &mut out, &mut err);
        assert_ne!(exit, Exit::Usage, "{command:?}");
        let text = String::from_utf8(out).expect("the answer is not UTF-8");
        let controls = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(controls), "{text}");
    }
}

/// Writes the files of a tree, and removes those of earlier bytes. The directories stay.
fn write_tree(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder.join("sys/kernel/livepatch/p/vmlinux/f,1"))?;
    let mut contents = bytes.split(|&b| b == 0xff);
    for file in FILES {
        let path = folder.join(file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match contents.next() {
            Some(content) => fs::write(path, content)?,
            None if path.exists() => fs::remove_file(path)?,
            None => {}
        }
    }
    Ok(())
}

/// The directory of this process for trees.
fn scratch() -> PathBuf {
    let name = format!("klpctl-fuzz-{}", std::process::id());
    std::env::temp_dir().join(name)
}

#[cfg(test)]
mod corpus {
    use super::*;
    use crate::elf::tests::{build, module as plain};
    use crate::functions::tests::patch;
    use crate::signature::tests::signed;
    use crate::tests::source;

    fn modules() -> Vec<Vec<u8>> {
        let fields = ["livepatch=Y", "name=x", "klp_fixes=CVE-2026-1, CVE-2026-2"];
        vec![
            plain(&fields),
            build(&fields, &[7; 20]),
            patch(&fields, &[("vmlinux", "a", 0), ("ext4", "b", 2)]),
            signed(&patch(&[], &[("vmlinux", "a.isra.0", 1)]), "a key"),
        ]
    }

    /// The contents of the files in `trees/`, by their paths.
    fn contents() -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        let mut trees: Vec<_> = fs::read_dir(source().join("tests/trees"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        trees.sort();
        for tree in trees {
            for line in fs::read_to_string(tree).unwrap().lines() {
                match (line.strip_prefix('\t'), files.last_mut()) {
                    (Some(content), Some((_, bytes))) => {
                        bytes.extend(crate::tests::unescape(content));
                        bytes.push(b'\n');
                    }
                    _ => files.push((line.to_owned(), Vec::new())),
                }
            }
        }
        files
    }

    fn some(contents: &[(String, Vec<u8>)], endings: &[&str]) -> Vec<Vec<u8>> {
        let wanted = |path: &str| endings.iter().any(|ending| path.ends_with(ending));
        let files = contents.iter().filter(|(path, _)| wanted(path));
        let mut files: Vec<_> = files.map(|(_, content)| content.clone()).collect();
        files.sort();
        files.dedup();
        files.truncate(200);
        files
    }

    fn whole_trees() -> Vec<Vec<u8>> {
        let record = "5,1,9,-;livepatch: 'p': starting patching transition\n";
        let stack = "[<0>] f+0x1/0x2\n[<0>] g+0x1/0x2 [m]\n";
        let event = "klp_task_blocked: pid=7 target=patched reason=function func=f err=0 comm=x\n";
        let files = |enabled, transition, state| {
            [
                enabled,
                transition,
                "1\n",
                "0\n",
                record,
                state,
                "7 (x) S 1 7 7 0 -1 0 0\n",
                stack,
                "0::/system.slice/x.service\n",
                "f\n",
                "p 12288 1 - Live 0x0 (K)\n",
                "100.00 1.00\n",
                event,
                "srcversion 01AB\nfixes CVE-2026-1\n",
            ]
        };
        let trees = [files("1\n", "1\n", "0\n"), files("0\n", "1\n", "1\n")];
        let trees = trees.into_iter().chain([files("1\n", "0\n", "-1\n")]);
        let bytes = |tree: [&str; 14]| tree.map(str::as_bytes).join(&0xff);
        trees.map(bytes).collect()
    }

    fn command_lines() -> Vec<Vec<u8>> {
        [
            "status\0--json",
            "why\0p\0--timeout\x0010",
            "wait\0--timeout=1m\0p",
            "load\0x.ko\0a=b\0--timeout\x001h",
            "help\0why",
            "--version",
        ]
        .map(|line| line.as_bytes().to_vec())
        .to_vec()
    }

    #[test]
    fn a_tree_has_nothing_of_earlier_bytes() {
        let folder = scratch().with_extension("earlier");
        let there = || FILES.map(|file| fs::read(folder.join(file)).ok());
        write_tree(&folder, &[0xff; 20]).unwrap();
        assert_eq!(there(), FILES.map(|_| Some(Vec::new())));
        write_tree(&folder, b"1\n\xff0\n").unwrap();
        let after = there();
        assert_eq!(after[..2], [Some(b"1\n".to_vec()), Some(b"0\n".to_vec())]);
        assert!(after[2..].iter().all(Option::is_none));
        fs::remove_dir_all(folder).unwrap();
    }

    /// With KLPCTL_CORPUS, the bytes become files there, a directory for each target.
    #[test]
    fn the_fuzzer_begins_with_bytes_that_pass() {
        let contents = contents();
        let mut texts = some(&contents, &["/modules", "description", "version"]);
        texts.push(b"_RNvNtCs1234_7mycrate3foo3bar".to_vec());
        texts.push(b"_RINvNtC3std3mem8align_ofjdE.cold".to_vec());
        texts.push(b"filename:  /a.ko\0livepatch:  Y\0klp_target:  a,b\0".to_vec());
        let tasks = ["/stat", "/stack", "/cgroup", "/cmdline", "/kmsg", "blocked"];
        let targets = [
            ("module", module as fn(&[u8]), modules()),
            ("text", text, texts),
            ("task", task, some(&contents, &tasks)),
            ("arguments", arguments, command_lines()),
            ("tree", tree, whole_trees()),
        ];
        let corpus = std::env::var_os("KLPCTL_CORPUS").map(PathBuf::from);
        for (name, target, files) in targets {
            assert!(files.len() >= 3, "{name}");
            for (i, bytes) in files.iter().enumerate() {
                target(bytes);
                if let Some(corpus) = &corpus {
                    fs::create_dir_all(corpus.join(name)).unwrap();
                    fs::write(corpus.join(name).join(i.to_string()), bytes).unwrap();
                }
            }
        }
        fs::remove_dir_all(scratch()).unwrap();
    }
}
