// SPDX-License-Identifier: GPL-2.0

//! `klpctl list`

use super::{status, tasks, Context, Outcome};
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::name::Name;
use crate::sysfs::{self, Function, Module, Object, Order, Patch, Serving};
use crate::system::{PatchStatus, State, System};
use crate::term;

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let named = context.patch_names().into_iter().next();
    let view = View::of(&system, named.as_ref());
    let exit = match &named {
        Some(patch) if view.patches.is_empty() && view.disabled.is_empty() => {
            return Err(context.not_loaded(patch))
        }
        Some(_) => Exit::of_state(view.patches.first().map(|(_, status)| status.state)),
        None => Exit::of(&system),
    };

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
    /// All patches. Which of them serves a function depends on the others, too.
    all: Vec<Patch>,
    /// The patches, with their places in the order.
    patches: Vec<(usize, &'a PatchStatus)>,
    disabled: Vec<&'a Module>,
}

impl<'a> View<'a> {
    /// The view of all patches, or of one.
    fn of(system: &'a System, named: Option<&Name>) -> Self {
        let wanted = |name: &Name| named.is_none_or(|named| named == name);
        let patches = system.patches.iter().enumerate();
        let disabled = system.disabled.iter();

        Self {
            system,
            all: system.patches.iter().map(|s| s.patch.clone()).collect(),
            patches: patches.filter(|(_, s)| wanted(&s.patch.name)).collect(),
            disabled: disabled.filter(|m| wanted(&m.name)).collect(),
        }
    }

    fn members(&self, exit: Exit) -> Vec<(&'static str, Json)> {
        let patches = self.patches.iter().map(|(_, status)| {
            let mut members = describe::patch_members(self.system, status);
            let objects = status.patch.objects.iter().map(|o| object(&self.all, o));
            members.push(("objects", objects.collect()));
            Json::Object(members)
        });

        describe::members(self.system, exit, patches.collect(), &self.disabled)
    }

    fn print(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        if self.patches.is_empty() && self.disabled.is_empty() {
            writeln!(context.out, "no livepatch is loaded")?;
            return status::print_notes(context, &self.disabled, &self.system.notes);
        }
        let lines = self.print_patches(context)? + self.disabled.len() + self.system.notes.len();
        self.print_functions(context, tasks::MOST_LINES.saturating_sub(lines))?;
        status::print_notes(context, &self.disabled, &self.system.notes)
    }

    /// Prints the patches, and returns the number of lines.
    fn print_patches(&self, context: &mut Context<'_>) -> Result<usize, Failure> {
        let term = context.term;
        let word = |flag: Option<bool>| match flag {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        // Disabled patches have no order, and serve no function.
        let disabled = self.disabled.iter().map(|module| {
            let state = describe::disabled_state(module);
            let mut cells = vec!["-".to_owned(), module.name.to_string(), state];
            cells.resize(6, "-".to_owned());
            cells
        });
        let patches = self.patches.iter().map(|(place, status)| {
            let patch = &status.patch;
            vec![
                match self.system.order {
                    Order::Unknown => "?".to_owned(),
                    Order::Kernel | Order::Modules => (place + 1).to_string(),
                },
                patch.name.to_string(),
                status.state.word().to_owned(),
                word(patch.replace).to_owned(),
                patch.objects.len().to_string(),
                patch.function_count().to_string(),
            ]
        });
        let rows: Vec<Vec<String>> = patches.chain(disabled).collect();
        let states: Vec<State> = self
            .patches
            .iter()
            .map(|(_, status)| status.state)
            .chain(self.disabled.iter().map(|_| State::Disabled))
            .collect();
        let heading = ["ORDER", "PATCH", "STATE", "REPLACE", "OBJECTS", "FUNCTIONS"];
        let text = term::table(&heading, &rows, |row, column, cell| match column {
            2 => term.state(Some(states[row]), cell),
            _ => cell.to_owned(),
        });
        write!(context.out, "{text}")?;
        Ok(rows.len() + 1)
    }

    /// Prints the functions, on `room` lines at most unless `--all` is given. One is always shown.
    fn print_functions(&self, context: &mut Context<'_>, room: usize) -> Result<(), Failure> {
        let functions = self.functions();
        if functions.is_empty() {
            return Ok(());
        }
        // An empty line and the heading, and, if functions are left out, an empty line and their
        // number.
        const ABOVE: usize = 2;
        const BELOW: usize = 2;
        let room = room.saturating_sub(ABOVE);
        let most = match context.options.all || functions.len() <= room {
            true => functions.len(),
            false => room.saturating_sub(BELOW).max(1),
        };
        let verbose = context.options.verbose;
        let shown = functions.iter().take(most);
        let rows: Vec<_> = shown.map(|one| self.row(one, verbose)).collect();
        let heading: &[&str] = match verbose {
            true => &["FUNCTION", "OBJECT", "SYMPOS", "OBJECT STATE", "SERVED BY"],
            false => &["FUNCTION", "OBJECT", "SERVED BY"],
        };
        let text = term::table(heading, &rows, |_, _, cell| cell.to_owned());
        write!(context.out, "\n{text}")?;
        if functions.len() > most {
            let more = term::count(functions.len() - most, "more function");
            writeln!(context.out, "\nand {more}, which --all shows")?;
        }
        Ok(())
    }

    /// Returns the functions of the patches, each with its object and whether that is patched.
    fn functions(&self) -> Vec<(&Name, &Function, Option<bool>)> {
        let objects = self.patches.iter().flat_map(|(_, s)| &s.patch.objects);
        let mut functions: Vec<_> = objects
            .flat_map(|object| {
                let functions = object.functions.iter();
                functions.map(move |function| (&object.name, function, object.patched))
            })
            .collect();
        functions.sort_by_key(|(object, function, _)| (*object, &function.name, function.sympos));
        functions.dedup_by_key(|(object, function, _)| (*object, &function.name, function.sympos));
        functions
    }

    fn row(&self, of: &(&Name, &Function, Option<bool>), verbose: bool) -> Vec<String> {
        let (object, function, patched) = *of;
        let mut row = vec![describe::function_name(&function.name), object.to_string()];
        if verbose {
            let sympos = function.sympos;
            let state = match patched {
                Some(true) => "patched",
                Some(false) => "not patched",
                None => "?",
            };
            row.push(sympos.map_or("?".to_owned(), |sympos| sympos.to_string()));
            row.push(state.to_owned());
        }
        row.push(match patched {
            Some(false) => "(object not loaded)".to_owned(),
            _ => served_by(&sysfs::serving(&self.all, object, function)),
        });
        row
    }
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

fn served_by(serving: &Serving<'_>) -> String {
    let word = |patch: Option<&Name>| patch.map_or("(original)".to_owned(), Name::to_string);
    match serving.before {
        Some(before) => format!("{} -> {}", word(before), word(serving.now)),
        None => word(serving.now),
    }
}
