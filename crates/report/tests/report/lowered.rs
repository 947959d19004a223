//! The whole way from the catalogue: what the scheduler writes is what the report reads.

use motley_collectives::Layouts;
use motley_engine::Options;
use motley_hardware::{Catalog, FabricShape, Routing};
use motley_job::RankId;
use motley_report::{ComputeKind, Report, balanced_slowness, text};
use motley_scheduler::{Fidelity, KernelTimes, check_plan, lower};
use motley_topology::{Cluster, ClusterSpec, FabricSpec, NodeGroup};
use motley_units::Time;
use motley_workload::{Pass, Recompute, flops, model_flops};

use crate::fixture::{Fixture, Stages, mixed, plan, run};
use crate::golden::check_page;

/// A tensor-parallel pipeline on V100 and another on P100, in a cluster of 16 cards.
pub(crate) fn from_catalogue(micro_batches: u32) -> Fixture {
    let catalog = Catalog::builtin();
    let groups = ["dgx1-v100", "dgx1-p100"].map(|design| {
        let design = catalog.node(design).unwrap().clone();
        NodeGroup {
            name: design.id.clone(),
            device: catalog.device(&design.device).unwrap().clone(),
            nic: catalog.nic(&design.nic).unwrap().clone(),
            design,
            count: 1,
        }
    });
    let fabric = FabricSpec {
        shape: FabricShape::SingleSwitch,
        technology: groups[0].nic.technology,
        port: None,
        oversubscription: 1.0,
        routing: Routing::Ecmp,
    };
    let cluster = Cluster::build(ClusterSpec { groups: groups.into(), fabric }).unwrap();
    let mut fixture = mixed();
    let pipelines: [(u32, Stages); 2] = [
        (3 * micro_batches, &[(&[0, 1], 7), (&[2, 3], 5)]),
        (micro_batches, &[(&[8, 9], 6), (&[10, 11], 6)]),
    ];
    fixture.plan = plan(&pipelines);
    fixture.plan.pipelines[1].stages[0].recompute = Recompute::Full;
    let Fixture { plan, model, training, .. } = &fixture;
    assert_eq!(check_plan(plan, &cluster, catalog, model, training, 4 * micro_batches), []);
    let times = KernelTimes::new(&cluster, catalog, model, training, None, plan.gpus()).unwrap();
    let mut layouts = Layouts::new(false);
    let lowered = lower(plan, &cluster, &times, &mut layouts, Fidelity::Bundled).unwrap();
    Fixture { cluster, lowered, ..fixture }
}

#[test]
fn what_was_scheduled_is_what_is_reported() {
    let micro_batches = 4;
    let fixture = from_catalogue(micro_batches);
    let one = fixture.run();
    for rank in (0..8).map(RankId) {
        let place = fixture.lowered.place(rank);
        for kind in ComputeKind::ALL {
            let spent = one.account.compute_of(rank, kind) > Time::ZERO;
            let again = (place.pipeline, place.stage) == (1, 0);
            assert_eq!(spent, kind != ComputeKind::Recompute || again, "{rank:?} {kind:?}");
        }
    }
    let slowness = balanced_slowness(&fixture.lowered);
    let balanced =
        run(&fixture.lowered, &Options { slowness: Some(&slowness), ..Options::default() });
    let report =
        Report::new(&fixture.subject(), std::slice::from_ref(&one), Some(&balanced)).unwrap();

    let parts = report.breakdown;
    assert_eq!(parts.total(), one.outcome.end);
    assert!(parts.exposed_tensor_parallel > Time::ZERO && parts.bubble > Time::ZERO);
    assert!(
        parts.exposed_data_parallel > Time::ZERO && parts.exposed_pipeline_parallel > Time::ZERO
    );

    let (model, training) = (&fixture.model, &fixture.training);
    let length = training.tokens();
    let batch = f64::from(4 * micro_batches);
    let found = &report.efficiency;
    assert!((found.model_flops / (batch * model_flops(model, training).0) - 1.0).abs() < 1e-12);
    let seconds = one.outcome.end.as_secs_f64();
    assert!(
        (found.tokens_per_s.unwrap() * seconds / (batch * f64::from(length)) - 1.0).abs() < 1e-12
    );
    // Six layers of the slow pipeline's micro-batches are computed once more.
    let again =
        6.0 * f64::from(micro_batches) * flops(model, model.part(0), training, Pass::Forward).0;
    let (hfu, mfu) = (found.hfu_ratio.unwrap(), found.mfu_ratio.unwrap());
    assert!((hfu / mfu - 1.0 - again / found.model_flops).abs() < 1e-12);
    // Four V100 at 125 and four P100 at their fp16 rate: the arithmetic that both really run.
    assert!((found.heterogeneous_mfu_ratio.unwrap() - mfu).abs() < 1e-12);

    let cards: Vec<(u32, u32)> =
        report.card_types.iter().map(|card| (card.used_count, card.idle_count)).collect();
    assert_eq!(cards, [(4, 4), (4, 4)]);
    assert_eq!(report.stages.len(), 4);
    assert_eq!(report.imbalance.as_ref().unwrap().kind, "straggler loss of the mix");
    let page = text(&report);
    check_page(&page);
    assert!(page.contains("micro-batches 12 (V100) / 4 (P100)"), "{page}");
    assert!(page.contains("8 cards idle"), "{page}");
}
