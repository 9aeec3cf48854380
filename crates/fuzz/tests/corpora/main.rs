//! The bodies over the corpora of the fuzz targets, over every input that once broke a promise, and over mutations of
//! both.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // In helpers too; a file's name is the last word where one hangs.

mod inputs;

use inputs::{given, mutated};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use vigos_fuzz::{BODIES, Body};

#[test]
fn every_body_has_a_target_and_a_corpus_and_no_target_is_without() {
    let bodies: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    assert!(bodies.is_sorted());
    let targets = inputs::listed("fuzz_targets").into_iter().map(|path| inputs::stem(&path));
    assert_eq!(targets.collect::<Vec<_>>(), bodies);
    for name in bodies {
        assert!(!given(name).is_empty(), "{name} has no corpus");
    }
}

#[test]
fn no_input_of_the_corpora_breaks_a_promise() {
    for (name, body) in BODIES {
        for (file, bytes) in given(name) {
            println!("{}", file.display());
            body(&bytes);
        }
    }
}

/// A test for each body: `PROPTEST_CASES` says how many mutations, 256 without it.
macro_rules! mutations {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            unbroken_by_mutations(stringify!($name), vigos_fuzz::$name);
        }
    )*};
}

mod no_mutation_breaks_a_promise_of {
    use super::unbroken_by_mutations;

    mutations! {
        adapter archive arrow boxes grade image jpeg layouts manifest parquet prompt recipe replay rows score served spans template weights
    }
}

fn unbroken_by_mutations(name: &str, body: Body) {
    let inputs: Vec<Vec<u8>> = given(name).into_iter().map(|(_, bytes)| bytes).collect();
    let config =
        ProptestConfig { rng_seed: RngSeed::Fixed(13), failure_persistence: None, ..Default::default() };
    let outcome = TestRunner::new(config).run(&mutated(inputs), |bytes| {
        body(&bytes);
        Ok(())
    });
    assert!(outcome.is_ok(), "{name}: {}", outcome.unwrap_err());
}
