//! Every plan that is accepted runs to its end and conserves what plans conserve.

use motley_scheduler::schedule::Position;
use motley_scheduler::{ActivationLimit, OptimizerStep, Schedule, ZeroBubble, ZeroBubbleOrder};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::setup::{Setup, near, report, scenario, seconds};
use crate::{conservation, fidelity};

/// Cards of the cluster.
const CARDS: u32 = 24;

/// Layers of the model.
const LAYERS: u32 = 10;

/// A dense transformer.
fn dense(tied: bool) -> String {
    format!(
        "Shape(name: \"small\", layers: {LAYERS}, hidden: 768, heads: 12, vocab: 1536, \
         positions: Rotary, tied_embeddings: {tied})"
    )
}

/// Latent attention; dense layers first, then experts with a shared one.
fn experts(tied: bool) -> String {
    let layer = |feed_forward: &str| {
        format!(
            "Transformer(attention: (heads: 12, positions: Rotary, projections: Latent(q_rank: 96, \
             kv_rank: 48, nope_dim: 64, rope_dim: 16, v_dim: 32)), norm: RmsNorm, \
             feed_forward: {feed_forward})"
        )
    };
    format!(
        "Stack(name: \"experts\", embedding: Tokens(vocab: 1536, hidden: 768), layers: [
            (repeat: 3, layers: [{}]),
            (repeat: {}, layers: [{}]),
        ], head: Language(norm: RmsNorm, tied: {tied}))",
        layer("Dense(ffn: 1536, gated: true)"),
        LAYERS - 3,
        layer(
            "Experts(experts: 16, top_k: 3, expert: (ffn: 192, gated: true), shared: (ffn: 384))"
        )
    )
}

/// An encoder of four layers, of which every other looks at a window, and a decoder.
fn translator(tied: bool) -> String {
    let attention = |more: &str| {
        format!(
            "(heads: 12, projections: Grouped(kv_heads: 12, head_dim: 64), \
             positions: RelativeBias(buckets: 32), {more})"
        )
    };
    let layer = |own: &str, cross: &str| {
        format!(
            "Transformer(attention: {}, {cross} feed_forward: Dense(ffn: 1536), norm: RmsNorm)",
            attention(own)
        )
    };
    let cross = format!("cross_attention: {},", attention("mask: Bidirectional"));
    format!(
        "Stack(name: \"translator\", embedding: Tokens(vocab: 1536, hidden: 768), layers: [
            (repeat: 2, layers: [{}, {}]),
            (repeat: {}, layers: [{}]),
        ], head: Language(norm: RmsNorm, tied: {tied}))",
        layer("mask: Bidirectional", ""),
        layer("mask: Bidirectional, window: 128", ""),
        LAYERS - 4,
        layer("mask: Causal", &cross)
    )
}

