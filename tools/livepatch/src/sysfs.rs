// SPDX-License-Identifier: GPL-2.0

//! The livepatches, as sysfs shows them: Documentation/ABI/testing/sysfs-kernel-livepatch.
//!
//! Files that newer kernels have and older ones do not (`stack_order`, `replace`, `patched`) are
//! optional here.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::name::Name;
use crate::root::{ReadError, Root};

pub const FOLDER: &str = "/sys/kernel/livepatch";

/// What sysfs calls the kernel proper, as an object.
pub const VMLINUX: &[u8] = b"vmlinux";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: Name,
    /// Which of the object's symbols of that name it is, from 1.
    pub sympos: Option<u32>,
}

#[derive(Clone, Debug)]
pub struct Object {
    pub name: Name,
    pub patched: Option<bool>,
    pub functions: Vec<Function>,
}

#[derive(Clone, Debug)]
pub struct Patch {
    pub name: Name,
    pub enabled: Option<bool>,
    pub transition: Option<bool>,
    pub replace: Option<bool>,
    pub stack_order: Option<u32>,
    pub objects: Vec<Object>,
}

impl Patch {
    pub fn function_count(&self) -> usize {
        self.objects.iter().map(|o| o.functions.len()).sum()
    }

    /// Returns the direction of the patch's transition, or `None` if the patch is not in transition.
    pub fn direction(&self) -> Option<Direction> {
        match (self.transition, self.enabled) {
            (Some(true), Some(true)) => Some(Direction::Patching),
            (Some(true), Some(false)) => Some(Direction::Unpatching),
            _ => None,
        }
    }

    pub fn has_function(&self, object: &Name, function: &Function) -> bool {
        self.objects
            .iter()
            .any(|o| &o.name == object && o.functions.contains(function))
    }
}

/// The direction of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Patching,
    Unpatching,
}

impl Direction {
    pub fn word(self) -> &'static str {
        match self {
            Self::Patching => "patching",
            Self::Unpatching => "unpatching",
        }
    }
}

/// A module that carries a livepatch: what `/proc/modules` says of it.
#[derive(Clone, Debug)]
pub struct Module {
    pub name: Name,
    /// `None` if the kernel does not count them.
    pub references: Option<u32>,
}

impl Module {
    /// Whether the module can be unloaded now that its patch is gone. `None` if the kernel does not
    /// say.
    pub fn hold(&self) -> Option<Hold> {
        self.references.map(|references| match references {
            0 => Hold::Free,
            _ => Hold::Held,
        })
    }
}

/// Whether the module of a patch that is gone can be unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It cannot: a task may be in its code, or something else uses it.
    Held,
    /// It can.
    Free,
}

impl Hold {
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Free => "free",
        }
    }
}

/// How the order of the patches was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From `stack_order`.
    Kernel,
    /// From the order in which the modules were loaded, which is the same: a patch is enabled
    /// when its module is loaded, once.
    Modules,
    Unknown,
}

impl Order {
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "stack_order",
            Self::Modules => "modules",
            Self::Unknown => "unknown",
        }
    }
}

#[derive(Debug)]
pub struct Livepatches {
    /// Lowest first.
    pub patches: Vec<Patch>,
    pub order: Order,
    /// Livepatch modules that are loaded, but whose patch is not.
    pub disabled: Vec<Module>,
}

pub fn folder_of(patch: &Name) -> PathBuf {
    Path::new(FOLDER).join(patch.as_os_str())
}

/// The file with the number of a module's references.
pub fn references_of(module: &Name) -> PathBuf {
    Path::new("/sys/module")
        .join(module.as_os_str())
        .join("refcnt")
}

/// Why there is nothing to be seen of live patching; the answer for a user.
pub fn unsupported(root: &Root) -> Option<String> {
    if root.exists(FOLDER) {
        None
    } else if root.exists("/sys/kernel") {
        Some(format!(
            "this kernel has no live patching: there is no {FOLDER}"
        ))
    } else {
        Some("there is no sysfs at /sys, so nothing is known of live patching".to_owned())
    }
}

/// All livepatches. One that disappears meanwhile is left out.
pub fn livepatches(root: &Root) -> Result<Livepatches, ReadError> {
    let mut patches = Vec::new();
    for name in root.folders(FOLDER)? {
        if let Some(patch) = patch(root, &name) {
            patches.push(patch);
        }
    }

    let modules = livepatch_modules(root);
    let order = sort(&mut patches, &modules);
    let disabled = modules
        .into_iter()
        .filter(|module| !patches.iter().any(|patch| patch.name == module.name))
        .collect();

    Ok(Livepatches {
        patches,
        order,
        disabled,
    })
}

