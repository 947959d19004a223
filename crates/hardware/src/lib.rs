//! The hardware catalogue: cards, node designs, NICs and fabrics, each value with its source.
//!
//! The catalogue is data: RON files under `data/`, compiled into the library, so that a new card is
//! a new file and nothing else. [`Catalog::builtin`] reads them. Every figure is [`Cited`]: it
//! carries how it is known and where from, and a test holds each source key against
//! `data/sources.ron`. Entries that a user brings are read by [`Catalog::parse`] and checked by
//! the same [`Catalog::inconsistencies`] as the built-in ones.
//!
//! What a card can reach of its peaks is kept per architecture, in [`Architecture`], apart from
//! what the vendor prints, in [`Device`].

mod architecture;
mod catalog;
mod citation;
mod cited;
mod consistency;
mod device;
mod fabric;
mod fit;
mod inconsistency;
mod node;
mod precision;
mod scale;

pub use architecture::{Architecture, AttentionEfficiency, GemmEfficiency, MemoryEfficiency, Tile};
pub use catalog::{Catalog, CatalogError, Source};
pub use citation::Citation;
pub use cited::Cited;
pub use device::{Device, NvLink, Pcie, Peaks, Price};
pub use fabric::{Fabric, FabricShape, FabricTechnology, Nic, Routing};
pub use fit::{Fit, FitQuality, FitSeries};
pub use inconsistency::Inconsistency;
pub use node::{NodeDesign, PcieLayout, PcieSwitch, ScaleUp};
pub use precision::{MathPath, Vendor};
pub use scale::Scale;
