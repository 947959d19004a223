//! Communicators of those that hold the same parameters.

use motley_collectives::CollectiveKind;
use motley_job::{JobBuilder, RankId};
use motley_topology::RouteError;

use super::Communicators;
use crate::lower::gradients::Bucket;
use crate::lower::shape::SlotUse;
use crate::lower::strand::Request;
use crate::lowered::Traffic;
use crate::zero::Reduction;

impl Communicators<'_> {
    /// One communicator for each shard of each gradient group; where its states are shared out, one
    /// for gradients and one for parameters of those that share, and those that hold the same share
    /// join in a third.
    pub(in crate::lower) fn gradients(&mut self, job: &mut JobBuilder) -> Result<(), RouteError> {
        let zero = self.plan.zero;
        let training = self.times.training();
        let gradient_bytes = f64::from(training.reduce_bytes.unwrap_or(training.gradient_bytes));
        let whole = zero.reduction == Reduction::Whole;
        // By stage, how many of the groups before it is in: its own numbering counts only these.
        let mut own = vec![0; self.stages.len()];
        for group in self.groups {
            let calls = |kind, bytes: &dyn Fn(&Bucket) -> f64| -> Vec<Request> {
                let request = |bucket| Request { kind, bytes: bytes(bucket) };
                group.buckets.iter().map(request).collect()
            };
            let trained = group.trained() > 0.0;
            let sharing = if zero.stage() == 0 { 1 } else { group.sharing(zero.group) };
            for shard in 0..group.shards {
                let members: Vec<(RankId, u32)> = group.members(shard).collect();
                let gradients = |bucket: &Bucket| bucket.parameters * gradient_bytes;
                if sharing == 1 {
                    let requests = calls(CollectiveKind::AllReduce, &gradients);
                    self.shard_group(&members, &own, &requests, Slots::Gradient, job)?;
                    continue;
                }
                for sharers in members.chunks(sharing) {
                    if trained {
                        let kind = if whole {
                            CollectiveKind::AllReduce
                        } else {
                            CollectiveKind::ReduceScatter
                        };
                        let requests = calls(kind, &gradients);
                        self.shard_group(sharers, &own, &requests, Slots::Gradient, job)?;
                    }
                    let element = sharers.iter().map(|&(rank, _)| self.stage_of(rank));
                    let element = element.map(|stage| stage.shape.element_bytes).max();
                    let element = f64::from(element.unwrap_or(4));
                    let all = zero.stage() == 3;
                    let requests = calls(CollectiveKind::AllGather, &|bucket| {
                        element * if all { bucket.held } else { bucket.parameters }
                    });
                    self.shard_group(sharers, &own, &requests, Slots::Parameters, job)?;
                }
                if trained && sharing < members.len() {
                    let requests = calls(CollectiveKind::AllReduce, &|bucket| {
                        gradients(bucket) / if whole { 1.0 } else { sharing as f64 }
                    });
                    for first in 0..sharing {
                        let alike: Vec<(RankId, u32)> =
                            members[first..].iter().copied().step_by(sharing).collect();
                        self.shard_group(&alike, &own, &requests, Slots::Replicas, job)?;
                    }
                }
            }
            for &(p, s) in &group.holders {
                own[self.first_stage[p] + s] += 1;
            }
        }
        Ok(())
    }

    /// A communicator of those that hold a shard, each by its rank and the number of the shard there.
    fn shard_group(
        &mut self,
        members: &[(RankId, u32)],
        own: &[usize],
        requests: &[Request],
        slots: Slots,
        job: &mut JobBuilder,
    ) -> Result<(), RouteError> {
        let mut ranks: Vec<RankId> = members.iter().map(|&(rank, _)| rank).collect();
        ranks.sort_unstable();
        let traffic = match slots {
            Slots::Gradient | Slots::Replicas => Traffic::DataParallel,
            Slots::Parameters => Traffic::Parameters,
        };
        let comm = self.group(&ranks, requests, traffic, job)?;
        for &(rank, shard) in members {
            let place = self.places[rank.0 as usize];
            let (p, s) = (place.pipeline as usize, place.stage as usize);
            let group = own[self.first_stage[p] + s];
            let slot = match slots {
                Slots::Gradient => SlotUse::Gradient { group, shard },
                Slots::Parameters => SlotUse::Parameters { group, shard },
                Slots::Replicas => SlotUse::Replicas { group, shard },
            };
            self.connect(&[rank], self.stage(p, s), slot, comm);
        }
        Ok(())
    }
}

/// What a communicator of those that hold a shard is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slots {
    Gradient,
    Parameters,
    Replicas,
}
