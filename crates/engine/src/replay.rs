//! The replay: cursors that run ahead, and the clock that pulls them along.
//!
//! There are two kinds of time. The *clock* is the time of the event in hand; it never goes back.
//! Each rank has a *local time*, that of its compute stream, and the rank runs through its program
//! in local time until it must wait for something that has not happened at the clock.
//!
//! *A rank that runs is never behind the clock.* It starts to run at clock zero with the local time
//! at which it begins, and again when what it waits for ends; it then takes the later of its local
//! time and the clock, or, where an instance ends without an event, the end, which is not before the
//! local time of the member that joined last. Local time only grows while it runs, and the clock
//! stands still meanwhile. From this follows:
//!
//! - Joins, and with them starts and ends, lie at or after the clock, so the queue is never asked
//!   for the past.
//! - An instance that is complete at the clock ended at or before it, thus at or before the local
//!   time of any rank that asks. An await of such an instance takes no time, and no completion
//!   time need be kept. (Instances that end without an event are counted complete ahead of the
//!   clock; their ends are kept, in [`crate::eager`].)
//! - The start and the end of an instance are known at the latest when the clock is at them; so is,
//!   therefore, the end of what is computed beside it ([`beside`]).
//! - A stream that is empty became free at or before the clock, so a call issued on it joins at
//!   its time of issue.
//!
//! The instances of a communicator follow one another: a member joins an instance only after the
//! one before is complete. A blocking call and a call at the head of its stream wait for that,
//! which takes effect only where a rank calls one communicator from several streams; there it
//! keeps the order of the program.

mod beside;
mod gang;
mod stretch;

use motley_job::{CommId, RankId};
use motley_units::Time;

use crate::deadlock::{self, Deadlock};
use crate::eager::{Instance, Window};
use crate::flow::Network;
use crate::noise::Noise;
use crate::outcome::{Completions, Solved};
use crate::prepare::{Communicator, Cursor, Gang, Instruction, NONE, Tables, shifted};
use crate::queue::{Event, Queue};
use crate::streams::{Issued, Streams};
use crate::{Engine, Observer, Options, Outcome};
use beside::Beside;
use stretch::Stretches;

/// Replays the engine's job once and tells `observer` what happens.
///
/// # Errors
/// If ranks wait for each other so that none can go on.
pub fn replay(
    engine: &Engine,
    options: &Options,
    observer: &mut impl Observer,
) -> Result<Outcome, Deadlock> {
    let mut replay = Replay::new(engine, options, observer);
    replay.run_all();
    replay.outcome(engine)
}

/// The state of a replay.
struct Replay<'a, O> {
    tables: &'a Tables,
    observer: &'a mut O,
    noise: Option<Noise>,
    cursors: Vec<Cursor>,
    communicators: Vec<Communicator>,
    /// By rank, the next in the list of waiters that it is in.
    next_waiter: Vec<u32>,
    /// By rank, the gang that it leads as long as that holds together, or [`NONE`].
    led: Vec<u32>,
    /// Ranks that can go on.
    ready: Vec<u32>,
    /// By rank, what it computes beside; empty if no call takes processors.
    beside: Vec<Beside>,
    /// What gangs do again and again.
    stretches: Stretches,
    /// Of the communicators that need no events.
    windows: Vec<Window>,
    streams: Streams,
    queue: Queue,
    network: Network<'a>,
    clock: Time,
    /// The latest completion of an instance.
    last: Time,
    finished: usize,
}

