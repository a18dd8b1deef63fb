// SPDX-License-Identifier: GPL-2.0

//! A writer of JSON.

use std::fmt;

use crate::name::Name;

/// The version of the output of `--json`. It is raised when a member goes or changes its meaning.
pub const SCHEMA: &str = "klpctl/1";

#[derive(Clone, Debug)]
pub enum Json {
    Null,
    Bool(bool),
    Number(i64),
    /// Seconds, printed to the millisecond.
    Seconds(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// Makes a whole document from the command's name and the members.
    pub fn document(command: impl Into<Self>, members: Vec<(&'static str, Json)>) -> Self {
        let mut all = vec![("schema", SCHEMA.into()), ("command", command.into())];
        all.extend(members);
        Self::Object(all)
    }

    /// Formats the document on several lines, for a person.
    pub fn pretty(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text, Some(0));
        text
    }

    /// Writes the value on one line if `indent` is `None`, else indented by so many levels.
    fn write(&self, out: &mut dyn fmt::Write, indent: Option<usize>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::Seconds(value) => write!(out, "{value:.3}"),
            Self::Text(text) => write_text(out, text),
            Self::Array(items) => write_items(out, indent, "[]", items.len(), |out, i, indent| {
                items[i].write(out, indent)
            }),
            Self::Object(members) => {
                write_items(out, indent, "{}", members.len(), |out, i, indent| {
                    let (name, value) = &members[i];
                    write_text(out, name)?;
                    out.write_str(if indent.is_some() { ": " } else { ":" })?;
                    value.write(out, indent)
                })
            }
        }
    }
}

fn write_items(
    out: &mut dyn fmt::Write,
    indent: Option<usize>,
    brackets: &str,
    count: usize,
    item: impl Fn(&mut dyn fmt::Write, usize, Option<usize>) -> fmt::Result,
) -> fmt::Result {
    let (open, close) = brackets.split_at(1);
    let inner = indent.map(|depth| depth + 1);
    let new_line = |out: &mut dyn fmt::Write, depth: Option<usize>| match depth {
        Some(depth) => write!(out, "\n{:1$}", "", depth * 2),
        None => Ok(()),
    };

    out.write_str(open)?;
    for i in 0..count {
        if i > 0 {
            out.write_str(",")?;
        }
        new_line(out, inner)?;
        item(out, i, inner)?;
    }
    if count > 0 {
        new_line(out, indent)?;
    }
    out.write_str(close)
}

fn write_text(out: &mut dyn fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => write!(out, "\\u{:04x}", u32::from(c))?,
            _ => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// Writes the value on one line.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, None)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<usize> for Json {
    fn from(value: usize) -> Self {
        Self::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Escapes a name as text output does, since JSON cannot hold bytes that are not UTF-8.
impl From<&Name> for Json {
    fn from(name: &Name) -> Self {
        Self::Text(name.to_string())
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Json>> FromIterator<T> for Json {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let json = Json::from("a\"b\\c\n\u{7f}é");
        assert_eq!(json.to_string(), "\"a\\\"b\\\\c\\u000a\\u007fé\"");
    }

    #[test]
    fn one_line_or_several() {
        let json = Json::Object(vec![
            ("a", Json::Array(vec![true.into(), Json::Null])),
            ("b", Json::Array(Vec::new())),
            ("c", Json::Seconds(0.25)),
        ]);
        assert_eq!(json.to_string(), "{\"a\":[true,null],\"b\":[],\"c\":0.250}");
        let pretty = "{\n  \"a\": [\n    true,\n    null\n  ],\n  \"b\": [],\n  \"c\": 0.250\n}";
        assert_eq!(json.pretty(), pretty);
    }
}
