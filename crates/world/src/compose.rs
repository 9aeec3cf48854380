//! A scene made for a question of a kind, so that the question has exactly one answer.

use crate::config::Contents;
use crate::dice::Dice;
use crate::kind::Kind;
use crate::question::{Question, Relation};
use crate::scene::Scene;
use crate::stage::{self, StageBuilder};
use crate::things::{Size, Thing};

/// Whether the thing asked about is as people expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Asked {
    /// It is.
    Usual,
    /// It is not; the question is about a thing that people expect something of.
    Unusual,
    /// It is not with this probability.
    Unsure(f64),
}

/// A scene and a question about it. `others` is the share of everyday things that are not as usual, the one
/// asked about apart.
pub(crate) fn compose(
    contents: &Contents,
    kind: Kind,
    asked: Asked,
    others: f64,
    dice: &mut Dice,
) -> (Scene, Question) {
    match kind {
        Kind::Chart => return chart(contents, dice),
        Kind::Dial => return (Scene::Dial(stage::dial(contents, dice)), Question::Reading),
        _ => {}
    }
    let mut stage = StageBuilder::new(contents, others, dice);
    let question = match kind {
        Kind::Colour | Kind::Size => attribute(&mut stage, contents, kind, asked),
        Kind::Shape => which(&mut stage),
        Kind::Count => count(&mut stage, contents.most),
        Kind::Compare => larger(&mut stage),
        Kind::Relation => relation(&mut stage),
        Kind::Exists => exists(&mut stage),
        // Chart and dial were made above.
        Kind::Odd | Kind::Chart | Kind::Dial => odd(&mut stage, contents.most),
    };
    (Scene::Stage(stage.build()), question)
}

/// The colour or the size of the only thing of its sort.
fn attribute(stage: &mut StageBuilder<'_>, contents: &Contents, kind: Kind, asked: Asked) -> Question {
    let expected: Vec<Thing> =
        contents.things.iter().copied().filter(|thing| kind.expects(*thing).is_some()).collect();
    let everyday = asked == Asked::Unusual || stage.dice().chance(contents.everyday);
    let thing = match everyday && !expected.is_empty() {
        true => stage.dice().pick(&expected),
        false => {
            // Something that nothing is expected of; expectations of its other properties do no harm.
            let free: Vec<Thing> = contents.shapes.to_vec();
            if free.is_empty() { stage.thing() } else { stage.dice().pick(&free) }
        }
    };
    let unusual = kind.expects(thing).is_some()
        && match asked {
            Asked::Usual => false,
            Asked::Unusual => true,
            Asked::Unsure(share) => stage.dice().chance(share),
        };
    put_asked(stage, thing, unusual);
    if kind == Kind::Colour { Question::Colour(thing) } else { Question::Size(thing) }
}

/// Puts the only thing of its sort down, and others beside it.
pub(crate) fn put_asked(stage: &mut StageBuilder<'_>, thing: Thing, unusual: bool) {
    let look = stage.look_as(thing, unusual);
    stage.put(thing, look);
    stage.reserve(thing);
    stage.fill_up(1);
}

/// What the only thing of its colour is.
fn which(stage: &mut StageBuilder<'_>) -> Question {
    let thing = stage.thing();
    let look = stage.look(thing);
    stage.put(thing, look);
    stage.reserve_colour(look.0);
    stage.fill_up(2);
    Question::Which(look.0)
}

fn count(stage: &mut StageBuilder<'_>, most: usize) -> Question {
    match stage.dice().below(4) {
        0 => {
            stage.fill_up(1);
            Question::CountAll
        }
        1 => {
            let (colour, count) = (stage.colour(None), stage.dice().between(0, most));
            for _ in 0..count {
                let thing = stage.thing();
                let (_, size) = stage.look(thing);
                stage.put(thing, (colour, size));
            }
            stage.reserve_colour(colour);
            stage.fill_up(1);
            Question::CountColour(colour)
        }
        _ => {
            let (thing, count) = (stage.thing(), stage.dice().between(0, most));
            for _ in 0..count {
                let look = stage.look(thing);
                stage.put(thing, look);
            }
            stage.reserve(thing);
            stage.fill_up(1);
            Question::CountThing(thing)
        }
    }
}

