//! Answers judged as the authors of benchmarks do, where that is another way than the grader's.

use std::collections::BTreeSet;

use super::equal::grade;
use super::options::Choices;

/// Letters that a choice may have.
const LETTERS: usize = 26;
/// The most characters of an answer and of a choice that are compared letter by letter.
const MOST_COMPARED: usize = 1000;
/// After these words comes what an answer comes to.
const BEFORE_RESULT: [&str; 8] =
    ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result "];

/// The place of the choice that an answer names: by its letter or its text alone, else by the last letter in brackets, by
/// a letter that it begins with, by the last letter that is a word, or by the last of the texts that it says. Any letter
/// will do where there are no texts. None if it names none.
pub fn named_choice(answer: &str, choices: &[String]) -> Option<usize> {
    let answer = answer.trim().trim_matches('`').trim();
    let count = if choices.is_empty() { LETTERS } else { choices.len().min(LETTERS) };
    let letters: Vec<char> = ('A'..='Z').take(count).collect();
    let texts =
        if choices.is_empty() { letters.iter().map(char::to_string).collect() } else { choices.to_vec() };
    if let Some(place) = Choices::of_texts(texts).chosen(answer).filter(|place| *place < count) {
        return Some(place);
    }
    let padded = format!(" {answer} ");
    let last = |written: &dyn Fn(char) -> String| {
        let places = letters.iter().enumerate();
        let found = places.filter_map(|(place, letter)| Some((padded.rfind(&written(*letter))?, place)));
        found.max().map(|(_, place)| place)
    };
    let first = || {
        let rest = answer.trim_start_matches(['*', '(', '[']);
        let place = letters.iter().position(|letter| rest.starts_with(*letter))?;
        rest.get(1..)?.starts_with(['.', ':', ')']).then_some(place)
    };
    last(&|letter| format!("({letter})"))
        .or_else(first)
        .or_else(|| last(&|letter| format!(" {letter} ")))
        .or_else(|| last(&|letter| format!(" {letter}.")))
        .or_else(|| {
            let said = answer.to_lowercase();
            let texts = choices.iter().take(count).enumerate().filter(|(_, text)| !text.trim().is_empty());
            let found = texts.filter_map(|(place, text)| Some((said.rfind(&text.to_lowercase())?, place)));
            found.max().map(|(_, place)| place)
        })
}

/// The place of the choice that an answer means: that of the first letter in brackets or of a letter alone, else the one
/// whose text is the least changes of single characters away, the first of equals. None of no choices.
pub fn nearest_choice(answer: &str, choices: &[String]) -> Option<usize> {
    let answer = answer.trim();
    let bracketed = answer.match_indices('(').find_map(|(at, _)| {
        let mut inner = answer.get(at + 1..)?.chars();
        let letter = inner.next().filter(char::is_ascii_alphabetic)?;
        (inner.next() == Some(')')).then(|| letter.to_ascii_uppercase())
    });
    let alone = || {
        let mut letters = answer.chars();
        letters.next().filter(|letter| letter.is_ascii_uppercase() && letters.next().is_none())
    };
    let place = bracketed.or_else(alone).map(|letter| usize::from(letter as u8 - b'A'));
    let nearest = || {
        let distances = choices.iter().map(|choice| distance(answer, choice)).enumerate();
        distances.min_by_key(|(_, distance)| *distance).map(|(place, _)| place)
    };
    place.filter(|place| *place < choices.len()).or_else(nearest)
}

/// Whether two numbers are the same, the answer's rounded to so many decimals; what is no number the grader compares.
pub fn same_rounded(answer: &str, reference: &str, decimals: u8) -> bool {
    let rounded = |number: f64| format!("{number:.*}", usize::from(decimals)).parse::<f64>().ok();
    match (number(answer).and_then(rounded), number(reference)) {
        (Some(a), Some(r)) => a == r,
        _ => grade(answer, reference),
    }
}

/// Whether two numbers are the same, what follows the answer's point cut off; what is no number the grader compares.
pub fn same_truncated(answer: &str, reference: &str) -> bool {
    match (number(answer), number(reference)) {
        (Some(a), Some(r)) => a.trunc() == r,
        _ => grade(answer, reference),
    }
}

