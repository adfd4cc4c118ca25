//! Protocols that are wrong in one way, and the property that each must fall to: what shows that the search can fail.

use crate::laws::Law;
use crate::properties::{BELIEFS, ORPHAN};
use crate::spaces::{incidents, network, renewals, search_until};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    // Of the server.
    AcquireWithoutOwner,
    ExpiryByTheClientsClock,
    TokenIsTheClock,
    FenceKeepsTheToken,
    RenewWithoutOwner,
    ReleaseWithoutOwner,
    RepeatedReleaseFreesTheNext,
    RenewRevives,
    RenewShortens,
    RenewInsertsAgain,
    RenewByGrantAlone,
    RevokeForgetsTheGrant,
    RetryIsAnotherGrant,
    GrantsWhatWasReleased,
    UndoWithoutTombstone,
    ReleaseDeletesTheRow,
    // Of the client.
    BeliefFromTheAnswer,
    NoMargin,
    UnansweredRenewalCounts,
    LateGrantIsTaken,
    GivenUpIsNotUndone,
    UndoOnce,
}

macro_rules! found {
    ($($(#[doc = $doc:literal])* $test:ident: $bug:ident in $space:expr, by $property:expr;)*) => { $(
        $(#[doc = $doc])*
        #[test]
        fn $test() {
            search_until($space, Bug::$bug, $property);
        }
    )* };
}

found! {
    acquire_that_ignores_the_owner_is_found: AcquireWithoutOwner in network(), by Law::OneLiveGrant.name();
    expiry_by_the_clients_clock_is_found: ExpiryByTheClientsClock in network(), by Law::OneLiveGrant.name();
    /// The clock alone, as where a row is deleted on unlock: it may stand, or step back.
    token_that_forgets_the_last_is_found: TokenIsTheClock in network(), by Law::TokensIncrease.name();
    fence_that_keeps_the_token_is_found: FenceKeepsTheToken in incidents(), by Law::TokensIncrease.name();
    renewal_by_anybody_is_found: RenewWithoutOwner in renewals(), by Law::OnlyTheGrantReleasesAndRenews.name();
    release_by_anybody_is_found: ReleaseWithoutOwner in network(), by Law::OnlyTheGrantReleasesAndRenews.name();
    late_unlock_of_the_next_is_found: RepeatedReleaseFreesTheNext in renewals(), by Law::UnlockIsIdempotent.name();
    renewal_that_revives_is_found: RenewRevives in renewals(), by Law::RenewNeverRevives.name();
    /// `extend(1 h)`, then a delayed renewal of 15 s.
    renewal_that_shortens_is_found: RenewShortens in renewals(), by Law::RenewNeverShortens.name();
    /// Redisson #7272: a renewal that races unlock makes the lock anew.
    renewal_that_inserts_again_is_found: RenewInsertsAgain in renewals(), by Law::NoRenewAfterUnlock.name();
    /// A renewal from before a late duplicate of its acquire was granted anew.
    renewal_by_grant_alone_is_found: RenewByGrantAlone in renewals(), by Law::NoRenewAfterUnlock.name();
    revoked_grant_that_may_acquire_again_is_found: RevokeForgetsTheGrant in incidents(), by Law::ReleasedGrantStaysReleased.name();
    retry_that_is_another_grant_is_found: RetryIsAnotherGrant in network(), by Law::RetryKeepsItsToken.name();
    late_acquire_of_a_released_grant_is_found: GrantsWhatWasReleased in network(), by Law::ReleasedGrantStaysReleased.name();
    undo_without_tombstone_is_found: UndoWithoutTombstone in network(), by Law::ReleasedGrantStaysReleased.name();
    release_that_deletes_the_row_is_found: ReleaseDeletesTheRow in network(), by Law::ReleasedGrantStaysReleased.name();
    release_that_deletes_the_row_resets_the_token: ReleaseDeletesTheRow in incidents(), by Law::TokensIncrease.name();
    belief_from_the_answer_is_found: BeliefFromTheAnswer in network(), by BELIEFS;
    belief_without_a_margin_is_found: NoMargin in network(), by BELIEFS;
    unanswered_renewal_that_counts_is_found: UnansweredRenewalCounts in renewals(), by BELIEFS;
    /// etcd #11456: an acquire that took longer than its lease.
    late_grant_that_is_taken_is_found: LateGrantIsTaken in network(), by Law::LateGrantIsNoSuccess.name();
    given_up_acquire_that_is_not_undone_is_found: GivenUpIsNotUndone in network(), by ORPHAN;
    undo_that_is_not_repeated_is_found: UndoOnce in network(), by ORPHAN;
}
