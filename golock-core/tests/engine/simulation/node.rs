//! A node: a locker with a clock of its own behind a network of its own, and the callers that use it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use golock_core::store::Operation;
use golock_core::{Env, GrantId, Locker};
use rand::rngs::ChaCha12Rng;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::caller::Caller;
use super::judged::Judged;
use crate::common::{Call, Fate, Opening, Scripted, ms};

pub(super) struct Node {
    pub(super) number: usize,
    pub(super) locker: Locker,
    pub(super) network: Scripted<Judged>,
    server: Judged,
    line: Arc<Mutex<Line>>,
    callers: Vec<JoinHandle<()>>,
}

/// Between a node and the server.
struct Line {
    weather: Weather,
    chance: ChaCha12Rng,
    /// The process stands still until then: what it sends and what it is sent waits.
    stalled_until: Option<Instant>,
    /// Grants that this node has begun to give back.
    ended: BTreeSet<GrantId>,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Weather {
    Calm,
    Stormy,
    /// The process is dead: nothing is sent any more, nothing is heard.
    Dead,
}

impl Node {
    pub(super) fn new(number: usize, seed: u64, rate: f64, server: &Judged, weather: Weather) -> Self {
        let network = Scripted::on(server.clone());
        let line = Arc::new(Mutex::new(Line {
            weather,
            chance: Fate::rng(seed),
            stalled_until: None,
            ended: BTreeSet::new(),
        }));
        network.script({
            let (line, server) = (line.clone(), server.clone());
            move |call| line.lock().unwrap().fate(call, &server)
        });
        let locker = Locker::builder(network.clone()).env(Env::seeded(seed, rate)).build();
        Self { number, locker, network, server: server.clone(), line, callers: Vec::new() }
    }

    pub(super) fn begin(&mut self, chance: ChaCha12Rng, rounds: usize) {
        let caller = Caller {
            node: self.number,
            locker: self.locker.clone(),
            server: self.server.clone(),
            chance,
            rounds,
        };
        self.callers.push(tokio::spawn(caller.work()));
    }

    pub(super) async fn finish(&mut self) {
        for caller in self.callers.drain(..) {
            caller.await.unwrap();
        }
    }

    pub(super) fn turn(&self, weather: Weather) {
        let mut line = self.line.lock().unwrap();
        (line.weather, line.stalled_until) = (weather, None);
    }

    pub(super) fn stall(&self, pause: Duration) {
        self.line.lock().unwrap().stalled_until = Some(Instant::now() + pause);
    }

    /// The server has gone (or is back), and with it the connection on which a node listens.
    pub(super) fn lose_connection(&self, down: bool) {
        self.network.open_listeners_so(if down { Opening::Fails } else { Opening::Works });
        if down {
            self.network.end_listeners();
        }
    }

    /// The process dies: nothing more is sent, and what it believed is nobody's belief.
    pub(super) async fn crash(self) {
        self.turn(Weather::Dead);
        for caller in &self.callers {
            caller.abort();
        }
        self.server.ledger().died(self.number);
        // Nobody hears of this: it only ends the task.
        self.locker.shutdown(Duration::ZERO).await;
    }
}

impl Line {
    fn fate(&mut self, call: &Call, server: &Judged) -> Fate {
        self.judge(call, server);
        let fate = match self.weather {
            Weather::Calm => Fate::slow(ms(20)),
            Weather::Stormy => Fate::by_chance(&mut self.chance),
            Weather::Dead => Fate::HANG,
        };
        let left = self.stalled_until.map_or(Duration::ZERO, |until| until - Instant::now());
        if left.is_zero() { fate } else { fate.later_by(left) }
    }

    /// What a node must not send, whatever has happened.
    fn judge(&mut self, call: &Call, server: &Judged) {
        let wrong = match call.operation {
            Operation::Release => return self.ended.extend(&call.grants),
            Operation::Renew => "S8 renewed after it was given back",
            Operation::Acquire => "S14 acquired after it was given back",
            _ => return,
        };
        for (name, grant) in call.names.iter().zip(&call.grants) {
            if self.ended.contains(grant) {
                server.ledger().blame(name, [wrong], grant);
            }
        }
    }
}
