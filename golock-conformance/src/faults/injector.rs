//! Does one fault after the other to the network, the server and processes that hold locks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use golock_core::LockName;
use tokio::sync::Mutex;
use tokio::time;

use super::holder::Holder;
use super::kind::Kind;
use super::ledger::Ledger;
use super::plan::Step;
use crate::clock::ProcessClock;
use crate::context::chain;
use crate::effort::GIVE_UP;
use crate::fixture::{Abilities, BoxError, Fixture};
use crate::history::{End, Grant};
use crate::proxy::{Direction, Proxy};

pub(super) struct Injector<'a> {
    pub(super) fixture: &'a dyn Fixture,
    pub(super) space: String,
    /// One a locker; none if the fixture connects through none.
    pub(super) proxies: Vec<Mutex<Proxy>>,
    pub(super) names: Arc<[LockName]>,
    pub(super) lease: Duration,
    pub(super) ledger: Arc<Ledger>,
    /// What is done to the server is done one at a time: one that is paused can't be killed. By how many seconds its clock is ahead.
    pub(super) server: Mutex<i64>,
}

impl Injector<'_> {
    /// Does one fault, and returns when it is over. It counts if it took effect.
    pub(super) async fn inject(&self, step: &Step) {
        time::sleep(step.after).await;
        // What it is done with may hang as well: a container engine, an administrator's session.
        let done = match time::timeout(GIVE_UP * 4, self.harm(step)).await {
            Ok(done) => done,
            Err(_) => Err(format!("not done within {:?}", GIVE_UP * 4).into()),
        };
        let mut entries = self.ledger.entries();
        match done {
            Ok(true) => *entries.faults.entry(step.kind).or_default() += 1,
            Ok(false) => {}
            Err(error) => {
                let failed = entries.failed.entry(step.kind).or_default();
                *failed = (failed.0 + 1, chain(&*error));
            }
        }
    }

    async fn harm(&self, step: &Step) -> Result<bool, BoxError> {
        match step.kind {
            Kind::KilledHolder | Kind::StoppedHolder | Kind::HolderClock => self.harm_holder(step).await,
            Kind::KilledServer | Kind::PausedServer | Kind::KilledConnections | Kind::LockedRow => {
                let _alone = self.server.lock().await;
                self.disturbing(self.harm_server(step)).await
            }
            Kind::ServerClock => {
                let mut ahead = self.server.lock().await;
                self.step_server_clock(step, &mut ahead).await
            }
            _ => self.harm_network(step).await,
        }
    }

    /// While it goes on, and for a lease after, names may be stuck.
    async fn disturbing<T>(&self, fault: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let done = fault.await;
        self.ledger.entries().history.disturbed(begun, Instant::now());
        done
    }

    async fn harm_network(&self, step: &Step) -> Result<bool, BoxError> {
        // One fault at a time on each, or the end of one would be that of the other.
        let proxy = self.proxies[step.to % self.proxies.len()].lock().await;
        Ok(self.disturbing(harm_traffic(&proxy, step)).await)
    }

    async fn harm_server(&self, step: &Step) -> Result<bool, BoxError> {
        let Abilities { restart, pause, connections, row_lock, .. } = self.fixture.abilities();
        match step.kind {
            Kind::KilledServer => restart?.restart().await?,
            Kind::PausedServer => {
                let server = pause?;
                if let Err(error) = server.pause().await {
                    // A pause that failed half-way must not last.
                    let _ = server.unpause().await;
                    return Err(error);
                }
                time::sleep(step.lasts).await;
                server.unpause().await?;
            }
            Kind::KilledConnections => connections?.kill_connections().await?,
            _ => {
                let name = &self.names[step.to % self.names.len()];
                let guard = row_lock?.lock_row(&self.space, name).await?;
                time::sleep(step.lasts).await;
                drop(guard);
            }
        }
        Ok(true)
    }

    /// A process takes a name, writes, and is killed; or is stopped between its look at the lock and its write, until another has
    /// taken over and written; or has its clock set meanwhile.
    async fn harm_holder(&self, step: &Step) -> Result<bool, BoxError> {
        let name = &self.names[step.to % self.names.len()];
        let environment = self.fixture.abilities().processes?.environment();
        let clock = match step.kind {
            Kind::HolderClock => Some(ProcessClock::new()?),
            _ => None,
        };
        let mut holder = Holder::start(self.fixture.name(), &self.space, environment, clock.as_ref())?;
        let asked = Instant::now();
        let locked = self.ledger_of_lock(holder.lock(name, self.lease).await, name, asked)?;
        let Some(mut grant) = locked else { return Ok(false) };
        let harmed = match (step.kind, &clock) {
            (_, Some(clock)) => self.step_holder_clock(&mut holder, clock, &mut grant, step.lasts).await,
            (Kind::KilledHolder, _) => self.kill(&mut holder, &mut grant, step.lasts).await,
            _ => self.stop(&mut holder, &mut grant).await,
        };
        // Whatever became of it, nobody holds the lock from here on.
        drop(holder);
        let now = Instant::now();
        grant.end = Some(End::Left(now));
        self.ledger.granted(grant);
        self.ledger.entries().history.disturbed(now, now);
        harmed
    }

    fn ledger_of_lock(
        &self,
        answer: Result<Option<golock_core::FencingToken>, BoxError>,
        name: &LockName,
        asked: Instant,
    ) -> Result<Option<Grant>, BoxError> {
        let received = Instant::now();
        self.ledger.operation("lock, by another process");
        match answer {
            Ok(Some(token)) => {
                self.ledger.ending("granted");
                Ok(Some(Grant::new(name.clone(), token, asked, received)))
            }
            no => {
                self.ledger.gave_up(name, asked);
                no.map(|_| None)
            }
        }
    }

    async fn kill(&self, holder: &mut Holder, grant: &mut Grant, after: Duration) -> Result<bool, BoxError> {
        self.write_for_a_while(holder, grant, after).await?;
        holder.kill()?;
        Ok(true)
    }

    /// Whether the holder still believes in the end.
    pub(super) async fn write_for_a_while(
        &self,
        holder: &mut Holder,
        grant: &mut Grant,
        duration: Duration,
    ) -> Result<bool, BoxError> {
        let until = Instant::now() + duration;
        while Instant::now() < until {
            let looked = Instant::now();
            if !holder.believes().await? {
                return Ok(false);
            }
            grant.believed = Some(looked);
            self.ledger.write_as(&grant.name, grant.token, || false);
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(true)
    }

    #[cfg(unix)]
    async fn stop(&self, holder: &mut Holder, grant: &mut Grant) -> Result<bool, BoxError> {
        let looked = Instant::now();
        if !holder.check().await? {
            return Ok(false);
        }
        grant.believed = Some(looked);
        holder.stop()?;
        // Its lease runs out, and another takes over.
        let give_up = Instant::now() + self.lease * 3;
        while !self.ledger.is_overtaken(&grant.name, grant.token) && Instant::now() < give_up {
            time::sleep(Duration::from_millis(10)).await;
        }
        let overtaken = self.ledger.is_overtaken(&grant.name, grant.token);
        holder.go_on()?;
        holder.wrote().await?;
        self.ledger.write_as(&grant.name, grant.token, || false);
        let looked = Instant::now();
        if holder.believes().await? {
            grant.believed = Some(looked);
        }
        Ok(overtaken)
    }

    #[cfg(not(unix))]
    async fn stop(&self, _: &mut Holder, _: &mut Grant) -> Result<bool, BoxError> {
        Ok(false)
    }
}

