//! Rollouts of a run: from its recordings, or from the snapshots of one that has none.

use crate::visible::visible;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_core::jsonl::{JsonLinesError, LastLine, ReadOptions, read_lines};
use vigos_recording::{Recording, Shown, Supervision, Tokens};

/// Most characters of a question, an answer, a prompt.
const LONGEST: usize = 4000;
/// Most characters of a completion that was not recorded token by token.
const LONGEST_COMPLETION: usize = 12_000;
/// Most characters of a token.
const LONGEST_PIECE: usize = 200;
/// Most tokens of a rollout.
const MOST_TOKENS: usize = 4096;
/// Most bytes of a picture.
const LARGEST_PICTURE: usize = 200_000;
/// Most bytes of a step's file that is looked at for the newest rollouts.
const LARGEST_STEP: u64 = 100_000_000;
/// Files may have so many times the bytes that a page has for their rollouts: some of it is left out.
const GENEROUS: u64 = 3;

/// A rollout as the page has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Rollout {
    pub(crate) step: usize,
    row: usize,
    pub(crate) id: String,
    problem: String,
    kind: Option<String>,
    pub(crate) answer: String,
    pub(crate) predicted: Option<String>,
    pub(crate) valid: bool,
    pub(crate) reason: Option<String>,
    pub(crate) correct: bool,
    finish: String,
    length: usize,
    temperature: f64,
    /// Prompts by role.
    prompts: Vec<Shown>,
    /// Pictures as addresses of their data.
    images: Vec<String>,
    /// The completion, where its tokens are not known.
    pub(crate) completion: Option<String>,
    pub(crate) tokens: Tokens,
    supervised: Vec<Supervision>,
    texts: BTreeMap<u32, String>,
}

/// A line of `rollouts/step-000010.jsonl`, as far as it is shown.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    id: String,
    #[serde(default)]
    problem: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    completion: String,
    #[serde(default)]
    completion_token_ids: Vec<u32>,
    #[serde(default)]
    finish_reason: String,
    #[serde(default)]
    valid: bool,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    predicted: Option<String>,
    #[serde(default)]
    correct: bool,
}

/// The rollouts of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshots {
    /// Those that are shown.
    pub(crate) rollouts: Vec<Rollout>,
    /// Steps that have any, shown or not.
    pub(crate) steps: usize,
    /// Whether any was recorded token by token.
    pub(crate) recorded: bool,
}

/// A step's file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    step: usize,
    path: PathBuf,
    bytes: u64,
    recorded: bool,
}

impl Snapshots {
    /// Those of a run's folder, at most `most` and about so many bytes: of some of the steps, evenly, if there are more.
    pub(crate) fn of(folder: &Path, most: usize, bytes: usize, notes: &mut Vec<String>) -> Self {
        let files = files(folder);
        let steps = files.len();
        let recorded = files.iter().any(|file| file.recorded);
        let mut sample = read(&files[..files.len().min(1)], notes);
        let each = sample.first().map_or(1, |(_, rollouts)| rollouts.len()).max(1);
        let total: u64 = files.iter().map(|file| file.bytes).sum();
        let room = (bytes as u64).saturating_mul(GENEROUS);
        let affordable = match total > room {
            true => (u128::from(room) * files.len() as u128 / u128::from(total)).max(1) as usize,
            false => files.len(),
        };
        let chosen = spread(&files, affordable.min((most / each).max(1)));
        // The first was read already.
        sample.extend(read(chosen.get(1..).unwrap_or_default(), notes));
        let rollouts = fitting(sample, most, bytes);
        Self { rollouts, steps, recorded }
    }

    /// At most `most` rollouts of the last step that has any.
    pub(crate) fn newest(folder: &Path, most: usize) -> Vec<Rollout> {
        let last = files(folder).pop().filter(|file| file.bytes <= LARGEST_STEP);
        let mut found = last.map_or_else(Vec::new, |file| read(&[file], &mut Vec::new()));
        let mut rollouts = found.pop().map_or_else(Vec::new, |(_, rollouts)| rollouts);
        rollouts.truncate(most);
        rollouts
    }

