// SPDX-License-Identifier: GPL-2.0

//! The signature behind a module: whether there is one, and the name of the signer.
//!
//! scripts/sign-file appends a PKCS#7 message, `struct module_signature` and a magic text. The
//! kernel alone decides whether the signature is good; this reads the name that the signer gives.

use crate::name::Name;

const MAGIC: &[u8] = b"~Module signature appended~\n";

/// The length of `struct module_signature`. Its last four bytes are the length of the message.
const TRAILER: usize = 12;

/// The signature of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The common name of the signer's certificate's issuer, as modinfo(8) shows it.
    pub signer: Option<Name>,
}

/// Returns the signature of a module, or `None` if it has none.
pub fn of(file: &[u8]) -> Option<Signature> {
    let rest = file.strip_suffix(MAGIC)?;
    let message = || {
        let (rest, trailer) = rest.split_at_checked(rest.len().checked_sub(TRAILER)?)?;
        let length: [u8; 4] = trailer.get(TRAILER - 4..)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        rest.get(rest.len().checked_sub(length)?..)
    };
    Some(Signature {
        signer: message().and_then(signer),
    })
}

/// One element of DER: its tag, and its content.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const CONTEXT_0: u8 = 0xa0;

/// Takes the first element off, and returns the bytes behind it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    const LONG: u8 = 0x80;

    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short if short & LONG == 0 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & !LONG))?;
            let add = |n: usize, b: &u8| n.checked_mul(256)?.checked_add(usize::from(*b));
            (digits.iter().try_fold(0, add)?, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, rest))
}

/// Returns the elements that bytes consist of, up to one that makes no sense.
fn elements(mut bytes: &[u8]) -> Vec<Element<'_>> {
    let mut elements = Vec::new();
    while let Some((element, rest)) = element(bytes) {
        elements.push(element);
        bytes = rest;
    }
    elements
}

/// Finds the issuer of the first signer: ContentInfo, SignedData, the last set, SignerInfo,
/// issuerAndSerialNumber, Name.
fn signer(message: &[u8]) -> Option<Name> {
    let (info, _) = element(message)?;
    let wrapped = elements(info.content);
    let wrapped = wrapped.iter().find(|e| e.tag == CONTEXT_0)?;
    let (data, _) = element(wrapped.content)?;
    let parts = elements(data.content);
    let signers = parts.iter().rev().find(|e| e.tag == SET)?;
    let (signer, _) = element(signers.content)?;
    let parts = elements(signer.content);
    let issuer_and_number = parts.iter().find(|e| e.tag == SEQUENCE)?;
    let (issuer, _) = element(issuer_and_number.content)?;
    let sets = elements(issuer.content);
    sets.iter().find_map(|set| common_name(set.content))
}

/// Returns the value of an attribute of the type commonName, 2.5.4.3.
fn common_name(set: &[u8]) -> Option<Name> {
    const COMMON_NAME: &[u8] = &[0x55, 4, 3];

    let (attribute, _) = element(set)?;
    let parts = elements(attribute.content);
    let kind = parts.first()?;
    let value = parts.get(1)?;
    (kind.tag == OBJECT_IDENTIFIER && kind.content == COMMON_NAME).then(|| value.content.into())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn der(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let content = parts.concat();
        let length = match content.len() {
            short @ ..0x80 => vec![short as u8],
            long => vec![0x82, (long >> 8) as u8, long as u8],
        };
        [vec![tag], length, content].concat()
    }

    fn attribute(kind: u8, value: &str) -> Vec<u8> {
        let kind = der(OBJECT_IDENTIFIER, &[vec![0x55, 4, kind]]);
        let value = der(0x0c, &[value.as_bytes().to_vec()]);
        der(SET, &[der(SEQUENCE, &[kind, value])])
    }

    /// A file with a signature of that name.
    pub fn signed(file: &[u8], name: &str) -> Vec<u8> {
        let number = |n| der(2, &[vec![n]]);
        let issuer = der(
            SEQUENCE,
            &[attribute(10, "an organization"), attribute(3, name)],
        );
        let signer = der(SEQUENCE, &[issuer, number(7)]);
        let long = der(4, &[vec![0x5a; 300]]);
        let info = der(SEQUENCE, &[number(1), signer, long]);
        let data = [
            number(1),
            der(SET, &[]),
            der(SEQUENCE, &[]),
            der(SET, &[info]),
        ];
        let wrapped = der(CONTEXT_0, &[der(SEQUENCE, &data)]);
        let message = der(SEQUENCE, &[der(OBJECT_IDENTIFIER, &[vec![1]]), wrapped]);
        let length = (message.len() as u32).to_be_bytes();
        [file, &message, &[0; 8], &length, MAGIC].concat()
    }

    #[test]
    fn the_name_of_the_signer() {
        assert_eq!(of(b"no module"), None);
        let file = signed(b"a module", "Builder's key");
        let name = of(&file).and_then(|signature| signature.signer);
        assert_eq!(name, Some("Builder's key".into()));
    }

    #[test]
    fn signatures_that_make_no_sense() {
        let file = signed(b"", "x");
        for start in 0..file.len() {
            of(&file[start..]);
        }
        for at in 0..file.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut file = file.clone();
                file[at] = byte;
                of(&file);
            }
        }
        assert_eq!(of(MAGIC), Some(Signature { signer: None }));
    }
}
