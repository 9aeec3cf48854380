//! The rows that a diagnosis left out, in a sentence.

use super::report::Line;
use std::collections::BTreeMap;
use vigos_rollout::RunError;

/// Why a row without a completion is left out, where completions are given.
pub(super) const NOT_RECORDED: &str = "no rollout of it is recorded";
/// Reasons that are told one by one.
const MOST: usize = 4;

/// How many rows were left out and why, those of one reason together; nothing if all were asked.
///
/// # Errors
/// Those of the lines.
pub(super) fn left_out(
    lines: impl Iterator<Item = Result<Line, RunError>>,
) -> Result<Option<String>, RunError> {
    let mut all = 0;
    // For each reason how many there are, and the first one's name.
    let mut reasons: BTreeMap<String, (usize, String)> = BTreeMap::new();
    let mut out = 0;
    for line in lines {
        all += 1;
        if let Line::Skipped { id, skipped, .. } = line? {
            out += 1;
            reasons.entry(skipped).or_insert((0, id)).0 += 1;
        }
    }
    if out == 0 {
        return Ok(None);
    }
    let mut reasons: Vec<(String, (usize, String))> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let others: usize = reasons.iter().skip(MOST).map(|(_, (count, _))| count).sum();
    let mut parts: Vec<String> = reasons
        .iter()
        .take(MOST)
        .map(|(reason, (count, first))| match (*count, reason.as_str()) {
            (count, NOT_RECORDED) => format!("{count} without a recorded rollout"),
            (1, reason) => format!("`{first}`: {reason}"),
            (count, reason) => format!("{count}, the first of them `{first}`: {reason}"),
        })
        .collect();
    if others > 0 {
        parts.push(format!("{others} for other reasons"));
    }
    Ok(Some(format!("{out} of {all} rows are left out: {}", parts.join("; "))))
}
