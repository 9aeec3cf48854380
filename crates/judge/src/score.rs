//! What a model's reply means.

/// Most characters that a number is looked for in.
const LOOKED_AT: usize = 4000;

/// The score of a reply, from 0 to 1: its first word, if that is such a number or says right or wrong; else the only such
/// number in it. None if it says neither.
pub fn score_of(reply: &str) -> Option<f64> {
    let text: String = reply.chars().take(LOOKED_AT).collect();
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || matches!(letter, ':' | '=' | '|'))
        .map(|word| word.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '-'))
        .filter(|word| !word.is_empty())
        .collect();
    let first = *words.first()?;
    if let Some(score) = number(first).or_else(|| verdict(first)) {
        return Some(score);
    }
    let mut numbers = words.iter().filter_map(|word| word.parse::<f64>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(only), None) if (0.0..=1.0).contains(&only) => Some(only),
        _ => None,
    }
}

fn number(word: &str) -> Option<f64> {
    word.parse().ok().filter(|number| (0.0..=1.0).contains(number))
}

fn verdict(word: &str) -> Option<f64> {
    match word.to_lowercase().as_str() {
        "yes" | "right" | "correct" | "true" => Some(1.0),
        "no" | "wrong" | "incorrect" | "false" => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::score_of;

    #[test]
    fn a_reply_is_a_score_or_none() {
        for (reply, wanted) in [
            ("1", Some(1.0)),
            ("0.7\n", Some(0.7)),
            (" **0.5** ", Some(0.5)),
            ("1.0.", Some(1.0)),
            ("Score: 0.8", Some(0.8)),
            ("Correctness = 0", Some(0.0)),
            ("Yes, it is.", Some(1.0)),
            ("Incorrect.", Some(0.0)),
            ("| 0.3 |", Some(0.3)),
            ("", None),
            ("5", None),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("The first of 2 is 1", None),
            ("I cannot tell.", None),
        ] {
            assert_eq!(score_of(reply), wanted, "{reply:?}");
        }
    }
}
