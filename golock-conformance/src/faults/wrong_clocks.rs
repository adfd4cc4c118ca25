//! Clocks that are wrong on a server that is otherwise well: a client's, which nothing may depend on, and the server's own, which
//! nothing but the tokens shows.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use golock_core::{LockName, LockOptions, LockStore, Locker};
use tokio::time;

use super::clocks::{set_holder_clock, set_server_clock};
use super::holder::Holder;
use super::kind::Kind;
use crate::case::{Case, cases};
use crate::clock::{HOUR, ProcessClock};
use crate::context::{lock_name, unique};
use crate::effort::GIVE_UP;
use crate::fixture::{BoxError, Fixture};
use crate::report::Outcome;
use crate::run::{AT_ONCE, run_case};

/// A process holds a lock while its clock is set back and on: it is renewed and believes, others are refused, and whoever is next gets
/// a larger token.
pub(super) async fn clients_clock_changes_nothing(fixture: &dyn Fixture) -> Result<Outcome, BoxError> {
    if let Err(reason) = Kind::HolderClock.possible(&fixture.abilities()) {
        return Ok(Outcome::Ignored(reason.to_owned()));
    }
    let space = format!("clocks_{}", unique());
    let name = lock_name(&format!("clock/{}", unique()));
    let (clock, environment) = (ProcessClock::new()?, fixture.abilities().processes?.environment());
    clock.set(HOUR)?;
    let mut holder = Holder::start(fixture.name(), &space, environment, Some(&clock))?;
    let Some(token) = holder.lock(&name, LEASE).await? else {
        return Err("a holder whose clock is wrong is refused a free name".into());
    };

    let store = fixture.store(&space).await?;
    let locker = Locker::new(fixture.store(&space).await?);
    for ahead in [-HOUR, HOUR, 0] {
        set_holder_clock(&mut holder, &clock, ahead).await?;
        until_renewed(&*store, &name).await?;
        if !holder.believes().await? {
            return Err(format!("with its clock {ahead} s ahead a holder lost its lock").into());
        }
        match locker.try_lock(LockOptions::new(name.as_str()).lock_by("other")).await {
            Err(error) if error.holder().is_some_and(|holder| holder.token == token) => {}
            other => {
                return Err(format!("the holder's clock is {ahead} s ahead, and others get {other:?}").into());
            }
        }
    }

    holder.kill()?;
    let next = locker.lock(LockOptions::new(name.as_str()).lock_by("other").wait(GIVE_UP)).await?;
    if next.token() <= token {
        return Err(format!("token {} was granted after {token}", next.token()).into());
    }
    next.unlock().await?;
    drop_space(fixture, &space).await;
    Ok(Outcome::Passed)
}

/// What the suite asks of a store holds an hour ahead of all clients, and an hour behind them.
pub(super) async fn servers_clock_may_be_an_hour_off(fixture: &dyn Fixture) -> Result<Outcome, BoxError> {
    if let Err(reason) = fixture.abilities().clock {
        return Ok(Outcome::Ignored(reason.to_owned()));
    }
    let space = format!("clocks_{}", unique());
    let cases: Vec<&Case> = cases().iter().filter(|case| is_about_leases(case)).collect();
    let (mut passed, mut failed) = (0, String::new());
    for ahead in [-HOUR, HOUR] {
        set_server_clock(fixture, &space, ahead).await?;
        // This is about a clock that is wrong, not about the step: the server knows no other time.
        fixture.abilities().restart?.restart().await?;
        let run = |&case: &&'static Case| async move { (case, run_case(fixture, case).await) }.boxed();
        let runs: Vec<_> = cases.iter().map(run).collect();
        let mut outcomes = stream::iter(runs).buffer_unordered(AT_ONCE * 2);
        while let Some((case, outcome)) = outcomes.next().await {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(why) => failed.push_str(&format!("{} at {ahead} s: {why}\n", case.name)),
                Outcome::Ignored(_) => {}
            }
        }
    }
    set_server_clock(fixture, &space, 0).await?;
    drop_space(fixture, &space).await;
    Ok(match failed.is_empty() && passed > 0 {
        true => Outcome::Passed,
        false => Outcome::Failed(format!("{passed} cases passed, but not\n{failed}")),
    })
}

fn is_about_leases(case: &Case) -> bool {
    GROUPS.contains(&case.group) && !case.is_alone() && !case.is_long()
}

/// Until more is left of the lease than a moment before.
async fn until_renewed(store: &dyn LockStore, name: &LockName) -> Result<(), BoxError> {
    let give_up = Instant::now() + GIVE_UP;
    let mut before = Duration::MAX;
    while Instant::now() < give_up {
        let Some(info) = store.inspect(name).await? else {
            return Err("a lock whose holder renews it is gone".into());
        };
        if info.remaining > before {
            return Ok(());
        }
        before = info.remaining;
        time::sleep(Duration::from_millis(20)).await;
    }
    Err("a holder renews no more".into())
}

async fn drop_space(fixture: &dyn Fixture, space: &str) {
    if let Ok(damage) = fixture.abilities().damage {
        // What is left over harms nobody: no other run uses the space.
        let _ = damage.drop_space(space).await;
    }
}

/// Renewed every two seconds: that a machine is slow must not look like a lock that is lost.
const LEASE: Duration = Duration::from_secs(6);

/// The groups of cases that are about leases and tokens, and harm nothing.
const GROUPS: &[&str] = &["granting", "releasing", "regranting", "renewing", "tokens", "locking"];