fn patch(root: &Root, name: &OsStr) -> Option<Patch> {
    let folder = Path::new(FOLDER).join(name);
    let objects = match root.folders(&folder) {
        Ok(names) => names
            .iter()
            .filter_map(|name| object(root, &folder, name))
            .collect(),
        Err(ReadError::Gone) => return None,
        Err(_) => Vec::new(),
    };
    let patch = Patch {
        name: name.into(),
        enabled: root.read_flag(folder.join("enabled")),
        transition: root.read_flag(folder.join("transition")),
        replace: root.read_flag(folder.join("replace")),
        stack_order: root.read_number(folder.join("stack_order")),
        objects,
    };

    // Its files go before its folder does.
    (patch.enabled.is_some() || root.exists(folder.join("enabled"))).then_some(patch)
}

fn object(root: &Root, patch: &Path, name: &OsStr) -> Option<Object> {
    let folder = patch.join(name);
    let functions = root.folders(&folder).ok()?;

    Some(Object {
        name: name.into(),
        patched: root.read_flag(folder.join("patched")),
        functions: functions.iter().map(|name| function(name)).collect(),
    })
}

/// A function's folder is named `function,sympos`.
fn function(folder: &OsStr) -> Function {
    let bytes = folder.as_bytes();
    let parsed = bytes.iter().rposition(|&b| b == b',').and_then(|comma| {
        let sympos = std::str::from_utf8(&bytes[comma + 1..]).ok()?;
        Some((&bytes[..comma], sympos.parse().ok()?))
    });

    match parsed {
        Some((name, sympos)) => Function {
            name: name.into(),
            sympos: Some(sympos),
        },
        None => Function {
            name: folder.into(),
            sympos: None,
        },
    }
}

/// The loaded modules that carry livepatches, the oldest first. The kernel marks them
/// with the taint `K`.
fn livepatch_modules(root: &Root) -> Vec<Module> {
    let Ok(content) = root.read("/proc/modules") else {
        return Vec::new();
    };
    // name size references users state address (taints)
    let mut modules: Vec<Module> = content
        .split(|&b| b == b'\n')
        .filter_map(|line| {
            let mut fields = line.split(|&b| b == b' ');
            let name = fields.next()?;
            let references = fields.nth(1)?;
            let taints = fields.next_back()?;
            let marked = taints.starts_with(b"(") && taints.contains(&b'K');

            marked.then(|| Module {
                name: name.into(),
                references: std::str::from_utf8(references)
                    .ok()
                    .and_then(|r| r.parse().ok()),
            })
        })
        .collect();

    // The kernel lists the newest first.
    modules.reverse();
    modules
}

fn sort(patches: &mut [Patch], modules: &[Module]) -> Order {
    if patches.iter().all(|patch| patch.stack_order.is_some()) {
        patches.sort_by_key(|patch| patch.stack_order);
        return Order::Kernel;
    }

    let position: HashMap<&Name, usize> = modules
        .iter()
        .enumerate()
        .map(|(i, module)| (&module.name, i))
        .collect();
    if patches.iter().all(|p| position.contains_key(&p.name)) {
        patches.sort_by_key(|patch| position[&patch.name]);
        return Order::Modules;
    }
    Order::Unknown
}

/// Who serves a function.
#[derive(Debug, PartialEq, Eq)]
pub struct Serving<'a> {
    /// The patch whose code a task runs; `None` is the original code. During a transition, that
    /// of tasks that have switched.
    pub now: Option<&'a Name>,
    /// During a transition, that of tasks that have not, if it differs.
    pub before: Option<Option<&'a Name>>,
}

/// Which patch serves a function. `patches` are in order.
pub fn serving<'a>(patches: &'a [Patch], object: &Name, function: &Function) -> Serving<'a> {
    let candidates = || {
        patches.iter().rev().filter(|patch| {
            let patched = patch.objects.iter().any(|o| {
                &o.name == object && o.patched != Some(false) && o.functions.contains(function)
            });
            patched && (patch.enabled != Some(false) || patch.transition == Some(true))
        })
    };
    let top = candidates().next().map(|patch| &patch.name);
    let moving = patches.iter().find(|p| p.transition == Some(true));
    let Some(moving) = moving else {
        return Serving {
            now: top,
            before: None,
        };
    };

    let others = candidates()
        .find(|patch| patch.name != moving.name)
        .map(|patch| &patch.name);
    let (now, before) = if moving.enabled == Some(false) {
        (others, top)
    } else {
        (top, others)
    };
    Serving {
        now,
        before: (now != before).then_some(before),
    }
}
