//! The pieces of a distilled step, computed by any rank, put together in their order on every one.

use crate::dealt::Dealt;
use crate::scored::{Observed, Scored, ScoredToken, Term, Work};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A piece of a step but its gradient, with its completions scored or, on the way to ranks that have them, with the
/// [scores](Scores) alone.
#[derive(Serialize, Deserialize)]
pub(crate) struct Piece<S> {
    /// Its micro-batch.
    pub(crate) number: usize,
    /// Its part of the loss.
    pub(crate) loss: f64,
    /// Each loss by its teacher's name.
    pub(crate) terms: BTreeMap<String, Term>,
    /// Its completions.
    pub(crate) scored: Vec<S>,
    /// The teachers' forward.
    pub(crate) scoring: Work,
    /// The student's forward, the loss and the backward.
    pub(crate) update: Work,
}

/// What is told of a completion.
#[derive(Serialize, Deserialize)]
pub(crate) struct Scores {
    tokens: Vec<ScoredToken>,
    observed: Option<Observed>,
}

/// What a rank tells of its pieces.
pub(crate) fn told(own: &[Piece<Scored>]) -> Vec<Piece<Scores>> {
    let scores = |s: &Scored| Scores { tokens: s.tokens.clone(), observed: s.observed.clone() };
    let tell = |piece: &Piece<Scored>| {
        let Piece { number, loss, ref terms, ref scored, scoring, update } = *piece;
        Piece {
            number,
            loss,
            terms: terms.clone(),
            scored: scored.iter().map(scores).collect(),
            scoring,
            update,
        }
    };
    own.iter().map(tell).collect()
}

/// All pieces of a step in their order: this rank's own, and those that others told of, whose completions `dealt` kept.
/// With them the work of all: their tokens, and the time of the rank that took longest, of the teachers and of the student.
pub(crate) fn put_together(
    own: Vec<Piece<Scored>>,
    others: Vec<(usize, Vec<Piece<Scores>>)>,
    dealt: &mut Dealt,
) -> (Vec<Piece<Scored>>, [Work; 2]) {
    let (mut pieces, mut spent) = (Vec::new(), work(&own));
    for (_, told) in others {
        let [scoring, update] = work(&told);
        spent = [spent[0].beside(scoring), spent[1].beside(update)];
        for Piece { number, loss, terms, scored, scoring, update } in told {
            let rollouts = dealt.of_others(number, scored.len());
            let with = |(rollout, Scores { tokens, observed })| Scored { rollout, tokens, observed };
            let scored = rollouts.zip(scored).map(with).collect();
            pieces.push(Piece { number, loss, terms, scored, scoring, update });
        }
    }
    pieces.extend(own);
    // Those of one micro-batch are one rank's, in their order.
    pieces.sort_by_key(|piece| piece.number);
    (pieces, spent)
}

/// The work of one rank's pieces.
fn work<S>(pieces: &[Piece<S>]) -> [Work; 2] {
    let (mut scoring, mut update) = (Work::default(), Work::default());
    for piece in pieces {
        scoring += piece.scoring;
        update += piece.update;
    }
    [scoring, update]
}
