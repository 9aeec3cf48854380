//! `log.trackers` through the command.

use crate::support;

use support::{data_folder, metrics, questions, recipe, run, vigos};

const MLFLOW: [&str; 2] = ["--set", "log.trackers=[\"mlflow\"]"];

#[test]
fn a_tracker_without_a_server_is_refused_before_anything_is_written() {
    let (dir, rows) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&rows), dir.path().join("run"));
    let arguments = ["train", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
    let asked = vigos().args(arguments).args(MLFLOW).env_remove("MLFLOW_TRACKING_URI").output().unwrap();
    support::ran(asked).refused(&["MLFLOW_TRACKING_URI", "http://"]);
    assert!(!run_dir.exists());
    run(arguments.into_iter().chain(["--set", "log.trackers=[\"mlflo\"]"]))
        .refused(&["log.trackers", "mlflow"]);
}

#[test]
fn a_server_that_is_away_costs_a_run_nothing_but_a_line() {
    let (dir, rows) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&rows), dir.path().join("run"));
    let arguments =
        ["train", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap(), "--set", "train.steps=1"];
    // Nobody listens where someone did a moment ago.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let uri = format!("http://{closed}");
    let ran = vigos().args(arguments).args(MLFLOW).env("MLFLOW_TRACKING_URI", uri).output().unwrap();
    let ran = support::ran(ran).ok();
    assert!(ran.stderr.contains("metrics were not sent: http://127.0.0.1:"), "{}", ran.stderr);
    assert_eq!(metrics(&run_dir).len(), 1);
}
