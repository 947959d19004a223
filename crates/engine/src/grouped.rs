//! Lists by thing, laid out in one.

use std::ops::Index;

/// For each of many things a list. All lists lie one behind the other.
#[derive(Clone, Debug)]
pub(crate) struct Grouped<T> {
    entries: Vec<T>,
    /// By thing, where its list begins; and where the last one ends.
    first: Vec<u32>,
}

impl<T: Copy + Default> Grouped<T> {
    /// Lists for `things` things of what `entries` gives, each with the thing that it belongs to;
    /// each list in the order of the entries. They are gone through twice: first to count, then to
    /// place.
    pub(crate) fn new<I>(things: usize, entries: impl Fn() -> I) -> Self
    where
        I: Iterator<Item = (u32, T)>,
    {
        let mut first = vec![0u32; things + 2];
        // `for_each`, as entries come from loops inside loops, which a `for` would step through.
        entries().for_each(|(thing, _)| first[thing as usize + 2] += 1);
        for thing in 2..first.len() {
            first[thing] += first[thing - 1];
        }
        let mut placed = vec![T::default(); first[things + 1] as usize];
        entries().for_each(|(thing, entry)| {
            let next = &mut first[thing as usize + 1];
            placed[*next as usize] = entry;
            *next += 1;
        });
        first.pop();
        Self { entries: placed, first }
    }
}

impl<T> Index<usize> for Grouped<T> {
    type Output = [T];

    fn index(&self, thing: usize) -> &[T] {
        &self.entries[self.first[thing] as usize..self.first[thing + 1] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_the_order_of_entries() {
        let entries = [(2, 'a'), (0, 'b'), (2, 'c'), (2, 'd'), (0, 'e')];
        let grouped = Grouped::new(4, || entries.into_iter());
        let lists = ["be", "", "acd", ""].map(|list| list.chars().collect::<Vec<_>>());
        for (thing, list) in lists.iter().enumerate() {
            assert_eq!(&grouped[thing], list.as_slice());
        }
        assert!(Grouped::<u8>::new(1, std::iter::empty)[0].is_empty());
    }
}
