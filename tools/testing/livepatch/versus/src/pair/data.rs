// SPDX-License-Identifier: GPL-2.0

//! The operations on shadow variables.

use super::{
    compare::same,
    Checked,
    Pair, //
};
use crate::{
    edge::shadow_table::{
        self,
        Constructor,
        Destructor,
        Key, //
    },
    history::{
        Variable,
        IDS,
        OBJECTS, //
    },
    shadow, //
};

/// The error of a constructor that fails.
const EIO: i32 = -5;

impl Pair {
    pub(super) fn variable(
        &mut self,
        object: usize,
        id: usize,
        what: Variable,
        no_memory: bool,
    ) -> Checked {
        let key = Key::new(object, id);
        let exists = shadow_table::find(key).is_some();
        self.made += 1;
        let value = self.made;
        let error = |fails| if fails { EIO } else { 0 };
        let by = |fails| Constructor {
            value,
            error: error(fails),
        };
        let size = size_of_val(&value);

        shadow_table::FAILS.set(no_memory);
        let rules = match what {
            Variable::Make { fails } => shadow::alloc(key, size, 0, by(fails)).is_some(),
            Variable::GetOrMake { fails } => {
                shadow::get_or_alloc(key, size, 0, by(fails)).is_some()
            }
            Variable::Free => {
                shadow::free(key, Destructor);
                true
            }
            Variable::FreeAll => {
                shadow::free_all(id, Destructor);
                true
            }
        };
        shadow_table::FAILS.set(false);
        self.unwarned = no_memory && exists && matches!(what, Variable::Make { .. });

        self.c.set_failing(if no_memory { 0 } else { -1 });
        let c = match what {
            Variable::Make { fails } => self.c.shadow_alloc(object, id, value, error(fails)),
            Variable::GetOrMake { fails } => {
                self.c.shadow_get_or_alloc(object, id, value, error(fails))
            }
            Variable::Free => {
                self.c.shadow_free(object, id);
                true
            }
            Variable::FreeAll => {
                self.c.shadow_free_all(id);
                self.unordered = true;
                true
            }
        };
        self.c.set_failing(-1);

        same("a shadow variable is there", rules, c)?;
        self.tally.note(match (what, exists) {
            (Variable::Free | Variable::FreeAll, false) => "no shadow variable to free",
            (Variable::Free, true) => "shadow variable freed",
            (Variable::FreeAll, true) => "shadow variables of one identifier freed",
            (Variable::GetOrMake { .. }, true) => "shadow variable found",
            (Variable::Make { .. }, true) => "shadow variable made twice",
            _ if no_memory => "no memory for a shadow variable",
            _ if rules => "shadow variable made",
            _ => "shadow variable not constructed",
        });
        self.compare_variables()
    }

    fn compare_variables(&self) -> Checked {
        for object in 0..OBJECTS {
            for id in 1..=IDS {
                let rules = shadow_table::value(Key::new(object, id));
                let c = self.c.shadow_get(object, id);
                same(
                    "the value of a shadow variable",
                    (object, id, rules),
                    (object, id, c),
                )?;
            }
        }
        Ok(())
    }
}
