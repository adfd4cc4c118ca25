//! The catalogue is whole: no case is written and not listed, and every entry says what it proves.
#![allow(clippy::unwrap_used, reason = "a source file that can't be read is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use golock_conformance::cases;

#[test]
fn every_function_that_takes_a_context_is_a_case_or_a_helper_of_one() {
    let mut written = BTreeSet::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cases")).unwrap() {
        let path = entry.unwrap().path();
        let group = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for line in fs::read_to_string(&path).unwrap().lines() {
            // Cases are `pub(crate)`, what they share is private or `pub(super)`.
            if let Some(function) = line.strip_prefix("pub(crate) async fn ") {
                written.insert(format!("{group}::{}", function.split('(').next().unwrap()));
            }
        }
    }
    let listed: BTreeSet<String> =
        cases().iter().map(|case| format!("{}::{}", case.group, case.name)).collect();
    assert_eq!(written, listed);
}

#[test]
fn names_are_claims_and_claims_are_sentences() {
    let mut names = BTreeSet::new();
    for case in cases() {
        assert!(names.insert(case.name), "{} is listed twice", case.name);
        assert!(case.name.split('_').count() >= 3, "{} claims nothing", case.name);
        assert!(
            case.proves().ends_with('.') && case.proves().len() > 30,
            "{}: {:?}",
            case.name,
            case.proves()
        );
    }
}
