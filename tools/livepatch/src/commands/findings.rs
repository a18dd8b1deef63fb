// SPDX-License-Identifier: GPL-2.0

//! The findings of `klpctl check`, in JSON and in text.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Context;
use crate::describe;
use crate::exit::Failure;
use crate::functions::Changed;
use crate::json::Json;
use crate::modfile::ModuleFile;
use crate::name::{self, Name};
use crate::term;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel would refuse the file.
    Refused,
    /// The transition would not end.
    Never,
    /// The transition would wait for tasks that are there now.
    Waits,
    /// A fact that may matter, or that is not known.
    Note,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Never => "never",
            Self::Waits => "waits",
            Self::Note => "note",
        }
    }
}

#[derive(Debug)]
pub struct Finding {
    pub kind: Kind,
    /// The subject, a word for programs.
    pub about: &'static str,
    pub text: String,
}

impl Finding {
    /// Whether the file should not be loaded.
    pub fn is_against(&self) -> bool {
        matches!(self.kind, Kind::Refused | Kind::Never)
    }
}

/// Returns the members of the answer about one file.
pub fn members(
    path: &Path,
    file: &ModuleFile,
    changed: &[Changed],
    findings: &[Finding],
) -> Vec<(&'static str, Json)> {
    let functions = changed.iter().map(|changed| {
        Json::Object(vec![
            ("name", (&changed.function).into()),
            ("object", (&changed.object).into()),
            (
                "sympos",
                Json::Number(changed.sympos.try_into().unwrap_or(i64::MAX)),
            ),
        ])
    });
    let findings = findings.iter().map(|finding| {
        Json::Object(vec![
            ("kind", finding.kind.word().into()),
            ("about", finding.about.into()),
            ("text", finding.text.as_str().into()),
        ])
    });
    let signer = file.signature.as_ref().and_then(|s| s.signer.as_ref());
    let field = |name| file.info.first(name).map(Name::from);
    vec![
        ("file", name::escape(path.as_os_str().as_bytes()).into()),
        ("name", (&file.name).into()),
        ("version", field("version").as_ref().into()),
        ("srcversion", file.build.srcversion.clone().into()),
        ("build_id", file.build.id.clone().into()),
        ("description", field("description").as_ref().into()),
        ("fixes", file.info.words("klp_fixes").iter().collect()),
        ("kernel", file.release().as_ref().into()),
        ("signed", file.signature.is_some().into()),
        ("signer", signer.into()),
        ("functions", functions.collect()),
        ("findings", findings.collect()),
    ]
}

/// Prints the answer about one file.
pub fn print(
    context: &mut Context<'_>,
    path: &Path,
    file: &ModuleFile,
    changed: &[Changed],
    findings: &[Finding],
) -> Result<(), Failure> {
    let term = context.term;
    let out = &mut context.out;
    let shown = name::escape(path.as_os_str().as_bytes());
    let bad = findings.iter().filter(|f| f.is_against());
    let word = match bad.count() {
        0 => "nothing stands against it".to_owned(),
        bad => term.alarm(&format!("{} against it", term::count(bad, "reason"))),
    };
    writeln!(out, "{shown}: {word}")?;
    let signer = file.signature.as_ref().map(|s| match &s.signer {
        Some(signer) => signer.to_string(),
        None => "unknown".to_owned(),
    });
    let fixes: Vec<_> = file
        .info
        .words("klp_fixes")
        .iter()
        .map(Name::to_string)
        .collect();
    let functions: Vec<_> = changed
        .iter()
        .map(|c| format!("{} of {}", describe::function_name(&c.function), c.object))
        .collect();
    let field = |name| file.info.first(name).map(name::escape);
    for (what, value) in [
        ("patch", Some(file.name.to_string())),
        ("version", field("version")),
        ("kernel", file.release().map(|r| r.to_string())),
        ("signer", signer),
        ("description", field("description")),
        ("fixes", Some(fixes.join(", "))),
        ("changes", Some(functions.join(", "))),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            writeln!(out, "  {what}: {value}")?;
        }
    }
    for finding in findings {
        writeln!(out, "{}: {}", finding.kind.word(), finding.text)?;
    }
    Ok(())
}