    /// The text of a token, if a recording has it.
    pub(crate) fn piece(&self, id: u32) -> Option<String> {
        self.rollouts.iter().find_map(|rollout| {
            let own = rollout.tokens.ids.iter().position(|own| *own == id);
            own.and_then(|at| rollout.tokens.pieces.get(at)).or_else(|| rollout.texts.get(&id)).cloned()
        })
    }
}

/// The files of a folder's steps in their order; of a step with a recording that.
fn files(folder: &Path) -> Vec<File> {
    let mut files = BTreeMap::new();
    for (name, recorded) in [("rollouts", false), ("recordings", true)] {
        for entry in std::fs::read_dir(folder.join(name)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let step =
                name.to_str().and_then(|n| n.strip_prefix("step-")?.strip_suffix(".jsonl")?.parse().ok());
            let Some(step) = step else { continue };
            let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
            files.insert(step, File { step, path: entry.path(), bytes, recorded });
        }
    }
    files.into_values().collect()
}

/// At most `count` of some things, evenly, the first and the last among them.
fn spread<T: Clone>(all: &[T], count: usize) -> Vec<T> {
    if all.len() <= count {
        return all.to_vec();
    }
    if count < 2 {
        return all[..count].to_vec();
    }
    (0..count).map(|i| all[i * (all.len() - 1) / (count - 1)].clone()).collect()
}

/// The rollouts of files, by step.
fn read(files: &[File], notes: &mut Vec<String>) -> Vec<(usize, Vec<Rollout>)> {
    let mut steps = Vec::new();
    for file in files {
        let (rollouts, error) = if file.recorded { recorded(file) } else { written(file) };
        if let Some(error) = error {
            notes.push(visible(&format!("rollouts of step {} are left out: {error}", file.step), 300));
        }
        steps.push((file.step, rollouts));
    }
    steps
}

/// All that could be read, and what could not.
type Found = (Vec<Rollout>, Option<JsonLinesError>);

fn recorded(file: &File) -> Found {
    let lines = match vigos_recording::read(&file.path) {
        Ok(lines) => lines,
        Err(error) => return (Vec::new(), Some(error)),
    };
    collect(lines.map(|line| line.map(|recording| Rollout::recorded(file.step, recording))))
}

