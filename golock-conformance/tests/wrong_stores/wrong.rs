//! The ways in which a store can be wrong, each with the cases that must reject it.

macro_rules! wrong_stores {
    ($($(#[$doc:meta])+ $wrong:ident => $($case:literal)|+,)+) => {
        /// A way of being wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Wrong { $($(#[$doc])+ $wrong,)+ }

        /// Each way, with each case that rejects it.
        pub(crate) const WRONG_STORES: &[(Wrong, &str)] = &[$($((Wrong::$wrong, $case)),+),+];
    };
}

wrong_stores! {
    /// Grants whatever it is asked for.
    EverybodyWins => "second_locker_is_refused",
    /// Looks whether the name is free, and grants it in a second step.
    LooksBeforeItLeaps => "one_winner_a_round_on_released_names",
    /// Takes a second acquire under the same label for the holder's.
    LabelsAreIdentities => "same_label_is_no_identity",
    /// Does not look who releases.
    AnybodyReleases => "stale_holder_cannot_release",
    /// Does not look who renews.
    AnybodyRenews => "stranger_cannot_renew",
    /// Starts the tokens again at each release.
    ReleasesForgetTokens => "tokens_increase_over_release",
    /// Numbers grants from one, so that a purge starts them again.
    TokensCountFromOne => "tokens_increase_over_purge",
    /// Numbers grants by its clock alone, which may be set back.
    TokensAreTheClock => "token_ahead_of_the_clock_counts_on",
    /// Begins again after the largest token.
    TokensWrap => "token_near_the_maximum_is_an_error",
    /// Takes a retried acquire for a new one.
    RetriesGetNewTokens => "same_grant_acquires_again_under_the_same_token",
    /// Refuses a holder's retried acquire, for the name is held: by itself.
    RetriesAreRefused => "same_grant_acquires_again_under_the_same_token",
    /// Sets the end of the lease to what the last renewal says.
    RenewalsShorten => "shorter_renewal_shortens_nothing",
    /// Renews what has run out.
    RenewalsRevive => "renew_after_expiry_revives_nothing",
    /// Grants a released grant again when its acquire comes late.
    ForgetsReleasedGrants => "late_acquire_of_a_released_grant_is_refused",
    /// Does not remember an undo at a name that it does not know.
    UndosMakeNoRow => "undo_that_overtakes_its_acquire_leaves_no_orphan",
    /// Does not remember an undo while another holds the name.
    UndosBehindAHolderAreForgotten => "undo_behind_a_holder_forbids_the_late_acquire",
    /// Remembers what was released, and leaves it in the row as the holder.
    ReleasesKeepTheGrant => "lock_at_least_shows_as_released",
    /// Frees a name at once whatever its lock_at_least.
    IgnoresLockAtLeast => "lock_at_least_shows_as_released",
    /// Keeps a name for its lock_at_least, longer than its lease.
    LockAtLeastProlongs => "expired_grant_that_nobody_took_is_released",
    /// Writes who holds a name only into a row that is new: an upsert that forgets a column.
    UpdatesForgetWho => "grant_after_a_release_begins_anew",
    /// Writes since when it is held only into a row that is new.
    UpdatesForgetSinceWhen => "grant_after_a_release_begins_anew" | "grant_after_an_expiry_begins_anew"
        | "grant_after_an_undo_begins_anew" | "grant_by_hand_over_begins_anew",
    /// Counts held_for and lock_at_least from the last renewal.
    RenewalsBeginAnew => "renewals_and_retries_begin_nothing_anew",
    /// Counts them from the last time that a retried acquire came.
    RetriesBeginAnew => "renewals_and_retries_begin_nothing_anew",
    /// Hands over what another holds by now.
    HandsOverWhatItDoesNotHold => "stale_holder_hands_nothing_over",
    /// Hands the name to a grant that was undone before.
    HandsOverToUndoneGrants => "released_grant_is_handed_nothing",
    /// Keeps a name for its lock_at_least from all but the next in line.
    LockAtLeastSparesTheNext => "lock_at_least_is_kept_from_the_next",
    /// Hands the name to the next in line although others wait elsewhere.
    HandsOverPastOthers => "name_that_is_waited_for_elsewhere_is_freed_instead",
    /// Tells who waits of a release only.
    ForcedUnlocksWakeNobody => "forced_unlock_wakes_every_listener",
    /// Compares names as many collations do.
    NamesIgnoreCase => "every_name_is_its_own_lock",
    /// Compares names as a padded column does.
    NamesAreTrimmed => "every_name_is_its_own_lock",
    /// Keeps as much of a name as its column is wide.
    NamesAreCut => "every_name_is_its_own_lock",
    /// Hands the prefix to LIKE.
    PrefixesArePatterns => "prefixes_are_compared_by_their_bytes",
    /// Lists by a collation.
    ListsInAlphabeticalOrder => "names_are_listed_by_their_bytes",
    /// Frees a revoked name at once: two holders overlap.
    RevokesFreeAtOnce => "revoked_lease_keeps_others_out_until_its_end",
    /// Revokes without a new token.
    RevokesDoNotFence => "revoke_fences_but_lets_the_lease_run_out",
    /// Purges names that are still taken.
    PurgesWhatIsKept => "purge_spares_what_still_matters",
    /// Purges whatever is free for long enough.
    PurgesTokensAheadOfTheClock => "purge_spares_tokens_ahead_of_the_clock",
    /// Counts for how long a name has been free from when it was granted last.
    PurgesCountFromTheGrant => "purge_counts_from_the_release",
    /// Keeps the connection by which it listened.
    ListenersOutliveTheirStore => "dropped_stores_close_their_connections",
    /// Answers a batch in the order of its rows.
    AnswersInTheOrderOfNames => "acquires_are_answered_in_their_order",
    /// Gives all of a batch what the first of it asks for.
    BatchesHaveOneLease => "acquires_are_answered_in_their_order" | "renewals_are_answered_in_their_order",
    /// Reads a page of names, and then leaves out those that are free.
    FreeNamesMakePagesShort => "pages_hold_every_name_once",
}
