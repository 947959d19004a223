//! What passes copy between the card and its host.

use std::collections::BTreeMap;

use motley_collectives::HostCopy;
use motley_workload::Part;

use super::Builder;
use crate::lower::gradients::Item;
use crate::lower::strand::{Piece, call_number};

impl Builder<'_> {
    /// Bytes that a part keeps in the host's memory from its forward to its backward pass.
    pub(super) fn offloaded(&self, part: Part) -> Option<f64> {
        let layer = matches!(part, Part::Layer(_)) && self.shape.offload.activations;
        layer.then(|| self.part(part).activations.bytes(self.shape.recompute).0)
    }

    pub(super) fn fetch(&mut self, bytes: Option<f64>) {
        if let Some(bytes) = bytes {
            let call = self.copy_call(HostCopy::ToCard, bytes);
            self.strand.push(Piece::Copy { direction: HostCopy::ToCard, call });
        }
    }

    /// The copies that bring the parameters of each item: bytes by call number, calls by item.
    pub(super) fn parameter_copies(&self) -> (Vec<f64>, BTreeMap<Item, u16>) {
        let (mut bytes, mut copies) = (Vec::new(), BTreeMap::new());
        if !self.shape.offload.parameters {
            return (bytes, copies);
        }
        let (model, training) = (self.times.model(), self.times.training());
        let element = f64::from(self.times.path(self.kind).precision.element_bytes());
        for chunk in &self.shape.chunks {
            for (item, part) in self.items(*chunk) {
                let held = model.held_parameters(part, training).per_rank(&self.shape.shard);
                let own = held * self.shape.states.own_share;
                copies.insert(item, call_number(&mut bytes, element * own));
            }
        }
        (bytes, copies)
    }

    /// Gradients to the host; parameters back, unless they stay there.
    pub(super) fn step_copies(&mut self) -> [u16; 2] {
        let stepped = self.shape.states.stepped;
        let gradients = f64::from(self.times.training().gradient_bytes) * stepped;
        let element = f64::from(self.times.path(self.kind).precision.element_bytes());
        let back = if self.shape.offload.parameters { 0.0 } else { element * stepped };
        [self.copy_call(HostCopy::ToHost, gradients), self.copy_call(HostCopy::ToCard, back)]
    }

    pub(super) fn copy_call(&mut self, direction: HostCopy, bytes: f64) -> u16 {
        call_number(&mut self.copies[direction as usize], bytes)
    }
}
