//! Clusters that were built before.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Cluster, ClusterSpec, TopologyError};

/// How many are kept.
const KEPT: usize = 16;

/// Builds clusters and keeps the latest, for whoever asks for the same one again, on whatever thread.
#[derive(Debug, Default)]
pub struct Clusters {
    /// The latest first.
    known: Mutex<Vec<Arc<Cluster>>>,
}

impl Clusters {
    /// The cluster of a specification.
    ///
    /// # Errors
    /// As [`Cluster::build`].
    pub fn get(&self, spec: &ClusterSpec) -> Result<Arc<Cluster>, TopologyError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = {
            let mut known = known();
            let at = known.iter().position(|cluster| cluster.spec() == spec);
            at.map(|at| {
                known[..=at].rotate_right(1);
                Arc::clone(&known[0])
            })
        };
        if let Some(cluster) = found {
            return Ok(cluster);
        }
        // Others need not wait meanwhile; that two build the same one does no harm.
        let cluster = Arc::new(Cluster::build(spec.clone())?);
        let mut known = known();
        known.truncate(KEPT - 1);
        known.insert(0, Arc::clone(&cluster));
        Ok(cluster)
    }
}
