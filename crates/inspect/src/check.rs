//! A look at every row of a data set.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;
use vigos_core::text::shortened;
use vigos_data::{BadRow, Dataset, ImageSource, Row, RowFields, recognised};
use vigos_grade::AnswerKind;
use vigos_recipe::sample::Skip;

use crate::answers::kind;
use crate::error::InspectError;
use crate::look::{Looked, Measured};
use crate::pictures::{self, Picture};
use crate::report::{BadOne, HardOne, Lengths, Prompts, Report};

/// Rows whose layout is looked at.
const LAID_OUT: usize = 100;
/// Rows that are looked at side by side.
const TOGETHER: usize = 256;
/// Bad rows that are named.
const NAMED: usize = 10;

/// What was seen of a row.
struct Seen {
    row: Result<Usable, BadRow>,
    missing: usize,
    broken: usize,
    /// Width and height of the images that can be decoded.
    sizes: Vec<[u32; 2]>,
}

/// What is kept of a row that can be used.
struct Usable {
    kind: AnswerKind,
    /// Its answer, if the grader will have trouble with it.
    hard: Option<String>,
    /// Of its name, and of all that it asks.
    hashes: [u64; 2],
    measured: Option<Measured>,
    is_small: bool,
}

/// Goes through all rows as a run would, except that nothing is trained; `progress` sees how many of how many are done.
///
/// # Errors
/// If the data set cannot be read on; rows that cannot be used are no error.
pub fn check(
    dataset: &Dataset,
    how: &Looked,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Report, InspectError> {
    let rows = dataset.count().get();
    let mut report = Report { rows, format: dataset.format().to_owned(), ..Report::default() };
    let mut counts = Counts::default();
    for first in (0..rows).step_by(TOGETHER) {
        let chunk = first..(first + TOGETHER).min(rows);
        dataset.look_ahead(chunk.clone())?;
        let seen: Vec<_> = chunk.clone().into_par_iter().map(|row| look(dataset, row, how)).collect();
        for (row, seen) in chunk.clone().zip(seen) {
            counts.add(row, seen?, &mut report);
        }
        progress(chunk.end, rows);
    }
    if let (Some(student), Some(longest)) = (Lengths::of(counts.student), Lengths::of(counts.longest)) {
        report.prompts = Some(Prompts { student, longest });
    }
    Ok(report)
}

/// The layouts of the first rows, and the columns of the first.
///
/// # Errors
/// As [`check`].
pub fn layouts(dataset: &Dataset, fields: &RowFields, report: &mut Report) -> Result<(), InspectError> {
    for row in 0..dataset.count().get().min(LAID_OUT) {
        let Some(found) = dataset.fields(row)? else { continue };
        let name = recognised(&found, fields).map_or("unknown", |layout| layout.name());
        *report.layouts.entry(name.to_owned()).or_default() += 1;
        if report.columns.is_empty() {
            report.columns = found.keys().map(|name| shortened(name, 80).into_owned()).collect();
        }
    }
    let most = report.layouts.iter().max_by_key(|(_, count)| **count);
    report.layout = most.map_or_else(|| "rows".to_owned(), |(name, _)| name.clone());
    Ok(())
}

/// What is summed up besides the report.
#[derive(Default)]
struct Counts {
    ids: HashSet<u64>,
    asked: HashSet<u64>,
    student: Vec<usize>,
    longest: Vec<usize>,
}

impl Counts {
    fn add(&mut self, number: usize, seen: Seen, report: &mut Report) {
        report.images.found += seen.sizes.len();
        report.images.missing += seen.missing;
        report.images.broken += seen.broken;
        for size in seen.sizes {
            let pixels = |size: &[u32; 2]| u64::from(size[0]) * u64::from(size[1]);
            let images = &mut report.images;
            images.smallest = [images.smallest, Some(size)].into_iter().flatten().min_by_key(pixels);
            images.largest = [images.largest, Some(size)].into_iter().flatten().max_by_key(pixels);
        }
        let usable = match seen.row {
            Ok(usable) => usable,
            Err(BadRow { origin, id, reason }) => {
                if report.first_bad.len() < NAMED {
                    report.first_bad.push(BadOne { row: number, id, origin, reason });
                }
                return;
            }
        };
        let Usable { kind, hard, hashes: [id, asked], measured, is_small } = usable;
        let answers = &mut report.answers;
        match kind {
            AnswerKind::Number => answers.number += 1,
            AnswerKind::Choice => answers.choice += 1,
            AnswerKind::Text => answers.text += 1,
        }
        if let Some(answer) = hard {
            answers.hard += 1;
            if answers.first_hard.len() < NAMED {
                answers.first_hard.push(HardOne { row: number, answer });
            }
        }
        report.duplicates.ids += usize::from(!self.ids.insert(id));
        report.duplicates.rows += usize::from(!self.asked.insert(asked));
        let is_long = measured.as_ref().is_some_and(|measured| measured.is_too_long);
        let left_out = match (is_small, is_long) {
            (true, _) => Some(Skip::SmallImage { side: 0 }),
            (false, true) => Some(Skip::LongPrompt { role: String::new(), tokens: 0 }),
            (false, false) => None,
        };
        match left_out {
            Some(skip) => *report.left_out.entry(skip.kind().to_owned()).or_default() += 1,
            None => {
                report.usable += 1;
                if let Some(measured) = measured {
                    self.student.push(measured.student);
                    self.longest.push(measured.longest);
                }
            }
        }
    }
}

/// Looks at a row and its images.
fn look(dataset: &Dataset, number: usize, how: &Looked) -> Result<Seen, InspectError> {
    let mut seen =
        Seen { row: Err(BadRow::new(String::new(), "", "")), missing: 0, broken: 0, sizes: Vec::new() };
    let mut row = match dataset.read(number)? {
        Ok(row) => row,
        Err(bad) => return Ok(Seen { row: Err(bad), ..seen }),
    };
    let mut fault = None;
    for image in &mut row.images {
        let picture = match dataset.fetch(image) {
            Ok(()) => pictures::look(image, how.images.max_pixels),
            Err(reason) => Picture::Missing(format!("field `image`: {reason}")),
        };
        match picture {
            Picture::Sound(image) => seen.sizes.push([image.width(), image.height()]),
            Picture::Missing(reason) => {
                seen.missing += 1;
                fault.get_or_insert(reason);
            }
            Picture::Broken(reason) => {
                seen.broken += 1;
                fault.get_or_insert(reason);
            }
        }
    }
    let made = match fault {
        Some(reason) => Err(reason),
        None => usable(&row, &seen.sizes, how),
    };
    seen.row = made.map_err(|reason| BadRow::new(row.origin.clone(), &row.id, &reason));
    Ok(seen)
}

fn usable(row: &Row, sizes: &[[u32; 2]], how: &Looked) -> Result<Usable, String> {
    let answer = row.demonstration.as_ref().map_or(&row.answer, |learnt| &learnt.completion);
    let (kind, is_hard) = kind(&row.problem, answer);
    let measured = match &how.reader {
        None => None,
        Some(reader) => {
            let grids = sizes.iter().map(|[width, height]| reader.grid(*height, *width));
            Some(reader.measure(row, &grids.collect::<Result<Vec<_>, _>>()?)?)
        }
    };
    let is_small = sizes.iter().flatten().any(|side| (*side as usize) < how.images.min_side);
    Ok(Usable {
        kind,
        // A demonstration is learnt, not graded.
        hard: (is_hard && row.demonstration.is_none()).then(|| shortened(answer, 120).into_owned()),
        hashes: [hashed(|hasher| row.id.hash(hasher)), hashed(|hasher| asked(row, hasher))],
        measured,
        is_small,
    })
}

/// All that a row asks and answers.
fn asked(row: &Row, hasher: &mut DefaultHasher) {
    (&row.problem, &row.answer).hash(hasher);
    for turn in &row.before {
        (turn.speaker.name(), &turn.text).hash(hasher);
    }
    for image in &row.images {
        match image {
            ImageSource::File(path) => path.hash(hasher),
            ImageSource::Link(link) => link.hash(hasher),
            ImageSource::Bytes(bytes) => bytes.hash(hasher),
        }
    }
    if let Some(learnt) = &row.demonstration {
        (&learnt.prefill, &learnt.completion).hash(hasher);
    }
}

fn hashed(with: impl Fn(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    with(&mut hasher);
    hasher.finish()
}
