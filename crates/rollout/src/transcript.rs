//! A rollout for people, token by token: texts, spans, prompts, pictures. What teachers say of it is not in here.

use crate::record::RolloutRecord;
use crate::rolled_out::RolledOut;
use serde::Serialize;
use vigos_core::text::shortened;
use vigos_processor::patches::unpatched;
use vigos_processor::{Processor, Sequence};
use vigos_recipe::Record;
use vigos_recording::{Recording, Shown, Tokens, VERSION, piece, thumbnail};

/// Most characters of a prompt that is written down.
const LONGEST_PROMPT: usize = 4000;

/// Makes transcripts.
#[derive(Clone, Copy, Debug)]
pub struct Transcripts<'a> {
    /// How much is written down.
    pub record: &'a Record,
    /// Tokens to texts, patches to pictures.
    pub processor: &'a Processor,
}

impl Transcripts<'_> {
    /// The transcript of a rollout of step `step` that is in line `row` of its snapshot: its columns are those that are
    /// known without a model, its prompt is the student's.
    pub fn of(&self, step: usize, row: usize, rollout: &RolledOut) -> Recording {
        let RolloutRecord { id, problem, answer, valid, reason, predicted, correct, finish_reason, .. } =
            RolloutRecord::of(rollout);
        let ids = &rollout.tokens[..rollout.tokens.len().min(self.record.tokens)];
        let side = u32::try_from(self.record.image_side).unwrap_or(u32::MAX);
        let images = match side {
            0 => &[],
            _ => rollout.sample.images.as_slice(),
        };
        let picture = |image| thumbnail(&unpatched(image, self.processor.image_config())?, side);
        Recording {
            version: VERSION,
            step,
            row,
            id,
            problem,
            answer,
            kind: rollout.sample.kind.clone(),
            finish_reason: word(&finish_reason),
            valid,
            reason: reason.as_ref().map(word),
            predicted,
            correct,
            prompts: vec![self.prompt("student", &rollout.sample.student)],
            images: images.iter().filter_map(picture).collect(),
            length: rollout.tokens.len(),
            tokens: Tokens {
                ids: ids.to_vec(),
                pieces: ids.iter().map(|id| self.piece(*id)).collect(),
                spans: self.spans(rollout).chars().take(ids.len()).collect(),
                ..Tokens::default()
            },
            ..Recording::default()
        }
    }

    /// The prompt of a reader, in which an image is one token.
    pub fn prompt(&self, role: &str, prompt: &Sequence) -> Shown {
        let merge = self.processor.image_config().merge_size as usize;
        let mut ids = Vec::new();
        let mut next = 0;
        for slot in &prompt.images {
            ids.extend_from_slice(prompt.ids.get(next..slot.start).unwrap_or_default());
            ids.push(self.processor.image_token());
            next = slot.start + slot.grid.tokens(merge);
        }
        ids.extend_from_slice(prompt.ids.get(next..).unwrap_or_default());
        let text = self.processor.tokenizer().decode(&ids, false);
        Shown { role: role.to_owned(), text: shortened(&text, LONGEST_PROMPT).into_owned() }
    }

    /// The text of a token.
    pub fn piece(&self, id: u32) -> String {
        piece(self.bytes(id))
    }

    /// A letter a token: the part of the format that it lies in.
    fn spans(&self, rollout: &RolledOut) -> String {
        let mut letters = vec!['-'; rollout.tokens.len()];
        let Some(spans) = rollout.verdict.spans() else { return letters.into_iter().collect() };
        spans.description.iter().for_each(|position| letters[*position] = 'd');
        spans.reasoning_answer.iter().for_each(|position| letters[*position] = 'r');
        if let Ok(segments) = rollout.text.segments() {
            let mut start = 0;
            for (letter, id) in letters.iter_mut().zip(&rollout.tokens) {
                if *letter == 'r' && segments.answer.contains(&start) {
                    *letter = 'a';
                }
                start += self.bytes(*id).len();
            }
        }
        letters.into_iter().collect()
    }

    fn bytes(&self, id: u32) -> &[u8] {
        self.processor.tokenizer().token_bytes(id).unwrap_or_default()
    }
}

/// The name that a value has in files.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
