//! The suite proves itself: it rejects each store that is wrong in one way, by the case that is there for it, and
//! accepts the same store without its fault by the same case.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests and their stores say what they expect by it")]

mod row;
mod toy;
mod wrong;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use golock_conformance::{
    Abilities, BoxError, Case, Connections, Damage, Fixture, Need, Outcome, async_trait, cases, run_case,
    run_some,
};
use golock_core::{FencingToken, LockName, LockStore};

use crate::toy::Toy;
use crate::wrong::{WRONG_STORES, Wrong};

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_store_is_rejected_by_the_case_that_is_there_for_it() {
    // All at once: some are rejected only when a wait for what they don't do is given up.
    let runs = WRONG_STORES.iter().map(async |(wrong, name)| {
        match run_case(&Toys::new(Some(*wrong)), case(name)).await {
            Outcome::Failed(reason) => {
                println!("{wrong:?} is rejected by {name}: {reason}");
                None
            }
            outcome => Some(format!("{wrong:?} by {name}: {outcome:?}")),
        }
    });
    let escaped: Vec<String> = join_all(runs).await.into_iter().flatten().collect();
    assert!(escaped.is_empty(), "not rejected: {escaped:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_store_without_its_fault_is_accepted() {
    let toys = Toys::new(None);
    for (_, name) in WRONG_STORES {
        assert_eq!(run_case(&toys, case(name)).await, Outcome::Passed, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_failed_and_why_and_what_was_ignored() {
    let wanted = |case: &Case| case.group == "granting" || case.needs.contains(&Need::Restart);
    let report = run_some(&Toys::new(Some(Wrong::LabelsAreIdentities)), wanted).await;

    assert!(report.failed().contains(&"same_label_is_no_identity"), "{report}");
    let text = report.to_string();
    assert!(text.contains("FAILED  toy::same_label_is_no_identity: the label is the same"), "{text}");
    assert!(text.contains("which is to prove: `lock_by` is for people"), "{text}");
    assert!(
        text.contains("ignored toy::tokens_increase_over_restart: needs Restart: a toy has no server"),
        "{text}"
    );
    let passed = report.outcomes().filter(|(_, outcome)| **outcome == Outcome::Passed).count();
    let failed = report.failed().len();
    assert!(text.ends_with(&format!("toy: {passed} passed, {failed} failed, 2 ignored")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_space_that_can_not_be_dropped_fails_its_case() {
    let of_its_own = case("free_names_are_neither_seen_nor_listed");
    assert_eq!(run_case(&Toys::new(None), of_its_own).await, Outcome::Passed);
    let toys = Toys { keeps_spaces: true, ..Toys::new(None) };
    let outcome = run_case(&toys, of_its_own).await;
    assert_eq!(outcome, Outcome::Failed("the space could not be dropped: it panics".to_owned()));
}

#[test]
fn a_single_test_fails_where_it_looks_at_nothing() {
    let open = async || Ok(Toys::new(None));
    golock_conformance::__run_test("second_locker_is_refused", open);
    if std::env::var_os("GOLOCK_ALLOW_SKIP").is_none() {
        let ignored = || golock_conformance::__run_test("tokens_increase_over_restart", open);
        let panic = std::panic::catch_unwind(ignored).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.starts_with("not tested: needs Restart: a toy has no server"), "{text}");
    }
}

fn case(name: &str) -> &'static Case {
    cases().iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"))
}

struct Toys {
    wrong: Option<Wrong>,
    spaces: Mutex<BTreeMap<String, Toy>>,
    connections: Arc<()>,
    keeps_spaces: bool,
}

impl Toys {
    fn new(wrong: Option<Wrong>) -> Self {
        Self { wrong, spaces: Mutex::default(), connections: Arc::default(), keeps_spaces: false }
    }

    fn space(&self, space: &str) -> Toy {
        let mut spaces = self.spaces.lock().unwrap();
        spaces.entry(space.to_owned()).or_insert_with(|| Toy::new(self.wrong)).clone()
    }
}

#[async_trait]
impl Fixture for Toys {
    fn name(&self) -> &str {
        "toy"
    }

    async fn store(&self, space: &str) -> Result<Arc<dyn LockStore>, BoxError> {
        Ok(Arc::new(self.space(space).connected(&self.connections)))
    }

    fn abilities(&self) -> Abilities<'_> {
        Abilities {
            damage: Ok(self),
            connections: Ok(self),
            purge_counts: Ok(()),
            ..Abilities::none("a toy has no server")
        }
    }
}

#[async_trait]
impl Damage for Toys {
    async fn delete_row(&self, space: &str, name: &LockName) -> Result<(), BoxError> {
        self.space(space).delete(name);
        Ok(())
    }

    async fn delete_all(&self, space: &str) -> Result<(), BoxError> {
        self.space(space).clear();
        Ok(())
    }

    async fn set_token(&self, space: &str, name: &LockName, token: FencingToken) -> Result<(), BoxError> {
        self.space(space).set_token(name, token);
        Ok(())
    }

    async fn drop_space(&self, space: &str) -> Result<(), BoxError> {
        assert!(!self.keeps_spaces, "it panics");
        self.spaces.lock().unwrap().remove(space);
        Ok(())
    }
}

#[async_trait]
impl Connections for Toys {
    async fn kill_connections(&self) -> Result<(), BoxError> {
        Err("nobody is at the other end".into())
    }

    async fn count_connections(&self) -> Result<usize, BoxError> {
        Ok(Arc::strong_count(&self.connections) - 1)
    }
}
