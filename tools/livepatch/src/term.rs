// SPDX-License-Identifier: GPL-2.0

//! The look of answers: colours for terminals that want them, tables, times.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use crate::edge;
use crate::system::{Age, State};

/// The properties of the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    /// Standard output is a terminal.
    pub terminal: bool,
    /// Standard output is a terminal that can move its cursor.
    pub live: bool,
    pub colour: bool,
    pub width: usize,
    pub height: usize,
    /// Whether the size may change.
    pub resizes: bool,
}

impl Term {
    /// The properties of a pipe, a file or a test.
    pub const NONE: Self = Self {
        terminal: false,
        live: false,
        colour: false,
        width: 80,
        height: 24,
        resizes: false,
    };

    pub fn detect() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let mut term = Self::of(terminal, |name| std::env::var_os(name));
        term.resizes = true;
        term.resize();
        term
    }

    /// The properties of standard output. `variable` returns the value of one of the environment.
    fn of(terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let dumb = variable("TERM").is_none_or(|v| v.is_empty() || v == "dumb");
        // https://no-color.org: the variable is set and not empty.
        let unwanted = variable("NO_COLOR").is_some_and(|v| !v.is_empty()) || dumb;

        Self {
            terminal,
            live: terminal && !dumb,
            colour: terminal && !unwanted,
            ..Self::NONE
        }
    }

    /// Looks at the size of the terminal again.
    pub fn resize(&mut self) {
        if !self.resizes {
            return;
        }
        let number = |name| {
            let value = std::env::var_os(name)?;
            value
                .to_str()?
                .parse()
                .ok()
                .filter(|&number: &usize| number > 0)
        };
        let size = edge::terminal_size(std::io::stdout().as_fd());
        let (width, height) = size.unwrap_or((Self::NONE.width, Self::NONE.height));
        self.width = number("COLUMNS").unwrap_or(width);
        self.height = number("LINES").unwrap_or(height);
    }

    /// Returns a text that takes the place of the screen's content. It does not clear the screen
    /// first, so that the screen does not flicker. Lines that do not fit are cut.
    pub fn screen(&self, text: &str) -> String {
        let mut screen = "\x1b[H".to_owned();
        for line in text.lines().take(self.height.saturating_sub(1)) {
            screen.push_str(&self.fit(line));
            screen.push_str("\x1b[K\r\n");
        }
        screen.push_str("\x1b[J");
        screen
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.colour {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    pub fn strong(&self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn faint(&self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn alarm(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// Returns `text` in the colour of a state.
    pub fn state(&self, state: Option<State>, text: &str) -> String {
        match state {
            Some(State::Applied) => self.paint("32", text),
            Some(State::Applying | State::Reverting) => self.paint("33", text),
            Some(State::Stuck | State::Forced | State::Unknown) => self.paint("31", text),
            Some(State::Disabled) | None => self.paint("2", text),
        }
    }

    /// Returns the part of a line that fits. Colours take no room, and end with the line.
    pub fn fit(&self, line: &str) -> String {
        let mut room = self.width.saturating_sub(1);
        let mut text = String::new();
        let mut colour = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            if c == '\x1b' {
                colour = true;
                text.push(c);
                text.extend(chars.by_ref().take_while(|&c| c != 'm'));
                text.push('m');
            } else if room > 0 {
                room -= 1;
                text.push(c);
            } else {
                if colour {
                    text.push_str("\x1b[0m");
                }
                break;
            }
        }
        text
    }
}

/// Formats lines of cells, in columns as wide as their widest cell. `paint` colours a padded cell
/// by its row, from 0 below the heading, and its column.
pub fn table(
    heading: &[&str],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([heading[column].len()])
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let line = |cell: &dyn Fn(usize) -> (String, usize)| {
        let mut line = String::new();
        for (column, width) in widths.iter().enumerate() {
            let (text, length) = cell(column);
            line.push_str(&text);
            if column + 1 < widths.len() {
                line.extend(std::iter::repeat_n(' ', width - length + 2));
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    };

    let mut text = line(&|column| (heading[column].to_owned(), heading[column].len()));
    for (i, row) in rows.iter().enumerate() {
        text.push_str(&line(&|column| {
            let cell = &row[column];
            (paint(i, column, cell), cell.chars().count())
        }));
    }
    text
}

/// `3 functions`
pub fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// `12 s`, `3 min 20 s`, `5 h 2 min`
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

pub fn age(age: &Age) -> String {
    match age.at_least {
        true => format!("at least {}", duration(age.elapsed)),
        false => duration(age.elapsed),
    }
}

/// Returns the time that is `age` before `now`, in UTC: `2026-11-23T10:00:00Z`.
pub fn timestamp(now: SystemTime, age: Duration) -> Option<String> {
    let time = now.checked_sub(age)?;
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let (year, month, day) = date(seconds / 86400);
    let second = seconds % 86400;

    Some(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    ))
}

/// Returns the date so many days after 1970-01-01. The calculation counts years from March, so that
/// the leap day is the last day of a year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };

    (era * 400 + year + carry, month, day)
}

/// Returns a bar of this width for the share of a whole.
pub fn bar(done: usize, total: usize, width: usize) -> String {
    let full = (done * width).checked_div(total).unwrap_or(0);
    "#".repeat(full) + &".".repeat(width - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals() {
        let of = |terminal, pairs: &[(&str, &str)]| {
            let term = Term::of(terminal, |name| {
                let pair = pairs.iter().find(|(n, _)| *n == name);
                pair.map(|(_, value)| value.into())
            });
            (term.terminal, term.live, term.colour)
        };
        assert_eq!(of(true, &[("TERM", "xterm")]), (true, true, true));
        assert_eq!(of(false, &[("TERM", "xterm")]), (false, false, false));
        for dumb in [&[("TERM", "dumb")][..], &[("TERM", "")], &[]] {
            assert_eq!(of(true, dumb), (true, false, false));
        }
        let plain = [("TERM", "xterm"), ("NO_COLOR", "1")];
        assert_eq!(of(true, &plain), (true, true, false));
        let empty = [("TERM", "xterm"), ("NO_COLOR", "")];
        assert_eq!(of(true, &empty), (true, true, true));
    }

    #[test]
    fn lines_fit() {
        let term = |width| Term {
            width,
            ..Term::NONE
        };
        assert_eq!(term(4).fit("abcd"), "abc");
        assert_eq!(term(5).fit("abcd"), "abcd");
        assert_eq!(term(3).fit("\x1b[31mabcd\x1b[0m"), "\x1b[31mab\x1b[0m");
        assert_eq!(term(9).fit("\x1b[31mabcd\x1b[0m"), "\x1b[31mabcd\x1b[0m");
        assert_eq!(term(0).fit("abcd"), "");
    }

    #[test]
    fn a_screen_is_not_cleared_first() {
        let term = Term {
            width: 4,
            height: 3,
            ..Term::NONE
        };
        assert_eq!(
            term.screen("a\nbcdef\ng\nh\n"),
            "\x1b[Ha\x1b[K\r\nbcd\x1b[K\r\n\x1b[J"
        );
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(58), (1970, 2, 28));
        assert_eq!(date(59), (1970, 3, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(11_017), (2000, 3, 1));
        assert_eq!(date(20_453), (2025, 12, 31));
        assert_eq!(date(20_454), (2026, 1, 1));
    }

    #[test]
    fn timestamps() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_428_000);
        let at = timestamp(now, Duration::from_secs(61));
        assert_eq!(at.as_deref(), Some("2026-11-23T09:58:59Z"));
    }

    #[test]
    fn durations() {
        let text = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(text(59), "59 s");
        assert_eq!(text(60), "1 min 0 s");
        assert_eq!(text(3_720), "1 h 2 min");
    }

    #[test]
    fn tables_are_aligned_whatever_the_colour() {
        let rows = vec![vec!["a".to_owned(), "x".to_owned(), String::new()]];
        let term = Term {
            colour: true,
            ..Term::NONE
        };
        let text = table(&["LONG", "B", "C"], &rows, |_, _, cell| term.strong(cell));
        assert!(text.starts_with("LONG  B  C\n"));
        assert!(text.contains("\x1b[1ma\x1b[0m     \x1b[1mx"));
    }

    #[test]
    fn states_have_colours_only_on_a_terminal() {
        let colour = Term {
            colour: true,
            ..Term::NONE
        };
        assert_eq!(Term::NONE.state(Some(State::Stuck), "stuck"), "stuck");
        assert_eq!(
            colour.state(Some(State::Stuck), "stuck"),
            "\x1b[31mstuck\x1b[0m"
        );
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0, 10, 5), ".....");
        assert_eq!(bar(9, 10, 5), "####.");
        assert_eq!(bar(10, 10, 5), "#####");
        assert_eq!(bar(0, 0, 5), ".....");
    }
}
