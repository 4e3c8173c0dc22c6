//! That the suite can fail: each sabotage of a backend that keeps the contract makes the tests it is named with fail.
//!
//! `modest` is the other direction: a backend that advertises as little as it may keeps the contract too.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so by a panic"
)]

mod modest;
mod reads;
mod store;
mod table;
mod writes;

use palanquin_contract::{TESTS, run};
use std::collections::BTreeSet;
use store::Sabotaged;
use table::SABOTAGES;

/// Whether the test fails, and with what it says.
fn failure(test: &str, made: impl Fn() -> Sabotaged + Send + 'static) -> Option<String> {
    let (area, name) = test.split_once("::").expect("an area and a name");
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(area, name, async move || made())));
    let panic = ran.err()?;
    let said = panic.downcast_ref::<String>().cloned();
    Some(said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned())).unwrap_or_default())
}

#[test]
fn every_sabotage_makes_the_named_tests_fail() {
    let mut unnoticed = Vec::new();
    for (what, between, tests) in SABOTAGES {
        assert!(!tests.is_empty(), "{what}");
        for test in *tests {
            match failure(test, || Sabotaged::by(between())) {
                Some(said) => println!("{what}: {test} says {said}"),
                None => unnoticed.push(format!("{what}: {test}")),
            }
        }
    }
    assert!(unnoticed.is_empty(), "not noticed:\n{}", unnoticed.join("\n"));
}

#[test]
fn the_same_tests_pass_without_a_sabotage() {
    let named: BTreeSet<&str> = SABOTAGES.iter().flat_map(|(.., tests)| tests.iter().copied()).collect();
    for test in named {
        assert_eq!(failure(test, Sabotaged::not_at_all), None, "{test}");
    }
}

#[test]
fn every_test_has_a_name_of_its_own_and_a_section() {
    let names: BTreeSet<(&str, &str)> = TESTS.iter().map(|test| (test.area, test.name)).collect();
    assert_eq!(names.len(), TESTS.len());
    assert!(TESTS.iter().all(|test| !test.section.is_empty()));
}
