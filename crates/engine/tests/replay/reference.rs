//! A replay worked out the plain way: from one event of any kind to the next, with all rates found
//! anew in between, those of flows by [`fair_rates`] and those of compute from what is under way
//! beside it. In floating-point picoseconds. Shares nothing with the engine.

use std::collections::VecDeque;

use motley_job::{Job, Op};

use crate::fluid::{Limits, fair_rates};

/// Below this, nothing is left of bytes or picoseconds.
const NOTHING: f64 = 1e-6;

/// A call that a rank has made.
#[derive(Clone, Copy, Debug)]
struct Made {
    comm: usize,
    call: u16,
    sequence: usize,
}

#[derive(Debug)]
struct Rank {
    ops: Vec<Op>,
    at: usize,
    /// Of the computation in progress, at full speed.
    left: f64,
    /// By communicator, the calls made.
    made: Vec<usize>,
    /// A blocking call that is not over.
    blocked: Option<Made>,
    streams: Vec<VecDeque<Made>>,
    finish: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct Comm {
    completed: usize,
    call: u16,
    /// Ranks that have joined the current instance, each with whether from a stream.
    joined: Vec<(usize, bool)>,
    /// The instance is under way: silent for so long,
    silent: f64,
    /// then each connection moves so many bytes.
    moving: Vec<f64>,
}

struct Replay<'a> {
    job: &'a Job,
    now: f64,
    ranks: Vec<Rank>,
    comms: Vec<Comm>,
}

/// When each rank finishes, picoseconds.
pub(crate) fn finish(job: &Job) -> Vec<f64> {
    let ranks = job.ranks.iter().map(|rank| Rank {
        ops: job.expanded(rank.program).collect(),
        at: 0,
        left: 0.0,
        made: vec![0; job.communicators.len()],
        blocked: None,
        streams: vec![VecDeque::new(); job.streams.into()],
        finish: None,
    });
    let comms = vec![Comm::default(); job.communicators.len()];
    let mut replay = Replay { job, now: 0.0, ranks: ranks.collect(), comms };
    loop {
        while replay.act() {}
        if !replay.advance() {
            break;
        }
    }
    replay.ranks.iter().map(|rank| rank.finish.expect("no circle")).collect()
}

