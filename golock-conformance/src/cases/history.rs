//! Whole histories of one name, written down by all who took part and checked as one.

use std::time::Duration;

use golock_core::store::RenewAnswer;
use golock_core::{FencingToken, LockName};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use super::locking::options;
use crate::client::Client;
use crate::context::Context;
use crate::effort;
use crate::patience::unpanicked;

pub(crate) async fn leases_running_out_under_waiters_never_overlap(cx: &Context<'_>) {
    history(cx, effort::churn(), Habit::LetRunOut).await;
}

pub(crate) async fn mixed_history_has_one_holder_at_a_time(cx: &Context<'_>) {
    history(cx, effort::churn(), Habit::Mixed).await;
}

pub(crate) async fn leases_running_out_for_half_a_minute_never_overlap(cx: &Context<'_>) {
    history(cx, Duration::from_secs(30), Habit::LetRunOut).await;
    history(cx, Duration::from_secs(30), Habit::Mixed).await;
}

pub(crate) async fn believed_holds_never_overlap(cx: &Context<'_>) {
    let name = cx.name("contended");
    let end = Instant::now() + effort::churn();
    let mut tasks = JoinSet::new();
    for at in 0..6 {
        let (locker, name) = (cx.locker().await, name.clone());
        tasks.spawn(async move {
            let mut seen = Vec::new();
            while Instant::now() < end {
                let Ok(lock) = locker.lock(options(&name, BELIEVED).wait(effort::GIVE_UP)).await else {
                    continue;
                };
                let mut held = Held { token: lock.token(), received: Instant::now(), until: Instant::now() };
                // Some let it run out, some unlock in the middle.
                for _ in 0..if at % 2 == 0 { usize::MAX } else { 10 } {
                    let looked = Instant::now();
                    if !lock.is_held() {
                        break;
                    }
                    held.until = looked;
                    time::sleep(Duration::from_millis(2)).await;
                }
                seen.push(held);
            }
            seen
        });
    }
    let mut history = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        history.extend(unpanicked(ended));
    }
    check(history);
}

/// What a holder does with its lease.
#[derive(Clone, Copy)]
enum Habit {
    LetRunOut,
    /// By turns: let it run out, renew it and let it run out, release it.
    Mixed,
}

/// One grant, as its holder saw it.
#[derive(Debug)]
struct Held {
    token: FencingToken,
    received: Instant,
    /// Until when the holder may believe that it holds the name.
    until: Instant,
}

async fn history(cx: &Context<'_>, duration: Duration, habit: Habit) {
    let name = cx.name("contended");
    let end = Instant::now() + duration;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let client = cx.client().await.patient();
        for _ in 0..2 {
            tasks.spawn(take_part(client.clone(), name.clone(), habit, end));
        }
    }
    let mut history = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        history.extend(unpanicked(ended));
    }
    check(history);
}

async fn take_part(client: Client, name: LockName, habit: Habit, end: Instant) -> Vec<Held> {
    let mut seen = Vec::new();
    while Instant::now() < end {
        let sent = Instant::now();
        let grant = match client.try_take(&name, LEASE).await {
            Ok(grant) => grant,
            Err(holder) => {
                time::sleep(holder.remaining.min(LEASE) / 4).await;
                continue;
            }
        };
        let mut held = Held { token: grant.token, received: Instant::now(), until: sent + grant.remaining };
        let turn = match habit {
            Habit::LetRunOut => 0,
            Habit::Mixed => seen.len() % 3,
        };
        if turn == 1 {
            let sent = Instant::now();
            if let RenewAnswer::Renewed { remaining, .. } = client.renew(&grant, LEASE * 2).await {
                held.until = sent + remaining;
            }
        }
        if turn == 2 {
            held.until = held.until.min(Instant::now());
            client.release(&grant).await;
        }
        seen.push(held);
    }
    seen
}

/// In the order of the tokens, no token twice, and nobody got the name while the one before could believe in it.
fn check(mut history: Vec<Held>) {
    history.sort_by_key(|held| held.token);
    assert!(history.len() > 1, "nothing happened: {history:?}");
    for pair in history.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert!(before.token < after.token, "two grants have token {}", before.token);
        let overlap = before.until.saturating_duration_since(after.received);
        assert!(overlap <= ROUNDING, "{overlap:?} of overlap: {before:?} and {after:?}");
    }
}

/// Runs out again and again while others wait for it.
const LEASE: Duration = Duration::from_millis(30);

/// Long enough to be handed out on a busy machine.
const BELIEVED: Duration = Duration::from_millis(200);

/// 1 % between two clocks, and a millisecond that a server may round away.
const ROUNDING: Duration = Duration::from_millis(2);
