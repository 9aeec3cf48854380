//! The floors of the house: a crate uses crates of floors below its own, never its neighbours'.

use std::collections::BTreeSet;

/// From the bottom up. A new crate gets its place here.
const FLOORS: [&[&str]; 13] = [
    &["vigos-cubes", "vigos-devices", "vigos-products"],
    &["vigos-core", "vigos-jpeg", "vigos-mapped", "vigos-operators", "vigos-ranks"],
    &[
        "vigos-hub",
        "vigos-judge",
        "vigos-kernels",
        "vigos-links",
        "vigos-processor",
        "vigos-recording",
        "vigos-rows",
        "vigos-stored",
        "vigos-tensorboard",
        "vigos-trackers",
        "xtask",
    ],
    &["vigos-models", "vigos-recipe"],
    &["vigos-grade", "vigos-layouts", "vigos-qwen", "vigos-world"],
    &["vigos-data", "vigos-report"],
    &["vigos-inspect", "vigos-rollout", "vigos-sources", "vigos-watch"],
    &["vigos-checkpoint", "vigos-plan", "vigos-vllm"],
    &["vigos-eval", "vigos-fuzz", "vigos-serve", "vigos-train"],
    &["vigos-bench", "vigos-experiment", "vigos-selftest"],
    &["vigos"],
    &["vigos-terminal"],
    &["vigos-cli"],
];

/// Crates that know nothing of one another, not even by way of others, and why.
const APART: [(&str, &str, &str); 9] = [
    ("vigos-hub", "vigos-data", "files of the hub are fetched, not read"),
    ("vigos-data", "vigos-hub", "rows are read, wherever their files came from"),
    ("vigos-train", "vigos-world", "a drawn world is a source of data like any other"),
    ("vigos-train", "vigos-qwen", "every family is trained alike"),
    ("vigos-rollout", "vigos-qwen", "every family is sampled alike"),
    ("vigos-eval", "vigos-qwen", "every family is judged alike"),
    ("vigos-vllm", "vigos-qwen", "every family is served alike"),
    ("vigos-serve", "vigos-qwen", "every family is served alike"),
    ("vigos-eval", "vigos-train", "a model can be judged without being trained"),
];

/// The floor of a crate.
pub(super) fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|crates| crates.contains(&name))
}

/// What is wrong with the crates' edges: each crate with those that it uses.
pub(super) fn faults(edges: &[(String, Vec<String>)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (user, uses) in edges {
        let Some(above) = floor(user) else {
            faults.push(format!("{user}: it has no floor; xtask/src/house/floors.rs gives it one"));
            continue;
        };
        for used in uses {
            if floor(used).is_some_and(|below| below >= above) {
                faults.push(format!("{user} uses {used}, which is not below it"));
            }
        }
    }
    for (user, used, why) in APART {
        if reached(edges, user).contains(used) {
            faults.push(format!("{user} uses {used}, perhaps by way of others, and may not: {why}"));
        }
    }
    faults
}

/// Everything that a crate is linked with.
fn reached<'a>(edges: &'a [(String, Vec<String>)], from: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        let uses = edges.iter().filter(|(user, _)| user == next).flat_map(|(_, uses)| uses);
        open.extend(uses.map(String::as_str).filter(|used| reached.insert(*used)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::faults;

    fn of(edges: &[(&str, &[&str])]) -> Vec<String> {
        let owned = |(user, uses): &(&str, &[&str])| {
            ((*user).to_owned(), uses.iter().map(|used| (*used).to_owned()).collect())
        };
        faults(&edges.iter().map(owned).collect::<Vec<_>>())
    }

    #[test]
    fn arrows_that_point_down_are_no_fault() {
        assert_eq!(
            of(&[("vigos-core", &[]), ("vigos-data", &["vigos-core"]), ("vigos-cli", &["vigos-data"])]),
            [""; 0]
        );
    }

    #[test]
    fn an_arrow_to_a_neighbour_or_up_is_one() {
        let faults = of(&[("vigos-hub", &["vigos-world"]), ("vigos-core", &["vigos-cli"])]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[1].starts_with("vigos-core uses vigos-cli"), "{faults:?}");
    }

    #[test]
    fn crates_that_are_apart_do_not_meet_by_way_of_others() {
        let faults =
            of(&[("vigos-data", &["vigos-recipe"]), ("vigos-recipe", &["vigos-hub"]), ("vigos-hub", &[])]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains("vigos-data uses vigos-hub"), "{faults:?}");
    }

    #[test]
    fn a_crate_without_a_floor_is_asked_for_one() {
        assert!(of(&[("vigos-new", &[])])[0].contains("floors.rs"));
    }
}
