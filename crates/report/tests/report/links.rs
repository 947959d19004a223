//! Bytes by link are those that the calls carry.

use std::collections::BTreeMap;

use motley_engine::{Engine, Observer, Options};
use motley_job::{CommId, Footprint};
use motley_report::{LinkTraffic, Report};
use motley_scheduler::{Lowered, Traffic};
use motley_topology::LinkId;
use motley_units::Time;

use crate::fixture::{Fixture, Hand, mixed, plan, port_links};
use crate::lowered::from_catalogue;

/// Counts instances by communicator and call, in its own way.
#[derive(Default)]
struct Instances(BTreeMap<(u32, u16), u64>);

impl Observer for Instances {
    fn transfer(&mut self, comm: CommId, call: u16, _: u32, _: Time, _: Time) {
        *self.0.entry((comm.0, call)).or_default() += 1;
    }
}

fn check_conserved(fixture: &Fixture) {
    let lowered: &Lowered = &fixture.lowered;
    let engine = Engine::new(&lowered.job).unwrap();
    let mut instances = Instances::default();
    motley_engine::replay(&engine, &Options::default(), &mut instances).unwrap();
    let mut expected = 0.0;
    for ((comm, call), count) in instances.0 {
        let communicator = &lowered.job.communicators[comm as usize];
        let call = &lowered.job.call_sets[communicator.calls.0 as usize].calls[usize::from(call)];
        let footprint = communicator.footprints[usize::from(call.footprint)];
        let crossings: f64 =
            lowered.job.footprints[footprint.0 as usize].links.iter().map(|&(_, n)| n).sum();
        expected += count as f64 * call.bytes * crossings;
    }
    let traffic = LinkTraffic::new(lowered, &fixture.run().account);
    let found: f64 = (0..lowered.job.links.len() as u32).map(|id| traffic.bytes(LinkId(id))).sum();
    assert!(expected > 0.0);
    assert!((found / expected - 1.0).abs() < 1e-12, "{found} != {expected}");
}

#[test]
fn every_byte_is_on_a_link() {
    check_conserved(&mixed());
    check_conserved(&from_catalogue(4));
}

#[test]
fn multiplicity_bytes_and_instances_multiply() {
    let port = port_links()[0];
    let mut hand = Hand::new();
    let footprint = Footprint::from_crossings([(motley_job::LinkId(port), 2.5)]);
    let comm = hand.loaded(Traffic::TensorParallel, &[0, 1], 1, 1000.0, footprint);
    for _ in 0..2 {
        let mut ops = vec![hand.compute("forward", 0, 100)];
        for _ in 0..4 {
            ops.push(hand.collective("tensor-parallel collective", comm));
        }
        hand.rank(ops);
    }
    let fixture = Fixture::new(plan(&[(1, &[(&[0, 2], 12)])]), hand.finish(), vec![1e9, 1e9]);
    let run = fixture.run();
    let traffic = LinkTraffic::new(&fixture.lowered, &run.account);
    for id in 0..fixture.cluster.link_count() {
        let expected = if id == port { 10_000.0 } else { 0.0 };
        let found = traffic.bytes_of(LinkId(id), Traffic::TensorParallel);
        assert!((found - expected).abs() < 1e-9, "link {id}: {found}");
        assert!((traffic.bytes(LinkId(id)) - expected).abs() < 1e-9);
    }
    let report = Report::new(&fixture.subject(), std::slice::from_ref(&run), None).unwrap();
    let [load] = report.links.as_slice() else { panic!("{:?}", report.links) };
    assert_eq!(load.link, fixture.cluster.link_name(LinkId(port)));
    assert_eq!((load.traffic, load.link_count), ("tensor-parallel", 1));
    let capacity = fixture.cluster.capacity(LinkId(port)).0;
    let expected = 10_000.0 / (capacity * run.outcome.end.as_secs_f64());
    assert!((load.utilisation_ratio / expected - 1.0).abs() < 1e-12);
}
