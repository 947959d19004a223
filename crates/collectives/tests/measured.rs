//! Held against published nccl-tests sweeps.

mod common;

use common::{MIB, members, nodes};
use motley_collectives::{CollectiveKind, Group};

/// Cards of one node, the collective, and pairs of MiB and microseconds.
type Sweep = (u32, CollectiveKind, &'static [(f64, f64)]);

/// The median of |predicted / measured - 1| over the points of all sweeps.
fn check(design: &str, count: u32, sweeps: &[Sweep], median: f64) {
    let cluster = nodes(&[(design, count)]);
    let mut errors: Vec<f64> = Vec::new();
    for &(per_node, kind, points) in sweeps {
        let members = members(&cluster, per_node);
        let group = Group::of_kinds(&cluster, &members, [kind]).expect("a communicator");
        for &(size, micros) in points {
            let predicted = group.uncontended(&group.call(kind, size * MIB)).0;
            errors.push((predicted / (micros * 1e-6) - 1.0).abs());
        }
    }
    errors.sort_by(f64::total_cmp);
    let found = errors[errors.len() / 2];
    assert!(found <= median, "{design}: median |error| {found:.3}, all {errors:.3?}");
}

use CollectiveKind::{AllGather, AllReduce, AllToAll, ReduceScatter};

/// NVIDIA aiconfigurator, `nccl_perf` of a100_sxm.
#[test]
fn one_node_of_a100() {
    let sweeps: &[Sweep] = &[
        (2, AllReduce, &[(1.0, 40.8), (8.0, 87.1), (64.0, 391.5), (512.0, 2781.1)]),
        (4, AllReduce, &[(1.0, 29.8), (8.0, 111.0), (64.0, 544.3), (512.0, 3716.3)]),
        (8, AllReduce, &[(1.0, 38.9), (8.0, 128.0), (64.0, 595.3), (512.0, 4225.9)]),
        (2, AllGather, &[(1.0, 19.9), (8.0, 59.7), (64.0, 266.3), (512.0, 1789.8)]),
        (8, AllGather, &[(1.0, 26.8), (8.0, 73.5), (64.0, 351.6), (512.0, 2288.0)]),
        (4, ReduceScatter, &[(1.0, 21.1), (8.0, 66.9), (64.0, 303.3), (512.0, 1982.3)]),
        (8, ReduceScatter, &[(1.0, 23.4), (8.0, 79.5), (64.0, 327.2), (512.0, 2207.1)]),
    ];
    check("dgx-a100", 1, sweeps, 0.10);
}

/// NVIDIA aiconfigurator, `nccl_perf` of h100_sxm.
#[test]
fn one_node_of_h100() {
    let sweeps: &[Sweep] = &[
        (2, AllReduce, &[(1.0, 14.7), (8.0, 47.3), (64.0, 254.6), (512.0, 1686.4)]),
        (4, AllReduce, &[(1.0, 18.1), (8.0, 62.8), (64.0, 330.4), (512.0, 2299.7)]),
        (8, AllReduce, &[(1.0, 25.4), (8.0, 78.9), (64.0, 324.5), (512.0, 2111.1)]),
        (2, AllGather, &[(1.0, 11.3), (8.0, 36.3), (64.0, 159.2), (512.0, 1038.6)]),
        (8, AllGather, &[(1.0, 17.1), (8.0, 44.9), (64.0, 208.1), (512.0, 1401.5)]),
        (4, ReduceScatter, &[(1.0, 11.6), (8.0, 38.5), (64.0, 194.6), (512.0, 1299.8)]),
        (8, ReduceScatter, &[(1.0, 14.6), (8.0, 43.8), (64.0, 200.8), (512.0, 1399.4)]),
    ];
    check("dgx-h100", 1, sweeps, 0.10);
}

/// NVIDIA aiconfigurator, `nccl_perf` of a100_sxm: the sizes to which nothing was fitted, every
/// other power of two.
#[test]
fn exchanges_on_one_node_of_a100() {
    let large: &[Sweep] = &[
        (
            2,
            AllToAll,
            &[(2.0, 28.62), (8.0, 56.05), (32.0, 136.5), (128.0, 445.6), (512.0, 1635.3)],
        ),
        (
            4,
            AllToAll,
            &[(2.0, 36.15), (8.0, 60.84), (32.0, 172.9), (128.0, 573.5), (512.0, 2065.7)],
        ),
        (
            8,
            AllToAll,
            &[(2.0, 38.57), (8.0, 67.84), (32.0, 191.3), (128.0, 640.5), (512.0, 2313.5)],
        ),
    ];
    check("dgx-a100", 1, large, 0.10);
    let small: &[Sweep] = &[
        (
            2,
            AllToAll,
            &[(8.0 / 1024.0, 11.6), (32.0 / 1024.0, 13.87), (128.0 / 1024.0, 14.44), (0.5, 17.24)],
        ),
        (
            4,
            AllToAll,
            &[(8.0 / 1024.0, 12.64), (32.0 / 1024.0, 14.11), (128.0 / 1024.0, 14.96), (0.5, 18.6)],
        ),
        (
            8,
            AllToAll,
            &[(8.0 / 1024.0, 15.93), (32.0 / 1024.0, 13.27), (128.0 / 1024.0, 16.56), (0.5, 18.98)],
        ),
    ];
    check("dgx-a100", 1, small, 0.10);
}

/// NVIDIA aiconfigurator, `nccl_perf` of h100_sxm: the sizes to which nothing was fitted, every
/// other power of two.
#[test]
fn exchanges_on_one_node_of_h100() {
    let large: &[Sweep] = &[
        (
            2,
            AllToAll,
            &[(2.0, 15.52), (8.0, 31.18), (32.0, 81.24), (128.0, 259.64), (512.0, 958.87)],
        ),
        (
            4,
            AllToAll,
            &[(2.0, 17.41), (8.0, 39.3), (32.0, 110.91), (128.0, 364.76), (512.0, 1397.04)],
        ),
        (
            8,
            AllToAll,
            &[(2.0, 18.58), (8.0, 41.36), (32.0, 124.9), (128.0, 402.42), (512.0, 1490.42)],
        ),
    ];
    check("dgx-h100", 1, large, 0.10);
    let small: &[Sweep] = &[
        (
            2,
            AllToAll,
            &[(8.0 / 1024.0, 6.84), (32.0 / 1024.0, 9.13), (128.0 / 1024.0, 13.97), (0.5, 14.4)],
        ),
        (
            4,
            AllToAll,
            &[(8.0 / 1024.0, 7.06), (32.0 / 1024.0, 8.83), (128.0 / 1024.0, 12.49), (0.5, 14.86)],
        ),
        (
            8,
            AllToAll,
            &[(8.0 / 1024.0, 7.53), (32.0 / 1024.0, 16.96), (128.0 / 1024.0, 9.74), (0.5, 14.85)],
        ),
    ];
    check("dgx-h100", 1, small, 0.10);
}

/// vTrain's published nccl-tests tables of a DGX-1 with V100, which its rings alone explain: 1, 2,
/// 4, 2, 2, 4 and 6 of them for 2 to 8 cards.
#[test]
fn one_node_of_v100() {
    let sweeps: &[Sweep] = &[
        (2, AllReduce, &[(8.0, 392.5), (64.0, 2998.9), (1024.0, 47610.0)]),
        (3, AllReduce, &[(8.0, 271.8), (64.0, 2003.9), (1024.0, 31714.0)]),
        (4, AllReduce, &[(8.0, 177.8), (64.0, 1202.1), (1024.0, 18869.0)]),
        (5, AllReduce, &[(8.0, 404.0), (64.0, 2953.3), (1024.0, 46223.0)]),
        (6, AllReduce, &[(8.0, 333.3), (64.0, 2471.4), (1024.0, 39121.0)]),
        (7, AllReduce, &[(8.0, 271.0), (64.0, 1365.7), (1024.0, 21156.0)]),
        (8, AllReduce, &[(8.0, 237.9), (64.0, 911.3), (1024.0, 13969.0)]),
    ];
    check("dgx1-v100", 1, sweeps, 0.10);
}

/// AWS, awsome-distributed-training, nccl-tests: two p4de.
#[test]
fn two_nodes_of_a100_over_efa() {
    let sweeps: &[Sweep] = &[(
        8,
        AllReduce,
        &[(0.0625, 227.4), (1.0, 309.4), (8.0, 762.8), (64.0, 2644.6), (512.0, 13552.0)],
    )];
    check("p4de.24xlarge", 2, sweeps, 0.10);
}

/// AWS, awsome-distributed-training, nccl-tests: two p5.
#[test]
fn two_nodes_of_h100_over_efa() {
    let sweeps: &[Sweep] = &[(
        8,
        AllReduce,
        &[(1.0, 123.2), (8.0, 204.8), (64.0, 601.5), (512.0, 2559.2), (4096.0, 17286.0)],
    )];
    check("p5.48xlarge", 2, sweeps, 0.20);
}
