//! The recording of a snapshot: its completions token by token, with what student and teachers said of each.

use crate::scored::{Observed, Scored, ScoredToken, Seen};
use std::collections::BTreeMap;
use vigos_recipe::{Method, Teacher};
use vigos_recording::{Column, Recording, Supervision, Tokens, Top, Who};
use vigos_rollout::transcript::{Transcripts, word};

/// Makes recordings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recordings<'a> {
    /// What is known of rollouts without their teachers.
    pub(crate) transcripts: Transcripts<'a>,
    /// The teacher table.
    pub(crate) method: &'a Method,
}

impl Recordings<'_> {
    /// The line of a completion, which is that of step `step` and in line `row` of its snapshot.
    pub(crate) fn line(&self, step: usize, row: usize, scored: &Scored) -> Recording {
        let Scored { rollout, tokens: taught, observed } = scored;
        let nothing = Observed::default();
        let Observed { student, teachers } = observed.as_ref().unwrap_or(&nothing);
        let mut recording = self.transcripts.of(step, row, rollout);
        recording.temperature = self.method.temperature;
        let known = recording.tokens.ids.len();
        let taught: Vec<&ScoredToken> = taught.iter().filter(|token| token.position < known).collect();

        let columns = Columns::of(student);
        recording.tokens = Tokens {
            logprob: columns.logprob,
            entropy: columns.entropy,
            rank: columns.rank,
            top: columns.top,
            ..recording.tokens
        };
        let mut seen = teachers.as_slice();
        for tokens in taught.chunk_by(|a, b| a.teacher == b.teacher) {
            let (own, rest) = seen.split_at(tokens.len().min(seen.len()));
            seen = rest;
            let teacher = tokens[0].teacher;
            let prompt = &rollout.sample.teachers[teacher];
            let teacher = &self.method.teachers[teacher];
            recording.prompts.push(self.transcripts.prompt(&teacher.name, prompt));
            recording.supervised.push(supervision(teacher, tokens, own));
        }
        recording.texts = self.texts(&recording);
        recording
    }

    /// Texts of the most probable tokens that were not sampled.
    fn texts(&self, Recording { tokens, supervised, .. }: &Recording) -> BTreeMap<u32, String> {
        let tops = tokens.top.iter().chain(supervised.iter().flat_map(|s| &s.top));
        let others = tops.flat_map(|top| &top.ids).filter(|id| !tokens.ids.contains(id));
        others.map(|id| (*id, self.transcripts.piece(*id))).collect()
    }
}

fn supervision(teacher: &Teacher, tokens: &[&ScoredToken], seen: &[Seen]) -> Supervision {
    let Columns { logprob, entropy, rank, top } = Columns::of(seen);
    Supervision {
        who: Who {
            teacher: teacher.name.clone(),
            context: teacher.context.iter().map(|context| context.name().to_owned()).collect(),
            of: teacher.spans.iter().map(word).collect(),
            when: word(&teacher.when),
            divergence: teacher.divergence.name().to_owned(),
            weight: teacher.weight,
        },
        positions: tokens.iter().map(|token| token.position).collect(),
        kl: Column(tokens.iter().map(|token| token.kl).collect()),
        clipped: tokens.iter().map(|token| if token.clipped { '1' } else { '0' }).collect(),
        logprob,
        entropy,
        rank,
        top,
    }
}

/// What was seen of some tokens.
struct Columns {
    logprob: Column,
    entropy: Column,
    rank: Vec<u32>,
    top: Vec<Top>,
}

impl Columns {
    fn of(seen: &[Seen]) -> Self {
        let top = |seen: &Seen| Top {
            ids: seen.top.iter().map(|(id, _)| *id).collect(),
            logprobs: Column(seen.top.iter().map(|(_, logprob)| *logprob).collect()),
        };
        Self {
            logprob: Column(seen.iter().map(|s| s.logprob).collect()),
            entropy: Column(seen.iter().map(|s| s.entropy).collect()),
            rank: seen.iter().map(|s| s.rank).collect(),
            top: seen.iter().filter(|s| !s.top.is_empty()).map(top).collect(),
        }
    }
}
