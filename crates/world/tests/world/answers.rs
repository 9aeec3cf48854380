//! What is said about a picture is so: answers are worked out again from the description alone, by other code.

use crate::support;

use std::collections::BTreeMap;
use support::world;
use vigos_world::{Kind, Sample, World};

/// A thing as a description tells it: place, size, colour, name.
#[derive(Debug, Clone)]
struct Told {
    row: usize,
    column: usize,
    size: String,
    colour: String,
    name: String,
}

/// The things of a description.
fn things(description: &str) -> Vec<Told> {
    let sentences = description.split_terminator('.');
    let parse = |sentence: &str| {
        let (place, look) = sentence.split_once(": ").unwrap();
        let mut place = place.split_whitespace();
        let at = |word: &str, words: [&str; 3]| words.iter().position(|w| *w == word).unwrap();
        let row = at(place.next().unwrap(), ["top", "middle", "bottom"]);
        let column = at(place.next().unwrap(), ["left", "centre", "right"]);
        let look: Vec<String> = look.split_whitespace().map(str::to_owned).collect();
        let [size, colour, name] = <[String; 3]>::try_from(look).unwrap();
        Told { row, column, size, colour, name }
    };
    sentences.map(parse).collect()
}

/// The pairs of a chart's description.
fn bars(description: &str) -> Vec<(String, usize)> {
    let bars = description.strip_prefix("bar chart: ").unwrap().strip_suffix('.').unwrap();
    let pair = |text: &str| {
        let (colour, height) = text.split_once(' ').unwrap();
        (colour.to_owned(), NUMBERS.iter().position(|n| *n == height).unwrap())
    };
    bars.split(", ").map(pair).collect()
}

const NUMBERS: [&str; 7] = ["zero", "one", "two", "three", "four", "five", "six"];
const IRREGULAR: [(&str, &str); 4] =
    [("mice", "mouse"), ("snowmen", "snowman"), ("tomatoes", "tomato"), ("crosses", "cross")];

fn singular(plural: &str) -> String {
    let irregular = IRREGULAR.iter().find(|(p, _)| *p == plural).map(|(_, s)| (*s).to_owned());
    irregular.unwrap_or_else(|| plural.strip_suffix('s').unwrap().to_owned())
}

/// The only element.
#[track_caller]
fn only<T>(items: impl IntoIterator<Item = T>) -> T {
    let mut items = items.into_iter();
    let first = items.next().unwrap();
    assert!(items.next().is_none(), "more than one");
    first
}

fn yes(truth: bool) -> String {
    if truth { "yes".into() } else { "no".into() }
}

