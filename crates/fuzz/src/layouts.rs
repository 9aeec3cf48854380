//! Records in every layout, and as rows of every benchmark.

use serde_json::{Map, Value};
use vigos_layouts::{Benchmark, DemonstrationFields, Reader, RowFields, is_read, recognised};
use vigos_recipe::{DataLayout, Fields, ImageSource, Turns};

use crate::parts::is_a_line;
use crate::scratch;

/// A record gives the same rows whenever it is read, each with an image and an answer or with a reason, and no file from
/// outside its folder. The first two bytes say which layout is wanted and what becomes of conversations.
pub fn layouts(data: &[u8]) {
    let [layout, turns, text @ ..] = data else { return };
    let Ok(record) = serde_json::from_slice::<Map<String, Value>>(text) else { return };
    let named = DataLayout::ALL.into_iter().find(|known| known.name().as_bytes().first() == Some(layout));
    let layout = named.unwrap_or(DataLayout::Auto);
    let turns = match turns {
        b'e' => Turns::Each,
        b'l' => Turns::Last,
        _ => Turns::Refuse,
    };
    let folder = scratch::folder();
    let usual = [RowFields::from(&Fields::default()), RowFields::from(&DemonstrationFields::default())];
    for fields in usual.into_iter().chain(Benchmark::ALL.map(RowFields::Benchmark)) {
        if recognised(&record, &fields).is_some() {
            assert!(record.keys().any(|name| is_read(name, &fields)), "told by fields that nobody reads");
        }
        let reader = Reader { fields, layout, turns, links: Default::default() };
        let rows = reader.rows(&record, "set:1", 1, &folder);
        assert_eq!(rows, reader.rows(&record, "set:1", 1, &folder), "read again, another");
        assert!(rows.len() == 1 || (turns == Turns::Each && !rows.is_empty()));
        for row in rows {
            match row {
                Err(bad) => {
                    assert!(is_a_line(&bad.reason) && bad.reason.chars().count() <= 500, "{}", bad.reason);
                }
                Ok(row) => {
                    assert!(!row.images.is_empty());
                    assert!(row.demonstration.is_some() || !row.answer.trim().is_empty());
                    for image in &row.images {
                        assert!(
                            !matches!(image, ImageSource::File(file) if !file.starts_with(&folder)),
                            "{image:?}"
                        );
                    }
                }
            }
        }
    }
}
