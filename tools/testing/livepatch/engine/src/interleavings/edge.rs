// SPDX-License-Identifier: GPL-2.0

//! The Rust edge publishes func stacks and the index, which handlers and tasks find without a lock.
//!
//! The files of the edge, `func_stacks.rs` and `index.rs`, handle the kernel's memory, and this
//! crate does not compile them. These tests repeat their few stores and loads in the same order.

use super::explore_plain;
use loom::sync::atomic::{
    fence,
    AtomicUsize,
    Ordering::{
        self,
        Acquire,
        Relaxed,
        Release, //
    }, //
};
use std::sync::Arc;

/// The content of a structure, and the place through which readers find it.
#[derive(Default)]
struct Published {
    content: AtomicUsize,
    place: AtomicUsize,
}

/// Returns whether a reader that finds the structure always finds its content as well.
///
/// Loom does not order a load before a load from an address that depends on it. `found` is
/// `Acquire` where the kernel's reader has that order.
fn publish(barrier: bool, store: Ordering, found: Ordering) -> bool {
    explore_plain(move || {
        let published = Arc::new(Published::default());
        let writer = published.clone();
        let writer = loom::thread::spawn(move || {
            writer.content.store(1, Relaxed);
            if barrier {
                fence(Release);
            }
            writer.place.store(1, store);
        });
        let complete = published.place.load(found) == 0 || published.content.load(Relaxed) == 1;
        writer.join().unwrap();
        complete
    })
}

#[test]
fn a_func_stack_is_complete_when_it_is_found() {
    assert!(publish(true, Relaxed, Acquire));
}

#[test]
fn without_the_barrier_in_insert_an_incomplete_func_stack_is_found() {
    assert!(!publish(false, Relaxed, Acquire));
}

#[test]
fn without_dependent_loads_in_lookup_an_incomplete_func_stack_is_found() {
    assert!(!publish(true, Relaxed, Relaxed));
}

#[test]
fn an_index_is_complete_when_it_is_found() {
    assert!(publish(false, Release, Acquire));
}

#[test]
fn without_release_an_incomplete_index_is_found() {
    assert!(!publish(false, Relaxed, Acquire));
}

#[test]
fn without_acquire_an_incomplete_index_is_found() {
    assert!(!publish(false, Release, Relaxed));
}
