// SPDX-License-Identifier: GPL-2.0

//! `klpctl list`

use super::{status, Context, Outcome};
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::name::Name;
use crate::sysfs::{self, Function, Object, Order, Patch, Serving};
use crate::system::{State, System};
use crate::term;

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let exit = Exit::of(&system);

    if context.options.json {
        context.print_json(members(&system))?;
    } else {
        print(context, &system)?;
    }
    Ok(exit)
}

fn patches(system: &System) -> Vec<Patch> {
    system.patches.iter().map(|s| s.patch.clone()).collect()
}

fn members(system: &System) -> Vec<(&'static str, Json)> {
    let all = patches(system);
    let patches = system.patches.iter().map(|status| {
        let mut members = describe::patch_members(system, status);
        let objects = status.patch.objects.iter().map(|o| object(&all, o));
        members.push(("objects", objects.collect()));
        Json::Object(members)
    });

    vec![
        ("system", system.word().into()),
        ("exit", Json::Number(Exit::of(system) as i64)),
        ("order", system.order.word().into()),
        ("patches", patches.collect()),
        (
            "disabled",
            describe::disabled(&system.disabled.iter().collect::<Vec<_>>()),
        ),
        ("notes", describe::notes(system)),
    ]
}

fn object(patches: &[Patch], object: &Object) -> Json {
    let functions = object.functions.iter().map(|function| {
        let serving = sysfs::serving(patches, &object.name, function);
        let mut members = vec![
            ("name", (&function.name).into()),
            ("sympos", function.sympos.into()),
            ("served_by", serving.now.into()),
        ];
        if let Some(before) = serving.before {
            members.push(("served_before", before.into()));
        }
        Json::Object(members)
    });

    Json::Object(vec![
        ("name", (&object.name).into()),
        ("patched", object.patched.into()),
        ("functions", functions.collect()),
    ])
}

fn print(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    let term = context.term;

    if system.patches.is_empty() && system.disabled.is_empty() {
        writeln!(context.out, "no livepatch is loaded")?;
        return status::print_notes(context, system);
    }
    let word = |flag: Option<bool>| match flag {
        Some(true) => "yes",
        Some(false) => "no",
        None => "?",
    };
    // Disabled patches have no order, and serve no function.
    let disabled = system.disabled.iter().map(|module| {
        let state = describe::disabled_state(module);
        let mut cells = vec!["-".to_owned(), module.name.to_string(), state];
        cells.resize(6, "-".to_owned());
        cells
    });
    let rows: Vec<Vec<String>> = system
        .patches
        .iter()
        .enumerate()
        .map(|(i, status)| {
            let position = match system.order {
                Order::Unknown => "?".to_owned(),
                Order::Kernel | Order::Modules => (i + 1).to_string(),
            };
            let patch = &status.patch;
            vec![
                position,
                patch.name.to_string(),
                status.state.word().to_owned(),
                word(patch.replace).to_owned(),
                patch.objects.len().to_string(),
                patch.function_count().to_string(),
            ]
        })
        .chain(disabled)
        .collect();
    let states: Vec<State> = system
        .patches
        .iter()
        .map(|status| status.state)
        .chain(system.disabled.iter().map(|_| State::Disabled))
        .collect();
    let heading = ["ORDER", "PATCH", "STATE", "REPLACE", "OBJECTS", "FUNCTIONS"];
    let text = term::table(&heading, &rows, |row, column, cell| match column {
        2 => term.state(Some(states[row]), cell),
        _ => cell.to_owned(),
    });
    write!(context.out, "{text}")?;

    print_functions(context, system)?;
    status::print_notes(context, system)
}

fn print_functions(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    let patches = patches(system);
    let mut functions: Vec<(&Name, &Function, Option<bool>)> = Vec::new();
    for patch in &patches {
        for object in &patch.objects {
            for function in &object.functions {
                functions.push((&object.name, function, object.patched));
            }
        }
    }
    functions.sort_by_key(|(object, function, _)| (*object, &function.name, function.sympos));
    functions.dedup_by_key(|(object, function, _)| (*object, &function.name, function.sympos));
    if functions.is_empty() {
        return Ok(());
    }

    let verbose = context.options.verbose;
    let rows: Vec<Vec<String>> = functions
        .into_iter()
        .map(|(object, function, patched)| {
            let serving = sysfs::serving(&patches, object, function);
            let name = describe::function_name(&function.name);
            let mut row = vec![name, object.to_string()];
            if verbose {
                let sympos = function.sympos;
                row.push(sympos.map_or("?".to_owned(), |sympos| sympos.to_string()));
                row.push(
                    match patched {
                        Some(true) => "patched",
                        Some(false) => "not patched",
                        None => "?",
                    }
                    .to_owned(),
                );
            }
            row.push(match patched {
                Some(false) => "(object not loaded)".to_owned(),
                _ => served_by(&serving),
            });
            row
        })
        .collect();
    let heading: &[&str] = match verbose {
        true => &["FUNCTION", "OBJECT", "SYMPOS", "OBJECT STATE", "SERVED BY"],
        false => &["FUNCTION", "OBJECT", "SERVED BY"],
    };
    let text = term::table(heading, &rows, |_, _, cell| cell.to_owned());
    write!(context.out, "\n{text}")?;
    Ok(())
}

fn served_by(serving: &Serving<'_>) -> String {
    let word = |patch: Option<&Name>| patch.map_or("(original)".to_owned(), Name::to_string);
    match serving.before {
        Some(before) => format!("{} -> {}", word(before), word(serving.now)),
        None => word(serving.now),
    }
}
