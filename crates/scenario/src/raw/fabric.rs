//! The network between nodes: `Preset("hpn7")`, or `(technology: RoCE, ..)` without a name.

use std::fmt;

use motley_hardware::{Catalog, Fabric, FabricShape, FabricTechnology, Routing};
use motley_topology::FabricSpec;
use motley_units::BytesPerSec;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::written;

/// The network between nodes: one that the catalogue knows, or one written out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum RawFabric {
    /// The catalogue id of a known cluster's network.
    Preset(String),
    /// Every part of it.
    #[serde(untagged)]
    Written(WrittenFabric),
}

/// A network between nodes, written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Fabric")]
pub struct WrittenFabric {
    /// What it speaks.
    pub technology: FabricTechnology,
    /// How its switches are wired; one switch that does not block, unless given.
    #[serde(default = "single_switch")]
    pub shape: FabricShape,
    /// The rate of a switch port; that of the NICs unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<BytesPerSec>,
    /// Downward over upward capacity of a leaf switch; 1 unless given.
    #[serde(default = "not_oversubscribed")]
    pub oversubscription: f64,
    /// How messages find their spine; `Adaptive` on EFA, else `Ecmp`, unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

fn single_switch() -> FabricShape {
    FabricShape::SingleSwitch
}

fn not_oversubscribed() -> f64 {
    1.0
}

impl WrittenFabric {
    /// A network of the catalogue, written out. Its ports have the rate of the NIC that it is built
    /// with.
    pub fn of(fabric: &Fabric, catalog: &Catalog) -> Self {
        Self {
            technology: *fabric.technology.get(),
            shape: *fabric.shape.get(),
            port: catalog.nic(fabric.nic.get()).map(|nic| *nic.rate.get()),
            oversubscription: *fabric.oversubscription.get(),
            routing: Some(*fabric.routing.get()),
        }
    }

    /// The network as a scenario file writes it.
    ///
    /// # Panics
    ///
    /// Never: all of it can be written.
    pub fn to_ron(&self) -> String {
        written(self)
    }
}

impl From<&FabricSpec> for WrittenFabric {
    fn from(fabric: &FabricSpec) -> Self {
        let FabricSpec { shape, technology, port, oversubscription, routing } = *fabric;
        Self { technology, shape, port, oversubscription, routing: Some(routing) }
    }
}

/// `ron` hands over what is in the brackets without the name before them: fields are a written
/// fabric, a text is a preset. The resolver looks at the name.
impl<'de> Deserialize<'de> for RawFabric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FabricVisitor;

        impl<'de> Visitor<'de> for FabricVisitor {
            type Value = RawFabric;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`Preset(\"name\")`, or a fabric in parentheses, `(technology: ...)`")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawFabric, A::Error> {
                WrittenFabric::deserialize(MapAccessDeserializer::new(map)).map(RawFabric::Written)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawFabric, A::Error> {
                match items.next_element()? {
                    Some(name) => Ok(RawFabric::Preset(name)),
                    None => Err(A::Error::invalid_length(0, &self)),
                }
            }
        }

        deserializer.deserialize_any(FabricVisitor)
    }
}