impl<'a, O: Observer> Replay<'a, O> {
    fn new(engine: &'a Engine, options: &Options, observer: &'a mut O) -> Self {
        let tables = &engine.tables;
        let ranks = tables.cursors.len();
        let mut cursors = tables.cursors.clone();
        for (cursor, &slowness) in cursors.iter_mut().zip(options.slowness.unwrap_or_default()) {
            cursor.slowness = slowness;
        }
        for (cursor, &start) in cursors.iter_mut().zip(options.starts.unwrap_or_default()) {
            cursor.now = start;
        }
        let noise = options.jitter.map(|jitter| {
            Noise::new(options.seed, options.iteration, jitter, ranks, &tables.code.kernels)
        });
        Self {
            beside: Beside::new(tables),
            stretches: Stretches::new(tables, noise.is_none(), observer),
            tables,
            observer,
            noise,
            cursors,
            communicators: tables.communicators.clone(),
            next_waiter: vec![NONE; ranks],
            led: tables.led.clone(),
            ready: tables.starters.clone(),
            windows: vec![Window::default(); tables.eager as usize],
            streams: Streams::new(ranks, engine.job.streams),
            queue: Queue::new(
                tables.communicators.len(),
                tables.fabric.flows(),
                tables.processors.len(),
            ),
            network: Network::new(&tables.fabric),
            clock: Time::ZERO,
            last: Time::ZERO,
            finished: 0,
        }
    }

    /// Runs until nothing can happen any more.
    fn run_all(&mut self) {
        self.run_ready();
        while let Some(instant) = self.queue.next_time() {
            self.clock = instant;
            // What happens at an instant can make more happen at it; rates are solved once, when
            // all has.
            while let Some(event) = self.queue.pop_at(instant) {
                match event {
                    Event::Completion(communicator) => self.complete(communicator),
                    Event::Arrival(flow) => self.arrive(flow),
                    Event::Computed(rank) => self.computed(rank, instant),
                    Event::Start(communicator) => self.start_flows(communicator),
                }
                self.run_ready();
            }
            self.network.solve(instant, &mut self.queue);
        }
    }

    fn run_ready(&mut self) {
        while let Some(rank) = self.ready.pop() {
            match self.gang_of(rank) {
                Some(gang) => self.run_gang(gang),
                None => self.run(rank),
            }
        }
    }

    /// The gang that a rank leads.
    fn gang_of(&self, rank: u32) -> Option<Gang> {
        self.tables.gangs.get(self.led[rank as usize] as usize).copied()
    }

    /// Runs a rank until it must wait or its program is over.
    fn run(&mut self, rank: u32) {
        let r = rank as usize;
        let tables = self.tables;
        let Cursor { mut now, mut at, slots, slowness, mut back, mut before } = self.cursors[r];
        // Of the segment's use that the rank is in.
        let mut index = tables.code.index_before(back);
        loop {
            match tables.code.instructions[at as usize] {
                Instruction::Compute { tag, spread, duration } => {
                    let end = now + length(&mut self.noise, r, spread, duration * slowness);
                    self.observer.compute(RankId(rank), shifted(tag, index), now, end);
                    now = end;
                }
                Instruction::Beside { tag, spread, duration } => {
                    let work = length(&mut self.noise, r, spread, duration * slowness);
                    match self.compute_beside(rank, shifted(tag, index), now, work) {
                        Some(end) => now = end,
                        None => break,
                    }
                }
                Instruction::Collective { tag, slot, call, sequence } => {
                    let sequence = sequence + before;
                    let c = tables.communicator(slots, slot);
                    let comm = &mut self.communicators[c as usize];
                    if comm.eager == NONE {
                        if comm.completed < sequence {
                            self.wait_for(rank, c);
                            break;
                        }
                        comm.latest = comm.latest.max(now);
                        comm.joined += 1;
                        if comm.joined == comm.size {
                            self.launch(c, call);
                        }
                        break;
                    }
                    let Some(instance) = self.join_eager(c, call, sequence, now) else {
                        self.wait_for(rank, c);
                        break;
                    };
                    let Instance { start, end, .. } = instance;
                    if end > now {
                        let tag = shifted(tag, index);
                        self.observer.wait(RankId(rank), CommId(c), call, tag, now, start, end);
                    }
                    now = end;
                }
                Instruction::Issue { slot, call, stream, takes, sequence, .. } => {
                    let sequence = sequence + before;
                    let c = tables.communicator(slots, slot);
                    if takes {
                        self.open(rank, c, call, sequence, now);
                    }
                    if self.communicators[c as usize].eager != NONE {
                        self.join_eager(c, call, sequence, now);
                        at += 1;
                        continue;
                    }
                    let stream = usize::from(stream.0);
                    if self.streams.push(r, stream, Issued::new(now, c, sequence, at)) {
                        self.join_head(r, stream);
                    }
                }
                Instruction::Await { tag, slot, sequence } => {
                    let sequence = sequence + before;
                    let c = tables.communicator(slots, slot);
                    let comm = &self.communicators[c as usize];
                    if comm.completed <= sequence {
                        self.wait_for(rank, c);
                        break;
                    }
                    if comm.eager != NONE {
                        let &Instance { start, end, call, .. } =
                            self.windows[comm.eager as usize].instance(sequence);
                        if end > now {
                            let tag = shifted(tag, index);
                            self.observer.wait(RankId(rank), CommId(c), call, tag, now, start, end);
                            now = end;
                        }
                    }
                }
                Instruction::Segment { index: shift, segment, before: calls, .. } => {
                    (back, before, index) = (at + 1, calls, shift);
                    at = tables.code.segments[segment as usize].first;
                    continue;
                }
                Instruction::End if back != NONE => {
                    at = back;
                    (back, before, index) = (NONE, 0, 0);
                    continue;
                }
                Instruction::End => {
                    self.finished += 1;
                    self.observer.finish(RankId(rank), now);
                    break;
                }
            }
            at += 1;
        }
        self.cursors[r] = Cursor { now, at, slots, slowness, back, before };
    }

