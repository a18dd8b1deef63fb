// SPDX-License-Identifier: GPL-2.0-or-later

//! The names of livepatch sections and symbols, well formed and not.

#[kernel::macros::kunit_tests(rust_livepatch_names)]
mod tests {
    use crate::model::names::{
        section_object,
        symbol,
        Symbol, //
    };

    const LONGEST_OBJECT: [u8; 55] = [b'o'; 55];
    const LONGEST_SYMBOL: [u8; 511] = [b's'; 511];

    fn parsed<'a>(object: &'a [u8], name: &'a [u8], position: usize) -> Option<Symbol<'a>> {
        Some(Symbol {
            object,
            name,
            position,
        })
    }

    /// `parts`, one after the other, in `buffer`.
    fn join<'a>(buffer: &'a mut [u8; 640], parts: &[&[u8]]) -> &'a [u8] {
        let mut len = 0;
        for part in parts {
            if let Some(room) = buffer.get_mut(len..len + part.len()) {
                room.copy_from_slice(part);
                len += part.len();
            }
        }
        buffer.get(..len).unwrap_or(&[])
    }

    #[test]
    fn section_names_its_object() {
        assert_eq!(
            section_object(b".klp.rela.vmlinux..text"),
            Some(&b"vmlinux"[..])
        );
        assert_eq!(
            section_object(b".klp.rela.ext4..text.f"),
            Some(&b"ext4"[..])
        );
        assert_eq!(section_object(b".klp.rela.ext4"), Some(&b"ext4"[..]));
    }

    #[test]
    fn malformed_section_is_refused() {
        assert_eq!(section_object(b""), None);
        assert_eq!(section_object(b".klp.rela"), None);
        assert_eq!(section_object(b".klp.rela."), None);
        assert_eq!(section_object(b".klp.rela..text"), None);
        assert_eq!(section_object(b".rela.vmlinux.text"), None);
        assert_eq!(section_object(b".klp.sym.vmlinux.printk,0"), None);
    }

    #[test]
    fn section_object_is_cut_where_it_is_too_long() {
        let mut buffer = [0; 640];
        let name = join(&mut buffer, &[b".klp.rela.", &LONGEST_OBJECT, b"x.text"]);
        assert_eq!(section_object(name), Some(&LONGEST_OBJECT[..]));
    }

    #[test]
    fn symbol_has_three_parts() {
        assert_eq!(
            symbol(b".klp.sym.vmlinux.printk,0"),
            parsed(b"vmlinux", b"printk", 0)
        );
        assert_eq!(symbol(b".klp.sym.ext4.f,12"), parsed(b"ext4", b"f", 12));
    }

    #[test]
    fn symbol_name_may_have_dots() {
        assert_eq!(
            symbol(b".klp.sym.ext4.f.isra.0,1"),
            parsed(b"ext4", b"f.isra.0", 1)
        );
    }

    #[test]
    fn symbol_without_a_part_is_refused() {
        assert_eq!(symbol(b""), None);
        assert_eq!(symbol(b".klp.sym."), None);
        assert_eq!(symbol(b".klp.sym.vmlinux"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux."), None);
        assert_eq!(symbol(b".klp.sym..printk,0"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux.,0"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux.printk"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux.printk,"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux,printk.0"), None);
    }

    #[test]
    fn symbol_with_a_bad_number_is_refused() {
        assert_eq!(symbol(b".klp.sym.vmlinux.printk,x"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux.printk,-1"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux.printk,+1"), None);
    }

    #[test]
    fn what_follows_the_number_is_ignored() {
        assert_eq!(
            symbol(b".klp.sym.vmlinux.printk,7x"),
            parsed(b"vmlinux", b"printk", 7)
        );
    }

    #[test]
    fn white_space_before_the_number_is_ignored() {
        for space in *b" \t\n\x0b\x0c\r\xa0" {
            let mut buffer = [0; 640];
            let name = join(
                &mut buffer,
                &[b".klp.sym.vmlinux.printk,", &[space, space], b"7"],
            );
            assert_eq!(symbol(name), parsed(b"vmlinux", b"printk", 7));
        }
        assert_eq!(symbol(b".klp.sym.vmlinux.printk,\x087"), None);
        assert_eq!(symbol(b".klp.sym.vmlinux.printk,\x0e7"), None);
    }

    #[test]
    fn number_that_is_too_large_is_the_largest() {
        let largest = parsed(b"vmlinux", b"printk", usize::MAX);
        for name in [
            &b".klp.sym.vmlinux.printk,18446744073709551615"[..],
            b".klp.sym.vmlinux.printk,18446744073709551616",
            b".klp.sym.vmlinux.printk,18446744073709551620",
            b".klp.sym.vmlinux.printk,184467440737095516150",
        ] {
            assert_eq!(symbol(name), largest);
        }
    }

    #[test]
    fn longest_names_fit() {
        let mut buffer = [0; 640];
        let name = join(
            &mut buffer,
            &[b".klp.sym.", &LONGEST_OBJECT, b".", &LONGEST_SYMBOL, b",3"],
        );
        assert_eq!(symbol(name), parsed(&LONGEST_OBJECT, &LONGEST_SYMBOL, 3));
    }

    #[test]
    fn longer_names_are_refused() {
        let mut buffer = [0; 640];
        let name = join(&mut buffer, &[b".klp.sym.x", &LONGEST_OBJECT, b".f,3"]);
        assert_eq!(symbol(name), None);
        let mut buffer = [0; 640];
        let name = join(&mut buffer, &[b".klp.sym.m.x", &LONGEST_SYMBOL, b",3"]);
        assert_eq!(symbol(name), None);
    }
}