/// The answer to a question, from its words and the words of the description.
fn solve(question: &str, description: &str) -> String {
    let question = question.strip_suffix('?').unwrap();
    let words: Vec<&str> = question.split_whitespace().collect();
    let told = || things(description);
    let the = |name: &str| only(told().into_iter().filter(|t| t.name == name));
    let is_so = |a: &Told, relation: &str, b: &Told| match relation {
        "left" => a.column < b.column,
        "right" => a.column > b.column,
        "above" => a.row < b.row,
        "below" => a.row > b.row,
        other => panic!("{other}"),
    };
    match words.as_slice() {
        ["what", "colour", "is", "the", name] => the(name).colour,
        ["is", "the", name, "small", "or", "large"] => the(name).size,
        ["what", "is", "the", colour, "thing"] => {
            only(told().into_iter().filter(|t| t.colour == *colour)).name
        }
        ["how", "many", "things", "are", "there"] => NUMBERS[told().len()].into(),
        ["how", "many", colour, "things", "are", "there"] => {
            NUMBERS[told().iter().filter(|t| t.colour == *colour).count()].into()
        }
        ["how", "many", plural, "are", "there"] => {
            let name = singular(plural);
            NUMBERS[told().iter().filter(|t| t.name == name).count()].into()
        }
        ["which", "is", "larger,", "the", a, "or", "the", b] => {
            let (a, b) = (the(a), the(b));
            assert_ne!(a.size, b.size);
            if a.size == "large" { a.name } else { b.name }
        }
        ["is", "the", a, relation @ ("above" | "below"), "the", b] => yes(is_so(&the(a), relation, &the(b))),
        ["is", "the", a, relation, "of", "the", b] => yes(is_so(&the(a), relation, &the(b))),
        ["what", "is", relation @ ("above" | "below"), "the", b] => {
            only(told().into_iter().filter(|t| is_so(t, relation, &the(b)))).name
        }
        ["what", "is", relation, "of", "the", b] => {
            only(told().into_iter().filter(|t| is_so(t, relation, &the(b)))).name
        }
        ["is", "there", article, name] => {
            assert_eq!(*article == "an", name.starts_with(['a', 'e', 'i', 'o', 'u']));
            yes(told().iter().any(|t| t.name == *name))
        }
        ["is", "there", article, colour, name] => {
            assert_eq!(*article == "an", colour.starts_with(['a', 'e', 'i', 'o', 'u']));
            yes(told().iter().any(|t| t.name == *name && t.colour == *colour))
        }
        ["which", what @ ("thing" | "colour"), "is", "the", "odd", "one", "out"] => {
            let value = |t: &Told| if *what == "thing" { t.name.clone() } else { t.colour.clone() };
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for thing in told() {
                *counts.entry(value(&thing)).or_default() += 1;
            }
            assert_eq!(counts.len(), 2);
            only(counts.into_iter().filter(|(_, count)| *count == 1)).0
        }
        ["which", "bar", "is", "the", end] => {
            let mut bars = bars(description);
            bars.sort_by_key(|(_, height)| *height);
            assert!(bars.windows(2).all(|pair| pair[0].1 < pair[1].1));
            if *end == "highest" { bars.last().unwrap().0.clone() } else { bars[0].0.clone() }
        }
        ["how", "high", "is", "the", colour, "bar"] => {
            NUMBERS[only(bars(description).into_iter().filter(|(c, _)| c == colour)).1].into()
        }
        ["what", "does", "the", "dial", "show"] => {
            description.strip_suffix('.').unwrap().rsplit_once(" needle at ").unwrap().1.into()
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check(sample: &Sample) {
    let (question, description) = (sample.question.text(), sample.description());
    assert_eq!(solve(&question, &description), sample.answer(), "{question} {description}");
    assert!(!sample.reasoning().is_empty(), "{question}");
    // An annotator who looked tells the truth; one who did not tells what is usual.
    match sample.from_habit {
        false => assert_eq!(sample.answer(), sample.truth()),
        true => {
            assert_ne!(sample.answer(), sample.truth());
            assert_eq!(sample.answer(), sample.expected().unwrap().word());
        }
    }
}

fn check_all(world: &World) {
    for number in 0..3000 {
        check(&world.train(number));
        check(&world.test(number));
        check(&world.warmup(number).sample);
    }
}

#[test]
fn every_answer_follows_from_the_description_and_every_question_has_one_answer() {
    check_all(&world(&[]));
}

#[test]
fn the_same_holds_on_a_larger_grid_with_other_contents() {
    check_all(&world(&["scene.columns=3", "scene.rows=3", "scene.everyday=0.5", "scene.unusual=0.6"]));
    check_all(&world(&["scene.everyday=1.0", "scene.shapes=[]", "scene.most=3"]));
    check_all(&world(&[
        "scene.things=['elephant','mouse']",
        "scene.shapes=['circle','square','star','cross']",
        "scene.colours=['red','green','blue','white']",
    ]));
}

#[test]
fn yes_and_no_and_every_answer_of_a_kind_are_there() {
    let world = world(&["kinds.colour=1", "kinds.size=1"]);
    let mut answers: BTreeMap<Kind, BTreeMap<&str, usize>> = BTreeMap::new();
    for number in 0..8000 {
        let sample = world.test(number);
        *answers.entry(sample.question.kind()).or_default().entry(sample.truth()).or_default() += 1;
    }
    let count = |kind| answers[&kind].len();
    assert_eq!(count(Kind::Colour), 10);
    assert_eq!(count(Kind::Size), 2);
    assert_eq!(count(Kind::Shape), 18);
    assert_eq!(count(Kind::Count), 5);
    assert_eq!(count(Kind::Exists), 2);
    assert_eq!(count(Kind::Dial), 7);
    assert_eq!(answers.len(), Kind::ALL.len());
    let [no, yes] = ["no", "yes"].map(|word| answers[&Kind::Exists][word]);
    support::assert_share("yes", yes, yes + no, 0.5);
}

#[test]
fn a_description_mentions_the_colour_of_every_thing_in_reading_order() {
    let world = world(&["kinds.chart=0", "kinds.dial=0"]);
    for number in 0..500 {
        let told = things(&world.test(number).description());
        assert!((1..=4).contains(&told.len()));
        assert!(told.windows(2).all(|pair| (pair[0].row, pair[0].column) < (pair[1].row, pair[1].column)));
    }
}
