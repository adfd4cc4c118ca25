//! The check of histories finds each thing that no lock allows, and nothing in a history of a lock that is one.
#![allow(clippy::unwrap_used, reason = "a name that is none is a failed test")]

use std::time::{Duration, Instant};

use golock_conformance::history::{End, Grant, History, Violation};
use golock_core::{FencingToken, LockName};

#[test]
fn history_of_a_lock_has_no_violation() {
    let mut story = Story::new();
    for at in 0..20 {
        story.holds(at + 1, at * 100, at * 100 + 90);
        story.history.refused(job(), story.at(at * 100 + 20), story.at(at * 100 + 30));
        story.history.wrote(job(), token(at + 1), true, true);
        story.history.sighted(job(), token(at + 1), story.at(at * 100 + 50));
    }
    story.finds(&[]);
}

#[test]
fn token_of_two_grants_is_found() {
    let mut story = Story::new();
    story.holds(5, 0, 10);
    story.holds(5, 20, 30);
    story.finds(&[Violation::TokenTwice { name: job(), token: token(5) }]);
}

#[test]
fn token_that_goes_back_in_real_time_is_found() {
    let mut story = Story::new();
    story.holds(5, 0, 10);
    story.holds(4, 20, 30);
    story.finds(&[Violation::TokenBack { name: job(), first: token(5), later: token(4) }]);
}

#[test]
fn tokens_of_calls_at_the_same_time_have_no_order() {
    let mut story = Story::new();
    let early = story.at(0);
    for (number, received) in [(5, 10), (4, 20)] {
        story.history.granted(Grant::new(job(), token(number), early, story.at(received)));
    }
    story.finds(&[]);
}

#[test]
fn beliefs_that_overlap_are_found_also_behind_others() {
    let mut story = Story::new();
    story.holds(1, 0, 100);
    story.holds(2, 110, 120);
    story.finds(&[]);
    // The first had believed for longer than it seemed.
    story.holds(3, 50, 200);
    let verdict = story.history.check();
    let pairs: Vec<_> = verdict.violations.iter().filter_map(overlap).collect();
    assert_eq!(pairs, [(1, 3, 50), (3, 2, 90)]);
}

#[test]
fn overlap_within_the_rounding_is_let_pass() {
    let mut story = Story::new();
    story.history = story.history.rounding(ms(2));
    story.holds(1, 0, 12);
    story.holds(2, 10, 30);
    story.finds(&[]);
    story.holds(3, 27, 40);
    assert_eq!(story.history.check().violations.iter().filter_map(overlap).collect::<Vec<_>>(), [(2, 3, 3)]);
}

#[test]
fn grant_that_was_over_when_it_was_received_overlaps_with_nobody() {
    let mut story = Story::new();
    story.holds(1, 0, 100);
    story.history.granted(Grant::new(job(), token(2), story.at(0), story.at(50)));
    story.finds(&[]);
}

#[test]
fn register_that_goes_back_is_found() {
    let mut story = Story::new();
    story.history.wrote(job(), token(2), true, true);
    story.history.wrote(job(), token(1), true, false);
    story.finds(&[Violation::FencedBack { name: job(), newest: token(2), taken: token(1) }]);
}

#[test]
fn holder_that_is_fenced_out_while_it_believes_is_found() {
    let mut story = Story::new();
    story.history.wrote(job(), token(2), true, true);
    story.history.wrote(job(), token(1), false, false);
    story.finds(&[]);
    story.history.wrote(job(), token(1), false, true);
    story.finds(&[Violation::FencedOut { name: job(), newest: token(2), refused: token(1) }]);
}

#[test]
fn refusal_of_a_free_name_is_found() {
    let mut story = Story::new();
    story.history.refused(job(), story.at(0), story.at(10));
    story.finds(&[Violation::RefusedFree { name: job(), free_for: None }]);

    let mut story = Story::new();
    story.holds(1, 0, 100);
    story.history.refused(job(), story.at(150), story.at(160));
    story.finds(&[Violation::RefusedFree { name: job(), free_for: Some(ms(50)) }]);
}

