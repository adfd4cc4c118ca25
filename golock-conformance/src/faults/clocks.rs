//! Sets clocks by an hour: the server's, and that of a process that holds a lock.

use std::time::{Duration, Instant};

use golock_core::{LockOptions, Locker};
use tokio::time;

use super::holder::Holder;
use super::injector::Injector;
use super::plan::Step;
use crate::clock::{self, HOUR, ProcessClock};
use crate::context::unique;
use crate::effort::GIVE_UP;
use crate::fixture::{BoxError, Fixture};
use crate::history::Grant;

impl Injector<'_> {
    /// Sets the server's clock on, from as many seconds ahead; or back, and on again. It ends by a step forward each time, after which
    /// all leases from before are soon over: by one back they would last for an hour.
    pub(super) async fn step_server_clock(&self, step: &Step, ahead: &mut i64) -> Result<bool, BoxError> {
        let begun = Instant::now();
        let back = if step.to.is_multiple_of(2) {
            *ahead += HOUR;
            Ok(())
        } else {
            let back = set_server_clock(self.fixture, &self.space, *ahead - HOUR).await;
            time::sleep(step.lasts).await;
            back
        };
        let on = set_server_clock(self.fixture, &self.space, *ahead).await;
        self.ledger.entries().history.clock_stepped(begun, Instant::now());
        back.and(on).map(|()| true)
    }

    /// Sets the clock of a process an hour on and back, while it holds its lock for longer than a lease; then kills it.
    pub(super) async fn step_holder_clock(
        &self,
        holder: &mut Holder,
        clock: &ProcessClock,
        grant: &mut Grant,
        lasts: Duration,
    ) -> Result<bool, BoxError> {
        let until = Instant::now() + self.lease + lasts;
        for ahead in [HOUR, -HOUR].into_iter().cycle() {
            set_holder_clock(holder, clock, ahead).await?;
            let held = self.write_for_a_while(holder, grant, Duration::from_millis(200)).await?;
            if !held || Instant::now() >= until {
                break;
            }
        }
        holder.kill()?;
        Ok(true)
    }
}

/// Sets the server's clock, and makes sure that the server goes by it.
pub(super) async fn set_server_clock(fixture: &dyn Fixture, space: &str, ahead: i64) -> Result<(), BoxError> {
    fixture.abilities().clock?.set_clock(ahead).await?;
    let seen = server_clock_ahead(fixture, space);
    let seen = time::timeout(GIVE_UP, seen).await.map_err(|_| "the server does not tell its time")??;
    if clock::follows(seen, ahead) {
        Ok(())
    } else {
        Err(format!("the server's clock was set {ahead} s ahead, but is {seen} s ahead").into())
    }
}

/// Sets a holder's clock, and makes sure that the holder sees it.
pub(super) async fn set_holder_clock(
    holder: &mut Holder,
    clock: &ProcessClock,
    ahead: i64,
) -> Result<(), BoxError> {
    clock.set(ahead)?;
    let seen = holder.clock_ahead().await?;
    if clock::follows(seen, ahead) {
        Ok(())
    } else {
        Err(format!("a holder's clock was set {ahead} s ahead, but is {seen} s ahead").into())
    }
}

/// The first token of a name is the server's time.
async fn server_clock_ahead(fixture: &dyn Fixture, space: &str) -> Result<i64, BoxError> {
    let locker = Locker::new(fixture.store(space).await?);
    let options = LockOptions::new(format!("clock/{}", unique())).lock_by("faults");
    let lock = locker.try_lock(options).await?;
    let seen = clock::ahead(lock.token().get() / 1_000_000);
    lock.unlock().await?;
    Ok(seen)
}
