//! A pass through a block, with what is exchanged in it and around it.

use motley_collectives::CollectiveKind;
use motley_job::NameId;
use motley_workload::ProcessGroup;

use super::{Builder, Scope};
use crate::lower::strand::Piece;
use crate::times::{BlockPass, BlockPiece, CutProduct};

impl Builder<'_> {
    /// Whether what is exchanged at an end of a pass travels beside the product there, piece by piece.
    pub(super) fn cuts(&self, elements: f64, product: Option<CutProduct>) -> bool {
        self.shape.overlap_tensor && elements > 0.0 && product.is_some()
    }

    /// A pass through a block between what is gathered before it and added up after it.
    ///
    /// Where these overlap with the products that read and write them, a rank begins with its own
    /// piece, and with the others as they come; what is added up leaves piece by piece (user buffers
    /// in Transformer Engine, `--tp-comm-overlap`). The last piece's product comes after the gather,
    /// the first one's before the reduction.
    pub(super) fn piecewise(
        &mut self,
        name: NameId,
        pass: &BlockPass,
        scope: Scope,
        [gathered, reduced]: [f64; 2],
    ) {
        let [first, last] = pass.ends;
        let (cuts_first, cuts_last) = (self.cuts(gathered, first), self.cuts(reduced, last));
        let reduced_piecewise = last.filter(|_| cuts_last);
        let pieces = without(&pass.pieces, reduced_piecewise, End::Last);
        if cuts_first {
            let pass = BlockPass { pieces, ..pass.clone() };
            self.gathered_piecewise(name, &pass, scope, gathered);
        } else {
            self.gather(gathered);
            self.pieces(name, &pieces, scope);
        }
        match reduced_piecewise {
            None => self.reduce(reduced),
            Some(product) => {
                let pieces = self.shape.shard.tensor_parallel;
                self.strand.compute(name, product.times(1));
                let begun = self.begin_tensor(self.reduction(), reduced);
                self.strand.compute(name, product.times(pieces - 1));
                self.finish(ProcessGroup::Tensor, begun);
            }
        }
    }

    /// A pass whose first product is computed piece by piece while its operand is gathered.
    pub(super) fn gathered_piecewise(
        &mut self,
        name: NameId,
        pass: &BlockPass,
        scope: Scope,
        gathered: f64,
    ) {
        let Some(product) = pass.ends[0] else { return };
        let pieces = self.shape.shard.tensor_parallel;
        let begun = self.begin_tensor(CollectiveKind::AllGather, gathered);
        self.strand.compute(name, product.times(pieces - 1));
        self.finish(ProcessGroup::Tensor, begun);
        self.strand.compute(name, product.times(1));
        self.pieces(name, &without(&pass.pieces, Some(product), End::First), scope);
    }

    /// The kernels of a pass through a block, with what is exchanged in the middle of it.
    pub(super) fn pieces(&mut self, name: NameId, pieces: &[BlockPiece], scope: Scope) {
        let mut begun = Vec::new();
        for piece in pieces {
            match *piece {
                BlockPiece::Run { main, weights } => {
                    self.strand.compute(name, main);
                    if scope == Scope::Whole {
                        self.strand.compute(name, weights);
                    }
                }
                BlockPiece::Exchange(exchange) => {
                    if let Some((group, call)) = self.inner(exchange) {
                        let name = self.names.group(group);
                        self.strand.push(Piece::Exchange { name, group, call });
                    }
                }
                BlockPiece::Begin(exchange) => {
                    begun.push(self.inner(exchange).map(|(group, call)| {
                        (group, self.strand.begin(self.names.group(group), group, call))
                    }));
                }
                BlockPiece::Finish(which) => {
                    if let Some((group, begun)) = begun[usize::from(which)] {
                        self.finish(group, begun);
                    }
                }
            }
        }
    }
}

/// An end of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// Pieces without the product at one end, which is computed apart from them.
fn without(pieces: &[BlockPiece], product: Option<CutProduct>, end: End) -> Vec<BlockPiece> {
    let mut left = pieces.to_vec();
    let Some(product) = product else { return left };
    let mut runs = left.iter_mut().filter_map(|piece| match piece {
        BlockPiece::Run { main, .. } if main.time >= product.whole => Some(main),
        _ => None,
    });
    let run = match end {
        End::First => runs.next(),
        End::Last => runs.next_back(),
    };
    if let Some(main) = run {
        main.time = main.time - product.whole;
        main.kernels = main.kernels.saturating_sub(1);
        main.host = main.host - product.host;
    }
    left
}