#[test]
fn refusal_is_excused_by_who_may_have_held_the_name() {
    for excuse in [
        |story: &mut Story| story.history.gave_up(job(), story.at(0), story.at(10)),
        |story: &mut Story| story.history.refused(job(), story.at(154), story.at(170)),
        |story: &mut Story| story.history.disturbed(story.at(20), story.at(30)),
        |story: &mut Story| {
            let mut left = Grant::new(job(), token(2), story.at(101), story.at(102));
            left.end = Some(End::Left(story.at(103)));
            story.history.granted(left);
        },
    ] {
        let mut story = Story::new();
        story.holds(1, 0, 100);
        story.history.refused(job(), story.at(150), story.at(160));
        assert_eq!(story.history.check().violations.len(), 1);
        excuse(&mut story);
        story.finds(&[]);
    }
}

#[test]
fn name_that_stays_taken_is_found() {
    let mut story = Story::new();
    story.holds(1, 0, 100);
    story.history.sighted(job(), token(1), story.at(100 + LEASE + 1_000));
    assert_eq!(story.history.check().longest_stay, ms(LEASE + 1_000));
    story.finds(&[]);
    story.history.sighted(job(), token(1), story.at(100 + LEASE + 1_001));
    story.finds(&[Violation::Stuck { name: job(), token: token(1), stayed: ms(LEASE + 1_001) }]);
}

#[test]
fn name_that_nobody_is_known_to_have_taken_is_stuck_as_well() {
    let mut story = Story::new();
    for at in [500, 1_000, 3_600] {
        story.history.sighted(job(), token(9), story.at(at));
    }
    story.finds(&[Violation::Stuck { name: job(), token: token(9), stayed: ms(3_100) }]);
}

#[test]
fn fault_excuses_what_stays_taken_for_a_lease_and_a_second() {
    let mut story = Story::new();
    story.holds(1, 0, 100);
    story.history.sighted(job(), token(1), story.at(3_500));
    story.history.disturbed(story.at(2_000), story.at(3_000));
    story.finds(&[]);
    story.history.sighted(job(), token(1), story.at(6_100));
    story.finds(&[Violation::Stuck { name: job(), token: token(1), stayed: ms(3_100) }]);
    // A fault stands again.
    story.history.disturbed(story.at(5_000), story.at(7_000));
    story.finds(&[]);
}

#[test]
fn name_that_is_held_is_not_stuck() {
    let mut story = Story::new();
    story.history.granted(Grant::new(job(), token(1), story.at(0), story.at(1)));
    story.history.sighted(job(), token(1), story.at(60_000));
    story.finds(&[]);
}

#[test]
fn names_are_looked_at_one_by_one() {
    let mut story = Story::new();
    story.holds(5, 0, 100);
    let mut other = Grant::new(LockName::new("other").unwrap(), token(5), story.at(0), story.at(10));
    other.believed = Some(story.at(90));
    story.history.granted(other);
    story.finds(&[]);
}

#[test]
fn step_of_the_servers_clock_explains_beliefs_that_overlap_for_a_lease_after_it() {
    let mut story = Story::new();
    story.holds(1, 0, 3_000 + LEASE);
    story.holds(2, 2_500, 2_900);
    assert_eq!(story.overlaps(), [(1, 2, 500 + LEASE)]);
    story.history.clock_stepped(story.at(2_000), story.at(3_000));
    story.finds(&[]);
}

#[test]
fn step_explains_no_belief_that_overlapped_before_it() {
    let mut story = Story::new();
    story.holds(1, 0, 2_500);
    story.holds(2, 1_900, 2_600);
    story.history.clock_stepped(story.at(2_000), story.at(3_000));
    assert_eq!(story.overlaps(), [(1, 2, 100)]);
}

#[test]
fn step_explains_no_belief_of_who_was_renewed_or_asked_after_it() {
    let mut story = Story::new();
    story.history.clock_stepped(story.at(2_000), story.at(3_000));
    // Longer than a lease after the step: renewed since.
    story.holds(1, 0, 3_001 + LEASE);
    story.holds(2, 3_500, 3_600);
    assert_eq!(story.overlaps(), [(1, 2, LEASE - 499)]);

    let mut story = Story::new();
    story.history.clock_stepped(story.at(2_000), story.at(3_000));
    story.holds(1, 3_001, 3_500);
    story.holds(2, 3_400, 3_600);
    assert_eq!(story.overlaps(), [(1, 2, 100)]);
}