/// Whether it took effect.
async fn harm_traffic(proxy: &Proxy, step: &Step) -> bool {
    match step.kind {
        Kind::Delay => {
            let delay = step.lasts / 5;
            for direction in [Direction::ToServer, Direction::ToClient] {
                proxy.delay(direction, delay);
            }
            time::sleep(step.lasts).await;
            for direction in [Direction::ToServer, Direction::ToClient] {
                proxy.delay(direction, Duration::ZERO);
            }
            true
        }
        Kind::LostRequest => {
            proxy.lose_next_request();
            comes(proxy, Proxy::is_losing_a_request).await
        }
        Kind::LostAnswer => {
            proxy.lose_next_answer();
            comes(proxy, Proxy::is_losing_an_answer).await
        }
        Kind::CutAnswer => {
            proxy.cut_next_answer();
            comes(proxy, Proxy::is_cutting_an_answer).await
        }
        Kind::Blackhole => {
            proxy.begin_blackhole();
            time::sleep(step.lasts).await;
            proxy.end_blackhole();
            true
        }
        Kind::Hold => {
            let direction = if step.to.is_multiple_of(2) { Direction::ToServer } else { Direction::ToClient };
            proxy.hold(direction);
            time::sleep(step.lasts).await;
            proxy.let_go(direction);
            true
        }
        _ => {
            proxy.reset_all();
            true
        }
    }
}

/// Whether a request or an answer came that the proxy waits for.
async fn comes(proxy: &Proxy, awaits: impl Fn(&Proxy) -> bool) -> bool {
    let give_up = Instant::now() + Duration::from_secs(1);
    while awaits(proxy) && Instant::now() < give_up {
        time::sleep(Duration::from_millis(2)).await;
    }
    let came = !awaits(proxy);
    proxy.spare_the_next();
    came
}
