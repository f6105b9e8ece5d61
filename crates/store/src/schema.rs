//! Schema versions, one per owner of tables, and the steps between them.

use crate::{Store, StoreError, Table, WriteTx};

const SCHEMA: Table<String, u32> = Table::new("gantry.schema");

/// One step of an owner's schema: from the version that is its index in the list to the next. It sees old rows through
/// a [`Table`] of `serde_json::Value`.
pub type Migration = fn(&WriteTx) -> Result<(), StoreError>;

impl Store {
    /// Brings an owner's tables to the newest version: all missing steps in one transaction. Version 0 is an empty
    /// store; the first step may have nothing to do. A store written by a newer program is refused, untouched.
    pub fn migrate(&self, owner: &'static str, steps: &[Migration]) -> Result<(), StoreError> {
        let known = u32::try_from(steps.len()).expect("schema versions are few");
        let at = self.read(|tx| tx.get(SCHEMA, &owner.to_owned()))?.unwrap_or(0);
        if at > known {
            return Err(StoreError::TooNew { owner, found: at, known });
        }
        if at == known {
            return Ok(());
        }
        self.write(|tx| {
            for step in &steps[at as usize..] {
                step(tx)?;
            }
            tx.put(SCHEMA, &owner.to_owned(), &known)
        })
    }
}
