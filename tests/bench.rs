//! `vigos bench` through the command.

use crate::support;

use support::run;

const SMALL: [&str; 10] =
    ["bench", "loss", "--rows", "6", "--vocab", "501", "--hidden", "16", "--device", "flex"];

#[test]
fn the_loss_is_measured_against_its_baselines_and_equals_them() {
    for direction in ["forward", "reverse"] {
        let more = ["--direction", direction, "--chunk", "2", "--repeats", "2", "--json"];
        let report = run(SMALL.into_iter().chain(more)).ok().json();
        assert_eq!((report["active"].as_u64(), report["chunk_rows"].as_u64()), (Some(3), Some(2)));
        for (from, baselines) in
            [("logits", ["composed", "bound"]), ("hidden_states", ["composed", "products"])]
        {
            let part = &report[from];
            for name in ["fused"].into_iter().chain(baselines) {
                assert!(part[name]["seconds"].as_f64().unwrap() > 0.0, "{from} {name}: {report}");
            }
            assert!(part["difference"].as_f64().unwrap() < 1e-4, "{from}: {report}");
        }
    }
    let text = run(SMALL.into_iter().chain(["--dtype", "bf16"])).ok().stdout;
    assert!(text.contains("from hidden states") && text.contains("bf16"), "{text}");
}