/// Tensor-parallel degree, where its layers end, recomputation.
type Stage = (u32, Index, &'static str);

/// Groups of micro-batches, their size, stages. A group has as many micro-batches as there are
/// stages, which the interleaved schedule wants.
type Pipeline = (u32, u32, Vec<Stage>);

fn stages() -> impl Strategy<Value = Vec<Stage>> {
    let degree = select(vec![1, 1, 2, 2, 3, 4]);
    let recompute = select(vec!["None", "Selective", "Full"]);
    prop::collection::vec((degree, any::<Index>(), recompute), 1..4)
}

fn pipelines() -> impl Strategy<Value = Vec<Pipeline>> {
    prop::collection::vec((1..4_u32, 1..4_u32, stages()), 1..5)
}

/// Cuts `0..LAYERS` into `count` ranges, none of them empty.
fn cut(count: usize, at: &[Index]) -> Vec<(u32, u32)> {
    let mut ends: Vec<u32> = (1..LAYERS).collect();
    while ends.len() >= count {
        let turn = at[ends.len() % at.len()].index(ends.len());
        ends.remove(turn);
    }
    let starts = std::iter::once(0).chain(ends.clone());
    starts.zip(ends.iter().copied().chain([LAYERS])).collect()
}

/// The plan's text and its global batch; pipelines for which no cards are left, or that the
/// schedule refuses, are dropped. Each direction of a bidirectional schedule is cut in its own way.
fn plan(
    pipelines: &[Pipeline],
    cards: &[u32],
    (schedule, chunks): (Schedule, u32),
    options: &str,
) -> Option<(String, u32)> {
    let mut free = cards.iter();
    let mut batch = 0;
    let mut written = Vec::new();
    for (groups, size, stages) in pipelines {
        let wanted: u32 = stages.iter().map(|stage| stage.0).sum();
        // DualPipe wants two micro-batches for each stage.
        let several =
            if matches!(schedule, Schedule::DualPipe | Schedule::DualPipeV) { 2 } else { 1 };
        let count = several * groups * stages.len() as u32;
        let refused = schedule.refusals(stages.len() as u32, chunks, count);
        if wanted as usize > free.len() || !refused.is_empty() {
            continue;
        }
        let placement = schedule.placement(stages.len() as u32, chunks);
        let mut at: Vec<Index> = stages.iter().map(|stage| stage.1).collect();
        let cuts: Vec<Vec<(u32, u32)>> = placement
            .routes()
            .iter()
            .map(|route| {
                let ranges = cut(route.len(), &at);
                at.rotate_left(1);
                ranges
            })
            .collect();
        batch += count * size;
        let rows: Vec<String> = (0..)
            .zip(stages)
            .map(|(s, (degree, _, recompute))| {
                let gpus: Vec<u32> = free.by_ref().take(*degree as usize).copied().collect();
                let layers: Vec<String> = (0..chunks)
                    .map(|chunk| {
                        let (route, place) = placement.place(Position { stage: s, chunk });
                        let (start, end) = cuts[route][place];
                        format!("{start}..{end}")
                    })
                    .collect();
                let layers = layers.join(", ");
                format!("(gpus: {gpus:?}, layers: [{layers}], recompute: {recompute})")
            })
            .collect();
        let rows = rows.join(",\n");
        written.push(format!(
            "(micro_batches: {count}, micro_batch_size: {size}, stages: [\n{rows}\n])"
        ));
    }
    (batch > 0)
        .then(|| (format!("Explicit({options}, pipelines: [{}])", written.join(",\n")), batch))
}

/// A schedule, its chunks, and how a scenario writes it.
fn schedules() -> impl Strategy<Value = (Schedule, u32, &'static str)> {
    let zero_bubble =
        |order, optimizer_step| Schedule::ZeroBubble(ZeroBubble { order, optimizer_step });
    let limit = ActivationLimit::Stages(2.0);
    let (later, now) = (OptimizerStep::PostValidation, OptimizerStep::Synchronous);
    select(vec![
        (Schedule::GPipe, 1, "GPipe"),
        (Schedule::OneFOneB, 1, "OneFOneB"),
        (Schedule::Interleaved, 1, "Interleaved(chunks: 1)"),
        (Schedule::Interleaved, 2, "Interleaved(chunks: 2)"),
        (Schedule::Interleaved, 3, "Interleaved(chunks: 3)"),
        (zero_bubble(ZeroBubbleOrder::H1, later), 1, "ZeroBubble(order: H1)"),
        (
            zero_bubble(ZeroBubbleOrder::H2, now),
            1,
            "ZeroBubble(order: H2, optimizer_step: Synchronous)",
        ),
        (
            zero_bubble(ZeroBubbleOrder::Automatic(limit), later),
            1,
            "ZeroBubble(order: Automatic, activations: Stages(2))",
        ),
        (
            zero_bubble(ZeroBubbleOrder::V(ActivationLimit::Available), now),
            2,
            "ZeroBubble(order: V, activations: Available, optimizer_step: Synchronous)",
        ),
        (Schedule::DualPipe, 2, "DualPipe"),
        (Schedule::DualPipeV, 2, "DualPipeV"),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 320,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn accepted_plans_run(
        pipelines in pipelines(),
        cards in Just((0..CARDS).collect::<Vec<u32>>()).prop_shuffle(),
        shuffled in any::<bool>(),
        (schedule, chunks, name) in schedules(),
        sync in select(vec![
            "AtEnd",
            "Overlapped(bucket: B(1))",
            "Overlapped(bucket: MiB(3))",
            "Overlapped(bucket: GiB(1))",
        ]),
        sequence_parallel in any::<bool>(),
        overlap in any::<bool>(),
        tied in any::<bool>(),
        family in select(vec![dense as fn(bool) -> String, experts, translator]),
        adapters in select(vec!["None", "None", "(rank: 12, targets: [Query, Output])"]),
    ) {
        let cards = if shuffled { cards } else { (0..CARDS).collect() };
        let options = format!(
            "schedule: {name}, gradient_sync: {sync}, \
             sequence_parallel: {sequence_parallel}, overlap_weight_gradient: {overlap}"
        );
        let Some((plan, batch)) = plan(&pipelines, &cards, (schedule, chunks), &options) else {
            return Ok(());
        };
        let model = family(tied);
        let training = format!(
            "global_batch: {batch}, sequence_length: 384, precision: Fp16, gradient_bytes: 2, \
             adapters: {adapters}"
        );
        let setup = Setup {
            groups: r#"(design: "dgx1-v100", count: 1), (design: "pcie8-dual-root", count: 1),
                       (design: "dgx-a100", count: 1)"#,
            shape: "LeafSpine(nodes_per_leaf: 2, spines: 2), oversubscription: 2.0",
            model: &model,
            training: &training,
            plan: &plan,
        };
        let scenario = scenario(&setup.text());
        conservation::check(&scenario);
        // 1,907 such plans differed by 1.0 % at most if every connection moved by itself.
        let pairwise = fidelity::pairwise(&scenario);
        conservation::check(&pairwise);
        let [bundles, apart] = [&scenario, &pairwise].map(|each| seconds(&report(each)));
        near(apart, bundles, 0.05, "pairwise");
    }
}
