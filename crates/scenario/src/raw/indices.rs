//! Lists of numbers in which runs may be written as ranges: `0..8`, `[0..4, 6, 7]`.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A range, or a list of ranges: the layers of each chunk of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRanges(pub Vec<Range<u32>>);

/// A range, or a list of numbers and ranges: cards. A number is kept as a range of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cards(pub Vec<Range<u32>>);

impl Cards {
    /// How many numbers there are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| u64::from(range.end.saturating_sub(range.start))).sum()
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }
}

/// What an item of a list may be, and how messages call the list.
pub trait Members: Sized {
    /// For "expected ...".
    const EXPECTED: &'static str;
    /// Whether an item may be a single number.
    const NUMBERS: bool;
    /// Makes the list.
    fn from_ranges(ranges: Vec<Range<u32>>) -> Self;
}

impl Members for LayerRanges {
    const EXPECTED: &'static str = "a range of layers, `0..12`, or a list of ranges";
    const NUMBERS: bool = false;
    fn from_ranges(ranges: Vec<Range<u32>>) -> Self {
        Self(ranges)
    }
}

impl Members for Cards {
    const EXPECTED: &'static str = "a range of cards, `0..8`, or a list of cards and ranges";
    const NUMBERS: bool = true;
    fn from_ranges(ranges: Vec<Range<u32>>) -> Self {
        Self(ranges)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Members> Visitor<'de> for ListVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        Range::deserialize(MapAccessDeserializer::new(map)).map(|range| T::from_ranges(vec![range]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<T, A::Error> {
        let mut ranges = Vec::new();
        while let Some(item) = items.next_element::<Item<T>>()? {
            ranges.push(item.0);
        }
        Ok(T::from_ranges(ranges))
    }
}

struct Item<T>(Range<u32>, PhantomData<T>);

struct ItemVisitor<T>(PhantomData<T>);

impl<'de, T: Members> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor(PhantomData))
    }
}

impl<'de, T: Members> Visitor<'de> for ItemVisitor<T> {
    type Value = Item<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if T::NUMBERS {
            "the number of a card, or a range, `0..8`"
        } else {
            "a range of layers, `0..12`"
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item<T>, A::Error> {
        Range::deserialize(MapAccessDeserializer::new(map)).map(|range| Item(range, PhantomData))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Item<T>, E> {
        match u32::try_from(number) {
            Ok(number) if T::NUMBERS && number < u32::MAX => {
                Ok(Item(number..number + 1, PhantomData))
            }
            _ => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
        }
    }
}

/// Written as it was read, in the shortest form: one range alone, else a list.
fn write<S: Serializer>(ranges: &[Range<u32>], serializer: S) -> Result<S::Ok, S::Error> {
    match ranges {
        [only] => only.serialize(serializer),
        several => several.serialize(serializer),
    }
}

macro_rules! serde_as_members {
    ($($name:ident),+) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(ListVisitor(PhantomData))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                write(&self.0, serializer)
            }
        }
    )+};
}

serde_as_members!(Cards, LayerRanges);
