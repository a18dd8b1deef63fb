// SPDX-License-Identifier: GPL-2.0

//! `klpctl why`

use super::tasks::{self, Least};
use super::{status, Context, Outcome};
use crate::blockers::{self, Blocker};
use crate::cmdline::CommandLines;
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::groups;
use crate::held::{self, Held};
use crate::json::Json;
use crate::name::Name;
use crate::root::Root;
use crate::system::{PatchStatus, State, System};
use crate::term;
use crate::trace::Told;

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let named = context.patch_names().into_iter().next();
    if let Some(patch) = &named {
        let there = system.find(patch).is_some();
        if !there && system.find_disabled(patch).is_none() {
            return Err(context.not_loaded(patch));
        }
        let moving = system.moving();
        if there && moving.is_some_and(|status| &status.patch.name != patch) {
            return Err(Failure::error(format!(
                "{patch} is not in transition, {} is",
                moving.map_or_else(String::new, |status| status.patch.name.to_string())
            )));
        }
    }

    answer(context, &system, named.as_ref())?;
    Ok(Exit::of(&system))
}

/// The tasks that hold the transition up, and held modules with the tasks in their code.
pub struct Answer<'a> {
    pub moving: Option<&'a PatchStatus>,
    pub blockers: Vec<Blocker>,
    pub held: Vec<Held<'a>>,
    /// The kernel's own reasons, if klpctl has asked.
    pub told: Told,
    root: &'a Root,
}

impl<'a> Answer<'a> {
    /// Finds the answer about all patches, or about one.
    pub fn find(root: &'a Root, system: &'a System, named: Option<&Name>) -> Self {
        let moving = system
            .moving()
            .filter(|status| named.is_none_or(|name| name == &status.patch.name));
        let (blockers, told) = match moving {
            Some(_) => blockers::find_and_ask(root, system),
            None => (Vec::new(), Told::default()),
        };

        Self {
            moving,
            blockers,
            held: held::look(root, system, named),
            told,
            root,
        }
    }

    pub fn members(&self, system: &System) -> Vec<(&'static str, Json)> {
        let mut members = self.without_commands(system);
        let mut commands = CommandLines::new(self.root);
        let groups = groups::of(&self.blockers);
        let groups = groups.iter().map(|group| {
            let kthread = group.first().task.kthread;
            let pid = Some(group.first().task.id.pid).filter(|_| !kthread);
            let command = pid.and_then(|pid| commands.read(pid));
            describe::group(group, command)
        });
        members.push(("groups", groups.collect()));
        members
    }

    /// Returns the members for a report, which has no command lines and stays short: of tasks that
    /// are alike it has one.
    pub fn for_report(&self, system: &System) -> Vec<(&'static str, Json)> {
        let groups = groups::of(&self.blockers);
        let firsts = groups.iter().map(|group| describe::blocker(group.first()));
        let mut members = self.without_commands(system);
        for (name, value) in &mut members {
            if *name == "blockers" {
                *value = firsts.clone().collect();
            }
        }
        let groups = groups.iter().map(|group| describe::group(group, None));
        members.push(("groups", groups.collect()));
        members
    }

    fn without_commands(&self, system: &System) -> Vec<(&'static str, Json)> {
        let patch = self
            .moving
            .map(|status| Json::Object(describe::patch_members(system, status)));

        vec![
            ("system", system.word().into()),
            ("exit", Json::Number(Exit::of(system) as i64)),
            ("patch", patch.into()),
            (
                "blockers",
                self.blockers.iter().map(describe::blocker).collect(),
            ),
            ("held", self.held.iter().map(describe::held).collect()),
            ("notes", describe::notes(system)),
        ]
    }
}

/// Prints the answer, also for commands that have waited in vain.
pub fn answer(
    context: &mut Context<'_>,
    system: &System,
    named: Option<&Name>,
) -> Result<(), Failure> {
    let root = context.root.clone();
    let answer = Answer::find(&root, system, named);

    if context.options.json {
        let members = answer.members(system);
        return match context.options.command {
            crate::command::Command::Why => context.print_json(members),
            _ => context.event("timeout", members, ""),
        };
    }
    // The first line, that of a command that has waited in vain, and the notes.
    const OTHERS: usize = 2;
    let others = OTHERS + system.notes.len() + system.disabled.len() - answer.held.len();
    let mut room = tasks::MOST_LINES.saturating_sub(others);
    let held = held_texts(context, &answer, &mut room)?;
    if let Some(moving) = answer.moving {
        print(context, system, moving, &answer.blockers, room)?;
    } else if system.moving().is_none() {
        let unknown = system.patches.iter().any(|p| p.state == State::Unknown);
        let line = match unknown {
            true => "it is not known whether a patch is in transition",
            false => "no patch is in transition",
        };
        writeln!(context.out, "{line}")?;
    }
    for text in held {
        write!(context.out, "{text}")?;
    }
    for module in &system.disabled {
        if !answer.held.iter().any(|h| h.module.name == module.name) {
            status::print_module(context, module)?;
        }
    }
    for note in &system.notes {
        status::print_note(context, note)?;
    }
    Ok(())
}

