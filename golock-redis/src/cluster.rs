//! Who has which keys of a Cluster.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fred::error::Error as DriverError;
use fred::types::cluster::{ClusterRouting, SlotRange};
use fred::types::config::Server;
use fred::util::redis_keyslot;
use golock_core::store::{Operation, StoreError, StoreErrorKind};

use crate::error::{call_failed, failure};
use crate::link::Link;
use crate::opening::Opening;
use crate::setup::Setup;

/// What is known of a Cluster. It need not be right: a node that is asked for what it does not have says who has it.
pub(crate) struct Cluster {
    named: Vec<Server>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// As it was when a node said so last.
    map: Option<Arc<Map>>,
    /// Nodes that could not be reached since.
    gone: BTreeSet<Server>,
    looking: Option<Opening<Arc<Map>>>,
}

/// Which node has which slots.
pub(crate) struct Map(Vec<SlotRange>);

impl Cluster {
    pub(crate) fn new(named: Vec<Server>) -> Self {
        Self { named, known: Mutex::default() }
    }

    /// A map by which each of these keys is on a node that can be reached, as far as that is known: it is looked at anew if the
    /// last one does not say so. Who has other keys waits for nothing.
    pub(crate) async fn map_with(
        &self,
        setup: &Arc<Setup>,
        mut keys: impl Iterator<Item = &str>,
    ) -> Result<Arc<Map>, StoreError> {
        let known = {
            let known = self.known();
            known
                .map
                .clone()
                .filter(|map| keys.all(|key| map.owner(key).is_some_and(|owner| !known.gone.contains(owner))))
        };
        match known {
            Some(map) => Ok(map),
            None => self.look(setup).await,
        }
    }

    /// What a node says now.
    pub(crate) async fn look(&self, setup: &Arc<Setup>) -> Result<Arc<Map>, StoreError> {
        let looking = {
            let mut known = self.known();
            known.looking.take_if(|looking| looking.is_over(setup.within(), |_| true));
            let nodes = known.nodes(&self.named);
            known.looking.get_or_insert_with(|| Opening::new(told_by_any(setup.clone(), nodes))).outcome()
        };
        let map = looking.await?;
        self.learn(map.clone());
        if !std::mem::take(&mut self.known().gone).is_empty() {
            // Should this map name them still, others may know better.
            setup.begin_with_another();
        }
        Ok(map)
    }

    /// What a node said just now.
    pub(crate) fn learn(&self, map: Arc<Map>) {
        self.known().map = Some(map);
    }

    /// This node could not be reached.
    pub(crate) fn miss(&self, node: &Server) {
        self.known().gone.insert(node.clone());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// All that can be asked: those that were named, of which none may be left, and those that were found. Besides, those that are gone: they
    /// may be back, and of the others none may be left that nobody has asked since.
    fn nodes(&self, named: &[Server]) -> [Vec<Server>; 2] {
        let found = self.map.as_ref().map_or_else(BTreeSet::new, |map| map.primaries());
        let found = found.into_iter().filter(|node| !named.contains(node));
        let (gone, here): (Vec<_>, Vec<_>) =
            named.iter().cloned().chain(found).partition(|node| self.gone.contains(node));
        [here, gone]
    }
}

async fn told_by_any(setup: Arc<Setup>, [here, gone]: [Vec<Server>; 2]) -> Result<Arc<Map>, StoreError> {
    let setup = &*setup;
    let told_by = |node: Server, within| async move {
        let link = Link::open(setup, setup.at(&node), within).await?;
        let told = Map::told_by(setup, &link, &node).await;
        let map = told.map_err(|error| call_failed(Operation::Connect, error))?;
        if map.0.is_empty() {
            let why = format!("{node} knows of no node that has slots: it is in no Cluster");
            return Err(failure(Operation::Connect, StoreErrorKind::Unavailable, why));
        }
        Ok(Arc::new(map))
    };
    setup.any_of(&here, &gone, told_by).await
}

impl Map {
    /// What the node at the other end says.
    pub(crate) async fn told_by(setup: &Setup, link: &Link, node: &Server) -> Result<Self, DriverError> {
        let slots = link.ask("CLUSTER", &["SLOTS"]).await?;
        let mut ranges = ClusterRouting::from_cluster_slots(slots, node.host.clone())?.slots().to_vec();
        for range in &mut ranges {
            // It may not know what it is called itself.
            if matches!(&*range.primary.host, "" | "?") {
                range.primary.host = node.host.clone();
            }
            setup.name_for_tls(&mut range.primary, node);
        }
        Ok(Self(ranges))
    }

    /// `None`: nobody, by this.
    pub(crate) fn owner(&self, key: &str) -> Option<&Server> {
        let slot = redis_keyslot(key.as_bytes());
        // They are in order.
        let range = self.0.get(self.0.partition_point(|range| range.end < slot))?;
        (range.start <= slot).then_some(&range.primary)
    }

    /// Those that have keys.
    pub(crate) fn primaries(&self) -> BTreeSet<Server> {
        self.0.iter().map(|range| range.primary.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use fred::types::Value;
    use fred::types::cluster::ClusterRouting;
    use fred::types::config::Server;

    use super::Map;

    #[test]
    fn a_key_is_where_its_slot_is() {
        let range = |start: i64, end: i64, port: i64| {
            let node = Value::Array(vec!["here".into(), port.into(), "id".into()]);
            Value::Array(vec![start.into(), end.into(), node])
        };
        // As no server would sort them.
        let slots = Value::Array(vec![range(8_000, 16_383, 2), range(10, 7_999, 1)]);
        let map = Map(ClusterRouting::from_cluster_slots(slots, "there").unwrap().slots().to_vec());
        // Their slots are 12,182, 5,061 and 0.
        let owner = |key| map.owner(key).map(|node| node.port);
        assert_eq!([owner("foo"), owner("bar"), owner("{06S}")], [Some(2), Some(1), None]);
        assert_eq!(owner("{bar}foo"), Some(1));
        assert!(map.primaries().into_iter().eq([Server::new("here", 1), Server::new("here", 2)]));
        assert_eq!(Map(Vec::new()).owner("foo"), None);
    }
}
