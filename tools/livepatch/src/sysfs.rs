// SPDX-License-Identifier: GPL-2.0

//! The livepatches, as sysfs shows them: Documentation/ABI/testing/sysfs-kernel-livepatch.
//!
//! Newer kernels have files that older ones lack: `stack_order`, `replace`, `patched`. They are
//! optional here.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::identity::Identity;
use crate::name::{self, Name};
use crate::root::{ReadError, Root};

pub const FOLDER: &str = "/sys/kernel/livepatch";

/// The name of the kernel proper, as an object, in sysfs.
pub const VMLINUX: &[u8] = b"vmlinux";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: Name,
    /// The position among the object's symbols of that name, from 1.
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
    pub identity: Identity,
    pub objects: Vec<Object>,
}

impl Patch {
    pub fn function_count(&self) -> usize {
        self.objects.iter().map(|o| o.functions.len()).sum()
    }

    /// Returns the direction of the patch's transition, or `None` if it is not in transition.
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

/// A module that carries a livepatch, from `/proc/modules`.
#[derive(Clone, Debug)]
pub struct Module {
    pub name: Name,
    /// The number of references, or `None` if the kernel does not count them.
    pub references: Option<u32>,
    /// Whether the kernel neither loads nor unloads the module just now.
    pub live: bool,
}

impl Module {
    /// Whether the module can be unloaded now that its patch is gone, or `None` if the kernel does
    /// not count references.
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

/// The source of the order of the patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The files `stack_order`.
    Kernel,
    /// The order in which the modules were loaded. It is the same order, because a patch is enabled
    /// once, when its module is loaded.
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
    /// In stack order, the lowest first.
    pub patches: Vec<Patch>,
    pub order: Order,
    /// Livepatch modules that are still loaded, but have no patch in sysfs any more.
    pub disabled: Vec<Module>,
    /// The directories that cannot be read, each with the reason.
    pub unreadable: Vec<String>,
}

pub fn folder_of(patch: &Name) -> PathBuf {
    Path::new(FOLDER).join(patch.as_os_str())
}

/// Returns the file with the number of a module's references.
pub fn references_of(module: &Name) -> PathBuf {
    Path::new("/sys/module")
        .join(module.as_os_str())
        .join("refcnt")
}

/// Returns the reason if live patching or sysfs is missing, as a text for the user, or `None` if
/// neither is.
pub fn unsupported(root: &Root) -> Option<String> {
    if root.exists(FOLDER) {
        None
    } else if root.exists("/sys/kernel") {
        Some(format!(
            "this kernel has no live patching: there is no {FOLDER}"
        ))
    } else {
        Some(format!(
            "there is no sysfs at {}, so nothing is known of live patching",
            shown(&root.path("/sys"))
        ))
    }
}

/// Reads all livepatches. The list leaves out a patch that disappears meanwhile.
pub fn livepatches(root: &Root) -> Result<Livepatches, ReadError> {
    let mut patches = Vec::new();
    let mut unreadable = Vec::new();
    for name in root.folders(FOLDER)? {
        if let Some(patch) = patch(root, &name, &mut unreadable) {
            patches.push(patch);
        }
    }

    let modules = livepatch_modules(root);
    let order = sort(&mut patches, &modules);
    // A module that is being loaded has no patch yet.
    let disabled = modules
        .into_iter()
        .filter(|module| module.live && !patches.iter().any(|patch| patch.name == module.name))
        .collect();

    Ok(Livepatches {
        patches,
        order,
        disabled,
        unreadable,
    })
}

fn patch(root: &Root, name: &OsStr, unreadable: &mut Vec<String>) -> Option<Patch> {
    let folder = Path::new(FOLDER).join(name);
    let objects = match root.folders(&folder) {
        Ok(names) => names
            .iter()
            .filter_map(|name| object(root, &folder, name, unreadable))
            .collect(),
        Err(ReadError::Gone) => return None,
        Err(error) => {
            unreadable.push(format!("{}: {error}", shown(&folder)));
            Vec::new()
        }
    };
    let patch = Patch {
        name: name.into(),
        enabled: root.read_flag(folder.join("enabled")),
        transition: root.read_flag(folder.join("transition")),
        replace: root.read_flag(folder.join("replace")),
        stack_order: root.read_number(folder.join("stack_order")),
        identity: Identity::read(root, &name.into()),
        objects,
    };

    // The files of a patch disappear before its directory does.
    (patch.enabled.is_some() || !root.is_gone(folder.join("enabled"))).then_some(patch)
}

fn shown(path: &Path) -> String {
    name::escape(path.as_os_str().as_bytes())
}

fn object(root: &Root, patch: &Path, name: &OsStr, unreadable: &mut Vec<String>) -> Option<Object> {
    let folder = patch.join(name);
    let functions = match root.folders(&folder) {
        Ok(functions) => functions,
        Err(ReadError::Gone) => return None,
        Err(error) => {
            unreadable.push(format!("{}: {error}", shown(&folder)));
            Vec::new()
        }
    };

    Some(Object {
        name: name.into(),
        patched: root.read_flag(folder.join("patched")),
        functions: functions.iter().map(|name| function(name)).collect(),
    })
}

/// The directory of a function is named `function,sympos`.
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

/// Reads the loaded modules that carry livepatches, the oldest first. The kernel marks them with
/// the taint `K`.
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
            let live = fields.nth(1)? == b"Live";
            let taints = fields.next_back()?;
            let marked = taints.starts_with(b"(") && taints.contains(&b'K');

            marked.then(|| Module {
                name: name.into(),
                references: std::str::from_utf8(references)
                    .ok()
                    .and_then(|r| r.parse().ok()),
                live,
            })
        })
        .collect();

    // The kernel lists the newest first.
    modules.reverse();
    modules
}

/// Whether the kernel loads or unloads a livepatch module of that name just now.
pub fn is_changing(root: &Root, name: &Name) -> bool {
    let modules = livepatch_modules(root);
    let mut changing = modules.iter().filter(|module| !module.live);
    changing.any(|module| &module.name == name)
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

/// The patches that serve a function.
#[derive(Debug, PartialEq, Eq)]
pub struct Serving<'a> {
    /// The patch that serves the function, or `None` if the original code does. During a transition
    /// this is true for tasks that have switched.
    pub now: Option<&'a Name>,
    /// During a transition, the same for tasks that have not switched, if it differs.
    pub before: Option<Option<&'a Name>>,
}

/// Finds the patches that serve a function. `patches` are in stack order.
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
