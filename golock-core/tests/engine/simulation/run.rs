//! One run: everything in it comes from its seed.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};

use super::judged::{Judged, Kind, Wrong};
use super::node::{Node, Weather};
use super::{calm, storm};
use crate::common::{Fate, Scripted};

const NODES: usize = 3;
const CALLERS: usize = 3;
const ROUNDS: usize = 8;

#[derive(Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// What the rates of the nodes' clocks are within.
    pub(super) rates: RangeInclusive<f64>,
    pub(super) stormy: bool,
    pub(super) wrong: Option<Wrong>,
    pub(super) logged: bool,
}

pub(super) struct Outcome {
    pub(super) grants: usize,
    pub(super) overlaps: usize,
    /// What the promises do not allow.
    pub(super) wrong: Vec<String>,
    /// What each node sent and was answered, one a line.
    pub(super) log: String,
}

impl Plan {
    /// Clocks as different as the margin allows, and every fault.
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, rates: 0.9905..=1.0095, stormy: true, wrong: None, logged: false }
    }

    /// Runs it, in virtual time.
    pub(super) fn run(&self) -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(self.live())
    }

    async fn live(&self) -> Outcome {
        // Not drawn: so that the draws of a seed stay what they are.
        let kind = match self.seed % 6 {
            0 | 1 => Kind::Mute,
            5 => Kind::Plain,
            _ => Kind::Pushing,
        };
        let server = Judged::new(kind, self.wrong);
        let mut chance = Fate::rng(self.seed);
        let weather = if self.stormy { Weather::Stormy } else { Weather::Calm };
        let networks = RefCell::new(Vec::new());
        let mut seeds = Fate::rng(chance.next_u64());
        let mut build = || {
            let mut networks = networks.borrow_mut();
            let rate = seeds.random_range(self.rates.clone());
            let node = Node::new(networks.len(), seeds.next_u64(), rate, &server, weather);
            if !self.logged {
                node.network.keep_quiet();
            }
            networks.push(node.network.clone());
            node
        };
        let mut nodes: Vec<_> = (0..NODES).map(|_| build()).collect();
        for node in &mut nodes {
            for _ in 0..CALLERS {
                node.begin(chance_of(&mut chance), ROUNDS);
            }
        }
        if self.stormy {
            storm::rage(&server, &mut nodes, &mut chance, build).await;
        }
        for node in &mut nodes {
            node.finish().await;
        }
        storm::calm_down(&nodes);
        let mut wrong = calm::judge(&nodes).await;
        let ledger = std::mem::take(&mut *server.ledger());
        wrong.splice(0..0, ledger.wrong);
        let log = networks.into_inner().iter().map(Scripted::log).collect::<Vec<_>>().join("\n");
        Outcome { grants: ledger.grants, overlaps: ledger.overlaps, wrong, log }
    }
}

/// Chance of its own, so that nobody's draws depend on when others draw.
pub(super) fn chance_of(chance: &mut impl Rng) -> ChaCha12Rng {
    Fate::rng(chance.next_u64())
}
