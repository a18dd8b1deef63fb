// SPDX-License-Identifier: GPL-2.0

//! Mutations of the tables of a livepatch.

use super::{odd_name, shown};
use crate::draft::{Draft, Func, Object, FUNCTIONS, TARGET, TARGET_FUNCTION};
use crate::random::Random;

/// The directory of an object, as sysfs shows it.
fn directory(object: &Object) -> Vec<u8> {
    let name = object.name.as_deref().unwrap_or(b"vmlinux");
    let slashes = name.iter().map(|&b| if b == b'/' { b'!' } else { b });
    slashes.collect()
}

/// One of the objects, if there are any.
fn some_object<'a>(draft: &'a mut Draft, random: &mut Random) -> Option<&'a mut Object> {
    let objects = draft.tables.objects.as_mut()?;
    let index = random.below(objects.len());
    objects.get_mut(index)
}

fn some_func<'a>(draft: &'a mut Draft, random: &mut Random) -> Option<&'a mut Func> {
    let funcs = some_object(draft, random)?.funcs.as_mut()?;
    let index = random.below(funcs.len());
    funcs.get_mut(index)
}

pub fn object(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let own = draft.name.clone();
    let name = match random.below(6) {
        0 => b"vmlinux".to_vec(),
        1 => b"..".to_vec(),
        2 => own,
        3 => TARGET.to_vec(),
        _ => odd_name(random),
    };
    let objects = draft.tables.objects.as_mut()?;
    let renamed = Object {
        name: Some(name.clone()),
        ..objects.get(random.below(objects.len()))?.clone()
    };
    // The kernel warns about two directories of one name: see `same_name()`.
    if objects.iter().any(|o| directory(o) == directory(&renamed)) {
        return None;
    }
    match random.one_in(2) {
        true => *some_object(draft, random)? = renamed,
        false => objects.push(renamed),
    }
    Some(shown(&name))
}

pub fn function(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let name = match random.below(5) {
        0 => Vec::new(),
        1 => random.pick(&FUNCTIONS).to_vec(),
        2 => TARGET_FUNCTION.to_vec(),
        _ => odd_name(random),
    };
    let position = match random.one_in(2) {
        true => random.number(),
        false => 0,
    };
    let func = Func {
        name: Some(name.clone()),
        has_new: true,
        position,
    };
    let funcs = some_object(draft, random)?.funcs.as_mut()?;
    let key = |func: &Func| (func.name.clone(), func.position.max(1));
    // The same is true of functions.
    if funcs.iter().any(|f| key(f) == key(&func)) {
        return None;
    }
    match random.below(3) {
        0 => funcs.insert(0, func),
        1 => funcs.push(func),
        _ => *funcs.last_mut()? = func,
    }
    Some(format!("{} position {position}", shown(&name)))
}

/// Pointers that are null, tables that are empty, and ends that are none.
pub fn null(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let position = random.number().max(1);
    let text = match random.below(9) {
        0 => {
            draft.tables.has_module = false;
            "mod"
        }
        1 => {
            draft.tables.objects = None;
            "objs"
        }
        2 => {
            draft.tables.objects = Some(Vec::new());
            "no objects"
        }
        3 => {
            let object = some_object(draft, random)?;
            object.funcs = None;
            // Without both, it would be the end.
            object.name.get_or_insert_with(|| b"x".to_vec());
            "funcs"
        }
        4 => {
            some_object(draft, random)?.funcs = Some(Vec::new());
            "no functions"
        }
        5 => {
            some_func(draft, random)?.name = None;
            "old_name"
        }
        6 => {
            some_func(draft, random)?.has_new = false;
            "new_func"
        }
        7 => {
            let func = some_func(draft, random)?;
            (func.name, func.has_new, func.position) = (None, false, position);
            "a position alone"
        }
        _ => {
            some_object(draft, random)?.end = position;
            "a position at the end"
        }
    };
    Some(text.to_owned())
}

pub fn states(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let count = random.between(1, 5);
    let states = (0..count).map(|_| {
        // An ID of 0 is the end. Some are there twice.
        let id = match random.one_in(2) {
            true => random.number(),
            false => random.below(4) as u64,
        };
        (id, random.number() as u32)
    });
    draft.tables.states = states.collect();
    draft.tables.replace = random.one_in(2);
    Some(format!("{:x?}", draft.tables.states))
}

/// An object with an empty name, which a kobject cannot have: the kernel warns.
pub fn no_name(draft: &mut Draft, random: &mut Random) -> Option<String> {
    some_object(draft, random)?.name = Some(Vec::new());
    Some("empty".to_owned())
}

/// Two objects or functions of one name: sysfs shows a stack.
pub fn same_name(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let twice_object = random.one_in(2);
    if twice_object {
        let object = some_object(draft, random)?.clone();
        let text = shown(&directory(&object));
        draft.tables.objects.as_mut()?.push(object);
        return Some(format!("object {text}"));
    }
    let funcs = some_object(draft, random)?.funcs.as_mut()?;
    let func = funcs.first()?.clone();
    let text = shown(func.name.as_deref().unwrap_or_default());
    funcs.push(func);
    Some(format!("function {text}"))
}
