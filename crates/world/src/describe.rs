//! Scenes in words: one sentence for each thing, in reading order, with its size and colour.

use crate::scene::{Chart, Dial, Place, Scene, Stage};

/// The words for 0 to 6, the highest number that the world has.
const NUMBERS: [&str; 7] = ["zero", "one", "two", "three", "four", "five", "six"];

/// A number in words.
pub(crate) fn number(n: usize) -> &'static str {
    NUMBERS.get(n).copied().unwrap_or("many")
}

/// A description of everything that the picture shows.
pub(crate) fn scene(scene: &Scene) -> String {
    match scene {
        Scene::Stage(stage) => things(stage),
        Scene::Chart(chart) => bars(chart),
        Scene::Dial(dial) => needle(dial),
    }
}

fn things(stage: &Stage) -> String {
    let each = stage.objects.iter().map(|object| {
        let (place, size, colour) = (place(object.place, stage), object.size.word(), object.colour.word());
        format!("{place}: {size} {colour} {}.", object.thing.word())
    });
    each.collect::<Vec<_>>().join(" ")
}

fn bars(chart: &Chart) -> String {
    let each: Vec<_> =
        chart.bars.iter().map(|bar| format!("{} {}", bar.colour.word(), number(bar.height.into()))).collect();
    format!("bar chart: {}.", each.join(", "))
}

fn needle(dial: &Dial) -> String {
    format!("dial: {} needle at {}.", dial.colour.word(), number(dial.value.into()))
}

/// A place in words, such as "top left".
pub(crate) fn place(place: Place, stage: &Stage) -> String {
    format!(
        "{} {}",
        third(place.row, stage.rows, ["top", "middle", "bottom"]),
        third(place.column, stage.columns, ["left", "centre", "right"])
    )
}

/// The word for position `at` of two or three.
fn third(at: u8, of: u8, words: [&'static str; 3]) -> &'static str {
    let [first, middle, last] = words;
    match at {
        0 => first,
        _ if at + 1 == of => last,
        _ => middle,
    }
}
