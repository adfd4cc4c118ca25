//! Whole histories of one name, written down by all who took part and checked as one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use golock_core::store::RenewAnswer;
use golock_core::{LockName, Locker};
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
    let clients = join_all((0..6).map(|_| cx.client())).await;
    let lease = outlasting_a_round_trip(&clients, &name, BELIEVED).await;
    let course = Course::of(effort::churn());
    let mut tasks = JoinSet::new();
    for (at, client) in clients.into_iter().enumerate() {
        let (locker, name, course) = (Locker::new(client.store), name.clone(), course.clone());
        tasks.spawn(async move {
            let mut seen = Vec::new();
            while course.goes_on() {
                let asked = Instant::now();
                let Ok(lock) = locker.lock(options(&name, lease).wait(effort::GIVE_UP)).await else {
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
                course.received(&held);
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
    check(grants, lease, Duration::ZERO);
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
    let clients = join_all((0..8).map(|_| cx.client())).await;
    let lease = outlasting_a_round_trip(&clients, &name, LEASE).await;
    let course = Course::of(duration);
    let mut tasks = JoinSet::new();
    for client in clients.into_iter().map(Client::patient) {
        for _ in 0..2 {
            tasks.spawn(take_part(client.clone(), name.clone(), lease, habit, course.clone()));
        }
    }
    let mut grants = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        grants.extend(unpanicked(ended));
    }
    check(grants, lease, ROUNDING);
}

async fn take_part(
    client: Client,
    name: LockName,
    lease: Duration,
    habit: Habit,
    course: Course,
) -> Vec<Grant> {
    let mut seen = Vec::new();
    while course.goes_on() {
        let sent = Instant::now();
        let granted = match client.try_take(&name, lease).await {
            Ok(granted) => granted,
            Err(holder) => {
                time::sleep(holder.remaining.min(lease) / 4).await;
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
            if let RenewAnswer::Renewed { remaining, .. } = client.renew(&granted, lease * 2).await {
                until = sent + remaining;
            }
        }
        if turn == 2 {
            until = until.min(Instant::now());
            client.release(&granted).await;
        }
        // Over before it was received: there was nothing to believe in.
        held.believed = Some(until).filter(|until| *until > held.received);
        course.received(&held);
        seen.push(held);
    }
    seen
}

/// How long a history goes on: for its time, and until enough grants were believed in. Beliefs are what is compared.
#[derive(Clone)]
struct Course {
    end: Instant,
    beliefs: Arc<AtomicUsize>,
}

impl Course {
    fn of(duration: Duration) -> Self {
        Self { end: Instant::now() + duration, beliefs: Arc::default() }
    }

    fn goes_on(&self) -> bool {
        let (now, beliefs) = (Instant::now(), self.beliefs.load(Ordering::SeqCst));
        now < self.end || beliefs < ENOUGH && now < self.end + effort::GIVE_UP
    }

    fn received(&self, grant: &Grant) {
        if grant.believed.is_some() {
            self.beliefs.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A lease of at least this length that is not over before its answer has come, on a machine and a server as busy as these are.
async fn outlasting_a_round_trip(clients: &[Client], name: &LockName, least: Duration) -> Duration {
    let look = async || {
        let begun = Instant::now();
        join_all(clients.iter().map(|client| client.inspect(name))).await;
        begun.elapsed()
    };
    // The first look opens connections.
    look().await;
    let slowest = look().await.max(look().await).max(look().await);
    least.max(slowest * 3)
}

/// No token twice, none that goes back, and nobody got the name while another could believe in it.
fn check(grants: Vec<Grant>, lease: Duration, rounding: Duration) {
    let beliefs = grants.iter().filter(|grant| grant.believed.is_some()).count();
    assert!(
        beliefs >= ENOUGH,
        "nothing is proved: of {} grants {beliefs} were believed in, for their leases of {lease:?} were over when they came",
        grants.len()
    );
    let mut history = History::new(lease * 2).rounding(rounding);
    for grant in grants {
        history.granted(grant);
    }
    let violations = history.check().violations;
    let told: Vec<_> = violations.iter().take(10).map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{} violations: {}", violations.len(), told.join("; "));
}

/// Beliefs that a history needs to prove anything.
const ENOUGH: usize = 5;

/// Runs out again and again while others wait for it.
const LEASE: Duration = Duration::from_millis(30);

/// Long enough to be handed out on a busy machine.
const BELIEVED: Duration = Duration::from_millis(200);

/// 1 % between two clocks, and a millisecond that a server may round away.
const ROUNDING: Duration = Duration::from_millis(2);