fn print(
    context: &mut Context<'_>,
    system: &System,
    moving: &PatchStatus,
    blockers: &[Blocker],
    room: usize,
) -> Result<(), Failure> {
    let term = context.term;
    let word = term.state(Some(moving.state), moving.state.word());
    let age = moving
        .age
        .map_or(String::new(), |age| format!(" for {}", term::age(&age)));
    // The words for the other states imply the direction.
    let direction = match (moving.state, moving.direction) {
        (State::Stuck, Some(direction)) => format!(", {}", direction.word()),
        _ => String::new(),
    };

    write!(context.out, "{}: {word}{direction}{age}", moving.patch.name)?;
    match &system.progress {
        Some(progress) => writeln!(context.out, "; {}", describe::progress_text(progress))?,
        None => writeln!(context.out)?,
    }

    tasks::print(context, blockers, room, Least::One)?;
    let progress = system.progress.as_ref();
    let all = progress.is_none_or(|p| p.denied == 0 && !p.hidden);
    if blockers.is_empty() && all {
        writeln!(
            context.out,
            "\nNo task in /proc is waited for: either the idle task of a CPU is, or the kernel has \
             \nnot looked again yet. It does so every second."
        )?;
    }
    Ok(())
}

/// Returns the texts about the held modules, and takes their lines from `room`. Each has its share
/// at most, and the transition has a share and the rest.
fn held_texts(
    context: &Context<'_>,
    answer: &Answer<'_>,
    room: &mut usize,
) -> Result<Vec<String>, Failure> {
    let mut sections = answer.held.len() + usize::from(answer.moving.is_some());
    let mut texts = Vec::new();
    for (i, held) in answer.held.iter().enumerate() {
        let last = i + 1 == answer.held.len();
        let share = *room / sections;
        let text = context.text(|context| print_held(context, held, last, share))?;
        *room = room.saturating_sub(text.lines().count());
        sections -= 1;
        texts.push(text);
    }
    Ok(texts)
}

/// Prints a held module, and the tasks in its code. After the last module, the text explains all.
fn print_held(
    context: &mut Context<'_>,
    held: &Held<'_>,
    last: bool,
    room: usize,
) -> Result<(), Failure> {
    let module = held.module;
    let tasks = match held.tasks.len() {
        0 => "no task is seen in its code".to_owned(),
        1 => "1 task is in its code".to_owned(),
        count => format!("{count} tasks are in its code"),
    };

    writeln!(
        context.out,
        "\n{}: {} ({}); {tasks}",
        module.name,
        describe::disabled_state(module),
        describe::references(module)
    )?;
    // An empty line, the first one, and those about stacks that may not be read, or not now.
    let mut others = if last { 5 } else { 2 };
    others += if held.unreadable > 0 { 2 } else { 0 };
    others += if held.unread.is_empty() { 0 } else { 2 };
    tasks::print(
        context,
        &held.tasks,
        room.saturating_sub(others),
        Least::None,
    )?;
    if held.unreadable > 0 {
        let denied = term::count(held.unreadable, "more stack");
        let hint = describe::hint_for_stacks(&context.root);
        writeln!(context.out, "\n{denied} may not be read; {hint}.")?;
    }
    if !held.unread.is_empty() {
        let names = describe::task_names(&held.unread.iter().collect::<Vec<_>>());
        writeln!(
            context.out,
            "\nThe stacks of some tasks cannot be read just now: {names}."
        )?;
    }
    if held.unreadable == 0 && held.unread.is_empty() && held.tasks.is_empty() {
        writeln!(
            context.out,
            "\nEither the kernel has not looked again yet, which it does every 5 seconds at\n\
             least, or something else uses the module: see lsmod."
        )?;
    }
    if !last {
        return Ok(());
    }
    writeln!(
        context.out,
        "\nThe Rust core lets go of the module when no task is in its code. The C core does so\n\
         at once, or, if the transition was forced, not before the next boot."
    )?;
    Ok(())
}
