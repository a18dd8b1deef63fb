// SPDX-License-Identifier: GPL-2.0

//! Shortens a failing history further than `proptest` does.
//!
//! `proptest` tries to remove each operation once, and then simplifies the others. After that, more
//! operations can be unnecessary.

use crate::operation::{
    History,
    Operation, //
};

/// Removes all parts that `fails` does not need, until it needs every part that is left.
pub(crate) fn shorten(mut history: History, fails: impl Fn(&History) -> bool) -> History {
    loop {
        let shorter = candidates(&history).find(|candidate| fails(candidate));
        match shorter {
            Some(shorter) => history = shorter,
            None => return history,
        }
    }
}

/// The histories that have one operation, or one part of an operation, less.
fn candidates(history: &History) -> impl Iterator<Item = History> + '_ {
    let without = (0..history.0.len()).map(|number| {
        let mut shorter = history.clone();
        shorter.0.remove(number);
        shorter
    });
    let simpler = history
        .0
        .iter()
        .enumerate()
        .flat_map(move |(number, operation)| {
            simpler(operation).into_iter().map(move |operation| {
                let mut shorter = history.clone();
                shorter.0[number] = operation;
                shorter
            })
        });
    without.chain(simpler)
}

/// The operations that have one part less than this one.
fn simpler(operation: &Operation) -> Vec<Operation> {
    let Operation::Enable {
        patch,
        replaces,
        functions,
        others,
        fails,
    } = operation
    else {
        return Vec::new();
    };
    let with = |functions, others, fails, replaces| Operation::Enable {
        patch: *patch,
        replaces,
        functions,
        others,
        fails,
    };
    let mut simpler = Vec::new();
    for function in functions {
        let mut fewer = functions.clone();
        fewer.remove(function);
        simpler.push(with(fewer, others.clone(), *fails, *replaces));
    }
    for other in others {
        let mut fewer = others.clone();
        fewer.remove(other);
        simpler.push(with(functions.clone(), fewer, *fails, *replaces));
    }
    if fails.is_some() {
        simpler.push(with(functions.clone(), others.clone(), None, *replaces));
    }
    if *replaces {
        simpler.push(with(functions.clone(), others.clone(), *fails, false));
    }
    simpler
}
