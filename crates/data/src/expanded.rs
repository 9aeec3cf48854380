//! Records of which some are several rows.

use serde_json::{Map, Value};

use crate::error::DatasetError;
use crate::row_result::RowResult;
use crate::stored::Stored;
use vigos_core::order::RowGroup;

/// Stored records by the rows that they are.
#[derive(Debug)]
pub(crate) struct Expanded {
    stored: Box<dyn Stored>,
    /// Of each row its record and its number there; none where each record is one row.
    places: Option<Vec<(u32, u32)>>,
}

impl Expanded {
    /// Records that are a row each.
    pub(crate) fn one(stored: Box<dyn Stored>) -> Self {
        Self { stored, places: None }
    }

    /// Records that may be several rows each, the first `limit` rows of them if given: all are read once.
    ///
    /// # Errors
    /// As [`Stored::rows`].
    pub(crate) fn each(stored: Box<dyn Stored>, limit: Option<usize>) -> Result<Self, DatasetError> {
        let limit = limit.unwrap_or(usize::MAX);
        let mut places = Vec::new();
        for record in 0..stored.records() {
            let rows = stored.rows(record)?.map_or(0, |rows| rows.len());
            for row in 0..rows {
                if places.len() >= limit {
                    break;
                }
                places.push((
                    u32::try_from(record).unwrap_or(u32::MAX),
                    u32::try_from(row).unwrap_or(u32::MAX),
                ));
            }
        }
        Ok(Self { stored, places: Some(places) })
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.places.as_ref().map_or_else(|| self.stored.records(), Vec::len)
    }

    /// Row `index`; none beyond the last.
    ///
    /// # Errors
    /// As [`Stored::rows`].
    pub(crate) fn load(&self, index: usize) -> Result<Option<RowResult>, DatasetError> {
        let Some((record, row)) = self.place(index) else { return Ok(None) };
        Ok(self.stored.rows(record)?.and_then(|rows| rows.into_iter().nth(row)))
    }

    /// The groups of records that rows are stored in, if they are, with the rows in each.
    pub(crate) fn groups(&self) -> Option<Vec<RowGroup>> {
        let groups = self.stored.groups()?;
        let Some(places) = &self.places else { return Some(groups) };
        let mut end = 0;
        let each = groups.into_iter().map(|group| {
            let first = places.partition_point(|(record, _)| (*record as usize) < end);
            end += group.rows;
            let after = places.partition_point(|(record, _)| (*record as usize) < end);
            RowGroup { rows: after - first, bytes: group.bytes }
        });
        Some(each.collect())
    }

    /// The fields of the record that row `index` is of.
    ///
    /// # Errors
    /// As [`Stored::rows`].
    pub(crate) fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError> {
        match self.place(index) {
            Some((record, _)) => self.stored.fields(record),
            None => Ok(None),
        }
    }

    fn place(&self, index: usize) -> Option<(usize, usize)> {
        match &self.places {
            None => Some((index, 0)),
            Some(places) => places.get(index).map(|(record, row)| (*record as usize, *row as usize)),
        }
    }
}