    /// A member joins an instance of a communicator that needs no events. If it is the last, the
    /// instance is settled: all that wait for it go on, and it is returned.
    fn join_eager(&mut self, c: u32, call: u16, sequence: u32, at: Time) -> Option<Instance> {
        let comm = &mut self.communicators[c as usize];
        let known = &self.tables.calls[comm.calls as usize + usize::from(call)];
        let window = &mut self.windows[comm.eager as usize];
        let instance = window.join(sequence, comm.size, at, call, known.duration)?;
        comm.completed += 1;
        comm.course.fold(instance.end.as_picos());
        self.last = self.last.max(instance.end);
        self.observer.transfer(CommId(c), call, sequence, instance.start, instance.end);
        if known.taken > 0.0 {
            self.place_in_time(c, sequence, instance.start, instance.end);
        }

        let comm = &mut self.communicators[c as usize];
        let mut waiting = std::mem::replace(&mut comm.waiters, NONE);
        while waiting != NONE {
            let rank = waiting;
            waiting = self.next_waiter[rank as usize];
            let cursor = self.cursors[rank as usize];
            let instruction = self.tables.instruction(cursor);
            let (Instruction::Collective { tag, sequence: wanted, .. }
            | Instruction::Await { tag, sequence: wanted, .. }) = instruction
            else {
                continue;
            };
            if wanted > sequence {
                self.wait_for(rank, c);
                continue;
            }
            let window = &self.windows[self.communicators[c as usize].eager as usize];
            let &Instance { start, end, call, .. } = window.instance(wanted);
            if end > cursor.now {
                self.observer.wait(RankId(rank), CommId(c), call, tag, cursor.now, start, end);
            }
            self.go_on(rank, end.max(cursor.now), 1);
        }
        Some(instance)
    }

    /// Enters a rank in the list of those that wait for a communicator.
    fn wait_for(&mut self, rank: u32, communicator: u32) {
        let waiters = &mut self.communicators[communicator as usize].waiters;
        self.next_waiter[rank as usize] = *waiters;
        *waiters = rank;
    }

    /// Lets a rank go on at `now`, `skip` instructions after the one at which it stands.
    fn go_on(&mut self, rank: u32, now: Time, skip: u32) {
        let cursor = &mut self.cursors[rank as usize];
        cursor.now = now;
        cursor.at += skip;
        self.ready.push(rank);
    }

    /// If the stream has a call at its head whose communicator is ready for it, joins.
    fn join_head(&mut self, rank: usize, stream: usize) {
        let Some(&Issued { at, communicator, sequence, instruction, .. }) =
            self.streams.head(rank, stream)
        else {
            return;
        };
        let comm = &mut self.communicators[communicator as usize];
        if comm.completed < sequence {
            return;
        }
        comm.latest = comm.latest.max(at).max(self.clock);
        comm.joined += 1;
        if comm.joined == comm.size
            && let Instruction::Issue { call, .. } =
                self.tables.code.instructions[instruction as usize]
        {
            self.launch(communicator, call);
        }
    }

