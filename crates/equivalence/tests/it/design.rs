//! The cheapest pools.

use motley_equivalence::{Design, Nodes, Offer, Order, design};

use crate::setup::{BUDGET_S, open};

const DAYS: f64 = 1.0;

fn ask(samples: f64, offers: &[(&str, Option<u32>)]) -> Design {
    let offers = offers
        .iter()
        .map(|(card, stock)| Offer { nodes: Nodes::of(card, None, None).unwrap(), stock: *stock });
    let order =
        Order { samples, days: DAYS, offers: offers.collect(), most: 256, budget_s: BUDGET_S };
    let scenario = open("(design: \"dgx-a100\", count: 1)", "precision: Fp16");
    design(&scenario, &order, &|_, _| {}).unwrap()
}

/// Every pool is in time, the cheapest comes first, and costs are card-hours times prices.
fn check(answer: &Design) {
    for pool in &answer.pools {
        assert!(pool.days <= DAYS * (1.0 + 1e-9), "{}", pool.days);
        let hours = pool.days * 24.0;
        assert!((pool.card_hours - hours * f64::from(pool.side.cards)).abs() < 1e-6);
        if let (Some(cost), Some(price)) = (pool.cost_usd, pool.side.usd_per_hour) {
            assert!((cost - price * hours).abs() < 1e-6);
        }
    }
    let costs: Vec<f64> = answer.pools.iter().filter_map(|pool| pool.cost_usd).collect();
    assert!(costs.is_sorted());
}

#[test]
fn pools_are_in_time_and_in_order_of_cost() {
    let answer = ask(1e8, &[("a100-sxm-80", None), ("v100-sxm2-32", None), ("h100-sxm", None)]);
    check(&answer);
    assert!(answer.pools.len() >= 3, "{:?}", answer.refused);
    assert!(answer.refused.is_empty());
}

#[test]
fn what_is_not_enough_alone_goes_together() {
    let answer = ask(2.0e8, &[("a100-sxm-80", Some(16)), ("v100-sxm2-32", Some(64))]);
    check(&answer);
    assert_eq!(answer.refused.len(), 2, "{:?}", answer.refused);
    assert_eq!(answer.pools.len(), 1, "{:?}", answer.refused);
    assert_eq!(answer.pools[0].parts.len(), 2);
}

#[test]
fn too_much_is_refused() {
    let answer = ask(1e12, &[("a100-sxm-80", Some(8)), ("v100-sxm2-32", Some(4))]);
    assert!(answer.pools.is_empty());
    let reasons: Vec<&str> = answer.refused.iter().map(|(_, why)| why.as_str()).collect();
    assert!(reasons[0].contains("reach"), "{reasons:?}");
    assert!(reasons[1].contains("fewer than the 8 cards of a node"), "{reasons:?}");
}
