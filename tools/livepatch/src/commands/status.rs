// SPDX-License-Identifier: GPL-2.0

//! `klpctl status`

use super::{Context, Outcome};
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::sysfs::{Hold, Module};
use crate::system::{PatchStatus, State, System};
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

pub fn members(system: &System) -> Vec<(&'static str, Json)> {
    let patches = system.patches.iter().map(|status| {
        let mut members = describe::patch_members(system, status);
        members.push(("objects", status.patch.objects.len().into()));
        members.push(("functions", status.patch.function_count().into()));
        Json::Object(members)
    });

    vec![
        ("system", system.word().into()),
        ("exit", Json::Number(Exit::of(system) as i64)),
        ("order", system.order.word().into()),
        ("patches", patches.collect()),
        ("disabled", describe::disabled(system)),
        ("notes", describe::notes(system)),
    ]
}

pub fn print(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    let term = context.term;

    writeln!(
        context.out,
        "livepatch: {}",
        term.state(system.state(), system.word())
    )?;
    if !system.patches.is_empty() || !system.disabled.is_empty() {
        let states: Vec<State> = system
            .patches
            .iter()
            .map(|status| status.state)
            .chain(system.disabled.iter().map(|_| State::Disabled))
            .collect();
        let disabled = system.disabled.iter().map(|module| {
            let mut cells = vec![module.name.to_string(), describe::disabled_state(module)];
            cells.resize(6, "-".to_owned());
            cells
        });
        let rows: Vec<_> = system
            .patches
            .iter()
            .map(|status| row(system, status))
            .chain(disabled)
            .collect();
        let heading = ["PATCH", "STATE", "OBJECTS", "FUNCTIONS", "WAITING", "SINCE"];
        let text = term::table(&heading, &rows, |row, column, cell| match column {
            1 => term.state(Some(states[row]), cell),
            _ => cell.to_owned(),
        });
        write!(context.out, "\n{text}")?;
    }
    print_notes(context, system)
}

fn row(system: &System, status: &PatchStatus) -> Vec<String> {
    let nothing = || "-".to_owned();
    let moving = status.direction.is_some();
    let progress = system.progress.as_ref().filter(|_| moving);

    vec![
        status.patch.name.to_string(),
        status.state.word().to_owned(),
        status.patch.objects.len().to_string(),
        status.patch.function_count().to_string(),
        progress.map_or_else(nothing, |p| {
            let unsure = if p.denied > 0 { "+" } else { "" };
            format!("{}{unsure} of {}", p.waiting.len(), p.total)
        }),
        status.age.map_or_else(nothing, |age| {
            let start = system.now.and_then(|n| term::timestamp(n, age.elapsed));
            match start {
                Some(start) if !age.at_least => format!("{start} ({})", term::age(&age)),
                _ => term::age(&age),
            }
        }),
    ]
}

/// Prints the modules of disabled patches, and the facts that klpctl could not learn.
pub fn print_notes(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    for module in &system.disabled {
        print_module(context, module)?;
    }
    for note in &system.notes {
        print_note(context, note)?;
    }
    Ok(())
}

/// Prints whether the module of a disabled patch can be unloaded, and by which command.
pub fn print_module(context: &mut Context<'_>, module: &Module) -> Result<(), Failure> {
    let name = &module.name;
    let note = match module.hold() {
        Some(Hold::Held) => format!(
            "{name} is not applied, but its module is held ({}); klpctl why {name} names the tasks \
             in its code",
            describe::references(module)
        ),
        Some(Hold::Free) => format!(
            "{name} is not applied, and its module is free; klpctl unload {name} removes it"
        ),
        None => format!("{name} is not applied; klpctl unload {name} removes it"),
    };
    print_note(context, &note)
}

pub fn print_note(context: &mut Context<'_>, note: &str) -> Result<(), Failure> {
    let line = context.term.faint(&format!("note: {note}"));
    writeln!(context.out, "{line}")?;
    Ok(())
}
