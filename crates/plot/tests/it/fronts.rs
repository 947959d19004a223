//! Pareto fronts against brute force.

use motley_plot::{Better, Dot, Front};

#[test]
fn a_front_is_what_no_other_point_beats() {
    // A small linear congruential generator: points on a coarse grid, so that there are ties.
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as f64
    };
    for round in 0..400_u64 {
        let dots: Vec<Dot> =
            (0..round % 12).map(|_| Dot { x: next(6), y: next(6), label: String::new() }).collect();
        for (x, y) in [
            (Better::Low, Better::Low),
            (Better::Low, Better::High),
            (Better::High, Better::Low),
            (Better::High, Better::High),
        ] {
            let cost =
                |better: Better, value: f64| if better == Better::Low { value } else { -value };
            let costs: Vec<(f64, f64)> =
                dots.iter().map(|dot| (cost(x, dot.x), cost(y, dot.y))).collect();
            let beats = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 <= b.1 && a != b;
            let expected: Vec<usize> = (0..dots.len())
                .filter(|&at| !costs.iter().any(|&other| beats(other, costs[at])))
                .collect();
            let found = Front { x, y }.of(&dots);
            assert!(found.windows(2).all(|pair| dots[pair[0]].x <= dots[pair[1]].x));
            let mut sorted = found;
            sorted.sort_unstable();
            assert_eq!(sorted, expected, "{dots:?}");
        }
    }
}