#[test]
fn step_explains_that_who_believes_is_fenced_out_by_who_came_after_it() {
    let fenced_out = [Violation::FencedOut { name: job(), newest: token(2), refused: token(1) }];
    for (granted, expected) in [(2_500, &[][..]), (1_999, &fenced_out)] {
        let mut story = Story::new();
        story.holds(1, 0, 2_600);
        let mut newest = Grant::new(job(), token(2), story.at(granted), story.at(granted));
        newest.end = Some(End::Left(story.at(2_500)));
        story.history.granted(newest);
        story.history.wrote(job(), token(2), true, false);
        story.history.wrote(job(), token(1), false, true);
        story.finds(&fenced_out);
        story.history.clock_stepped(story.at(2_000), story.at(2_400));
        story.finds(expected);
    }
}

#[test]
fn step_excuses_no_token_and_no_write_that_goes_back() {
    let mut story = Story::new();
    story.holds(5, 2_100, 2_200);
    story.holds(4, 2_300, 2_400);
    story.history.wrote(job(), token(5), true, true);
    story.history.wrote(job(), token(4), true, true);
    story.history.clock_stepped(story.at(2_000), story.at(3_000));
    story.finds(&[
        Violation::TokenBack { name: job(), first: token(5), later: token(4) },
        Violation::FencedBack { name: job(), newest: token(5), taken: token(4) },
    ]);
}

#[test]
fn step_excuses_what_stays_taken_for_a_lease_and_a_second() {
    let mut story = Story::new();
    story.holds(1, 0, 100);
    story.history.clock_stepped(story.at(2_000), story.at(3_000));
    story.history.sighted(job(), token(1), story.at(3_000 + LEASE + 1_000));
    story.finds(&[]);
    story.history.sighted(job(), token(1), story.at(3_000 + LEASE + 1_001));
    story.finds(&[Violation::Stuck { name: job(), token: token(1), stayed: ms(LEASE + 1_001) }]);
}

#[test]
fn steps_that_touch_are_one() {
    let mut story = Story::new();
    story.history.clock_stepped(story.at(1_500), story.at(3_000));
    story.history.clock_stepped(story.at(1_000), story.at(2_000));
    story.holds(1, 0, 3_000 + LEASE);
    story.holds(2, 1_100, 1_200);
    story.finds(&[]);
}

#[test]
fn violations_say_what_they_are_of() {
    let text = Violation::Stuck { name: job(), token: token(7), stayed: ms(4_000) }.to_string();
    assert_eq!(text, "\"job\": taken under token 7 for 4s although nobody held it");
}

struct Story {
    begun: Instant,
    history: History,
}

impl Story {
    fn new() -> Self {
        Self { begun: Instant::now(), history: History::new(ms(LEASE)) }
    }

    fn at(&self, millis: i64) -> Instant {
        self.begun + ms(millis)
    }

    /// Asked for and received at `from`, believed in until `to`, and given back then.
    fn holds(&mut self, number: i64, from: i64, to: i64) {
        let mut grant = Grant::new(job(), token(number), self.at(from), self.at(from));
        grant.believed = Some(self.at(to));
        grant.end = Some(End::GivenBack(self.at(to)));
        self.history.granted(grant);
    }

    /// Which tokens' holders overlapped, and by how many milliseconds.
    fn overlaps(&self) -> Vec<(i64, i64, i64)> {
        let verdict = self.history.check();
        verdict.violations.iter().filter_map(overlap).collect()
    }

    #[track_caller]
    fn finds(&self, expected: &[Violation]) {
        assert_eq!(self.history.check().violations, expected);
    }
}

fn overlap(violation: &Violation) -> Option<(i64, i64, i64)> {
    match violation {
        Violation::Overlap { first, second, by, .. } => {
            Some((first.get(), second.get(), by.as_millis().try_into().unwrap()))
        }
        _ => None,
    }
}

fn job() -> LockName {
    LockName::new("job").unwrap()
}

fn token(number: i64) -> FencingToken {
    FencingToken::new(number)
}

fn ms(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap())
}

const LEASE: i64 = 2_000;
