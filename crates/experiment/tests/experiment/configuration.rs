//! What an experiment's file may say, and the runs that it comes to.

use crate::{folder, root, text};
use vigos_experiment::Plan;
use vigos_recipe::RunRecipe;
use vigos_recipe::experiment::Experiment;

/// What an experiment with one thing changed is refused with.
fn refusal(from: &str, to: &str) -> String {
    let text = text("x".as_ref());
    assert!(text.contains(from), "{from}");
    Experiment::parse(&text.replace(from, to), "e.toml", &[]).unwrap_err().to_string()
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    for (from, to, key, near) in [
        ("seeds = [1, 2]", "seed = [1, 2]", "`seed`", "`seeds`"),
        ("train = false", "trian = false", "`method[0].trian`", "`method[0].train`"),
        ("values = [0.01, 0.02]", "valeus = [1]", "`sweep.valeus`", "`sweep.values`"),
        ("[palr]\nset", "[palr]\nsets", "`palr.sets`", "`palr.set`"),
    ] {
        let message = refusal(from, to);
        assert!(
            message.starts_with("e.toml:") && message.contains(": unknown key") && message.contains(key),
            "{message}"
        );
        assert!(message.contains(near), "{message}");
    }
    assert!(refusal("[palr]", "[palr]\nwhatever = 1").contains("known here: `palr.set`"));
}

#[test]
fn values_that_make_no_experiment_are_refused_by_name() {
    for (from, to, parts) in [
        ("seeds = [1, 2]", "seeds = []", ["`seeds`", "at least one"]),
        ("seeds = [1, 2]", "seeds = [1, 1]", ["`seeds`", "1 is there twice"]),
        (
            "seeds = [1, 2]",
            "seeds = [\"a\"]",
            ["e.toml:5:9: `seeds`: found array", "wanted a list of whole numbers"],
        ),
        ("name = \"base\"", "name = \"vigos!\"", ["`method[2].name`", "whose folder `vigos`"]),
        ("name = \"base\"", "name = \"..\"", ["`method[0].name`", "a letter"]),
        ("name = \"base\"", "name = \"sweep 1\"", ["`method[0].name`", "sweep-"]),
        ("methods = [\"ViGOS\"]", "methods = [\"ViGOZ\"]", ["`sweep.methods`", "did you mean \"ViGOS\"?"]),
        ("methods = [\"ViGOS\"]", "methods = [\"base\"]", ["`sweep.methods`", "trained"]),
        ("lr={value}", "lr=1", ["`sweep.set`", "{value}"]),
        ("values = [0.01, 0.02]", "values = [0.01, 0.01]", ["`sweep.values`", "0.01 is there twice"]),
        ("values = [0.01, 0.02]", "values = [nan]", ["`sweep.values`", "finite"]),
        ("title = \"Two methods\"", "title = \" \"", ["`title`", "empty"]),
        ("title = \"Two methods\"", "title = ", ["e.toml:1:", "string"]),
    ] {
        let message = refusal(from, to);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn the_plan_shares_starts_and_the_sweep_shares_runs() {
    let dir = folder();
    let plan = Plan::new(&Experiment::parse(&text(dir.path()), "e.toml", &[]).unwrap()).unwrap();
    let named = |run: &vigos_experiment::Run| {
        run.folder.strip_prefix(dir.path().join("runs")).unwrap().display().to_string()
    };
    let folders: Vec<String> = plan.runs.iter().map(named).collect();
    let table = ["base", "opsd/seed-1", "vigos/seed-1", "opsd/seed-2", "vigos/seed-2"];
    assert_eq!(folders[..5], table);
    assert_eq!(folders[5..], ["sweep-0.02/vigos/seed-1", "sweep-0.02/vigos/seed-2"]);
    // At 0.01 the sweep is the table's own runs.
    assert_eq!(plan.cells.iter().map(|cell| cell.run).collect::<Vec<_>>(), [2, 5, 4, 6]);
    // Base and ViGOS are asked in one way, OPSD in another.
    assert_eq!(plan.runs.iter().map(|run| run.start).collect::<Vec<_>>()[..3], [Some(0), Some(1), Some(0)]);
    assert_eq!(plan.starts.len(), 2);
    assert_eq!(
        plan.runs.iter().map(|run| run.recipe.train.seed).collect::<Vec<_>>()[1..],
        [1, 1, 2, 2, 1, 2]
    );

    let wrong = text(dir.path()).replace("method.preset=opsd", "method.preste=opsd");
    let error = Plan::new(&Experiment::parse(&wrong, "e.toml", &[]).unwrap()).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("`method.preset`"), "{error}");
}

#[test]
fn the_experiment_of_the_repository_is_one() {
    let config = Experiment::load(&root().join("configs/experiment.toml"), &[]).unwrap();
    assert!(config.methods.len() == 8 && config.seeds.len() >= 3);
}
