//! Tables and plots of made-up results, against numbers worked out by hand.

use std::collections::BTreeMap;
use std::fs;
use vigos_eval::Mean;
use vigos_eval::palr::{Palr, Sums};
use vigos_experiment::report;
use vigos_experiment::results::{
    CellResults, Leakage, MethodName, Metrics, Results, RunResults, StepResults, SweepResults, Term,
};
use vigos_recipe::experiment::Dial;

fn step(step: usize, score: f64) -> StepResults {
    let mean = |value| Mean { value, standard_error: Some(0.01), n: 50 };
    let of = |value| BTreeMap::from([("fact".to_owned(), mean(value))]);
    StepResults { step, valid: 1.0, accuracy: mean(0.5), score: of(score), prior: of(0.9), tokens: 40.0 }
}

fn trained(seed: u64, score: f64, palr: f64) -> RunResults {
    let term = |clipped| Term { loss: Some(0.02), kl: Some(0.03), tokens: 10, clipped };
    let line = |step: usize| Metrics {
        step,
        loss: Some(0.1),
        terms: BTreeMap::from([("perception".into(), term(step)), ("a<b>&c".into(), term(0))]),
        accuracy: Some(0.5),
        fallback_rate: None,
        grad_norm: None,
    };
    let ratio = |value| Palr { value, standard_error: None, sums: Sums::default() };
    let [description, reasoning_answer, completion] = [0.0, palr, palr / 2.0].map(ratio);
    RunResults {
        method: "A | B".into(),
        seed: Some(seed),
        steps: vec![step(0, 0.1), step(10, score)],
        palr: Some(Leakage { items: 9, valid: 8, description, reasoning_answer, completion }),
        metrics: (1..=3).map(line).collect(),
    }
}

/// One method with three seeds, and its base.
fn results() -> Results {
    let base = RunResults {
        method: "base".into(),
        seed: None,
        steps: vec![step(0, 0.1)],
        palr: None,
        metrics: vec![],
    };
    let values = vec![Dial::Whole(0), Dial::Fraction(0.5)];
    let cell = |value, seed, score| CellResults { method: "A | B".into(), value, seed, end: step(10, score) };
    Results {
        title: "By hand".into(),
        recipe: "recipe.toml".into(),
        done: 4,
        total: 4,
        seeds: vec![1, 2, 3],
        methods: vec![
            MethodName { name: "base".into(), trained: false },
            MethodName { name: "A | B".into(), trained: true },
        ],
        runs: vec![base, trained(1, 0.5, 0.2), trained(2, 0.6, 0.4), trained(3, 0.7, 0.6)],
        sweep: Some(SweepResults {
            title: "A share".into(),
            methods: vec!["A | B".into()],
            cells: vec![cell(values[0], 1, 0.2), cell(values[0], 2, 0.4), cell(values[1], 1, 0.3)],
            values,
        }),
    }
}

/// The cells of the table's row that begins with these.
fn row(text: &str, begin: &str) -> Vec<String> {
    let line = text.lines().find(|line| line.starts_with(begin)).unwrap();
    line.replace("\\|", "/")
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .filter(|cell| !cell.is_empty())
        .collect()
}

#[test]
fn means_and_standard_errors_over_seeds_are_those_worked_out_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let text = report(&results(), dir.path()).unwrap();
    // Of 50, 60 and 70 the deviation is 10, over √3 5.77; of 0.2, 0.4 and 0.6 it is 0.2, over √3 0.115.
    let a =
        ["A / B", "100.0 ± 0.0", "50.0 ± 0.0", "60.0 ± 5.8", "90.0 ± 0.0", "0.400 ± 0.115", "0.200 ± 0.058"];
    assert_eq!(row(&text, "| A \\| B | ")[..7], a);
    assert_eq!(row(&text, "| A \\| B | ")[7..], ["40.0 ± 0.0", "3"]);
    // A single value has no error.
    assert_eq!(row(&text, "| base ")[1..], ["100.0", "50.0", "10.0", "90.0", "–", "–", "40.0", "–"]);
    // 20 and 40: deviation 14.14, over √2 10.
    assert_eq!(row(&text, "| A \\| B, Score")[1..], ["30.0 ± 10.0", "30.0"]);
    assert!(text.contains("10.0 → 50.0 |") && text.contains("10.0 → 70.0 |"), "{text}");
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("results.json")).unwrap()).unwrap();
    assert_eq!(json["runs"][2]["steps"][1]["score"]["fact"]["value"], 0.6);
    assert_eq!(json["sweep"]["values"], serde_json::json!([0, 0.5]));
}

#[test]
fn every_picture_is_whole_as_svg_and_as_png_and_linked() {
    let dir = tempfile::tempdir().unwrap();
    let text = report(&results(), dir.path()).unwrap();
    for name in ["score", "palr", "losses", "clipped", "sweep"] {
        for kind in ["svg", "png"] {
            assert!(text.contains(&format!("({name}.{kind})")), "{name}.{kind}");
        }
        let svg = fs::read_to_string(dir.path().join(format!("{name}.svg"))).unwrap();
        let tree = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(tree.root_element().tag_name().name(), "svg");
        let height: u32 = tree.root_element().attribute("height").unwrap().parse().unwrap();
        let png = fs::read(dir.path().join(format!("{name}.png"))).unwrap();
        let image = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!((image.width(), image.height()), (1800, 2 * height), "{name}");
        // Something of the method's colour is drawn.
        let drawn = image.pixels().filter(|pixel| pixel.0 == [0, 114, 178]).count();
        assert!(drawn > 100, "{name}: {drawn}");
        let texts: Vec<&str> =
            tree.descendants().filter(|n| n.has_tag_name("text")).filter_map(|n| n.text()).collect();
        assert!(texts.iter().any(|text| text.trim() == "A | B"), "{name}: {texts:?}");
    }
    let losses = fs::read_to_string(dir.path().join("losses.svg")).unwrap();
    assert!(losses.contains("a&lt;b&gt;&amp;c"), "names are escaped");
}

#[test]
fn without_a_suite_a_sweep_or_a_diagnosis_there_is_no_picture_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut results = results();
    results.sweep = None;
    for run in &mut results.runs {
        run.palr = None;
        run.steps.iter_mut().for_each(|step| (step.score, step.prior) = Default::default());
    }
    let text = report(&results, dir.path()).unwrap();
    assert!(text.contains("![Accuracy over training](score.svg)"), "{text}");
    for absent in ["PALR", "Score", "Prior", "sweep.svg"] {
        assert!(!text.contains(absent), "{absent}: {text}");
    }
    assert!(!dir.path().join("palr.png").exists() && !dir.path().join("sweep.svg").exists());
}
