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
    /// An unlock that comes late, even from a holder with the same label, frees nothing that another was granted since (etcd #22082,
    /// ShedLock #74).
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
    /// What is kept by lock_at_least shows as released: it can't be renewed, released again or acquired by its grant, also when
    /// another undo has come since.
    lock_at_least_shows_as_released: "S13", [];
    /// A lock_at_least longer than what is left of the lease does not prolong it.
    lock_at_least_never_prolongs_the_lease: "S13", [];
    /// A lock held for longer than its lock_at_least is free at once.
    lock_at_least_that_has_passed_frees_at_once: "S13", [];
}
regranting {
    /// A name that was released and is granted to another: label, held_for and lock_at_least are the new grant's, not the first one's.
    grant_after_a_release_begins_anew: "S1 S13", [];
    /// The same for a name whose lease ran out.
    grant_after_an_expiry_begins_anew: "S1 S13", [];
    /// The same for a name of which only an undo is known.
    grant_after_an_undo_begins_anew: "S13 S14", [];
    /// The same for the next in line, to whom the name is handed over.
    grant_by_hand_over_begins_anew: "S1 S13", [HandOver];
    /// A renewal, or an acquire that is repeated, starts nothing again: held_for and lock_at_least count from the grant.
    renewals_and_retries_begin_nothing_anew: "S13 S14", [];
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
    /// A purge counts for how long a name has been free from its release, not from its grant: a late acquire of that is refused.
    purge_counts_from_the_release: "S3", [];
    /// A purge spares a name whose token is ahead of the server's clock: without it the next one would be smaller.
    purge_spares_tokens_ahead_of_the_clock: "S3", [Damage];
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
    /// A call with no requests is answered with no answers.
    empty_batches_are_answered_emptily: "L8", [];
    /// A batch of acquires that is sent twice gets the same tokens twice, name by name.
    a_retried_batch_keeps_its_tokens: "S14 L8", [Batches];
}
handing {
    /// A name goes from its holder to the next in one call, under a larger token.
    name_is_handed_over: "S1 S3", [HandOver];
    /// A holder whose lease ran out and was taken by another hands nothing over, and is told so.
    stale_holder_hands_nothing_over: "S5 S6", [HandOver];
    /// A hand-over of a name never seen leaves what an undo leaves, and grants nothing.
    hand_over_of_nothing_is_an_undo: "S14", [HandOver];
    /// A hand-over that is sent twice, for its reply was lost, grants once; one that comes late revives nothing.
    repeated_hand_over_grants_once: "S14 S16", [HandOver];
    /// A grant that was undone before the hand-over to it is handed nothing.
    released_grant_is_handed_nothing: "S14", [HandOver];
    /// What is left of a lock_at_least keeps the name from the next in line, too.
    lock_at_least_is_kept_from_the_next: "S13", [HandOver];
    /// A holder that comes too late, but before anybody else, hands the name over.
    expired_grant_that_nobody_took_is_handed_over: "S6", [HandOver];
    /// A name that somebody elsewhere waits for is freed, and who waits is woken.
    name_that_is_waited_for_elsewhere_is_freed_instead: "L1 L9", [HandOver, Push];
    /// While a name is handed over, nobody else is granted it.
    hand_over_racing_an_acquire_has_one_winner: "S1", [HandOver];
    /// With others of the same locker in line, a lock and its unlock are little more than one round trip.
    a_turn_in_line_costs_little_more_than_a_round_trip: "", [HandOver, Through];
}
racing {
    /// 32 tasks on a name never seen, round after round: one winner each, and the others are told of that one.
    one_winner_a_round_on_fresh_names: "S1", [];
    /// 32 tasks on a name just released, round after round: one winner each.
    one_winner_a_round_on_released_names: "S1", [];
    /// 32 tasks on a name just expired, round after round: one winner each.
    one_winner_a_round_on_expired_names: "S1", [];
    /// The three races, a hundred rounds of each.
    one_winner_in_each_of_a_hundred_rounds: "S1", [LongRun];
    /// The same grant acquiring many times at once gets one token.
    concurrent_retries_of_one_grant_get_one_token: "S14", [];
    /// The same release sent many times at once releases once.
    concurrent_releases_release_once: "S6 S16", [];
    /// An acquire and its undo sent at once leave the name free, whichever comes first.
    undo_racing_its_acquire_leaves_no_orphan: "S14", [];
    /// A renewal and the release of the same grant sent at once leave the name free, whichever comes first (Redisson #7272).
    renewal_racing_the_release_recreates_nothing: "S8", [];
    /// Batches over the same names in different orders neither deadlock nor fail, and leave nothing behind.
    batches_in_opposite_orders_neither_fail_nor_block: "L10", [Batches];
}
history {
    /// Leases of 30 ms run out under 16 waiters: tokens are distinct, grow in real time, and no two holders overlap.
    leases_running_out_under_waiters_never_overlap: "S1 S3", [];
    /// The same with holders that also renew and release.
    mixed_history_has_one_holder_at_a_time: "S1 S3", [];
    /// What holders of six lockers believe, `is_held`, never overlaps.
    believed_holds_never_overlap: "S2", [];
    /// Leases of 30 ms, both ways, for half a minute each.
    leases_running_out_for_half_a_minute_never_overlap: "S1 S3", [LongRun];
}
locking {
    /// A locker's lock is held, with a margin, until it is unlocked; others are told who holds it.
    locked_name_is_held_until_it_is_unlocked: "S1 S9", [];
    /// A locker refuses what it holds itself, and says so.
    a_locker_refuses_what_it_holds_itself: "", [];
    /// Names, labels and durations that can't be right are refused with a typed error, and nothing is sent.
    impossible_input_is_refused: "S20 S21", [];
    /// A lock with auto_renew outlives its lease for as long as it is kept.
    auto_renewed_lock_outlives_its_lease: "L3", [];
    /// An extended lock outlives its first lease, and a shorter extension shortens nothing.
    extended_lock_outlives_its_lease: "S7", [];
    /// A holder learns that its lease ended, before another can have it, and can't unlock what it lost (etcd #10811).
    holder_learns_that_its_lease_ended: "S9", [];
    /// A holder that was revoked or forced out learns of it at its next renewal.
    holder_learns_that_it_was_revoked: "S5", [];
    /// A holder whose row was deleted learns of it at its next renewal, and the next lock works (ShedLock #27).
    holder_learns_that_its_row_was_deleted: "S22", [Damage];
    /// Holders whose table was truncated, or whose keys were flushed, learn of it, and the next locks work (redsync #186).
    holders_learn_that_everything_was_deleted: "S22", [Damage];
    /// `run` returns the value of its work, and the name is free.
    run_unlocks_when_its_work_has_ended: "", [];
    /// `run` drops its work when the lease can't be kept, and says so.
    run_drops_its_work_when_the_lease_is_lost: "S9", [];
    /// After a shutdown calls and waiters are told so, and locks that are left run out.
    shutdown_closes_the_locker: "S19", [];
    /// A lock whose holder crashed stays taken until its lock_at_least has passed, and then becomes free.
    lock_at_least_is_kept_after_a_crash: "S13", [];
    /// Hundreds of leases of one locker are renewed in batches, and none is lost.
    many_leases_of_one_locker_are_kept: "L8", [];
    /// Ten thousand leases of one locker are renewed in batches, and none is lost.
    ten_thousand_leases_of_one_locker_are_kept: "L8", [LongRun];
}
dropping {
    /// A `try_lock` dropped at any poll leaves nothing: the name is free long before its lease (sqlx #4198).
    dropped_try_lock_leaves_nothing: "S17", [];
    /// A waiting `lock` dropped at any poll, also while it is served, leaves nothing.
    dropped_wait_leaves_nothing: "S17 S18", [];
    /// An `unlock` dropped at any poll still unlocks.
    dropped_unlock_still_unlocks: "S17", [];
    /// An `extend` dropped at any poll leaves the lock held, and it can be unlocked.
    dropped_extend_harms_nothing: "S17", [];
    /// A `run` dropped at any poll gives its lock back.
    dropped_run_gives_back_its_lock: "S17", [];
    /// Operators' calls dropped at any poll leave the locker whole.
    dropped_operators_calls_harm_nothing: "S17", [];
    /// Calls of the store dropped at any poll leave no orphan, and no later call gets their answer (tiberius #79, mysql_async #401).
    dropped_store_calls_leave_the_store_whole: "S17", [];
    /// A lock dropped in a runtime, on a plain thread, by a panic, by an abort or after its locker is given back.
    dropped_lock_is_given_back: "S19", [];
    /// A lock dropped after its runtime has ended neither blocks nor panics, and is freed by its lease.
    lock_dropped_after_its_runtime_is_freed_by_its_lease: "S19", [];
}
waiting {
    /// A waiter gets the lock when its holder, elsewhere, releases it.
    waiter_gets_the_lock_when_it_is_released: "L1", [];
    /// A waiter gets the lock of a crashed holder when the lease has ended.
    waiter_gets_the_lock_of_a_crashed_holder: "L1", [];
    /// A waiter gets a lock that was released early when its lock_at_least is over.
    waiter_gets_the_lock_at_the_end_of_lock_at_least: "L1 S13", [];
    /// A wait that times out says who holds the lock, and leaves nothing behind.
    wait_that_times_out_leaves_nothing: "S18", [];
    /// Waiters of one locker are served first come first served, and `try_lock` does not go past them.
    waiters_of_one_locker_are_served_in_order: "", [];
    /// A lock freed at whatever moment of a waiter's beginning is taken by it, long before any lease ends.
    no_wakeup_is_lost_between_try_and_subscribe: "L9", [];
    /// Hundreds of waiters on one name, over several lockers, are all served, one at a time.
    hundreds_of_waiters_all_get_their_turn: "L9 S1", [];
    /// A thousand waiters on one name, over several lockers, are all served, one at a time.
    a_thousand_waiters_all_get_their_turn: "L9 S1", [LongRun];
}
pushing {
    /// The release of a name that is marked wakes every listener.
    marked_release_wakes_every_listener: "L1", [Push];
    /// A name that is marked and forced open wakes every listener, also if it was revoked before, or kept by lock_at_least only.
    forced_unlock_wakes_every_listener: "L1", [Push];
    /// A mark stands over the grants that follow, and a shorter one does not end it.
    mark_outlives_grants_and_shorter_marks: "L9", [Push];
    /// The mark of a waiter that died costs nothing for long.
    mark_that_has_passed_wakes_nobody: "L9", [Push];
    /// A wake-up carries the name as it is, whatever its bytes.
    wakeups_carry_any_name: "S20", [Push];
    /// Marking a name that was never locked makes no row, and does no harm.
    mark_makes_no_row: "", [Push];
}
faults {
    /// A `try_lock` and `unlock` pair on a warm connection is exactly two round trips, and opens no connection.
    lock_and_unlock_are_two_round_trips: "", [Through];
    /// A refusal is one round trip, and a renewal is one.
    refusal_and_renewal_are_one_round_trip: "", [Through];
    /// A hundred waiters of one locker cost the server a few statements, not a hundred times as many (Redisson #5046).
    waiting_costs_little_whatever_the_number_of_waiters: "L9", [Through];
    /// An acquire whose answer was lost is recognised or undone: never a stuck lock.
    lost_answer_of_an_acquire_leaves_no_stuck_lock: "S14", [Through];
    /// A release whose answer was lost is repeated, and the holder is told that it unlocked.
    lost_answer_of_a_release_is_repaired: "S16", [Through];
    /// Renewals whose answers were lost are repeated in time.
    lost_answers_of_renewals_lose_no_lock: "S15 L3", [Through];
    /// Connections that were reset are replaced, and a locker goes on without being rebuilt.
    reset_connections_are_replaced: "L5", [Through];
    /// A server that says nothing is given up, and what was asked of it leaves nothing when it is back.
    silent_server_is_given_up_in_time: "S14", [Through];
    /// Validity is counted from before the request was sent; an acquire that comes back too late is no success (etcd #11456).
    slow_server_slows_but_harms_nothing: "S9", [Through];
}
cancelling {
    /// A `try_lock` dropped before it is sent, on its way, executed or answered leaves nothing.
    try_lock_dropped_at_any_stage_leaves_nothing: "S17", [Through];
    /// A `lock` of a free name dropped at any stage leaves nothing.
    lock_dropped_at_any_stage_leaves_nothing: "S17", [Through];
    /// A `lock` that waits, dropped at any stage of being served, leaves nothing.
    waiting_lock_dropped_at_any_stage_leaves_nothing: "S17 S18", [Through];
    /// An `unlock` dropped at any stage still unlocks.
    unlock_dropped_at_any_stage_still_unlocks: "S17", [Through];
    /// An `extend` dropped at any stage leaves the lock held, and it can be unlocked.
    extend_dropped_at_any_stage_harms_nothing: "S17", [Through];
    /// A `run` dropped at any stage of its lock leaves nothing.
    run_dropped_while_it_locks_leaves_nothing: "S17", [Through];
    /// A `run` dropped at any stage of its unlock still unlocks.
    run_dropped_while_it_unlocks_still_unlocks: "S17", [Through];
    /// An `inspect` dropped at any stage harms nothing, and no later call gets its answer.
    inspect_dropped_at_any_stage_harms_nothing: "S17", [Through];
    /// A `list` dropped at any stage harms nothing, and no later call gets its answer.
    list_dropped_at_any_stage_harms_nothing: "S17", [Through];
    /// A `revoke` dropped at any stage still revokes.
    revoke_dropped_at_any_stage_still_revokes: "S17", [Through];
    /// A `force_unlock` dropped at any stage still frees the name.
    force_unlock_dropped_at_any_stage_still_unlocks: "S17", [Through];
    /// A `purge` dropped at any stage harms nothing.
    purge_dropped_at_any_stage_harms_nothing: "S17", [Through];
    /// A `shutdown` dropped at any stage still closes the locker, and the locks that were given back are free.
    shutdown_dropped_at_any_stage_still_closes: "S17", [Through];
}
connecting {
    /// A wrong password is told as such, and shown nowhere.
    wrong_password_is_told: "L6", [WrongPassword];
    /// A missing table is told as such.
    missing_schema_is_told: "L6", [SchemaMissing];
    /// A missing permission is told as such.
    missing_permission_is_told: "L6", [NoPermission];
    /// TLS that the server refuses is told as such.
    refused_tls_is_told: "L6", [TlsRefused];
    /// A server that is not there is told as such, soon.
    unreachable_server_is_told: "L6", [Through];
    /// Sessions with unusual settings are repaired, or refused by the setting's name.
    unusual_sessions_are_repaired_or_refused_by_name: "L10", [Sessions];
    /// 32 stores that create the schema at once all succeed.
    schema_is_created_by_32_stores_at_once: "L7", [];
    /// An administrator is told what to run, and nobody is told a password by it, or by the store's Debug.
    schema_text_tells_no_secret: "L6", [];
    /// A hundred tasks share one client.
    one_client_serves_many_tasks: "", [];
    /// Where logging in takes longer than any caller has, the last of them is served over what the first began to open.
    login_slower_than_its_callers_serves_the_last: "L3", [Through];
    /// A store that is dropped closes its connections, all of them.
    dropped_stores_close_their_connections: "S17", [Connections];
}
enduring {
    /// Connections that the server kills are replaced: locks are kept, waiters are served.
    killed_connections_are_replaced: "L5", [Connections];
    /// A server killed and started again in the middle of a hold: the lease is kept if it is back in time, else lost.
    lock_survives_a_restart_of_the_server: "L2", [Restart];
    /// While the application has the only connection of the pool, a holder survives its leases and unlocks.
    holder_survives_while_the_application_has_the_pool: "L4", [SmallPool];
    /// A pool of one connection serves 64 waiters.
    pool_of_one_serves_64_waiters: "L4", [SmallPool];
    /// A row locked by somebody's open transaction costs that one lease only.
    locked_row_costs_one_lease_only: "L8", [RowLock];
    /// A row locked by somebody's open transaction keeps no other name from being locked and unlocked at the same time.
    locked_row_keeps_no_other_name_waiting: "L8", [RowLock];
    /// An acquire abandoned while it waits for a row does not take it later.
    abandoned_acquire_does_not_take_the_row_later: "S14", [RowLock];
    /// An acquire that waited for a row reports what is left of its lease, not what it asked for (ShedLock #132).
    acquire_that_waited_reports_what_is_left: "S9", [RowLock];
    /// A call on a row that somebody locks ends with a transient error, and other names are served meanwhile.
    blocked_calls_end: "L8", [RowLock];
}
    } };
}
