//! Makes rows of records.

use std::path::Path;

use serde_json::{Map, Value};
use vigos_links::Links;
use vigos_recipe::row::ImageSource;
use vigos_recipe::{BadRow, DataLayout, Row, Turns};

use crate::entry::Entry;
use crate::fields::RowFields;

/// How records are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// What rows are, and the names of their fields.
    pub fields: RowFields,
    /// Where a record says what.
    pub layout: DataLayout,
    /// What becomes of conversations of several questions.
    pub turns: Turns,
    /// The links of pictures that may be followed.
    pub links: Links,
}

impl Reader {
    /// The rows of a record, in order: one, or several of a conversation. `origin` says where it stands, `number` is its
    /// name if it has none of its own, `root` is the folder that image paths are relative to.
    pub fn rows(
        &self,
        record: &Map<String, Value>,
        origin: &str,
        number: usize,
        root: &Path,
    ) -> Vec<Result<Row, BadRow>> {
        let entry = Entry { object: record, root, fields: &self.fields };
        let number = number.to_string();
        let bad = |id: &str, reason: &str| vec![Err(BadRow::new(origin.to_owned(), id, reason))];
        let id = match entry.id() {
            Ok(id) => id.unwrap_or(number),
            Err(reason) => return bad(&number, &reason),
        };
        let asked = match entry.rows(self.layout, self.turns) {
            Ok(rows) => rows,
            Err(reason) => return bad(&id, &reason),
        };
        let many = asked.len() > 1;
        let named = asked.into_iter().enumerate().map(|(turn, made)| {
            let id = if many { format!("{id}-{}", turn + 1) } else { id.clone() };
            match made.and_then(|row| self.admitted(row)) {
                Ok(row) => Ok(Row { id, origin: origin.to_owned(), ..row }),
                Err(reason) => Err(BadRow::new(origin.to_owned(), &id, &reason)),
            }
        });
        named.collect()
    }

    /// A row with the links of its pictures as they are followed; or why one is not.
    ///
    /// # Errors
    /// What was found and wanted.
    pub fn admitted(&self, mut row: Row) -> Result<Row, String> {
        for image in &mut row.images {
            if let ImageSource::Link(link) = image {
                *link = self.links.admit(link)?;
            }
        }
        Ok(row)
    }
}
