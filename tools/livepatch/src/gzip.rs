// SPDX-License-Identifier: GPL-2.0

//! A writer of gzip files, RFC 1952 and RFC 1951.
//!
//! A report of 10,000 tasks has 20 MB, nearly all of it the empty parts of tar blocks. The writer
//! finds repetitions in chunks of its input and uses the fixed codes of the format, which is enough
//! for that. The system may lack gzip(1), so klpctl does not call it.

use std::io::{self, Write};

/// The input that is compressed at a time. Repetitions do not reach across.
const CHUNK: usize = 1 << 20;

/// The farthest and the longest repetition that the format has, and the shortest.
const FARTHEST: usize = 32 << 10;
const LONGEST: usize = 258;
const SHORTEST: usize = 3;

/// The codes from 257 on stand for lengths: the smallest length of each, and the number of bits
/// that are added to it.
const LENGTHS: [(usize, u32); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

pub struct Gzip<W: Write> {
    out: W,
    chunk: Vec<u8>,
    /// The bits that do not fill a byte yet, and their number.
    bits: u32,
    count: u32,
    crc: u32,
    length: u32,
}

impl<W: Write> Gzip<W> {
    pub fn new(mut out: W) -> io::Result<Self> {
        const DEFLATE: u8 = 8;
        const UNIX: u8 = 3;

        out.write_all(&[0x1f, 0x8b, DEFLATE, 0, 0, 0, 0, 0, 0, UNIX])?;
        Ok(Self {
            out,
            chunk: Vec::with_capacity(CHUNK),
            bits: 0,
            count: 0,
            crc: !0,
            length: 0,
        })
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.block(true)?;
        // The last byte is filled up.
        self.put(0, 7)?;
        self.out.write_all(&(!self.crc).to_le_bytes())?;
        self.out.write_all(&self.length.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes bits, the lowest first.
    fn put(&mut self, bits: u32, count: u32) -> io::Result<()> {
        self.bits |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.write_all(&[self.bits as u8])?;
            self.bits >>= 8;
            self.count -= 8;
        }
        Ok(())
    }

    /// Writes the fixed code for a byte, the end (256) or a length, the highest bit first.
    fn code(&mut self, symbol: u32) -> io::Result<()> {
        let (code, count) = match symbol {
            0..=143 => (0x30 + symbol, 8),
            144..=255 => (0x190 + symbol - 144, 9),
            256..=279 => (symbol - 256, 7),
            _ => (0xc0 + symbol - 280, 8),
        };
        self.put(code.reverse_bits() >> (32 - count), count)
    }

    /// Writes the chunk as one block.
    fn block(&mut self, last: bool) -> io::Result<()> {
        const FIXED_CODES: u32 = 1;
        const END: u32 = 256;

        let chunk = std::mem::take(&mut self.chunk);
        for &byte in &chunk {
            self.crc = step(self.crc, byte);
        }
        self.length = self.length.wrapping_add(chunk.len() as u32);

        self.put(u32::from(last), 1)?;
        self.put(FIXED_CODES, 2)?;
        let mut seen = vec![usize::MAX; 1 << 15];
        let mut at = 0;
        while at < chunk.len() {
            let length = match chunk.get(at..at + SHORTEST) {
                Some(start) => {
                    let slot = hash(start);
                    let earlier = std::mem::replace(&mut seen[slot], at);
                    repetition(&chunk, at, earlier).map(|length| (length, at - earlier))
                }
                None => None,
            };
            if let Some((length, distance)) = length {
                self.repeat(length, distance)?;
                at += length;
            } else {
                self.code(u32::from(chunk[at]))?;
                at += 1;
            }
        }
        self.code(END)
    }

    fn repeat(&mut self, length: usize, distance: usize) -> io::Result<()> {
        const FIRST: u32 = 257;

        let index = LENGTHS.partition_point(|(least, _)| *least <= length) - 1;
        let (least, bits) = LENGTHS[index];
        self.code(FIRST + index as u32)?;
        self.put((length - least) as u32, bits)?;

        // From 4 on, two codes share a number of bits.
        let zero = (distance - 1) as u32;
        let bits = zero.checked_ilog2().unwrap_or(0).saturating_sub(1);
        let code = 2 * bits + (zero >> bits);
        self.put(code.reverse_bits() >> 27, 5)?;
        self.put(zero & ((1 << bits) - 1), bits)
    }
}

/// Returns the length of the repetition of an earlier place, if it is one that can be written.
fn repetition(chunk: &[u8], at: usize, earlier: usize) -> Option<usize> {
    if earlier >= at || at - earlier > FARTHEST {
        return None;
    }
    let pairs = chunk[earlier..].iter().zip(&chunk[at..]);
    let length = pairs.take(LONGEST).take_while(|(a, b)| a == b).count();
    (length >= SHORTEST).then_some(length)
}

fn hash(start: &[u8]) -> usize {
    let number = start.iter().fold(0u32, |n, &b| n << 8 | u32::from(b));
    (number.wrapping_mul(0x9e37_79b1) >> 17) as usize
}

/// Takes one byte into the checksum.
fn step(crc: u32, byte: u8) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;

    let mut crc = crc ^ u32::from(byte);
    for _ in 0..8 {
        crc = crc >> 1 ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
    }
    crc
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.chunk.len();
        let taken = &bytes[..bytes.len().min(room)];
        self.chunk.extend(taken);
        if self.chunk.len() == CHUNK {
            self.block(false)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).unwrap();
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    /// gzip(1) has the last word.
    fn expand(bytes: &[u8]) -> Vec<u8> {
        let scratch = crate::tests::Scratch::new();
        let path = scratch.path().join("x.gz");
        std::fs::write(&path, bytes).unwrap();
        let mut gzip = Command::new("gzip");
        let output = gzip.arg("-dc").arg(path).stdin(Stdio::null()).output();
        let output = output.expect("the test needs gzip");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    #[test]
    fn any_bytes() {
        let mut number = 1u32;
        let mut noise = || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 24) as u8
        };
        let random: Vec<u8> = (0..3 * CHUNK / 2).map(|_| noise()).collect();
        // Repetitions of each length, at near and far distances.
        let mut repeated = Vec::new();
        for length in 1..300 {
            repeated.extend(&random[..length]);
            repeated.extend(&random[1000..1000 + length * 7 % 500]);
        }
        repeated.extend(&random[..FARTHEST - 1]);
        repeated.extend(&random[..FARTHEST + 1]);
        for bytes in [
            &b""[..],
            b"a",
            b"ab",
            b"aaaa",
            &[0; 5000],
            &random,
            &repeated,
        ] {
            assert!(expand(&compress(bytes)) == bytes, "{} bytes", bytes.len());
        }
    }

    #[test]
    fn zeros_become_few() {
        assert!(compress(&vec![0; 10 * CHUNK]).len() < 10 * CHUNK / 100);
    }
}
