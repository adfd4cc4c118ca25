//! Whole histories of one name, written down by all who took part and checked as one.

use std::time::{Duration, Instant};

use golock_core::LockName;
use golock_core::store::RenewAnswer;
use tokio::task::JoinSet;
use tokio::time;

use super::locking::options;
use crate::client::Client;
use crate::context::Context;
use crate::effort;
use crate::history::{Grant, History};
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
                let asked = Instant::now();
                let Ok(lock) = locker.lock(options(&name, BELIEVED).wait(effort::GIVE_UP)).await else {
                    continue;
                };
                let mut held = Grant::new(name.clone(), lock.token(), asked, Instant::now());
                // Some let it run out, some unlock in the middle.
                for _ in 0..if at % 2 == 0 { usize::MAX } else { 10 } {
                    let looked = Instant::now();
                    if !lock.is_held() {
                        break;
                    }
                    held.believed = Some(looked);
                    time::sleep(Duration::from_millis(2)).await;
                }
                seen.push(held);
            }
            seen
        });
    }
    let mut grants = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        grants.extend(unpanicked(ended));
    }
    // With their margin, beliefs are apart to the last nanosecond.
    check(grants, Duration::ZERO);
}

/// What a holder does with its lease.
#[derive(Clone, Copy)]
enum Habit {
    LetRunOut,
    /// By turns: let it run out, renew it and let it run out, release it.
    Mixed,
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
    let mut grants = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        grants.extend(unpanicked(ended));
    }
    check(grants, ROUNDING);
}

async fn take_part(client: Client, name: LockName, habit: Habit, end: Instant) -> Vec<Grant> {
    let mut seen = Vec::new();
    while Instant::now() < end {
        let sent = Instant::now();
        let granted = match client.try_take(&name, LEASE).await {
            Ok(granted) => granted,
            Err(holder) => {
                time::sleep(holder.remaining.min(LEASE) / 4).await;
                continue;
            }
        };
        let mut held = Grant::new(name.clone(), granted.token, sent, Instant::now());
        let mut until = sent + granted.remaining;
        let turn = match habit {
            Habit::LetRunOut => 0,
            Habit::Mixed => seen.len() % 3,
        };
        if turn == 1 {
            let sent = Instant::now();
            if let RenewAnswer::Renewed { remaining, .. } = client.renew(&granted, LEASE * 2).await {
                until = sent + remaining;
            }
        }
        if turn == 2 {
            until = until.min(Instant::now());
            client.release(&granted).await;
        }
        // Over before it was received: there was nothing to believe in.
        held.believed = Some(until).filter(|until| *until > held.received);
        seen.push(held);
    }
    seen
}

/// No token twice, none that goes back, and nobody got the name while another could believe in it.
fn check(grants: Vec<Grant>, rounding: Duration) {
    assert!(grants.len() > 1, "nothing happened: {grants:?}");
    let mut history = History::new(LEASE * 2).rounding(rounding);
    for grant in grants {
        history.granted(grant);
    }
    let violations = history.check().violations;
    let told: Vec<_> = violations.iter().take(10).map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations: {}", violations.len(), told.join("; "));
}

/// Runs out again and again while others wait for it.
const LEASE: Duration = Duration::from_millis(30);

/// Long enough to be handed out on a busy machine.
const BELIEVED: Duration = Duration::from_millis(200);

/// 1 % between two clocks, and a millisecond that a server may round away.
const ROUNDING: Duration = Duration::from_millis(2);
