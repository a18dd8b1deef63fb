// SPDX-License-Identifier: GPL-2.0-or-later

//! Identifiers that tell types apart.
//!
//! Shadow variables and system states have numbers that all livepatches share, and pointers to
//! data. Here the type of the data is part of the number, so that the same number with another type
//! means another variable, or state.

use super::Lasting;
use core::{
    any::TypeId,
    hash::{
        Hash,
        Hasher, //
    }, //
};

/// The bit that is set in each of these identifiers.
///
/// The identifiers of C livepatches are assumed to be small numbers, as [`Shadow`](super::Shadow)
/// states.
pub(super) const TYPED: usize = 1 << (usize::BITS - 1);

/// The identifier `id`, for data of type `T`.
///
/// It is the same in every module that is built for this kernel, if `T` is.
#[inline]
pub(super) fn typed<T: Lasting>(id: usize) -> usize {
    let mut hasher = Mixer(0);
    (id, TypeId::of::<T>(), size_of::<T>(), align_of::<T>()).hash(&mut hasher);
    hasher.finish() as usize | TYPED
}

/// A hasher that multiplies and rotates.
///
/// That is enough, because there are few keys, and they are not chosen to collide.
struct Mixer(u64);

impl Hasher for Mixer {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(29) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
