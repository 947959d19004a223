//! From slices to bytes.

use std::io::{self, Write};

use motley_job::Tag;
use motley_units::Time;
use prost::Message;

use super::Trace;
use super::proto::{
    DebugAnnotation, INCREMENTAL_STATE_CLEARED, InternedData, InternedName,
    NEEDS_INCREMENTAL_STATE, SLICE_BEGIN, SLICE_END, TracePacket, TrackEvent,
};
use super::slices::{Activity, Slice};

/// All packets are of one sequence, which shares interned names.
const SEQUENCE: u32 = 1;

/// The key of `Trace.packet`: field 1, length-delimited.
const PACKET_KEY: u8 = 0x0a;

/// Interned names of annotations.
const RANK: u64 = 1;
const STAGE: u64 = 2;
const MICRO_BATCH: u64 = 3;

impl Trace<'_> {
    /// Writes the trace.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut packets = Packets { out, buffer: Vec::new() };
        packets.put(&TracePacket {
            interned_data: Some(self.interned()),
            sequence_flags: Some(INCREMENTAL_STATE_CLEARED),
            ..TracePacket::default()
        })?;
        for descriptor in self.tracks.descriptors(self.cluster, self.lowered) {
            packets.put(&TracePacket {
                track_descriptor: Some(descriptor),
                ..TracePacket::default()
            })?;
        }
        for slice in self.slices() {
            packets.event(slice.start, self.begin(&slice))?;
            packets.event(
                slice.end,
                TrackEvent {
                    r#type: Some(SLICE_END),
                    track_uuid: Some(slice.thread),
                    ..TrackEvent::default()
                },
            )?;
        }
        Ok(())
    }

    fn begin(&self, slice: &Slice) -> TrackEvent {
        let place = self.lowered.place(slice.rank);
        let annotation =
            |name, value| DebugAnnotation { name_iid: Some(name), uint_value: Some(value) };
        let mut annotations =
            vec![annotation(RANK, slice.rank.0.into()), annotation(STAGE, place.stage.into())];
        if slice.index != Tag::NO_INDEX {
            annotations.push(annotation(MICRO_BATCH, slice.index.into()));
        }
        TrackEvent {
            r#type: Some(SLICE_BEGIN),
            track_uuid: Some(slice.thread),
            name_iid: Some(self.name_iid(slice)),
            category_iids: vec![category_iid(slice.activity)],
            debug_annotations: annotations,
            flow_ids: slice.flows_from.clone(),
            terminating_flow_ids: slice.flows_to.clone(),
        }
    }

    /// Names of operations come first, then the same names as waits.
    fn name_iid(&self, slice: &Slice) -> u64 {
        let waits = if slice.activity == Activity::Wait { self.lowered.job.names.len() } else { 0 };
        1 + u64::from(slice.name.0) + waits as u64
    }

    fn interned(&self) -> InternedData {
        let names = &self.lowered.job.names;
        let waits = names.iter().map(|name| format!("wait: {name}"));
        InternedData {
            event_categories: vec![
                interned(category_iid(Activity::Compute), "compute"),
                interned(category_iid(Activity::Transfer), "transfer"),
                interned(category_iid(Activity::Wait), "wait"),
            ],
            event_names: (1..)
                .zip(names.iter().cloned().chain(waits))
                .map(|(iid, name)| interned(iid, &name))
                .collect(),
            debug_annotation_names: vec![
                interned(RANK, "rank"),
                interned(STAGE, "stage"),
                interned(MICRO_BATCH, "micro_batch"),
            ],
        }
    }
}

fn category_iid(activity: Activity) -> u64 {
    1 + activity as u64
}

fn interned(iid: u64, name: &str) -> InternedName {
    InternedName { iid: Some(iid), name: Some(name.to_owned()) }
}

struct Packets<'a, W> {
    out: &'a mut W,
    buffer: Vec<u8>,
}

impl<W: Write> Packets<'_, W> {
    fn event(&mut self, at: Time, event: TrackEvent) -> io::Result<()> {
        const PICOS_IN_A_NANO: u64 = 1000;
        self.put(&TracePacket {
            timestamp: Some(at.as_picos() / PICOS_IN_A_NANO),
            track_event: Some(event),
            sequence_flags: Some(NEEDS_INCREMENTAL_STATE),
            ..TracePacket::default()
        })
    }

    fn put(&mut self, packet: &TracePacket) -> io::Result<()> {
        let packet = TracePacket { trusted_packet_sequence_id: Some(SEQUENCE), ..packet.clone() };
        self.buffer.clear();
        self.buffer.push(PACKET_KEY);
        packet.encode_length_delimited(&mut self.buffer)?;
        self.out.write_all(&self.buffer)
    }
}