/// Whether an answer says one of the references: a number of it is theirs to two decimals, or what it comes to has their
/// text in it.
pub fn says_one_of(answer: &str, references: &[String]) -> bool {
    let mut said: Vec<String> = results(answer);
    let numbers: Vec<String> = said.iter().flat_map(|said| numbers_in(said)).collect();
    said.extend(numbers);
    let said: BTreeSet<Form> = said.iter().flat_map(|said| forms(said)).collect();
    let wanted: BTreeSet<Form> = references.iter().flat_map(|reference| forms(reference)).collect();
    said.iter().any(|said| {
        wanted.contains(said)
            || match said {
                Form::Number(_) => false,
                Form::Text(said) => wanted.iter().any(|wanted| match wanted {
                    Form::Number(_) => false,
                    Form::Text(wanted) => said.contains(wanted.as_str()),
                }),
            }
    })
}

/// The first word of an answer that is true or false, whatever its case, without commas and full stops; none if it has
/// neither.
pub fn says_true(answer: &str) -> Option<bool> {
    let plain = answer.to_lowercase().replace([',', '.'], "");
    plain.split_whitespace().find_map(|word| match word {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    })
}

/// How an answer is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// A number to two decimals, as its digits.
    Number(String),
    /// A text in lower case.
    Text(String),
}

/// A text's forms; of a single character those with a space at one side, which most texts have not by chance.
fn forms(text: &str) -> Vec<Form> {
    let text = text.trim();
    if let Some(number) = number(&text.replace(',', "")) {
        let digits = format!("{number:.2}");
        return vec![Form::Number(if digits == "-0.00" { "0.00".into() } else { digits })];
    }
    let lower = text.to_lowercase();
    match lower.chars().count() {
        0 => Vec::new(),
        1 => vec![Form::Text(format!(" {lower}")), Form::Text(format!("{lower} "))],
        _ => vec![Form::Text(lower)],
    }
}

/// What the sentences of an answer come to: the shortest of what follows a word that announces it, in the last one an
/// equals sign too; the whole answer if none does.
fn results(answer: &str) -> Vec<String> {
    let whole = answer.trim().trim_matches('.').to_lowercase();
    // In lower case no capital follows a full stop, so that lines alone are apart.
    let lines: Vec<&str> = whole.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let equals = (number + 1 == lines.len()).then_some("=");
        let after = BEFORE_RESULT.into_iter().chain(equals).filter_map(|word| {
            let at = line.rfind(word)?;
            Some(line.get(at + word.len()..)?.trim())
        });
        let shortest = after.min_by_key(|result| result.chars().count());
        found.extend(
            shortest
                .filter(|text| !["", ":", ",", ".", "!", "?", ";", "'"].contains(text))
                .map(str::to_owned),
        );
    }
    if found.is_empty() { vec![whole] } else { found }
}

/// The numbers in a text: with commas between thousands, with an exponent, or plain.
fn numbers_in(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | 'e' | '+' | '-');
    let pieces = text.split(|c: char| !is_part(c));
    let trimmed = pieces
        .map(|piece| piece.trim_end_matches(['.', ',', 'e', '+', '-']).trim_start_matches([',', 'e', '+']));
    trimmed.filter(|piece| number(&piece.replace(',', "")).is_some()).map(str::to_owned).collect()
}

/// A number that is finite.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches('$').trim();
    // Words such as "inf" are numbers for the parser.
    let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'));
    text.parse::<f64>().ok().filter(|number| is_number && number.is_finite())
}

/// How many single characters have to be put in, left out or changed to make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(MOST_COMPARED).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (done, x) in a.chars().take(MOST_COMPARED).enumerate() {
        let mut next = vec![done + 1];
        for ((y, pair), left) in b.iter().zip(row.windows(2)).zip(1..) {
            let [above_left, above] = [pair[0], pair[1]];
            let before = next.get(left - 1).copied().unwrap_or_default();
            next.push((above + 1).min(before + 1).min(above_left + usize::from(x != *y)));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_that_of_levenshtein() {
        let of =
            [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2), ("a", "a", 0)];
        for (a, b, wanted) in of {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }
}
