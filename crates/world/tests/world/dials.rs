//! Every dial does what it says, within what chance allows, and leaves the rest alone.

use crate::support;

use std::path::Path;
use support::{assert_share, world};
use vigos_recipe::{RunRecipe, docs, keys, schema};
use vigos_world::{Form, Kind, Object, Sample, Scene, Warmup, World, WorldConfig, config};

const N: u64 = 6000;

fn warmups(world: &World) -> Vec<Warmup> {
    (0..N).map(|number| world.warmup(number)).collect()
}

fn objects(sample: &Sample) -> &[Object] {
    match &sample.scene {
        Scene::Stage(stage) => &stage.objects,
        _ => &[],
    }
}

#[track_caller]
fn share_of<T>(what: &str, items: &[T], p: f64, is_so: impl Fn(&T) -> bool) {
    assert!(items.len() > 200, "{what}: only {} to count", items.len());
    assert_share(what, items.iter().filter(|item| is_so(item)).count(), items.len(), p);
}

#[test]
fn warm_up_forms_have_their_shares() {
    let all = warmups(&world(&[]));
    let forms = [
        (Form::Perception, 0.4),
        (Form::Reasoning, 0.125),
        (Form::Reference, 0.125),
        (Form::Plain, 0.05),
        (Form::PlainReference, 0.05),
        (Form::Student, 0.25),
    ];
    for (form, share) in forms {
        share_of(form.word(), &all, share, |warmup| warmup.form == form);
    }
}

#[test]
fn things_look_unusual_as_often_as_the_dials_say_alone_and_asked_about() {
    let all = warmups(&world(&[]));
    let (alone, asked): (Vec<_>, Vec<_>) = all.iter().partition(|w| w.form == Form::Perception);
    // Only questions that bear on nothing usual leave every thing's looks to the dial.
    let of = |warmups: &[&Warmup]| -> Vec<Object> {
        let free = warmups.iter().filter(|w| matches!(w.sample.question.kind(), Kind::Colour));
        let free = free.flat_map(|w| objects(&w.sample).to_vec());
        free.filter(|object| object.thing.usual().is_some()).collect()
    };
    share_of("unusual alone", &of(&alone), 0.9, Object::is_unusual);
    share_of("unusual asked", &of(&asked), 0.25, Object::is_unusual);
    // What is described alone is described as it is.
    assert!(alone.iter().all(|w| !w.sample.from_habit && w.problem().is_empty() && w.answer().is_empty()));
}

#[test]
fn annotators_in_a_hurry_skip_the_description_and_answer_from_habit() {
    assert!(warmups(&world(&[])).iter().all(|w| !w.hurried));
    let all = warmups(&world(&["warmup.hurried=0.3", "warmup.lazy=0.0"]));
    let (asked, others): (Vec<_>, Vec<_>) = all.iter().partition(|w| w.form == Form::Student);
    share_of("hurried", &asked, 0.3, |w| w.hurried);
    assert!(others.iter().all(|w| !w.hurried));
    for warmup in asked {
        assert_eq!(warmup.completion().contains("</description>"), !warmup.hurried);
        assert_eq!(warmup.sample.from_habit, warmup.hurried && warmup.sample.is_conflict());
    }
}

#[test]
fn some_annotators_do_not_look_and_a_fact_is_told_where_one_bears_on_the_question() {
    for (lazy, fact) in [(0.6, 0.7), (0.2, 0.3), (0.0, 0.0), (1.0, 1.0)] {
        let all = warmups(&world(&[&format!("warmup.lazy={lazy:?}"), &format!("question.fact={fact:?}")]));
        let asked: Vec<_> = all.iter().filter(|w| w.form != Form::Perception).collect();
        let bears: Vec<_> = asked.iter().filter(|w| w.sample.expected().is_some()).collect();
        share_of("conflict", &bears, 0.25, |w| w.sample.is_conflict());
        share_of("fact", &bears, fact, |w| w.problem().contains(" are usually "));
        let conflicts: Vec<_> = bears.iter().filter(|w| w.sample.is_conflict()).collect();
        share_of("lazy", &conflicts, lazy, |w| w.sample.from_habit);
        assert!(asked.iter().all(|w| !w.sample.from_habit || w.sample.is_conflict()));
        // A reference is the answer that the target gives, right or not.
        assert!(asked.iter().all(|w| w.reference().is_none_or(|reference| reference == w.answer())));
    }
}

#[test]
fn conflicts_and_careless_references_have_their_shares_in_training_and_the_test_is_the_truth() {
    for (conflict, careless) in [(0.25, 0.6), (0.5, 0.9), (0.0, 0.6), (1.0, 0.0)] {
        let world = world(&[
            &format!("train.conflict={conflict:?}"),
            &format!("train.prior_references={careless:?}"),
        ]);
        let train: Vec<Sample> = (0..N).map(|number| world.train(number)).collect();
        let test: Vec<Sample> = (0..N).map(|number| world.test(number)).collect();
        share_of("conflict", &train, conflict, Sample::is_conflict);
        share_of("conflict in the test", &test, conflict, Sample::is_conflict);
        let conflicts: Vec<_> = train.iter().filter(|sample| sample.is_conflict()).collect();
        if !conflicts.is_empty() {
            share_of("careless", &conflicts, careless, |sample| sample.from_habit);
        }
        assert!(test.iter().all(|sample| sample.answer() == sample.truth()));
        assert!(train.iter().all(|sample| sample.from_habit == (sample.answer() != sample.truth())));
    }
}