    /// All members have joined: sets the event that comes next.
    fn launch(&mut self, communicator: u32, call: u16) {
        let comm = &mut self.communicators[communicator as usize];
        comm.call = call;
        let known = &self.tables.calls[comm.calls as usize + usize::from(call)];
        let (start, sequence) = (comm.latest, comm.completed);
        let end = if known.shared {
            self.queue.set(start + known.latency, Event::Start(communicator));
            Time::MAX
        } else {
            self.queue.set(start + known.duration, Event::Completion(communicator));
            start + known.duration
        };
        if known.taken > 0.0 {
            self.place_in_time(communicator, sequence, start, end);
        }
    }

    /// The latency of an instance is over, its bytes begin to flow: as a bundle, or each connection
    /// by itself.
    fn start_flows(&mut self, communicator: u32) {
        let comm = &mut self.communicators[communicator as usize];
        let known = &self.tables.calls[comm.calls as usize + usize::from(comm.call)];
        let footprint =
            self.tables.footprints[comm.footprints as usize + usize::from(known.footprint)];
        let paths = self.tables.fabric.paths(footprint);
        comm.moving = paths.len() as u32;
        for (flow, path) in (comm.flow..).zip(paths) {
            self.network.start(flow, path, known.bytes, known.cap, self.clock);
        }
    }

    /// A flow has moved its bytes. The last of an instance completes it.
    fn arrive(&mut self, flow: u32) {
        self.network.end(flow);
        let communicator = self.tables.fabric.communicator(flow);
        let comm = &mut self.communicators[communicator as usize];
        comm.moving -= 1;
        if comm.moving == 0 {
            self.complete(communicator);
        }
    }

    /// An instance is complete, at the clock: its members and those that await it go on.
    fn complete(&mut self, communicator: u32) {
        let tables = self.tables;
        let end = self.clock;
        let comm = &self.communicators[communicator as usize];
        let (start, sequence) = (comm.latest, comm.completed);
        let members = comm.members as usize..(comm.members + comm.size) as usize;
        let known = &tables.calls[comm.calls as usize + usize::from(comm.call)];
        if known.shared && known.taken > 0.0 {
            self.place_in_time(communicator, sequence, start, end);
        }
        self.count_completion(communicator, end);
        for &member in &tables.members[members] {
            let cursor = self.cursors[member as usize];
            // No two instructions of a rank make the same call, so one that stands at this one has
            // joined by it.
            if self.stands_in(cursor, communicator, sequence) {
                self.tell_wait(member, cursor, communicator, start, end);
                self.go_on(member, end, 1);
            } else {
                self.advance_streams(member as usize, communicator, sequence);
            }
        }
        self.wake_waiters(communicator, start, end);
    }

    /// Whether a rank's compute stream stands in a blocking call of this instance.
    fn stands_in(&self, cursor: Cursor, communicator: u32, instance: u32) -> bool {
        match self.tables.code.instructions[cursor.at as usize] {
            Instruction::Collective { slot, sequence, .. } => {
                sequence + cursor.before == instance
                    && self.tables.communicator(cursor.slots, slot) == communicator
            }
            _ => false,
        }
    }

    /// An instance that a rank has joined from one of its streams is complete: takes it off, and
    /// joins what can be joined now.
    fn advance_streams(&mut self, rank: usize, communicator: u32, instance: u32) {
        for stream in 0..self.streams.per_rank() {
            let Some(head) = self.streams.head(rank, stream) else { continue };
            if head.communicator != communicator {
                continue;
            }
            if head.sequence == instance {
                self.streams.pop(rank, stream);
                self.join_head(rank, stream);
            } else if head.sequence == instance + 1 {
                // Issued on another stream than the call before it: it had to wait for that.
                self.join_head(rank, stream);
            }
        }
    }

