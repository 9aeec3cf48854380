//! The prior suite is what it says: one picture where habit is right, two where it is wrong.

use crate::support;

use support::world;
use vigos_world::{Kind, Role, Wording};

#[test]
fn one_picture_agrees_with_what_is_expected_and_two_do_not() {
    let world = world(&[]);
    let mut sizes = 0;
    for number in 0..600 {
        let triple = world.prior(number).unwrap();
        let [prior, first, second] = &triple.members;
        assert_eq!([prior.role, first.role, second.role], [Role::Prior, Role::Score, Role::Score]);
        let question = prior.sample.question;
        assert!(triple.members.iter().all(|member| member.sample.question == question));
        let expected = prior.sample.expected().unwrap().word();
        assert_eq!(prior.sample.truth(), expected);
        assert!(!prior.sample.is_conflict());
        for member in [first, second] {
            assert_ne!(member.sample.truth(), expected);
            assert!(member.sample.is_conflict());
        }
        match question.kind() {
            Kind::Colour => assert_ne!(first.sample.truth(), second.sample.truth()),
            Kind::Size => sizes += 1,
            other => panic!("{other:?}"),
        }
        assert_ne!(first.sample.draw().into_raw(), second.sample.draw().into_raw());
    }
    support::assert_share("size", sizes, 600, 0.2);
}

#[test]
fn the_two_wordings_differ_by_the_fact_alone() {
    let world = world(&[]);
    for number in 0..100 {
        for member in world.prior(number).unwrap().members {
            let [fact, plain] =
                [Wording::Fact, Wording::Plain].map(|wording| member.worded(wording).problem());
            let said = fact.strip_suffix(&plain).unwrap();
            assert!(said.contains(" are usually ") && said.ends_with(". "), "{fact}");
        }
    }
}

#[test]
fn a_world_without_expectations_has_no_triples() {
    let world = world(&["kinds.colour=0", "kinds.size=0", "train.conflict=0", "splits.prior=0"]);
    assert!(world.prior(0).is_none());
}
