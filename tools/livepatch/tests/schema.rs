// SPDX-License-Identifier: GPL-2.0

//! The JSON is as `klpctl.schema.json` describes it, and the schema leaves nothing out.
//!
//! The checker knows the part of JSON Schema that the file uses. It is stricter than the standard:
//! a member that no part of the schema names is an error.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process;

use super::store::{set_boot, set_release};
use super::{klpctl_in, left_out, read_source, source, Scratch};
use crate::command::Command;
use crate::commands::{self, Context};
use crate::elf::tests::{build, module};
use crate::functions::tests::patch;
use crate::options::Options;
use crate::root::Root;
use crate::store::Store;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Bool(bool),
    Number(f64, bool),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            _ => "",
        }
    }
}

/// Parses one value, and returns the rest of the text.
fn parse(text: &str) -> (Value, &str) {
    let text = text.trim_start();
    let end = |text: &str, close: char| text.trim_start().starts_with(close);
    match text.chars().next().expect("no value") {
        '{' => {
            let (mut members, mut rest) = (Vec::new(), &text[1..]);
            while !end(rest, '}') {
                let (name, more) = parse(rest.trim_start().trim_start_matches(','));
                let more = more.trim_start().strip_prefix(':').expect("no colon");
                let (value, more) = parse(more);
                members.push((name.text().to_owned(), value));
                rest = more;
            }
            (Value::Object(members), &rest.trim_start()[1..])
        }
        '[' => {
            let (mut items, mut rest) = (Vec::new(), &text[1..]);
            while !end(rest, ']') {
                let (value, more) = parse(rest.trim_start().trim_start_matches(','));
                items.push(value);
                rest = more;
            }
            (Value::Array(items), &rest.trim_start()[1..])
        }
        '"' => {
            let mut string = String::new();
            let mut chars = text[1..].char_indices();
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => return (Value::Text(string), &text[at + 2..]),
                    '\\' => string.extend(chars.next().map(|(_, c)| c)),
                    c => string.push(c),
                }
            }
            panic!("a text without an end");
        }
        _ => {
            let end = text.find([',', ']', '}', '\n']).unwrap_or(text.len());
            let (word, rest) = text.split_at(end);
            let value = match word.trim() {
                "null" => Value::Null,
                "true" | "false" => Value::Bool(word.trim() == "true"),
                number => Value::Number(number.parse().expect(number), !number.contains('.')),
            };
            (value, rest)
        }
    }
}

struct Schema(Value);

impl Schema {
    fn read() -> Self {
        Self(parse(&read_source("klpctl.schema.json")).0)
    }

    /// Returns the names of the members that the schema describes, or the first error.
    fn check(&self, schema: &Value, value: &Value) -> Result<BTreeSet<String>, String> {
        let mut known = BTreeSet::new();
        if let Some(name) = schema.get("$ref") {
            let name = name.text().strip_prefix("#/$defs/").expect("a reference");
            let defs = self.0.get("$defs").and_then(|defs| defs.get(name));
            known.extend(self.check(defs.expect(name), value)?);
        }
        if let Some(expected) = schema.get("const").filter(|expected| *expected != value) {
            return Err(format!("{value:?} is not {expected:?}"));
        }
        if let Some(words) = schema
            .get("enum")
            .filter(|words| !words.items().contains(value))
        {
            return Err(format!("{value:?} is none of {words:?}"));
        }
        if let Some(kind) = schema.get("type") {
            let kinds = match kind {
                Value::Array(kinds) => kinds.as_slice(),
                kind => std::slice::from_ref(kind),
            };
            if !kinds.iter().any(|kind| is(kind.text(), value)) {
                return Err(format!("{value:?} is no {kind:?}"));
            }
        }
        for part in schema.get("allOf").map_or(&[][..], Value::items) {
            known.extend(self.check(part, value)?);
        }
        if let Some(any) = schema.get("anyOf") {
            let results = any.items().iter().map(|one| self.strictly(one, value));
            let results: Vec<_> = results.collect();
            match results.iter().find_map(|result| result.as_ref().ok()) {
                Some(names) => known.extend(names.iter().cloned()),
                None => return Err(format!("none fits: {results:#?}")),
            }
        }
        for name in schema.get("required").map_or(&[][..], Value::items) {
            let name = name.text();
            value
                .get(name)
                .ok_or_else(|| format!("{name} is missing"))?;
        }
        if let (Some(Value::Object(properties)), Value::Object(_)) =
            (schema.get("properties"), value)
        {
            for (name, part) in properties {
                known.insert(name.clone());
                if let Some(member) = value.get(name) {
                    let result = self.strictly(part, member);
                    result.map_err(|error| format!("{name}: {error}"))?;
                }
            }
        }
        if let (Some(part), Value::Array(items)) = (schema.get("items"), value) {
            for item in items {
                self.strictly(part, item)?;
            }
        }
        Ok(known)
    }

