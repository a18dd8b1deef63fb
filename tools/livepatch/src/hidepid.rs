// SPDX-License-Identifier: GPL-2.0

//! The mount option `hidepid` of procfs, which hides the tasks of others.
//!
//! With it, `/proc` has no directories of other users' tasks, or they cannot be read. The number of
//! tasks that have not switched is then too low, and nothing else shows it.

use crate::root::Root;

pub const MOUNTS: &str = "/proc/mounts";

/// Whether tasks are hidden from klpctl. In a report, that is the klpctl that wrote it.
pub fn hides(root: &Root) -> bool {
    let groups = match root.is_live() {
        true => std::fs::read_to_string("/proc/self/status").unwrap_or_default(),
        false => String::new(),
    };
    line(root).is_some_and(|line| !root.is_privileged() && hides_from(&line, &groups))
}

/// Returns the line of `/proc/mounts` for procfs. A later mount covers an earlier one.
pub fn line(root: &Root) -> Option<String> {
    let content = root.read(MOUNTS).ok()?;
    let lines = String::from_utf8_lossy(&content);
    let mut lines = lines.lines().rev();
    let line = lines.find(|line| line.split(' ').nth(1) == Some("/proc"))?;
    Some(line.to_owned())
}

/// Whether a line `proc /proc proc OPTIONS ...` hides tasks from a process with this status.
fn hides_from(line: &str, status: &str) -> bool {
    let value = |name: &str| {
        let mut options = line.split(' ').nth(3).unwrap_or_default().split(',');
        options.find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    };
    let groups = status.lines().filter_map(|line| {
        line.strip_prefix("Groups:")
            .or_else(|| line.strip_prefix("Gid:"))
    });
    let mut groups = groups.flat_map(str::split_ascii_whitespace);

    let hidden = value("hidepid").is_some_and(|value| !matches!(value, "0" | "off"));
    hidden && !value("gid").is_some_and(|gid| groups.any(|group| group == gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let hides = |options: &str| {
            let line = format!("proc /proc proc rw,nosuid{options} 0 0");
            hides_from(&line, "Uid:\t7 7\nGid:\t7\t7\t7\t7\nGroups:\t24 27 \n")
        };
        assert!(!hides(""));
        assert!(!hides(",hidepid=off"));
        assert!(!hides(",hidepid=0"));
        assert!(hides(",hidepid=invisible"));
        assert!(hides(",gid=25,hidepid=2"));
        assert!(!hides(",gid=27,hidepid=2"));
        assert!(!hides(",hidepid=ptraceable,gid=7"));
    }
}
