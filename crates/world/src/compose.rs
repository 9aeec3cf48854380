//! A scene made for a question of a kind, so that the question has exactly one answer.

use crate::config::Contents;
use crate::dice::Dice;
use crate::question::{Kind, Question, Relation};
use crate::scene::{Chart, Dial, Scene, Setting};
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
        Kind::Dial => return (Scene::Dial(Dial::draw(contents, dice)), Question::Reading),
        _ => {}
    }
    let mut setting = Setting::new(contents, others, dice);
    let question = match kind {
        Kind::Colour | Kind::Size => attribute(&mut setting, contents, kind, asked),
        Kind::Shape => which(&mut setting),
        Kind::Count => count(&mut setting, contents.most),
        Kind::Compare => larger(&mut setting),
        Kind::Relation => relation(&mut setting),
        Kind::Exists => exists(&mut setting),
        // Chart and dial were made above.
        Kind::Odd | Kind::Chart | Kind::Dial => odd(&mut setting, contents.most),
    };
    (Scene::Stage(setting.stage()), question)
}

/// The colour or the size of the only thing of its sort.
fn attribute(setting: &mut Setting<'_>, contents: &Contents, kind: Kind, asked: Asked) -> Question {
    let expected: Vec<Thing> =
        contents.things.iter().copied().filter(|thing| kind.expects(*thing).is_some()).collect();
    let everyday = asked == Asked::Unusual || setting.dice().chance(contents.everyday);
    let thing = match everyday && !expected.is_empty() {
        true => setting.dice().pick(&expected),
        false => {
            // Something that nothing is expected of; expectations of its other properties do no harm.
            let free: Vec<Thing> = contents.shapes.to_vec();
            if free.is_empty() { setting.thing() } else { setting.dice().pick(&free) }
        }
    };
    let unusual = kind.expects(thing).is_some()
        && match asked {
            Asked::Usual => false,
            Asked::Unusual => true,
            Asked::Unsure(share) => setting.dice().chance(share),
        };
    put_asked(setting, thing, unusual);
    if kind == Kind::Colour { Question::Colour(thing) } else { Question::Size(thing) }
}

/// Puts the only thing of its sort down, and others beside it.
pub(crate) fn put_asked(setting: &mut Setting<'_>, thing: Thing, unusual: bool) {
    let look = setting.look_as(thing, unusual);
    setting.put(thing, look);
    setting.keep(thing);
    setting.fill_up(1);
}

/// What the only thing of its colour is.
fn which(setting: &mut Setting<'_>) -> Question {
    let thing = setting.thing();
    let look = setting.look(thing);
    setting.put(thing, look);
    setting.keep_colour(look.0);
    setting.fill_up(2);
    Question::Which(look.0)
}

fn count(setting: &mut Setting<'_>, most: usize) -> Question {
    match setting.dice().below(4) {
        0 => {
            setting.fill_up(1);
            Question::CountAll
        }
        1 => {
            let (colour, count) = (setting.colour(None), setting.dice().between(0, most));
            for _ in 0..count {
                let thing = setting.thing();
                let (_, size) = setting.look(thing);
                setting.put(thing, (colour, size));
            }
            setting.keep_colour(colour);
            setting.fill_up(1);
            Question::CountColour(colour)
        }
        _ => {
            let (thing, count) = (setting.thing(), setting.dice().between(0, most));
            for _ in 0..count {
                let look = setting.look(thing);
                setting.put(thing, look);
            }
            setting.keep(thing);
            setting.fill_up(1);
            Question::CountThing(thing)
        }
    }
}

/// Which of two things that nobody expects a size of is larger.
fn larger(setting: &mut Setting<'_>) -> Question {
    for thing in [Thing::Elephant, Thing::Mouse] {
        setting.keep(thing);
    }
    let small_first = setting.dice().chance(0.5);
    let pair = [0, 1].map(|_| {
        let thing = setting.thing();
        setting.keep(thing);
        thing
    });
    let sizes = if small_first { [Size::Small, Size::Large] } else { [Size::Large, Size::Small] };
    for (thing, size) in pair.into_iter().zip(sizes) {
        let (colour, _) = setting.look(thing);
        setting.put(thing, (colour, size));
    }
    setting.fill_up(2);
    Question::Larger(pair[0], pair[1])
}

/// Where one thing is, seen from another.
fn relation(setting: &mut Setting<'_>) -> Question {
    let [a, b] = [0, 1].map(|_| {
        let thing = setting.thing();
        setting.keep(thing);
        let look = setting.look(thing);
        setting.put(thing, look)
    });
    let apart: Vec<Relation> = Relation::ALL
        .into_iter()
        .filter(|relation| relation.holds(a.place, b.place) || relation.holds(b.place, a.place))
        .collect();
    let relation = setting.dice().pick(&apart);
    if setting.dice().chance(0.5) {
        setting.fill_up(2);
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
fn exists(setting: &mut Setting<'_>) -> Question {
    let (thing, is_there) = (setting.thing(), setting.dice().chance(0.5));
    let look = setting.look(thing);
    let named = setting.dice().chance(0.5).then_some(look.0);
    match (is_there, named) {
        (true, _) => _ = setting.put(thing, look),
        // The thing itself in another colour: whoever only looks for the thing gets it wrong.
        (false, Some(colour)) if setting.dice().chance(0.5) => {
            let other = setting.colour(Some(colour));
            setting.put(thing, (other, look.1));
        }
        (false, _) => {}
    }
    setting.keep(thing);
    setting.fill_up(1);
    Question::Exists(named, thing)
}

/// Several alike and one that is not.
fn odd(setting: &mut Setting<'_>, most: usize) -> Question {
    let total = setting.dice().between(3, most);
    if setting.dice().chance(0.5) {
        let (many, one) = two_things(setting);
        for _ in 1..total {
            let look = setting.look(many);
            setting.put(many, look);
        }
        let look = setting.look(one);
        setting.put(one, look);
        return Question::OddThing;
    }
    let many = setting.colour(None);
    let one = setting.colour(Some(many));
    for index in 0..total {
        let thing = setting.thing();
        let (_, size) = setting.look(thing);
        setting.put(thing, (if index == 0 { one } else { many }, size));
    }
    Question::OddColour
}

fn two_things(setting: &mut Setting<'_>) -> (Thing, Thing) {
    let many = setting.thing();
    setting.keep(many);
    (many, setting.thing())
}

fn chart(contents: &Contents, dice: &mut Dice) -> (Scene, Question) {
    let chart = Chart::draw(contents, dice);
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
