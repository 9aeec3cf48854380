//! Who supervises what: from the recipe's teacher table and a judged rollout to the rows of the loss.
//!
//! Routing is data. A teacher reads a rollout only if its `when` holds, only as far as the last token that it
//! supervises, and gives one row of the loss for each of these tokens.

use crate::spans::{Verdict, completion_positions};
use vigos_recipe::{Reads, Span, Teacher, When};

/// One teacher's pass over one completion.
#[derive(Clone, Debug, PartialEq)]
pub struct TeacherPass {
    /// Index in the teacher table.
    pub teacher: usize,
    /// Tokens that follow the teacher's prompt.
    pub tokens: Vec<u32>,
    /// The supervised tokens.
    pub active: Vec<ActiveToken>,
}

/// A supervised token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveToken {
    /// Its place in the student's completion.
    pub position: usize,
    /// How many tokens of the completion the teacher has read before it.
    pub read: usize,
    /// Whether it is the last description token or the first reasoning token.
    pub boundary: bool,
}

/// The passes over one completion, in the order of the teacher table.
pub fn route(teachers: &[Teacher], completion: &[u32], verdict: &Verdict) -> Vec<TeacherPass> {
    let applies = |when| match when {
        When::Always => true,
        When::Valid => verdict.spans().is_some(),
        When::Invalid => verdict.spans().is_none(),
    };
    teachers
        .iter()
        .enumerate()
        .filter(|(_, t)| t.runs() && applies(t.when))
        .filter_map(|(index, teacher)| {
            let positions = supervised(&teacher.spans, completion, verdict);
            let last = *positions.last()?;
            let tokens = match teacher.reads {
                Reads::Completion => completion[..last].to_vec(),
                Reads::Span => positions.iter().filter(|p| **p < last).map(|p| completion[*p]).collect(),
            };
            let boundaries = boundaries(verdict);
            let active = positions
                .iter()
                .enumerate()
                .map(|(order, &position)| ActiveToken {
                    position,
                    read: match teacher.reads {
                        Reads::Completion => position,
                        Reads::Span => order,
                    },
                    boundary: boundaries.contains(&Some(position)),
                })
                .collect();
            Some(TeacherPass { teacher: index, tokens, active })
        })
        .collect()
}

/// Positions of the tokens in these spans, ascending.
fn supervised(spans: &[Span], completion: &[u32], verdict: &Verdict) -> Vec<usize> {
    let mut positions: Vec<usize> = spans
        .iter()
        .flat_map(|span| match (span, verdict.spans()) {
            (Span::Completion, _) => completion_positions(completion),
            (Span::Description, Some(spans)) => spans.description.clone(),
            (Span::ReasoningAnswer, Some(spans)) => spans.reasoning_answer.clone(),
            (_, None) => Vec::new(),
        })
        .collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// The two tokens that a boundary clip is about; none in an invalid rollout.
fn boundaries(verdict: &Verdict) -> [Option<usize>; 2] {
    match verdict.spans() {
        Some(spans) => [spans.description.last().copied(), spans.reasoning_answer.first().copied()],
        None => [None, None],
    }
}