fn written(file: &File) -> Found {
    let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
    let lines = match read_lines::<Line>(&file.path, options) {
        Ok(lines) => lines,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let lines =
        lines.enumerate().map(|(row, line)| line.map(|(_, line)| Rollout::written(file.step, row, line)));
    collect(lines)
}

fn collect(lines: impl Iterator<Item = Result<Rollout, JsonLinesError>>) -> Found {
    let mut rollouts = Vec::new();
    for line in lines {
        match line {
            Ok(rollout) => rollouts.push(rollout),
            Err(error) => return (rollouts, Some(error)),
        }
    }
    (rollouts, None)
}

/// The rollouts of as many steps, evenly, as fit into so many bytes; of a single step as many as fit.
fn fitting(steps: Vec<(usize, Vec<Rollout>)>, most: usize, bytes: usize) -> Vec<Rollout> {
    let size = |rollout: &Rollout| serde_json::to_string(rollout).map_or(0, |text| text.len() + 1);
    let mut steps: Vec<(usize, Vec<Rollout>)> = steps;
    let mut sizes: Vec<usize> = steps.iter().map(|(_, rollouts)| rollouts.iter().map(size).sum()).collect();
    loop {
        let total: usize = sizes.iter().sum();
        if steps.len() < 2 || total <= bytes {
            break;
        }
        // As many as the average says, and fewer in any case.
        let fewer = (steps.len() * bytes / total).clamp(1, steps.len() - 1);
        (steps, sizes) = (spread(&steps, fewer), spread(&sizes, fewer));
    }
    let mut left = bytes;
    let all = steps.into_iter().flat_map(|(_, rollouts)| rollouts).take(most);
    let fits = |rollout: &Rollout| match left.checked_sub(size(rollout)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    all.filter(fits).collect()
}

impl Rollout {
    fn recorded(step: usize, recording: Recording) -> Self {
        let Recording { row, id, problem, answer, valid, reason, predicted, correct, finish_reason, .. } =
            recording;
        let mut tokens = recording.tokens;
        let count = tokens.ids.len().min(tokens.pieces.len()).min(MOST_TOKENS);
        tokens.ids.truncate(count);
        tokens.pieces = tokens.pieces.iter().take(count).map(|piece| visible(piece, LONGEST_PIECE)).collect();
        tokens.spans = tokens.spans.chars().take(count).collect();
        tokens.rank.truncate(count);
        tokens.top.truncate(count);
        for column in [&mut tokens.logprob, &mut tokens.entropy] {
            column.0.truncate(count);
        }
        let mut supervised = recording.supervised;
        for taught in &mut supervised {
            let who = &mut taught.who;
            who.teacher = visible(&who.teacher, 60);
            let words = who.context.iter_mut().chain(&mut who.of);
            words.chain([&mut who.when, &mut who.divergence]).for_each(|word| *word = visible(word, 60));
        }
        let picture = |picture: vigos_recording::Picture| {
            let known = ["image/png", "image/jpeg"].contains(&picture.kind.as_str());
            let plain = picture.data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
            let small = picture.data.len() <= LARGEST_PICTURE;
            (known && plain && small).then(|| format!("data:{};base64,{}", picture.kind, picture.data))
        };
        let shown =
            |prompt: Shown| Shown { role: visible(&prompt.role, 60), text: visible(&prompt.text, LONGEST) };
        Self {
            kind: recording.kind.map(|kind| visible(&kind, 60)),
            length: recording.length.max(count),
            temperature: recording.temperature,
            prompts: recording.prompts.into_iter().take(16).map(shown).collect(),
            images: recording.images.into_iter().take(16).filter_map(picture).collect(),
            completion: None,
            tokens,
            supervised,
            texts: recording.texts.iter().map(|(id, text)| (*id, visible(text, LONGEST_PIECE))).collect(),
            ..Self::judged(Judged {
                step,
                row,
                id,
                problem,
                answer,
                valid,
                reason,
                predicted,
                correct,
                finish_reason,
            })
        }
    }

    fn written(step: usize, row: usize, line: Line) -> Self {
        let Line { id, problem, answer, valid, reason, predicted, correct, finish_reason, .. } = line;
        Self {
            length: line.completion_token_ids.len(),
            completion: Some(visible(&line.completion, LONGEST_COMPLETION)),
            ..Self::judged(Judged {
                step,
                row,
                id,
                problem,
                answer,
                valid,
                reason,
                predicted,
                correct,
                finish_reason,
            })
        }
    }

    fn judged(judged: Judged) -> Self {
        Self {
            step: judged.step,
            row: judged.row,
            id: visible(&judged.id, 100),
            problem: visible(&judged.problem, LONGEST),
            answer: visible(&judged.answer, LONGEST),
            predicted: judged.predicted.map(|text| visible(&text, LONGEST)),
            valid: judged.valid,
            reason: judged.reason.map(|text| visible(&text, 60)),
            correct: judged.correct,
            finish: visible(&judged.finish_reason, 60),
            ..Self::default()
        }
    }
}

/// What both files say of a rollout.
struct Judged {
    step: usize,
    row: usize,
    id: String,
    problem: String,
    answer: String,
    valid: bool,
    reason: Option<String>,
    predicted: Option<String>,
    correct: bool,
    finish_reason: String,
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn some_of_many_are_spread_evenly_with_both_ends() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(spread(&all, 5), [0, 24, 49, 74, 99]);
        assert_eq!((spread(&all, 1), spread(&all, 0)), (vec![0], vec![]));
        assert_eq!(spread(&all, 1000).len(), 100);
    }
}