    /// Lets those go on that have waited for a communicator without having joined.
    fn wake_waiters(&mut self, communicator: u32, start: Time, end: Time) {
        let c = communicator as usize;
        let completed = self.communicators[c].completed;
        let mut waiting = std::mem::replace(&mut self.communicators[c].waiters, NONE);
        while waiting != NONE {
            let rank = waiting;
            waiting = self.next_waiter[rank as usize];
            let cursor = self.cursors[rank as usize];
            // An await is over; a blocking call is made once more, now that it can be.
            let skip = match self.tables.instruction(cursor) {
                Instruction::Await { sequence, .. } if sequence < completed => 1,
                Instruction::Collective { sequence, .. } if sequence <= completed => 0,
                _ => {
                    self.wait_for(rank, communicator);
                    continue;
                }
            };
            if let Some(gang) = self.gang_of(rank) {
                self.gang_goes_on(gang, communicator, start, end);
                continue;
            }
            self.tell_wait(rank, cursor, communicator, start, end);
            self.go_on(rank, end.max(cursor.now), skip);
        }
    }

    /// Tells the observer that the compute stream of a rank has stood where `cursor` stands.
    fn tell_wait(&mut self, rank: u32, cursor: Cursor, communicator: u32, start: Time, end: Time) {
        if end > cursor.now
            && let Some(tag) = self.tables.instruction(cursor).tag()
        {
            let call = self.communicators[communicator as usize].call;
            let comm = CommId(communicator);
            self.observer.wait(RankId(rank), comm, call, tag, cursor.now, start, end);
        }
    }

    /// Notes the completion of the current instance and makes way for the next.
    fn count_completion(&mut self, communicator: u32, end: Time) {
        let comm = &mut self.communicators[communicator as usize];
        let (start, sequence) = (comm.latest, comm.completed);
        comm.latest = Time::ZERO;
        comm.joined = 0;
        comm.completed += 1;
        comm.course.fold(end.as_picos());
        self.last = self.last.max(end);
        self.observer.transfer(CommId(communicator), comm.call, sequence, start, end);
    }

    fn outcome(mut self, engine: &Engine) -> Result<Outcome, Deadlock> {
        if self.finished < self.cursors.len() || self.streams.pending() > 0 {
            let stuck = deadlock::Stuck {
                engine,
                cursors: &self.cursors,
                communicators: &self.communicators,
                streams: &self.streams,
            };
            return Err(stuck.explain(self.clock));
        }
        let finish: Vec<Time> = self.cursors.iter().map(|cursor| cursor.now).collect();
        let end = finish.iter().copied().fold(self.last, Time::max);
        let completions =
            |comm: &Communicator| Completions { course: comm.course, count: comm.completed };
        let communicators = self.communicators.iter().map(completions).collect();
        let solved = Solved { flows: self.network.flows(), solves: self.network.solves() };
        let outcome = Outcome::new(end, finish, communicators, self.tables.operations, solved);
        self.sum_up();
        Ok(outcome)
    }
}

/// How long a computation of a rank takes alone; `picos` is without noise.
#[inline]
fn length(noise: &mut Option<Noise>, rank: usize, spread: u16, mut picos: f64) -> Time {
    if let Some(noise) = noise {
        picos *= noise.draw(rank, spread);
    }
    nearest(picos)
}

/// A duration in picoseconds, rounded to the nearest; negative and NaN become zero.
#[inline]
fn nearest(picos: f64) -> Time {
    /// In the binade from here up, floats are the whole numbers.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    if (0.0..WHOLE).contains(&picos) {
        // The addition does the rounding, and the difference of the bits is the number: a few
        // cycles, where rounding and converting take many.
        Time::from_picos((picos + WHOLE).to_bits() - WHOLE.to_bits())
    } else {
        Time::from_picos(picos as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_nearest_whatever_the_size() {
        for (picos, expected) in [
            (0.0, 0),
            (0.4, 0),
            (0.6, 1),
            (1e9 + 0.6, 1_000_000_001),
            (4_503_599_627_370_495.0, 4_503_599_627_370_495),
            (4_503_599_627_370_495.5, 4_503_599_627_370_496),
            (4_503_599_627_370_496.0, 4_503_599_627_370_496),
            (1e18, 1_000_000_000_000_000_000),
            (1e300, u64::MAX),
            (-3.0, 0),
            (f64::NAN, 0),
        ] {
            assert_eq!(nearest(picos).as_picos(), expected, "{picos}");
        }
    }
}
