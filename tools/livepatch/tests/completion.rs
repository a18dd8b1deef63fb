// SPDX-License-Identifier: GPL-2.0

//! The completions, as bash, zsh and fish run them.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{is_installed, left_out, source, Scratch};
use crate::command::{Command as Name, COMMANDS};
use crate::options::OPTIONS;

fn script(file: &str) -> PathBuf {
    fs::canonicalize(source().join("completion").join(file)).unwrap()
}

/// Returns the words that bash offers for the last of these, one on each line.
fn completed(folder: &Scratch, words: &[&str]) -> String {
    // compopt is for a completion that bash itself has begun.
    const SCRIPT: &str = "\
        set -u; compopt() { :; }; awk() { command awk \"${@/#\\/proc/\\/none}\"; }; \
        . \"$1\"; shift; \
        COMP_WORDS=(klpctl \"$@\"); COMP_CWORD=$#; COMPREPLY=(); _klpctl; \
        [ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.current_dir(folder.path())
        .args(["--norc", "-c", SCRIPT, "bash"])
        .arg(script("klpctl.bash"))
        .args(words);
    let output = bash.output().expect("the test needs bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes() {
    let folder = Scratch::new();
    for file in ["with space.ko", "with.txt", "other.ko.xz"] {
        fs::write(folder.path().join(file), "").unwrap();
    }
    fs::create_dir(folder.path().join("with a folder")).unwrap();
    assert_eq!(
        completed(&folder, &["load", "w"]),
        "with a folder\nwith space.ko\n"
    );
    assert_eq!(completed(&folder, &["check", "o"]), "other.ko.xz\n");
    assert_eq!(completed(&folder, &["unin"]), "uninstall\n");
    assert_eq!(completed(&folder, &["--root", "load", "wat"]), "watch\n");
    assert!(completed(&folder, &["why", "--l"]).contains("--limit"));
    // The names are those of this machine, but there is no error, even without /proc/modules.
    for command in COMMANDS {
        completed(&folder, &[command.name, ""]);
    }
}

/// Returns the output of a shell, which must not print an error.
fn output(shell: &mut Command) -> String {
    let output = shell.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell:?}");
    assert!(output.status.success(), "{shell:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the lines that zsh's completion passes to the functions of zsh that offer words.
fn zsh(words: &[&str]) -> String {
    const SCRIPT: &str = "\
        _describe() { local name=$@[-1]; print -rl -- ${(P)name} }; \
        _arguments() { print -rl -- \"$@\" }; _files() { }; \
        file=$1; shift; words=(klpctl \"$@\"); CURRENT=$#words; . $file";
    let mut zsh = Command::new("zsh");
    zsh.args(["-f", "-c", SCRIPT, "zsh"]).arg(script("_klpctl"));
    output(zsh.args(words))
}

/// Returns the words that fish offers, each with its description.
fn fish(folder: &Scratch, line: &str) -> String {
    // The completion asks klpctl for the patches that are installed.
    const SCRIPT: &str = "function klpctl; end; source $argv[1]; complete -C $argv[2]";
    let mut fish = Command::new("fish");
    fish.env("HOME", folder.path())
        .args(["--no-config", "-c", SCRIPT]);
    output(fish.arg(script("klpctl.fish")).arg(line))
}

/// Checks that a shell offers the options that each command takes, and no others.
fn assert_options(shell: &str, offered: impl Fn(&str) -> String) {
    for spec in COMMANDS.iter().filter(|spec| spec.command != Name::Help) {
        let takes = OPTIONS
            .iter()
            .filter(|option| option.commands.contains(&spec.command));
        let takes = takes.map(|option| format!("--{}", option.long));
        let always = ["--help".to_owned(), "--version".to_owned()];
        let text = offered(spec.name);
        // In zsh the option may be behind those that exclude it, as in `(-a --all)--all[text]`.
        let options = text.lines().filter_map(|line| {
            let line = line
                .rsplit_once(')')
                .filter(|_| line.starts_with('('))
                .map_or(line, |(_, rest)| rest);
            line.starts_with("--").then(|| {
                line.split(['[', '\t'])
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
        });
        assert_eq!(
            options.collect::<BTreeSet<_>>(),
            takes.chain(always).collect::<BTreeSet<_>>(),
            "{shell}: {}: {text}",
            spec.name
        );
    }
}

#[test]
fn bash_offers_the_options_of_each_command() {
    let folder = Scratch::new();
    assert_options("bash", |command| completed(&folder, &[command, "--"]));
}

#[test]
fn zsh_completes() {
    if !is_installed("zsh") {
        return left_out("completion of zsh: there is no zsh here");
    }
    assert_eq!(
        output(Command::new("zsh").arg("-n").arg(script("_klpctl"))),
        ""
    );
    let commands = zsh(&[""]);
    for spec in COMMANDS {
        assert!(
            commands.contains(&format!("{}:", spec.name)),
            "{}: {commands}",
            spec.name
        );
    }
    assert_options("zsh", |command| zsh(&[command, "--"]));
}

#[test]
fn fish_completes() {
    if !is_installed("fish") {
        return left_out("completion of fish: there is no fish here");
    }
    assert_eq!(
        output(Command::new("fish").arg("-n").arg(script("klpctl.fish"))),
        ""
    );
    let folder = Scratch::new();
    let commands = fish(&folder, "klpctl ");
    for spec in COMMANDS {
        assert!(
            commands.lines().any(|line| line == spec.name),
            "{}: {commands}",
            spec.name
        );
    }
    assert_options("fish", |command| {
        fish(&folder, &format!("klpctl {command} --"))
    });
}
