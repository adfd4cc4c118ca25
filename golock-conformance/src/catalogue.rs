//! The list of cases: what each proves, what it is called, which properties of the catalogue it is part of, what
//! it needs. The only place where a case is declared: the table, the runners and the macro are made from it.

/// Hands the list to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __catalogue {
    ({ $($with:tt)+ } $($arguments:tt)*) => { $($with)+! { { $($arguments)* }
granting {
    /// A free name is granted, with what remains of the lease by the server's clock.
    free_name_is_granted: "S1", [];
    /// While a grant is alive, no other is granted the name, from the same client or another.
    second_locker_is_refused: "S1", [];
    /// `lock_by` is for people: another grant with the same label is refused.
    same_label_is_no_identity: "S6", [];
    /// A refusal tells the holder's label and token, how long it has held the name, and how long it still will.
    refusal_says_who_since_when_how_long: "S1", [];
    /// When a lease runs out, by the server's clock, the next is granted the name, under a larger token.
    expired_name_is_granted_to_the_next: "S1 S3", [];
    /// A grant that acquires again while it is alive keeps its token, and its lease is extended: a lost reply is repaired.
    same_grant_acquires_again_under_the_same_token: "S14", [];
    /// A grant that acquires again with a shorter lease keeps the longer one.
    same_grant_acquired_again_shortens_nothing: "S14 S7", [];
    /// A grant that acquires again after its lease ran out gets a new token, as anybody would.
    same_grant_after_its_expiry_gets_a_new_token: "S14 S3", [];
    /// Leases of 10 ms and of 365 days last as long as they should.
    shortest_and_longest_leases_are_kept: "S21", [];
    /// A label comes back exactly as it was given: quotes, patterns, emoji, 255 bytes.
    labels_come_back_as_they_were: "S20", [];
    /// Grant ids that differ in one byte are two grants, whatever the byte.
    grant_ids_are_compared_byte_by_byte: "S5", [];
    /// What remains goes down as time passes, and never says more than is left.
    remaining_counts_down_to_the_end_of_the_lease: "S9", [];
}
releasing {
    /// A released name is free for everybody at once.
    released_name_is_free_at_once: "S6", [];
    /// A holder whose lease ran out and was taken by another can't release, and is told so.
    stale_holder_cannot_release: "S5 S6", [];
    /// An unlock that comes late, even from a holder with the same label, frees nothing that another was granted since.
    late_unlock_never_frees_the_next_grant: "S6", [];
    /// A release that is repeated, by whichever client, answers that it was released already.
    release_is_idempotent: "S6 S16", [];
    /// A holder that comes too late, but before anybody else, released the name; its lock_at_least revives nothing.
    expired_grant_that_nobody_took_is_released: "S6 S7", [];
    /// A release by a grant that holds nothing leaves the holder its lease, token and label.
    strangers_release_changes_nothing_for_the_holder: "S5", [];
    /// An acquire that arrives after its grant was released is refused, then and later: it leaves no orphan.
    late_acquire_of_a_released_grant_is_refused: "S14", [];
    /// An undo that arrives before its acquire, at a name never seen, makes that acquire fail when it comes.
    undo_that_overtakes_its_acquire_leaves_no_orphan: "S14", [];
    /// An undo behind another's lease makes the acquire that comes late fail, also when that lease is over.
    undo_behind_a_holder_forbids_the_late_acquire: "S14", [];
    /// A lock that is unlocked early stays taken until its lock_at_least has passed since it was granted.
    lock_at_least_is_kept_on_unlock: "S13", [];
    /// What is kept by lock_at_least shows as released: it can't be renewed, released again or acquired by its grant.
    lock_at_least_shows_as_released: "S13", [];
    /// A lock_at_least longer than what is left of the lease does not prolong it.
    lock_at_least_never_prolongs_the_lease: "S13", [];
    /// A lock held for longer than its lock_at_least is free at once.
    lock_at_least_that_has_passed_frees_at_once: "S13", [];
}
renewing {
    /// A renewal extends the lease to what it asks for, under the same token.
    renewal_extends_the_lease: "S7", [];
    /// A lease that is renewed outlives the end it was first given.
    renewed_lease_outlives_its_first_end: "S7", [];
    /// A renewal that arrives late, with a shorter lease than has been confirmed since, shortens nothing.
    shorter_renewal_shortens_nothing: "S7", [];
    /// A renewal that arrives after the lease ran out is refused as expired, and the name stays free.
    renew_after_expiry_revives_nothing: "S7", [];
    /// A renewal that arrives after the release is refused, and recreates nothing (Redisson #7272).
    renew_after_release_recreates_nothing: "S8", [];
    /// A renewal of a name that the store does not know is refused, and makes no row.
    renew_of_an_unknown_name_creates_nothing: "S5 S22", [];
    /// Neither another grant with the right token nor the right grant with another token can renew.
    stranger_cannot_renew: "S5", [];
}
tokens {
    /// Each grant after a release has a larger token.
    tokens_increase_over_release: "S3", [];
    /// Each grant after an expiry has a larger token.
    tokens_increase_over_expiry: "S3", [];
    /// Tokens go on after the name was purged.
    tokens_increase_over_purge: "S3", [];
    /// Tokens go on after somebody deleted the row.
    tokens_increase_over_row_deletion: "S3", [Damage];
    /// Tokens go on after somebody emptied the table (TRUNCATE, FLUSHALL) while the name was held.
    tokens_increase_over_truncate: "S3", [Damage];
    /// Tokens go on after the server was killed and started again.
    tokens_increase_over_restart: "S3", [Restart];
    /// The first token of a name is the server's time in µs since 1970, never a 1.
    tokens_are_never_small: "S3", [];
    /// A token ahead of the server's clock is counted on from: max(last + 1, server time).
    token_ahead_of_the_clock_counts_on: "S3", [Damage];
    /// After the largest token that the store can keep comes an error, never a wrap, a repetition or a float.
    token_near_the_maximum_is_an_error: "S3", [Damage];
}
names {
    /// Over a hundred names that some collation, pattern or trimming takes for one another are as many locks.
    every_name_is_its_own_lock: "S20", [];
    /// All locks are listed in the order of the bytes of their names.
    names_are_listed_by_their_bytes: "S20", [];
    /// A prefix is a prefix of bytes: `%`, `_`, `*`, `[`, `\` and the like match only themselves.
    prefixes_are_compared_by_their_bytes: "S20", [];
    /// Pages of any size, one after the other, hold each name once.
    pages_hold_every_name_once: "S20", [];
}
operating {
    /// A name that was never locked, was released, expired, forced open or only undone is neither seen nor listed.
    free_names_are_neither_seen_nor_listed: "", [];
    /// Held, kept and revoked names are listed as they are seen one by one.
    held_names_are_seen_and_listed_alike: "", [];
    /// Revoking takes the next token and forbids renewal, but the lease runs out first: no two holders overlap.
    revoke_fences_but_lets_the_lease_run_out: "S5", [];
    /// A revoked lease keeps others out until its end, even if its holder gives it back or a waiter undoes.
    revoked_lease_keeps_others_out_until_its_end: "S5", [];
    /// Revoking or forcing a free name does nothing.
    revoke_of_a_free_name_does_nothing: "", [];
    /// Forcing a lock open frees it at once and fences its holder, who can do nothing any more.
    force_unlock_frees_at_once: "S5", [];
    /// Forcing a lock open ends its lock_at_least too.
    force_unlock_ends_what_is_left_of_lock_at_least: "S13", [];
    /// A revoked lease can still be forced open.
    force_unlock_ends_a_revoked_lease: "S5", [];
    /// A purge spares live, kept and revoked leases, and names that were freed only now.
    purge_spares_what_still_matters: "S3", [];
    /// A purge deletes names that have been free for long enough, and says how many.
    purge_counts_what_it_deletes: "", [PurgeCounts];
}
batches {
    /// In a batch of free and held names each acquire is answered on its own, in its place.
    acquires_are_answered_in_their_order: "L8", [Batches];
    /// In a batch of live, expired, released, taken and unknown leases each renewal is answered on its own, in its place.
    renewals_are_answered_in_their_order: "L8", [Batches];
    /// In a batch of held, released, foreign and unknown grants each release is answered on its own, in its place.
    releases_are_answered_in_their_order: "L8", [Batches];
    /// As many requests as the store says it takes are taken.
    full_batches_are_taken: "L8", [Batches];
    /// No request, no answer.
    empty_batches_are_answered_emptily: "L8", [];
    /// A batch of acquires that is sent twice gets the same tokens twice, name by name.
    a_retried_batch_keeps_its_tokens: "S14 L8", [Batches];
}
racing {
    /// 32 tasks on a name never seen, round after round: one winner each, and the others are told of that one.
    one_winner_a_round_on_fresh_names: "S1", [];
    /// 32 tasks on a name just released, round after round: one winner each.
    one_winner_a_round_on_released_names: "S1", [];
    /// 32 tasks on a name just expired, round after round: one winner each.
    one_winner_a_round_on_expired_names: "S1", [];
    /// A hundred rounds of each of the three.
    one_winner_in_each_of_a_hundred_rounds: "S1", [LongRun];
    /// The same grant acquiring many times at once gets one token.
    concurrent_retries_of_one_grant_get_one_token: "S14", [];
    /// The same release sent many times at once releases once.
    concurrent_releases_release_once: "S6 S16", [];
    /// An acquire and its undo sent at once leave the name free, whichever comes first.
    undo_racing_its_acquire_leaves_no_orphan: "S14", [];
    /// Batches over the same names in different orders neither deadlock nor fail, and leave nothing behind.
    batches_in_opposite_orders_neither_fail_nor_block: "L10", [Batches];
}
history {
    /// Leases of 30 ms run out under 16 waiters: tokens are distinct, grow in real time, and no two holders overlap.
    leases_running_out_under_waiters_never_overlap: "S1 S3", [];
    /// The same with holders that also renew and release.
    mixed_history_has_one_holder_at_a_time: "S1 S3", [];
    /// Both for half a minute.
    leases_running_out_for_half_a_minute_never_overlap: "S1 S3", [LongRun];
}
    } };
}
