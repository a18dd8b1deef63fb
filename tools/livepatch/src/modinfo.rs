// SPDX-License-Identifier: GPL-2.0

//! The fields of a module: `.modinfo` in its file.
//!
//! Three fields are for klpctl, and documented in Documentation/livepatch/klpctl.rst: `klp_fixes`,
//! the identifiers of the defects that a livepatch fixes, `klp_target`, the builds of the modules
//! that it changes, and `klp_after`, the installed patches that it comes after.

use crate::name::Name;

/// Returns the name that the kernel has for a module. The name of its file may have dashes, as in
/// the field `depends`, which modpost takes from the file: `snd-hda-codec` is `snd_hda_codec`.
pub fn module_of(word: &[u8]) -> Name {
    let name: Vec<u8> = word
        .iter()
        .map(|&b| if b == b'-' { b'_' } else { b })
        .collect();
    name.as_slice().into()
}

/// `name=value`, each with a zero behind it.
#[derive(Clone, Debug, Default)]
pub struct ModInfo(Vec<u8>);

impl ModInfo {
    pub fn new(section: &[u8]) -> Self {
        Self(section.to_vec())
    }

    /// Reads the output of `modinfo -0`: `name:   value`, each with a zero behind it.
    pub fn from_tool(output: &[u8]) -> Self {
        let mut fields = Vec::new();
        for field in output.split(|&b| b == 0) {
            let Some(colon) = field.iter().position(|&b| b == b':') else {
                continue;
            };
            fields.extend(&field[..colon]);
            fields.push(b'=');
            fields.extend(field[colon + 1..].trim_ascii_start());
            fields.push(0);
        }
        Self(fields)
    }

    /// Returns all values of a field.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let start = format!("{name}=");
        let fields = self.0.split(|&b| b == 0);
        fields.filter_map(move |field| field.strip_prefix(start.as_bytes()))
    }

    /// Returns the first value of a field, unless that is empty.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    pub fn is_livepatch(&self) -> bool {
        self.first("livepatch") == Some(b"Y")
    }

    /// Returns the words of all values of a field, with commas or blanks between them.
    pub fn words(&self, name: &str) -> Vec<Name> {
        let separates = |&b: &u8| b == b',' || b.is_ascii_whitespace();
        self.all(name)
            .flat_map(|value| value.split(separates))
            .filter(|word| !word.is_empty())
            .map(Name::from)
            .collect()
    }

    /// Returns the modules that the words of a field name.
    pub fn modules(&self, name: &str) -> Vec<Name> {
        let words = self.words(name);
        words
            .iter()
            .map(|word| module_of(word.as_bytes()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let info =
            ModInfo::new(b"livepatch=Y\0name=x\0klp_fixes=A-1,B-2\0klp_fixes=C-3  D\0empty=\0");
        assert!(info.is_livepatch());
        assert_eq!(info.first("name"), Some(&b"x"[..]));
        assert_eq!(info.first("na"), None);
        assert_eq!(info.first("empty"), None);
        let words: Vec<_> = info
            .words("klp_fixes")
            .iter()
            .map(Name::to_string)
            .collect();
        assert_eq!(words, ["A-1", "B-2", "C-3", "D"]);
        let modules = ModInfo::new(b"depends=snd-hda-codec,b_c\0").modules("depends");
        assert_eq!(modules, ["snd_hda_codec".into(), "b_c".into()]);
    }

    #[test]
    fn output_of_modinfo() {
        let info = ModInfo::from_tool(
            b"filename:       /a:b.ko\0livepatch:      Y\0name:           x\0\n",
        );
        assert!(info.is_livepatch());
        assert_eq!(info.first("filename"), Some(&b"/a:b.ko"[..]));
        assert_eq!(info.first("name"), Some(&b"x"[..]));
    }
}
