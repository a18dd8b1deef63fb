// SPDX-License-Identifier: GPL-2.0-or-later

//! The objects of a patch: their names, their modules, and where their functions are.

use crate::{
    edge::{
        abi::{
            Func,
            Object,
            Patch, //
        },
        func_stacks,
        log::Text,
        mutex::Locked, //
    },
    model::blocker::Code,
    relocs,
    symbols::{
        self,
        Sizes, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Checks the name of an object of a patch that is passed in, looks for its module, and creates
/// its directory in sysfs. Sleeps.
pub(crate) fn publish(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    if let Some(name) = object.name() {
        if name.count_bytes() >= bindings::KLP_OBJECT_NAME_LEN as usize {
            return Err(EINVAL);
        }
        object.find_module(locked);
    }
    object.publish(patch)
}

/// Checks a func of a patch that is passed in, and creates its directory in sysfs. Sleeps.
pub(crate) fn publish_func(object: &Object, func: &Func) -> Result {
    if !func.is_nop() && !func.has_new() {
        return Err(EINVAL);
    }
    if func.name().count_bytes() >= bindings::KLP_FUNC_NAME_LEN as usize {
        return Err(EINVAL);
    }
    func.publish(object)
}

/// Finds the functions of a loaded object, old and new, and writes the relocations that wait for
/// it. If this fails, none of the relocations stays written. Sleeps.
pub(crate) fn resolve(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    relocs::write_for_object(patch, object)?;
    find_functions(patch, object, locked).inspect_err(|_| relocs::clear_for_object(patch, object))
}

/// The size of the function at `start`, if a func is on its stack: a func has the size of the
/// function that it changes, so that kallsyms need not look for it again.
fn known_size(start: usize, locked: &Locked) -> Option<usize> {
    let func = func_stacks::of_function(start, locked)?.top(locked)?;
    let original = func.original(locked);
    (original.start == start).then_some(original.size)
}

fn find_functions(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    let module = object.module(locked);
    let wanted = object.funcs(locked);
    let found = symbols::search(
        object.name(),
        wanted.map(|func| (func.name(), func.position())),
    )?;
    let starts = found.iter().filter_map(|search| search.result().ok());
    let originals = Sizes::new(
        module,
        starts.filter(|&start| known_size(start, locked).is_none()),
    )?;
    let replacements = object.funcs(locked).filter(|func| !func.is_nop());
    let replacements = Sizes::new(
        Some(patch.module()),
        replacements.map(|func| func.new_address()),
    )?;
    for (func, search) in object.funcs(locked).zip(found) {
        let start = symbols::result(search, object.name(), func.name())?;
        // The code of an init function is freed. Its address, and so its func stack and its entry
        // in ftrace's filter, would be those of the code that is loaded there next. A module has
        // such symbols until it is live, and a livepatch has them for ever.
        if module.is_some_and(|module| !module.keeps(start)) {
            return Err(symbols::not_found(func.name()));
        }
        let size = known_size(start, locked).or_else(|| originals.size(start));
        let Some(size) = size else {
            pr_err!("kallsyms size lookup failed for '{}'\n", Text(func.name()));
            return Err(ENOENT);
        };
        func.set_original(Code { start, size }, locked);
        if func.is_nop() {
            func.set_new_size(size, locked);
            continue;
        }
        let Some(size) = replacements.size(func.new_address()) else {
            pr_err!(
                "kallsyms size lookup failed for '{}' replacement\n",
                Text(func.name())
            );
            return Err(ENOENT);
        };
        func.set_new_size(size, locked);
    }
    Ok(())
}
