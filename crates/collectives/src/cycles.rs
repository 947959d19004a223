//! Link-disjoint Hamiltonian cycles of a small multigraph: the rings that a mesh of NVLinks offers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Each cycle as vertices in order, from vertex 0; the closing edge is implied.
pub(crate) type Cycles = Vec<Vec<usize>>;

/// Steps after which the search keeps the best that it has. Meshes of eight cards need a few
/// thousand.
const BUDGET: u32 = 200_000;

thread_local! {
    /// Equal nodes ask for the same graph again and again; the answer depends on nothing else.
    static KNOWN: RefCell<BTreeMap<Vec<Vec<u32>>, Rc<Cycles>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A largest set of Hamiltonian cycles that together use no edge more often than `links` (the
/// symmetric matrix of edge counts) has it. For three vertices or more; for a graph too large to
/// search through, the best set found.
pub(crate) fn disjoint_cycles(links: &[Vec<u32>]) -> Rc<Cycles> {
    if let Some(cycles) = KNOWN.with_borrow(|known| known.get(links).cloned()) {
        return cycles;
    }
    let cycles = Rc::new(search(links));
    KNOWN.with_borrow_mut(|known| known.insert(links.to_vec(), Rc::clone(&cycles)));
    cycles
}

fn search(links: &[Vec<u32>]) -> Cycles {
    let size = links.len();
    if size < 3 {
        return Vec::new();
    }
    // Each cycle takes two edges of every vertex.
    let bound = links.iter().map(|row| row.iter().sum::<u32>() / 2).min().unwrap_or(0) as usize;
    let mut packing = Packing {
        links: links.to_vec(),
        bound,
        budget: BUDGET,
        current: Vec::new(),
        best: Vec::new(),
    };
    packing.extend(&mut vec![0], &mut visited(size));
    packing.best
}

fn visited(size: usize) -> Vec<bool> {
    let mut visited = vec![false; size];
    visited[0] = true;
    visited
}

struct Packing {
    /// Edges that are left.
    links: Vec<Vec<u32>>,
    bound: usize,
    budget: u32,
    current: Cycles,
    best: Cycles,
}

impl Packing {
    fn done(&self) -> bool {
        self.best.len() == self.bound || self.budget == 0
    }

    fn take(&mut self, a: usize, b: usize) {
        self.links[a][b] -= 1;
        self.links[b][a] -= 1;
    }

    fn put_back(&mut self, a: usize, b: usize) {
        self.links[a][b] += 1;
        self.links[b][a] += 1;
    }

    /// Tries every continuation of `path`, the next cycle in the making.
    fn extend(&mut self, path: &mut Vec<usize>, visited: &mut [bool]) {
        if self.done() {
            return;
        }
        self.budget -= 1;
        let size = self.links.len();
        let last = path[path.len() - 1];
        if path.len() == size {
            // Cycles are taken in ascending order and in one direction: each set comes up once.
            let in_order = self.current.last().is_none_or(|before| before <= path);
            if self.links[last][0] > 0 && path[1] < last && in_order {
                self.close(path);
            }
            return;
        }
        for next in 1..size {
            if !visited[next] && self.links[last][next] > 0 {
                self.take(last, next);
                visited[next] = true;
                path.push(next);
                self.extend(path, visited);
                path.pop();
                visited[next] = false;
                self.put_back(last, next);
            }
        }
    }

    /// Adds the cycle `path` and looks for the next.
    fn close(&mut self, path: &[usize]) {
        let last = path[path.len() - 1];
        self.take(last, 0);
        self.current.push(path.to_vec());
        if self.current.len() > self.best.len() {
            self.best.clone_from(&self.current);
        }
        self.extend(&mut vec![0], &mut visited(self.links.len()));
        self.current.pop();
        self.put_back(last, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(links: &[Vec<u32>], expected: usize) {
        let cycles = disjoint_cycles(links);
        assert_eq!(cycles.len(), expected, "{links:?}");
        let mut left = links.to_vec();
        for cycle in cycles.iter() {
            let mut sorted = cycle.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..links.len()), "every vertex once: {cycle:?}");
            for (i, &a) in cycle.iter().enumerate() {
                let b = cycle[(i + 1) % cycle.len()];
                assert!(left[a][b] > 0, "edge {a}-{b} is used too often");
                left[a][b] -= 1;
                left[b][a] -= 1;
            }
        }
    }

    fn complete(size: usize, count: u32) -> Vec<Vec<u32>> {
        (0..size).map(|i| (0..size).map(|j| if i == j { 0 } else { count }).collect()).collect()
    }

    /// Walecki: a complete graph of odd order splits into (n - 1) / 2 Hamiltonian cycles, one of
    /// even order into (n - 2) / 2 and a perfect matching.
    #[test]
    fn complete_graphs_split_as_walecki_has_it() {
        for size in 3..=8 {
            check(&complete(size, 1), (size - 1) / 2);
        }
        check(&complete(4, 2), 3);
    }

    #[test]
    fn graphs_without_a_cycle_have_none() {
        check(&[vec![0, 1, 1], vec![1, 0, 0], vec![1, 0, 0]], 0);
        check(&complete(2, 4), 0);
        check(&vec![vec![0; 5]; 5], 0);
    }

    /// Brute force: the largest number of disjoint cycles among all cyclic orders.
    fn brute(links: &[Vec<u32>]) -> usize {
        fn orders(rest: &[usize], prefix: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
            if rest.is_empty() {
                all.push(prefix.clone());
            }
            for (i, &v) in rest.iter().enumerate() {
                let mut others = rest.to_vec();
                others.remove(i);
                prefix.push(v);
                orders(&others, prefix, all);
                prefix.pop();
            }
        }
        fn most(links: &mut Vec<Vec<u32>>, all: &[Vec<usize>]) -> usize {
            let mut best = 0;
            for (i, cycle) in all.iter().enumerate() {
                let edges: Vec<_> =
                    (0..cycle.len()).map(|k| (cycle[k], cycle[(k + 1) % cycle.len()])).collect();
                if edges.iter().all(|&(a, b)| links[a][b] > 0) {
                    for &(a, b) in &edges {
                        links[a][b] -= 1;
                        links[b][a] -= 1;
                    }
                    best = best.max(1 + most(links, &all[i..]));
                    for &(a, b) in &edges {
                        links[a][b] += 1;
                        links[b][a] += 1;
                    }
                }
            }
            best
        }
        let mut all = Vec::new();
        orders(&(1..links.len()).collect::<Vec<_>>(), &mut vec![0], &mut all);
        all.retain(|cycle| cycle[1] < cycle[cycle.len() - 1]);
        most(&mut links.to_vec(), &all)
    }

    proptest::proptest! {
        #[test]
        fn as_many_as_brute_force_finds(counts in proptest::collection::vec(0u32..3, 10)) {
            // The upper triangle of a matrix of five rows.
            let place = |i: usize, j: usize| i * 5 + j - (i + 1) * (i + 2) / 2;
            let count = |i: usize, j: usize| if i == j { 0 } else { counts[place(i.min(j), i.max(j))] };
            let links: Vec<Vec<u32>> =
                (0..5).map(|i| (0..5).map(|j| count(i, j)).collect()).collect();
            check(&links, brute(&links));
        }
    }
}