impl Replay<'_> {
    /// Does what can be done without time going on; whether there was any.
    fn act(&mut self) -> bool {
        let mut acted = false;
        for r in 0..self.ranks.len() {
            while self.step(r) {
                acted = true;
            }
            for stream in 0..self.ranks[r].streams.len() {
                if let Some(&made) = self.ranks[r].streams[stream].front() {
                    acted |= self.join(r, made, true);
                }
            }
        }
        for c in 0..self.comms.len() {
            let comm = &self.comms[c];
            let under_way = comm.joined.len() == self.job.communicators[c].members.len();
            if under_way && comm.silent < NOTHING && comm.moving.iter().all(|&left| left < NOTHING)
            {
                let comm = &mut self.comms[c];
                comm.completed += 1;
                comm.joined.clear();
                for rank in &mut self.ranks {
                    let over = |made: Option<&Made>| {
                        made.is_some_and(|m| {
                            m.comm == c && m.sequence + 1 == self.comms[c].completed
                        })
                    };
                    for stream in &mut rank.streams {
                        if over(stream.front()) {
                            stream.pop_front();
                        }
                    }
                    if over(rank.blocked.as_ref()) {
                        rank.blocked = None;
                        rank.at += 1;
                    }
                }
                acted = true;
            }
        }
        acted
    }

    /// The compute stream of a rank begins its next operation, or is over with one; whether it did.
    fn step(&mut self, r: usize) -> bool {
        let slots = &self.job.ranks[r].slots;
        let rank = &mut self.ranks[r];
        if rank.left >= NOTHING || rank.finish.is_some() {
            return false;
        }
        if let Some(made) = rank.blocked {
            return self.join(r, made, false);
        }
        let Some(&op) = rank.ops.get(rank.at) else {
            rank.finish = Some(self.now);
            return true;
        };
        match op {
            Op::Compute { duration, .. } => {
                rank.left = (duration.as_picos() as f64 * self.job.ranks[r].slowness).round();
            }
            Op::Collective { slot, call, .. } | Op::Issue { slot, call, .. } => {
                let comm = slots[usize::from(slot.0)].0 as usize;
                let made = Made { comm, call, sequence: rank.made[comm] };
                rank.made[comm] += 1;
                if let Op::Issue { stream, .. } = op {
                    rank.streams[usize::from(stream.0)].push_back(made);
                } else {
                    rank.blocked = Some(made);
                    return true;
                }
            }
            Op::Await { slot, sequence, .. } => {
                let comm = slots[usize::from(slot.0)].0 as usize;
                if self.comms[comm].completed <= sequence as usize {
                    return false;
                }
            }
            Op::Segment { .. } => unreachable!("expanded"),
        }
        self.ranks[r].at += 1;
        true
    }

    /// A rank joins an instance if the one before is complete and it has not yet; whether it did.
    fn join(&mut self, r: usize, made: Made, from_stream: bool) -> bool {
        let comm = &self.comms[made.comm];
        let has = comm.joined.iter().any(|&(rank, _)| rank == r);
        if comm.completed != made.sequence || has {
            return false;
        }
        let communicator = &self.job.communicators[made.comm];
        let set = &self.job.call_sets[communicator.calls.0 as usize];
        let call = &set.calls[usize::from(made.call)];
        let connections = self.links(made.comm, made.call).len();
        let comm = &mut self.comms[made.comm];
        comm.joined.push((r, from_stream));
        if comm.joined.len() == communicator.members.len() {
            comm.call = made.call;
            comm.silent = call.latency.as_picos() as f64;
            comm.moving = vec![call.bytes; connections];
        }
        true
    }

    /// By connection that moves at a rate of its own, its cap and links, bytes per picosecond; those
    /// that nothing limits left out.
    fn links(&self, c: usize, call: u16) -> Vec<(f64, Vec<(u32, f64)>)> {
        let communicator = &self.job.communicators[c];
        let call = &self.job.call_sets[communicator.calls.0 as usize].calls[usize::from(call)];
        let footprint = communicator.footprints[usize::from(call.footprint)];
        let paths = match self.job.connections_of(footprint) {
            [] => std::slice::from_ref(&self.job.footprints[footprint.0 as usize]),
            connections => connections,
        };
        let of = |path: &motley_job::Footprint| {
            path.links.iter().map(|&(link, weight)| (link.0, weight)).collect::<Vec<_>>()
        };
        let cap = call.rate_cap / 1e12;
        paths
            .iter()
            .map(|path| (cap, of(path)))
            .filter(|(cap, links)| cap.is_finite() || !links.is_empty())
            .collect()
    }

    /// Goes on to the next event; whether there is one.
    fn advance(&mut self) -> bool {
        let capacities: Vec<f64> = self.job.links.iter().map(|link| link.capacity / 1e12).collect();
        let under_way: Vec<usize> = (0..self.comms.len())
            .filter(|&c| self.comms[c].joined.len() == self.job.communicators[c].members.len())
            .collect();
        // All connections that move, with their communicators.
        let mut flows = Vec::new();
        for &c in under_way.iter().filter(|&&c| self.comms[c].silent < NOTHING) {
            let links = self.links(c, self.comms[c].call);
            for (nth, links) in links.into_iter().enumerate() {
                if self.comms[c].moving[nth] >= NOTHING {
                    flows.push((c, nth, links));
                }
            }
        }
        let limits: Vec<Limits> =
            flows.iter().map(|(_, _, (cap, links))| (*cap, links.as_slice())).collect();
        let rates = fair_rates(&capacities, &limits, &vec![true; flows.len()]);
        let speeds: Vec<f64> = (0..self.ranks.len()).map(|r| self.speed(r, &under_way)).collect();

        let mut next = f64::INFINITY;
        for ((c, nth, _), rate) in flows.iter().zip(&rates) {
            next = next.min(self.comms[*c].moving[*nth] / rate);
        }
        for &c in &under_way {
            if self.comms[c].silent >= NOTHING {
                next = next.min(self.comms[c].silent);
            }
        }
        for (rank, speed) in self.ranks.iter().zip(&speeds) {
            if rank.left >= NOTHING {
                next = next.min(rank.left / speed);
            }
        }
        if next == f64::INFINITY {
            return false;
        }

        self.now += next;
        for &c in &under_way {
            if self.comms[c].silent >= NOTHING {
                self.comms[c].silent -= next;
            }
        }
        for ((c, nth, _), rate) in flows.iter().zip(&rates) {
            self.comms[*c].moving[*nth] -= rate * next;
        }
        for (rank, speed) in self.ranks.iter_mut().zip(&speeds) {
            if rank.left >= NOTHING {
                rank.left -= speed * next;
            }
        }
        true
    }

    /// The speed of a rank's compute: of the calls under way that it has issued, the one that takes
    /// most processors counts.
    fn speed(&self, r: usize, under_way: &[usize]) -> f64 {
        let taken = under_way.iter().filter_map(|&c| {
            let comm = &self.comms[c];
            let set = self.job.communicators[c].calls.0 as usize;
            comm.joined
                .contains(&(r, true))
                .then(|| self.job.call_sets[set].calls[usize::from(comm.call)].processors)
        });
        1.0 - taken.fold(0.0, f64::max) / self.job.ranks[r].processors
    }
}