/// Which of two things that nobody expects a size of is larger.
fn larger(stage: &mut StageBuilder<'_>) -> Question {
    for thing in [Thing::Elephant, Thing::Mouse] {
        stage.reserve(thing);
    }
    let small_first = stage.dice().chance(0.5);
    let pair = [0, 1].map(|_| {
        let thing = stage.thing();
        stage.reserve(thing);
        thing
    });
    let sizes = if small_first { [Size::Small, Size::Large] } else { [Size::Large, Size::Small] };
    for (thing, size) in pair.into_iter().zip(sizes) {
        let (colour, _) = stage.look(thing);
        stage.put(thing, (colour, size));
    }
    stage.fill_up(2);
    Question::Larger(pair[0], pair[1])
}

/// Where one thing is, seen from another.
fn relation(stage: &mut StageBuilder<'_>) -> Question {
    let [a, b] = [0, 1].map(|_| {
        let thing = stage.thing();
        stage.reserve(thing);
        let look = stage.look(thing);
        stage.put(thing, look)
    });
    let apart: Vec<Relation> = Relation::ALL
        .into_iter()
        .filter(|relation| relation.holds(a.place, b.place) || relation.holds(b.place, a.place))
        .collect();
    let relation = stage.dice().pick(&apart);
    if stage.dice().chance(0.5) {
        stage.fill_up(2);
        return Question::Is(a.thing, relation, b.thing);
    }
    // With only two things in the picture, the other one is the answer.
    if relation.holds(a.place, b.place) {
        Question::Beside(relation, b.thing)
    } else {
        Question::Beside(relation, a.thing)
    }
}

/// Whether something is there, as often as not.
fn exists(stage: &mut StageBuilder<'_>) -> Question {
    let (thing, is_there) = (stage.thing(), stage.dice().chance(0.5));
    let look = stage.look(thing);
    let named = stage.dice().chance(0.5).then_some(look.0);
    match (is_there, named) {
        (true, _) => _ = stage.put(thing, look),
        // The thing itself in another colour: whoever only looks for the thing gets it wrong.
        (false, Some(colour)) if stage.dice().chance(0.5) => {
            let other = stage.colour(Some(colour));
            stage.put(thing, (other, look.1));
        }
        (false, _) => {}
    }
    stage.reserve(thing);
    stage.fill_up(1);
    Question::Exists(named, thing)
}

/// Several alike and one that is not.
fn odd(stage: &mut StageBuilder<'_>, most: usize) -> Question {
    let total = stage.dice().between(3, most);
    if stage.dice().chance(0.5) {
        let (many, one) = two_things(stage);
        for _ in 1..total {
            let look = stage.look(many);
            stage.put(many, look);
        }
        let look = stage.look(one);
        stage.put(one, look);
        return Question::OddThing;
    }
    let many = stage.colour(None);
    let one = stage.colour(Some(many));
    for index in 0..total {
        let thing = stage.thing();
        let (_, size) = stage.look(thing);
        stage.put(thing, (if index == 0 { one } else { many }, size));
    }
    Question::OddColour
}

fn two_things(stage: &mut StageBuilder<'_>) -> (Thing, Thing) {
    let many = stage.thing();
    stage.reserve(many);
    (many, stage.thing())
}

fn chart(contents: &Contents, dice: &mut Dice) -> (Scene, Question) {
    let chart = stage::chart(contents, dice);
    let question = match dice.below(4) {
        0 => Question::Highest,
        1 => Question::Lowest,
        _ => {
            let bar = dice.below(chart.bars.len());
            chart.bars.get(bar).map_or(Question::Highest, |bar| Question::Height(bar.colour))
        }
    };
    (Scene::Chart(chart), question)
}
