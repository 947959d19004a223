//! Columns of results. Their names, and the units that these end in, are those of the JSON of a report
//! wherever that has them.

use motley::Report;
use motley_planner::Found;
use motley_report::{CardType, OutOfMemory};
use motley_units::Time;

use crate::table::{Cell, Heading, Storage};

/// What is known of a point that ran.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran<'a> {
    pub(crate) report: &'a Report,
    /// What the planner found, if it was asked.
    pub(crate) found: Option<&'a Found>,
}

#[derive(Clone, Copy)]
struct Definition {
    name: &'static str,
    storage: Storage,
    /// It is a column unless a study chooses its own.
    usual: bool,
    /// It needs a search for plans.
    searched: bool,
    /// It needs the replay of balanced compute.
    balanced: bool,
    of: fn(&Ran) -> Cell,
}

/// A column of results.
#[derive(Clone, Copy)]
pub(crate) struct Metric(&'static Definition);

impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl std::fmt::Debug for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

const fn real(name: &'static str, usual: bool, of: fn(&Ran) -> Cell) -> Definition {
    Definition { name, storage: Storage::Real, usual, searched: false, balanced: false, of }
}

const fn whole(name: &'static str, usual: bool, of: fn(&Ran) -> Cell) -> Definition {
    Definition { name, storage: Storage::Whole, usual, searched: false, balanced: false, of }
}

const fn text(name: &'static str, usual: bool, of: fn(&Ran) -> Cell) -> Definition {
    Definition { name, storage: Storage::Text, usual, searched: false, balanced: false, of }
}

const fn searched(of: Definition) -> Definition {
    Definition { searched: true, ..of }
}

const fn balanced(of: Definition) -> Definition {
    Definition { balanced: true, ..of }
}

fn seconds(time: Time) -> Cell {
    Cell::from(time.as_secs_f64())
}

const PEAK: &str = "peak_memory_bytes";
const SHORT: &str = "memory_short_bytes";
const FILL: &str = "peak_memory_fill_ratio";

static ALL: [Definition; 46] = [
    real("iteration_time_s", true, |ran| seconds(ran.report.iteration_time.mean)),
    real("iteration_time_min_s", false, |ran| seconds(ran.report.iteration_time.min)),
    real("iteration_time_max_s", false, |ran| seconds(ran.report.iteration_time.max)),
    real("tokens_per_s", true, |ran| ran.report.efficiency.tokens_per_s.into()),
    real("samples_per_s", true, |ran| ran.report.efficiency.samples_per_s.into()),
    real("tokens_per_card_per_s", false, |ran| ran.report.efficiency.tokens_per_card_per_s.into()),
    real("samples_per_card_per_s", false, |ran| {
        ran.report.efficiency.samples_per_card_per_s.into()
    }),
    real("mfu_ratio", true, |ran| ran.report.efficiency.mfu_ratio.into()),
    real("hfu_ratio", false, |ran| ran.report.efficiency.hfu_ratio.into()),
    real("heterogeneous_mfu_ratio", true, |ran| {
        ran.report.efficiency.heterogeneous_mfu_ratio.into()
    }),
    real("model_flops_per_card_per_s", false, |ran| {
        ran.report.efficiency.model_flops_per_card_per_s.into()
    }),
    real("hardware_flops_per_card_per_s", false, |ran| {
        ran.report.efficiency.hardware_flops_per_card_per_s.into()
    }),
    balanced(real("straggler_loss_ratio", true, |ran| {
        ran.report.imbalance.as_ref().map(|mix| mix.loss_ratio).into()
    })),
    balanced(real("balanced_iteration_time_s", false, |ran| {
        ran.report.imbalance.as_ref().map(|mix| mix.balanced.as_secs_f64()).into()
    })),
    real("compute_s", true, |ran| seconds(ran.report.breakdown.compute)),
    real("compute_forward_s", false, |ran| seconds(ran.report.breakdown.computed.forward)),
    real("compute_backward_s", false, |ran| seconds(ran.report.breakdown.computed.backward)),
    real("compute_recompute_s", false, |ran| seconds(ran.report.breakdown.computed.recompute)),
    real("compute_other_s", false, |ran| seconds(ran.report.breakdown.computed.other)),
    real("overlap_slowdown_s", false, |ran| seconds(ran.report.breakdown.overlap_slowdown)),
    real("exposed_tensor_parallel_s", true, |ran| {
        seconds(ran.report.breakdown.exposed_tensor_parallel)
    }),
    real("exposed_context_parallel_s", false, |ran| {
        seconds(ran.report.breakdown.exposed_context_parallel)
    }),
    real("exposed_expert_parallel_s", false, |ran| {
        seconds(ran.report.breakdown.exposed_expert_parallel)
    }),
    real("exposed_pipeline_parallel_s", true, |ran| {
        seconds(ran.report.breakdown.exposed_pipeline_parallel)
    }),
    real("exposed_data_parallel_s", true, |ran| {
        seconds(ran.report.breakdown.exposed_data_parallel)
    }),
    real("exposed_host_s", false, |ran| seconds(ran.report.breakdown.exposed_host)),
    real("host_launch_s", false, |ran| seconds(ran.report.breakdown.host_launch)),
    balanced(real("bubble_s", true, |ran| seconds(ran.report.breakdown.bubble))),
    balanced(real("bubble_ratio", false, |ran| ran.report.bubble_ratio.into())),
    balanced(real("straggler_wait_s", true, |ran| seconds(ran.report.breakdown.straggler_wait))),
    real(PEAK, true, |ran| memory(ran, |_, peak| peak)),
    real(FILL, false, |ran| memory(ran, |card, peak| peak / card.memory_capacity_bytes)),
    real(SHORT, false, |_| Cell::Number(0.0)),
    whole("used_card_count", false, |ran| f64::from(ran.report.plan.used_card_count).into()),
    whole("idle_card_count", true, |ran| f64::from(ran.report.plan.idle_card_count).into()),
    text("idle_cards", false, |ran| idle(ran.report)),
    real("busiest_link_utilisation_ratio", false, |ran| {
        let busy = ran.report.links.iter().map(|link| link.utilisation_ratio);
        busy.reduce(f64::max).into()
    }),
    real("cost_per_hour_usd", false, |ran| ran.report.cost_per_hour_usd.into()),
    real("cost_per_million_tokens_usd", true, |ran| ran.report.cost_per_million_tokens_usd.into()),
    real("cost_per_million_images_usd", false, |ran| ran.report.cost_per_million_images_usd.into()),
    whole("simulated_operation_count", false, |ran| {
        (ran.report.simulated.operation_count as f64).into()
    }),
    text("plan", false, |ran| Cell::Text(plan(ran.report))),
    searched(real("own_plan_iteration_time_s", true, |ran| {
        let own = ran.found.and_then(|found| found.baseline.as_ref());
        own.filter(|own| own.fits()).and_then(|own| own.time).map(Time::as_secs_f64).into()
    })),
    searched(real("gap_to_lower_bound_ratio", true, |ran| {
        let time = ran.report.iteration_time.mean.as_secs_f64();
        ran.found.map(|found| time / found.lower_bound_s - 1.0).into()
    })),
    searched(whole("idle_card_type_count", true, |ran| {
        let unused = ran.report.card_types.iter().filter(|card| card.used_count == 0);
        (unused.count() as f64).into()
    })),
    searched(whole("evaluated_plan_count", false, |ran| {
        ran.found.map(|found| found.plans as f64).into()
    })),
];

/// The largest of a figure over types of cards in use.
fn memory(ran: &Ran, figure: fn(&CardType, f64) -> f64) -> Cell {
    let cards = ran.report.card_types.iter();
    let of_type =
        |card: &CardType| card.used.as_ref().map(|used| figure(card, used.peak_memory_bytes));
    cards.filter_map(of_type).reduce(f64::max).into()
}

/// Cards that no stage has, `8 x v100-sxm2-32`.
fn idle(report: &Report) -> Cell {
    let types = report.card_types.iter().filter(|card| card.idle_count > 0);
    let list: Vec<String> =
        types.map(|card| format!("{} x {}", card.idle_count, card.id)).collect();
    if list.is_empty() { Cell::None } else { Cell::Text(list.join(", ")) }
}

/// Pipelines of equal shape in a few words: `2 x (4 stages: a800-sxm-80, h800-sxm-80; 32 x 1)`.
fn plan(report: &Report) -> String {
    let class = |class: &motley_report::PipelineClass| {
        format!(
            "{} x ({} stages: {}; {} x {})",
            class.pipeline_count,
            class.stage_count,
            class.cards.join(", "),
            class.micro_batch_count,
            class.sequences_per_micro_batch_count
        )
    };
    report.plan.pipeline_classes.iter().map(class).collect::<Vec<_>>().join(" + ")
}

impl Metric {
    fn known(with_search: bool) -> impl Iterator<Item = &'static Definition> {
        ALL.iter().filter(move |definition| with_search || !definition.searched)
    }

    /// All names.
    pub(crate) fn names(with_search: bool) -> impl Iterator<Item = &'static str> {
        Self::known(with_search).map(|definition| definition.name)
    }

    /// The one of that name.
    pub(crate) fn named(name: &str, with_search: bool) -> Option<Self> {
        Self::known(with_search).find(|definition| definition.name == name).map(Self)
    }

    /// Those that a study has unless it chooses. After a search it also matters who idles, and how the
    /// plan looks.
    pub(crate) fn usual(with_search: bool) -> Vec<Self> {
        let also = |name: &str| with_search && ["idle_cards", "plan"].contains(&name);
        Self::known(with_search)
            .filter(|definition| definition.usual || also(definition.name))
            .map(Self)
            .collect()
    }

    /// Whether it needs the replay of balanced compute.
    pub(crate) fn is_balanced(self) -> bool {
        self.0.balanced
    }

    pub(crate) fn heading(self) -> Heading {
        Heading { name: self.0.name.to_owned(), storage: self.0.storage }
    }

    /// What it is of a point that ran.
    pub(crate) fn of(self, ran: &Ran) -> Cell {
        (self.0.of)(ran)
    }

    /// What it is of a point that does not fit into memory: figures of memory alone.
    pub(crate) fn of_shortage(self, short: &[OutOfMemory]) -> Cell {
        let figure: fn(&OutOfMemory) -> f64 = match self.0.name {
            PEAK => |row| row.needed_bytes,
            FILL => |row| row.needed_bytes / row.capacity_bytes,
            SHORT => |row| row.short_bytes,
            _ => return Cell::None,
        };
        short.iter().map(figure).reduce(f64::max).into()
    }
}