    fn strictly(&self, schema: &Value, value: &Value) -> Result<BTreeSet<String>, String> {
        let known = self.check(schema, value)?;
        if let Value::Object(members) = value {
            if let Some((name, _)) = members.iter().find(|(name, _)| !known.contains(name)) {
                return Err(format!("{name} is not in the schema"));
            }
        }
        Ok(known)
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match (kind, value) {
        ("integer", Value::Number(_, whole)) => *whole,
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(..))
        | ("string", Value::Text(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        _ => false,
    }
}

/// Checks answers of any command, and returns their number.
pub fn assert_valid(text: &str) -> usize {
    assert_all_valid(&Schema::read(), text)
}

fn assert_all_valid(schema: &Schema, text: &str) -> usize {
    let mut rest = text.trim();
    let mut count = 0;
    while !rest.is_empty() {
        let (document, more) = parse(rest);
        if let Err(error) = schema.strictly(&schema.0, &document) {
            panic!("{error}\n{document:?}");
        }
        rest = more.trim();
        count += 1;
    }
    count
}

/// Python's parser of JSON, and the standard's checker of schemas. The arguments are the schema and
/// a file of documents. The output is the number of documents.
const OTHERS: &str = "
import json, sys
from jsonschema import Draft202012Validator
with open(sys.argv[1]) as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
checker = Draft202012Validator(schema)
with open(sys.argv[2]) as file:
    rest = file.read().lstrip()
count = 0
while rest:
    document, end = json.JSONDecoder().raw_decode(rest)
    checker.validate(document)
    rest = rest[end:].lstrip()
    count += 1
print(count)
";

/// Checks that the parser and the checker of others find the same.
fn others_agree(answers: &str, count: usize) {
    let python = |arguments: &[&str]| process::Command::new("python3").args(arguments).output();
    let there = python(&["-c", "import jsonschema"]);
    if !there.is_ok_and(|output| output.status.success()) {
        return left_out("the checker of schemas of others: there is no python3-jsonschema here");
    }
    let folder = Scratch::new();
    let file = folder.path().join("answers");
    fs::write(&file, answers).unwrap();
    let schema = source().join("klpctl.schema.json");
    let paths = [&schema, &file].map(|path| path.to_str().unwrap());
    let output = python(&["-c", OTHERS, paths[0], paths[1]]).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let checked = String::from_utf8_lossy(&output.stdout);
    assert_eq!(checked.trim(), count.to_string());
}

#[test]
fn every_answer() {
    let schema = Schema::read();
    let mut count = 0;
    let mut answers = String::new();
    for name in [
        "none",
        "unsupported",
        "stacked",
        "replaced",
        "kernel-thread",
        "forced",
        "user-process",
        "unreliable-told",
        "reverting",
        "replacing",
        "old-kernel",
        "free",
        "held",
        "held-and-free",
    ] {
        let tree = Scratch::tree(name);
        set_release(&tree, "7.3.4");
        let file = tree.path().join("x.ko");
        let fields = ["name=x", "vermagic=7.3.4 SMP ", "klp_fixes=A"];
        std::fs::write(&file, patch(&fields, &[("vmlinux", "a", 0)])).unwrap();
        let file = file.to_str().unwrap();
        for arguments in [
            &["status"][..],
            &["list"],
            &["why"],
            &["installed"],
            &["watch", "-c1"],
            &["wait", "--timeout", "0"],
            &["check", file],
            &["load", "--dry-run", file],
            &["load", "--all", "--dry-run"],
            &["install", "--dry-run", file],
            &["unload", "--all", "--dry-run"],
            &["force", "--dry-run"],
            &["nonsense"],
            &["report", "-o", tree.path().join("r.tar").to_str().unwrap()],
        ] {
            let answer = klpctl_in(&tree, &[arguments, &["--json"]].concat());
            count += assert_all_valid(&schema, &answer.out);
            answers += &answer.out;
        }
    }
    assert!(count > 150, "{count}");
    others_agree(&answers, count);
}

#[test]
fn another_build() {
    let tree = Scratch::tree("stacked");
    let folder = tree.path().join("sys/module/test_klp_livepatch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("srcversion"), "A\n").unwrap();
    let file = tree.path().join("x.ko");
    let fields = [
        "livepatch=Y",
        "name=test_klp_livepatch",
        "srcversion=B",
        "vermagic=7.3.4 ",
    ];
    std::fs::write(&file, build(&fields, &[1; 20])).unwrap();
    let arguments = [
        "load",
        "--replace",
        "--dry-run",
        "--json",
        file.to_str().unwrap(),
    ];
    let answer = klpctl_in(&tree, &arguments);
    assert_eq!(assert_valid(&answer.out), 4, "{}", answer.out);
}

/// The commands that change the store, without --dry-run and on a tree of their own.
#[test]
fn the_store_in_json() {
    let tree = Scratch::tree("none");
    set_boot(&tree, "1");
    set_release(&tree, "7.3.4");
    let file = tree.path().join("x.ko");
    let fields = ["livepatch=Y", "name=x", "vermagic=7.3.4 SMP "];
    fs::write(&file, module(&fields)).unwrap();
    let root = Root::live_in(tree.path());
    let run = |options: Options| {
        let options = Options {
            json: true,
            ..options
        };
        let mut out = Vec::new();
        let mut context = Context {
            root: root.clone(),
            ..tree.context(&options, &mut out)
        };
        let _ = commands::run(&mut context);
        let out = String::from_utf8(out).unwrap();
        assert_valid(&out);
        out
    };
    let of = |command: Command, operand: &Path| {
        run(Options {
            command,
            operands: vec![operand.as_os_str().to_owned()],
            ..Options::default()
        })
    };
    let store = Store::new(&root);
    assert!(of(Command::Install, &file).contains("\"event\":\"installed\""));
    store.begin().unwrap();
    store.mark(&"x".into()).unwrap();
    // The patch is not loaded after a crash, so that insmod is not called.
    set_boot(&tree, "2");
    let out = run(Options {
        command: Command::Load,
        all: true,
        ..Options::default()
    });
    assert!(out.contains("\"event\":\"crashed\""), "{out}");
    assert!(out.contains("\"event\":\"failed\""), "{out}");
    assert!(of(Command::Allow, Path::new("x")).contains("\"event\":\"allowed\""));
    assert!(of(Command::Uninstall, Path::new("x")).contains("\"event\":\"uninstalled\""));
}

#[test]
fn the_checker_can_fail() {
    let schema = Schema::read();
    let good = klpctl_in(&Scratch::tree("stacked"), &["status", "--json"]).out;
    for (old, new) in [
        ("\"klpctl/1\"", "\"klpctl/2\""),
        ("\"exit\": 0", "\"exit\": 0.5"),
        ("\"notes\": []", "\"notes\": [1]"),
        ("\"notes\": []", "\"other\": []"),
        ("\"notes\": []", "\"notes\": [], \"more\": 1"),
        ("\"applied\"", "\"abc\""),
    ] {
        assert!(good.contains(old), "{old}");
        let (document, _) = parse(&good.replacen(old, new, 1));
        assert!(schema.strictly(&schema.0, &document).is_err(), "{new}");
    }
}
