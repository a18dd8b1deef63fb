// SPDX-License-Identifier: GPL-2.0

//! The manual pages, the completion and the help texts have every command and option.

use std::collections::BTreeSet;

use super::{klpctl, klpctl_in, read_source, Scratch};
use crate::command::COMMANDS;
use crate::exit::Exit;
use crate::json::SCHEMA;
use crate::options::OPTIONS;

/// Returns the text of a manual page, with dashes for those of roff.
fn manual_page(name: &str) -> String {
    read_source(&format!("man/{name}.8")).replace("\\-", "-")
}

/// Returns the options that the section OPTIONS of a page refers to, and those that it describes.
fn options_of(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let section = page
        .split("\n.SH ")
        .find_map(|section| section.strip_prefix("OPTIONS\n"));
    let mut parts = section.unwrap_or_default().split(".TP\n");
    let names = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| c != '-' && !c.is_ascii_lowercase());
        let long = words.filter_map(|word| word.strip_prefix("--"));
        long.map(str::to_owned).collect()
    };
    let referred = names(parts.next().unwrap_or_default());
    let described = parts.flat_map(|part| names(part.lines().next().unwrap_or_default()));
    (referred.into_iter().collect(), described.collect())
}

#[test]
fn the_first_manual_page_lists_every_command() {
    let page = manual_page("klpctl");
    for spec in COMMANDS {
        let (first, rest) = spec.about.split_at(1);
        let entry = format!(
            ".BR klpctl-{} (8)\n{}{rest}.\n",
            spec.name,
            first.to_uppercase()
        );
        assert!(page.contains(&entry), "{entry}");
    }
}

#[test]
fn the_manual_page_of_a_command_has_its_options_and_no_others() {
    let (_, common) = options_of(&manual_page("klpctl"));
    for spec in COMMANDS {
        let page = manual_page(&format!("klpctl-{}", spec.name));
        let title = format!("\n.TH KLPCTL-{} 8 ", spec.name.to_uppercase());
        assert!(page.contains(&title), "{title}");
        let (referred, described) = options_of(&page);
        assert!(referred.is_subset(&common), "{}: {referred:?}", spec.name);
        assert!(
            described.is_disjoint(&common),
            "{}: {described:?}",
            spec.name
        );
        let options = OPTIONS
            .iter()
            .filter(|option| option.commands.contains(&spec.command));
        let options: BTreeSet<String> = options.map(|option| option.long.to_owned()).collect();
        assert_eq!(&referred | &described, options, "{}", spec.name);
    }
}

#[test]
fn the_completions_know_every_command_and_option() {
    for (file, prefix) in [
        ("klpctl.bash", "--"),
        ("_klpctl", "--"),
        ("klpctl.fish", "-l "),
    ] {
        let script = read_source(&format!("completion/{file}"));
        for spec in COMMANDS {
            let mut words = script.split(|c: char| !c.is_ascii_alphabetic());
            assert!(words.any(|word| word == spec.name), "{file}: {}", spec.name);
        }
        for option in OPTIONS {
            let name = format!("{prefix}{}", option.long);
            assert!(script.contains(&name), "{file}: {name}");
        }
    }
}

#[test]
fn help_is_there_for_everything() {
    let answer = klpctl(&["--help"]);
    assert_eq!(answer.exit, Exit::Done);
    for spec in COMMANDS {
        assert!(answer.out.contains(&format!("  {} ", spec.name)));
        let help = klpctl(&["help", spec.name]);
        assert_eq!(help.exit, Exit::Done);
        assert!(help.out.contains(spec.about));
        assert!(help.out.lines().all(|line| line == line.trim_end()));
        assert_eq!(help.out, klpctl(&[spec.name, "--help"]).out);
    }
    // The words of an answer are explained where it is read.
    for (command, words) in [
        ("status", &["forced", "stuck", "held"][..]),
        ("why", &["unreliable", "says the kernel", "marked by >"]),
        ("check", &["refused", "never", "waits", "note"]),
        ("installed", &["replaced", "crashed", "other kernel"]),
        ("unload", &["goes on (exit status 3, or 4", "status is 1"]),
    ] {
        let help = klpctl(&["help", command]).out;
        for word in words {
            assert!(help.contains(word), "{command}: {word}: {help}");
        }
    }
    assert!(answer.out.lines().all(|line| line.chars().count() <= 100));
    assert!(klpctl(&["--version"]).out.contains(SCHEMA));
}

#[test]
fn json_is_json() {
    for tree in [
        "none",
        "stacked",
        "kernel-thread",
        "reverting",
        "free",
        "held",
    ] {
        let tree = Scratch::tree(tree);
        for command in ["status", "list", "why"] {
            let answer = klpctl_in(&tree, &[command, "--json"]);
            assert_json(&answer.out);
            let answer = klpctl_in(&tree, &["watch", "--count", "2", "-i0", "--json"]);
            assert_eq!(answer.out.lines().count(), 2);
            answer.out.lines().for_each(assert_json);
        }
    }
}

fn assert_json(text: &str) {
    let rest = value(text.trim_start());
    assert_eq!(rest.map(str::trim), Some(""), "{text}");
}

/// Returns the rest of the text after a JSON value.
fn value(text: &str) -> Option<&str> {
    let text = text.trim_start();
    match text.chars().next()? {
        '{' => items(&text[1..], '}', |text| {
            value(string(text)?.trim_start().strip_prefix(':')?)
        }),
        '[' => items(&text[1..], ']', value),
        '"' => string(text),
        _ => {
            let end = text.find([',', ']', '}', '\n']).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            let number = word.parse::<f64>().is_ok();
            (number || ["true", "false", "null"].contains(&word)).then_some(rest)
        }
    }
}

fn items(text: &str, close: char, item: impl Fn(&str) -> Option<&str>) -> Option<&str> {
    let mut text = text.trim_start();
    if let Some(rest) = text.strip_prefix(close) {
        return Some(rest);
    }
    loop {
        text = item(text)?.trim_start();
        if let Some(rest) = text.strip_prefix(close) {
            return Some(rest);
        }
        text = text.strip_prefix(',')?.trim_start();
    }
}

fn string(text: &str) -> Option<&str> {
    let mut rest = text.strip_prefix('"')?;
    loop {
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some(rest),
            '\\' if rest.starts_with('u') => rest = rest.get(5..)?,
            '\\' if rest.starts_with(['"', '\\']) => rest = &rest[1..],
            '\\' => return None,
            c if c.is_control() => return None,
            _ => {}
        }
    }
}

#[test]
fn the_validator_can_fail() {
    for wrong in ["", "{", "{\"a\"}", "[1,]", "\"\n\"", "\"\\x\"", "tru"] {
        assert!(value(wrong).is_none(), "{wrong}");
    }
    assert_eq!(value("{\"a\": [1.5, null, \"\\u001b\"]}"), Some(""));
}
