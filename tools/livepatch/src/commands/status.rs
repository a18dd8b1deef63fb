// SPDX-License-Identifier: GPL-2.0

//! `klpctl status`

use super::{install, Context, Outcome};
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::identity::Identity;
use crate::json::Json;
use crate::nagios;
use crate::name::Name;
use crate::sysfs::{Hold, Module};
use crate::system::{PatchStatus, State, System};
use crate::term;

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let named = context.patch_names();
    let (view, exit) = match named.first() {
        Some(patch) => {
            let view = View::of(&system, patch);
            let state = view.patches.first().map(|status| status.state);
            if state.is_none() && view.disabled.is_empty() {
                return Err(context.not_loaded(patch));
            }
            (view, Exit::of_state(state))
        }
        None => (View::all(&system), Exit::of(&system)),
    };

    if context.options.nagios {
        let rows = install::rows(context)?;
        let (line, exit) = nagios::line(&system, named.first(), &view.patches, &rows);
        context.out.write_all(line.as_bytes())?;
        return Ok(exit);
    }
    if context.options.json {
        context.print_json(view.members(exit))?;
    } else {
        view.print(context)?;
    }
    Ok(exit)
}

/// The patches that an answer is about.
struct View<'a> {
    system: &'a System,
    patches: Vec<&'a PatchStatus>,
    disabled: Vec<&'a Module>,
    /// The patch that was named.
    named: Option<&'a Name>,
}

impl<'a> View<'a> {
    fn all(system: &'a System) -> Self {
        Self {
            system,
            patches: system.patches.iter().collect(),
            disabled: system.disabled.iter().collect(),
            named: None,
        }
    }

    fn of(system: &'a System, patch: &'a Name) -> Self {
        Self {
            system,
            patches: system.find(patch).into_iter().collect(),
            disabled: system.find_disabled(patch).into_iter().collect(),
            named: Some(patch),
        }
    }

    fn members(&self, exit: Exit) -> Vec<(&'static str, Json)> {
        let patches = self.patches.iter().map(|status| {
            let mut members = describe::patch_members(self.system, status);
            members.push(("objects", status.patch.objects.len().into()));
            members.push(("functions", status.patch.function_count().into()));
            Json::Object(members)
        });

        describe::members(self.system, exit, patches.collect(), &self.disabled)
    }

    /// Prints the word for the system, or for the patch that was named.
    fn print_word(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let term = context.term;
        let state = match self.named {
            Some(_) => self.patches.first().map(|status| status.state),
            None => self.system.state(),
        };
        let word = match (self.named, state, self.disabled.first()) {
            (None, ..) => self.system.word().to_owned(),
            (Some(_), Some(state), _) => state.word().to_owned(),
            (Some(_), None, module) => {
                module.map_or_else(String::new, |m| describe::disabled_state(m))
            }
        };
        let subject = self.named.map_or("livepatch".to_owned(), Name::to_string);
        writeln!(context.out, "{subject}: {}", term.state(state, &word))?;
        Ok(())
    }

    fn print(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let term = context.term;

        self.print_word(context)?;
        if !self.patches.is_empty() || !self.disabled.is_empty() {
            let states: Vec<State> = self
                .patches
                .iter()
                .map(|status| status.state)
                .chain(self.disabled.iter().map(|_| State::Disabled))
                .collect();
            let disabled = self.disabled.iter().map(|module| {
                let mut cells = vec![module.name.to_string(), describe::disabled_state(module)];
                cells.resize(6, "-".to_owned());
                cells
            });
            let rows: Vec<_> = self
                .patches
                .iter()
                .map(|status| row(self.system, status))
                .chain(disabled)
                .collect();
            let heading = ["PATCH", "STATE", "OBJECTS", "FUNCTIONS", "WAITING", "SINCE"];
            let text = term::table(&heading, &rows, |row, column, cell| match column {
                1 => term.state(Some(states[row]), cell),
                _ => cell.to_owned(),
            });
            write!(context.out, "\n{text}")?;
        }
        if let (Some(_), Some(status)) = (self.named, self.patches.first()) {
            print_identity(context, &status.patch.identity)?;
        }
        print_notes(context, &self.disabled, &self.system.notes)
    }
}

fn print_identity(context: &mut Context<'_>, identity: &Identity) -> Result<(), Failure> {
    let fixes = identity.fixes.as_ref().filter(|fixes| !fixes.is_empty());
    let lines = [
        ("version", identity.version.clone()),
        ("srcversion", identity.build.srcversion.clone()),
        ("build ID", identity.build.id.clone()),
        ("signer", identity.signer.clone()),
        ("description", identity.description.clone()),
        ("fixes", fixes.map(|fixes| fixes.join(", "))),
    ];
    for (name, value) in lines {
        if let Some(value) = value {
            writeln!(context.out, "{name}: {value}")?;
        }
    }
    Ok(())
}

pub fn members(system: &System) -> Vec<(&'static str, Json)> {
    View::all(system).members(Exit::of(system))
}

pub fn print(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    View::all(system).print(context)
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
            let unsure = if p.denied > 0 || p.hidden { "+" } else { "" };
            format!("{}{unsure} of {}", p.waiting.len(), p.total)
        }),
        status.age.or(status.applied).map_or_else(nothing, |age| {
            let start = system.now.and_then(|n| term::timestamp(n, age.elapsed));
            match start {
                Some(start) if !age.at_least => format!("{start} ({})", term::age(&age)),
                _ => term::age(&age),
            }
        }),
    ]
}

/// Prints the modules of disabled patches, and the facts that klpctl could not learn.
pub fn print_notes(
    context: &mut Context<'_>,
    disabled: &[&Module],
    notes: &[String],
) -> Result<(), Failure> {
    for module in disabled {
        print_module(context, module)?;
    }
    for note in notes {
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
