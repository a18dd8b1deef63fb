// SPDX-License-Identifier: GPL-2.0

//! The call sites of functions. Each calls the handler, or jumps to the new function.
//!
//! No barrier orders the fetch of an instruction after a load. A task may have seen all stores that
//! followed the store of a new instruction, and its CPU may still execute the old one. So each CPU
//! has a copy of the call sites here. The writer interrupts the CPUs one after the other, and each
//! executes the new instructions from then on. A jump is one instruction: the interrupt comes
//! before it or after it, and after it the task is in the new function.

use super::{
    stacks::{
        FuncId,
        Version,
        END, //
    },
    tasks::Tasks,
    Machine,
    Size, //
};
use crate::model::TaskHost;
use loom::{
    sync::Mutex,
    thread::JoinHandle, //
};
use std::sync::{
    self,
    Arc, //
};

/// For each function the func that it jumps to, or [`END`] if it calls the handler.
type CallSites = Vec<FuncId>;

/// The call sites of all functions, in memory and as each CPU executes them.
pub(crate) struct Sites {
    /// The instructions in memory. This lock is not loom's, because only the CPUs' copies show.
    memory: sync::Mutex<CallSites>,
    /// The copy of each task's CPU, which holds the lock for one instruction. The list is empty if
    /// no function jumps.
    executed: Vec<Mutex<CallSites>>,
    /// Interrupts that a faulty writer did not wait for.
    unawaited: sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Sites {
    pub(super) fn new(size: Size, tasks: usize) -> Self {
        let handled = vec![END; size.functions];
        let cpus = if size.jumps { tasks } else { 0 };
        Self {
            memory: sync::Mutex::new(handled.clone()),
            executed: (0..cpus).map(|_| Mutex::new(handled.clone())).collect(),
            unawaited: sync::Mutex::default(),
        }
    }

    fn memory(&self) -> sync::MutexGuard<'_, CallSites> {
        self.memory.lock().unwrap()
    }

    /// Interrupts one CPU after the other, and each then executes the instructions in memory.
    fn interrupt(&self) {
        for executed in &self.executed {
            let mut executed = executed.lock().unwrap();
            executed.clone_from(&self.memory());
        }
    }
}

impl Machine {
    /// Writes a jump for each func stack that is settled and a call for each other, and interrupts
    /// all CPUs if anything changes.
    pub(super) fn follow_settled(self: &Arc<Self>) {
        if self.sites.executed.is_empty() {
            return;
        }
        let functions = self.stacks.functions();
        let new: CallSites = functions.map(|f| self.stacks.settled(f)).collect();
        let old = std::mem::replace(&mut *self.sites.memory(), new.clone());
        if old == new {
            return;
        }
        let mut both = old.iter().zip(&new);
        let is_handled = both.any(|(&old, &new)| old != END && new == END);
        if is_handled && self.faults.unawaited_calls {
            let machine = self.clone();
            let thread = loom::thread::spawn(move || machine.sites.interrupt());
            self.sites.unawaited.lock().unwrap().push(thread);
        } else {
            self.sites.interrupt();
        }
    }

    /// Waits for the interrupts that a faulty writer did not wait for, before a history ends.
    pub(crate) fn wait_for_interrupts(&self) {
        let unawaited = std::mem::take(&mut *self.sites.unawaited.lock().unwrap());
        unawaited
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    }
}

impl Tasks {
    /// The current task executes the call site of a function. If that is a jump, `arrive` puts the
    /// task into the new function, and the method returns the version. If not, it returns `None`,
    /// and the task calls the handler next.
    pub(super) fn jump(&self, function: usize, arrive: impl FnOnce(Version)) -> Option<Version> {
        let executed = self.machine.sites.executed.get(self.current())?;
        let executed = executed.lock().unwrap();
        let func = Some(executed[function]).filter(|&func| func != END)?;
        let version = self.machine.stacks.version(func);
        arrive(version);
        Some(version)
    }
}