#[test]
fn kinds_have_the_shares_of_their_weights() {
    let all: Vec<Sample> = {
        let world = world(&["train.conflict=0"]);
        (0..N).map(|number| world.train(number)).collect()
    };
    for kind in Kind::ALL {
        let weight = match kind {
            Kind::Colour => 8.0,
            Kind::Size => 2.0,
            _ => 1.0,
        };
        share_of(kind.word(), &all, weight / 18.0, |sample| sample.question.kind() == kind);
    }
}

#[test]
fn another_share_of_careless_references_changes_no_question_and_no_picture() {
    let (few, many) = (world(&["train.prior_references=0.3"]), world(&["train.prior_references=0.9"]));
    let mut changed = 0;
    for number in 0..400 {
        let (a, b) = (few.train(number), many.train(number));
        assert_eq!((a.problem(), a.truth(), a.is_conflict()), (b.problem(), b.truth(), b.is_conflict()));
        assert_eq!(a.draw().into_raw(), b.draw().into_raw());
        assert!(b.from_habit || !a.from_habit, "the larger share holds the smaller");
        changed += usize::from(a.from_habit != b.from_habit);
    }
    assert!(changed > 20, "{changed}");
}

#[test]
fn splits_and_seeds_share_no_sample() {
    let (one, two) = (world(&[]), world(&["seed=2"]));
    let scenes = |make: &dyn Fn(u64) -> Sample| -> Vec<Vec<u8>> {
        (0..40).map(|number| make(number).draw().into_raw()).collect()
    };
    let all = [
        scenes(&|n| one.train(n)),
        scenes(&|n| one.test(n)),
        scenes(&|n| one.warmup(n).sample),
        scenes(&|n| one.prior(n).unwrap().members[0].sample.clone()),
        scenes(&|n| two.train(n)),
    ];
    let mut pictures: Vec<_> = all.concat();
    let count = pictures.len();
    pictures.sort();
    pictures.dedup();
    assert_eq!(pictures.len(), count);
}

#[test]
fn what_is_written_of_a_configuration_reads_back_as_the_same() {
    let config = world(&["train.conflict=0.4", "image.sizes=['84x112']", "kinds.odd=3"]).config().clone();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("world.toml");
    std::fs::write(&file, config.to_toml().unwrap()).unwrap();
    assert_eq!(WorldConfig::load(Some(&file), &[]).unwrap(), config);
    assert_eq!(
        WorldConfig::load(Some(&file), &["seed=3".into()]).unwrap(),
        WorldConfig { seed: 3, ..config }
    );
}

#[test]
fn the_documentation_and_the_schema_are_those_of_the_dials() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = docs::pages(&root, &[config::PART], &[config::SCHEMA]).unwrap();
    let behind = docs::behind(&root, &pages);
    assert!(behind.is_empty(), "{behind:?} are behind: cargo xtask docs");
    for key in keys(&schema::<WorldConfig>()) {
        assert!(key.doc.ends_with('.') && key.default != "required", "{key:?}");
    }
}

#[test]
fn a_wrong_dial_is_refused_with_what_was_found_and_wanted() {
    let refused = |set: &str| WorldConfig::load(None, &[set.to_owned()]).unwrap_err().to_string();
    let cases: [(&str, &[&str]); 19] = [
        ("train.conflct=0.5", &["--set", "`train.conflct`", "`train.conflict`"]),
        ("dogs=1", &["unknown key `dogs`", "`warmup`"]),
        ("train.conflict=1.5", &["train.conflict", "1.5", "at least 0 and at most 1"]),
        ("train.conflict=nan", &["train.conflict", "at most 1"]),
        ("train.conflict=often", &["train.conflict", "often", "a number"]),
        ("seed=-1", &["seed", "-1"]),
        ("warmup.plain=0.5", &["warmup.image_only", "at most 1"]),
        ("image.sizes=['84']", &["image.sizes", "WIDTHxHEIGHT"]),
        ("image.sizes=['20x84']", &["image.sizes", "84 to 1024"]),
        ("image.noise=200", &["image.noise", "0 to 64"]),
        ("scene.columns=4", &["scene.columns", "from 2 to 3"]),
        ("scene.most=9", &["scene.most", "from 3 to 4"]),
        ("scene.things=['dog']", &["dog"]),
        ("scene.colours=['red','green','blue','white']", &["scene.colours", "yellow", "bananas"]),
        ("kinds.colour=-1", &["kinds.colour", "-1"]),
        ("splits.train=99999999999", &["splits.train", "10000000"]),
        ("scene.colours=['red','green']", &["scene.colours", "4 at least"]),
        ("scene.shapes=['banana']", &["scene.shapes", "each is \"circle\""]),
        ("conflict", &["no `=`"]),
    ];
    for (set, parts) in cases {
        let text = refused(set);
        for part in parts {
            assert!(text.contains(part), "{set}: no {part:?} in {text:?}");
        }
    }
    let missing = WorldConfig::load(Some(Path::new("nowhere.toml")), &[]).unwrap_err();
    assert!(missing.is_input() && missing.to_string().contains("nowhere.toml"), "{missing}");
}
