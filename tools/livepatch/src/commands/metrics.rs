// SPDX-License-Identifier: GPL-2.0

//! `klpctl metrics`
//!
//! The text is OpenMetrics, of the part that the older format of Prometheus has as well, which the
//! textfile collector of node_exporter reads. So all families are gauges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime};

use super::{install, Context, Outcome};
use crate::exit::{Exit, Failure};
use crate::name;
use crate::sysfs;
use crate::system::{State, System};
use crate::whole;

pub fn run(context: &mut Context<'_>) -> Outcome {
    let mut metrics = Metrics::default();
    let supported = sysfs::unsupported(&context.root).is_none();
    metrics.family("klp_supported", "Whether the kernel has live patching.");
    metrics.add("klp_supported", &[], u8::from(supported));
    if supported {
        let system = context.look()?;
        metrics.patches(&system);
        metrics.transition(&system);
        metrics.family(
            "klp_modules_held",
            "Modules of patches that are gone, with references.",
        );
        metrics.add("klp_modules_held", &[], system.held().count());
        if let Some(now) = system.now {
            metrics.family("klp_look_timestamp_seconds", "The time of these figures.");
            metrics.add("klp_look_timestamp_seconds", &[], seconds(now));
        }
    }
    metrics.installed(context)?;
    metrics.text.push_str("# EOF\n");

    match &context.options.output {
        Some(file) if file.as_os_str() != "-" => {
            whole::write(file, metrics.text.as_bytes()).map_err(|error| {
                let shown = name::escape(file.as_os_str().as_bytes());
                Failure::error(format!("{shown}: {error}"))
            })?;
        }
        _ => context.out.write_all(metrics.text.as_bytes())?,
    }
    Ok(Exit::Done)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

#[derive(Default)]
struct Metrics {
    text: String,
    /// The samples in the text, each with its labels. Prometheus refuses a text that has one twice,
    /// and an author may name a defect twice.
    samples: BTreeSet<String>,
}

impl Metrics {
    fn family(&mut self, name: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.text, "# TYPE {name} gauge\n# HELP {name} {help}\n");
    }

    fn add(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let mut sample = name.to_owned();
        for (i, (label, text)) in labels.iter().enumerate() {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            let start = if i == 0 { '{' } else { ',' };
            let _ = write!(sample, "{start}{label}=\"{escaped}\"");
        }
        if !labels.is_empty() {
            sample.push('}');
        }
        if self.samples.insert(sample.clone()) {
            let _ = writeln!(self.text, "{sample} {value}");
        }
    }

    fn patches(&mut self, system: &System) {
        self.family("klp_patch_info", "The build of each patch.");
        for status in &system.patches {
            let identity = &status.patch.identity;
            let labels = [
                ("patch", status.patch.name.to_string()),
                ("version", identity.version.clone().unwrap_or_default()),
                (
                    "srcversion",
                    identity.build.srcversion.clone().unwrap_or_default(),
                ),
                ("build_id", identity.build.id.clone().unwrap_or_default()),
            ];
            let labels: Vec<_> = labels.iter().map(|(l, t)| (*l, t.as_str())).collect();
            self.add("klp_patch_info", &labels, 1);
        }
        self.family(
            "klp_patch_state",
            "1 for the state of each patch, 0 for the others.",
        );
        for status in &system.patches {
            let patch = status.patch.name.to_string();
            for state in State::ALL {
                let labels = [("patch", patch.as_str()), ("state", state.word())];
                self.add("klp_patch_state", &labels, u8::from(state == status.state));
            }
        }
        self.family(
            "klp_patch_forced",
            "Whether an applied patch was forced, if that is known.",
        );
        for status in &system.patches {
            if let Some(forced) = status.forced {
                let patch = status.patch.name.to_string();
                self.add("klp_patch_forced", &[("patch", &patch)], u8::from(forced));
            }
        }
        let name = "klp_patch_applied_timestamp_seconds";
        self.family(
            name,
            "The time at which a patch was applied, if the kernel log has it.",
        );
        for status in &system.patches {
            let age = status.applied.map(|age| age.elapsed);
            let time = age.and_then(|age| system.now?.checked_sub(age));
            if let Some(time) = time {
                let patch = status.patch.name.to_string();
                self.add(name, &[("patch", &patch)], seconds(time));
            }
        }
        self.family("klp_patch_fix", "The defects that each patch fixes.");
        for status in &system.patches {
            let patch = status.patch.name.to_string();
            for fix in status.patch.identity.fixes.iter().flatten() {
                self.add("klp_patch_fix", &[("patch", &patch), ("fix", fix)], 1);
            }
        }
    }

    fn transition(&mut self, system: &System) {
        self.family(
            "klp_transition_seconds",
            "The age of the running transition.",
        );
        let moving = system.moving();
        if let Some((status, direction)) = moving.and_then(|m| Some((m, m.direction?))) {
            let patch = status.patch.name.to_string();
            let labels = [("patch", patch.as_str()), ("direction", direction.word())];
            if let Some(age) = status.age {
                let seconds = format!("{:.3}", age.elapsed.as_secs_f64());
                self.add("klp_transition_seconds", &labels, seconds);
            }
        }
        self.family(
            "klp_transition_tasks",
            "The tasks of the running transition.",
        );
        let progress = system.progress.as_ref();
        if let Some((status, progress)) = moving.zip(progress) {
            let patch = status.patch.name.to_string();
            for (state, count) in [
                ("waiting", progress.waiting.len()),
                ("switched", progress.done()),
            ] {
                let labels = [("patch", patch.as_str()), ("state", state)];
                self.add("klp_transition_tasks", &labels, count);
            }
        }
    }

    fn installed(&mut self, context: &Context<'_>) -> Result<(), Failure> {
        let states = [
            "another build",
            "crashed",
            "loaded",
            "not loaded",
            "replaced",
        ];
        let mut counts = BTreeMap::from(states.map(|state| (state, 0)));
        let mut held_back = 0;
        for row in install::rows(context)?.iter().filter(|row| row.running) {
            if let Some(count) = counts.get_mut(row.state) {
                *count += 1;
            }
            held_back += u32::from(row.held_back);
        }
        let help = "The installed patches of the running kernel, by their state.";
        self.family("klp_installed_patches", help);
        for (state, count) in counts {
            self.add("klp_installed_patches", &[("state", state)], count);
        }
        let name = "klp_installed_held_back";
        self.family(name, "Those that are not loaded at boot, after a crash.");
        self.add(name, &[], held_back);
        Ok(())
    }
}
