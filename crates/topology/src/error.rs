//! What can be wrong with a cluster and with a route.

use motley_hardware::{FabricTechnology, Vendor};
use thiserror::Error;

/// A cluster that cannot be built.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// No node at all.
    #[error("the cluster has no nodes; give it at least one group")]
    Empty,
    /// A group of zero nodes.
    #[error("group `{group}` has no nodes; set its count to 1 or more, or remove it")]
    EmptyGroup {
        /// The group.
        group: String,
    },
    /// The node design contradicts itself.
    #[error("node design `{design}`: {fault}")]
    Design {
        /// The design.
        design: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The card does not go into the node.
    #[error("group `{group}`: card `{device}` does not fit node design `{design}`: {fault}")]
    Misfit {
        /// The group.
        group: String,
        /// The card.
        device: String,
        /// The design.
        design: String,
        /// Why.
        fault: String,
    },
    /// A NIC on a fabric of another kind.
    #[error(
        "group `{group}`: NIC `{nic}` speaks {found:?}, the fabric {fabric:?}; choose another NIC for the group or another fabric"
    )]
    Technology {
        /// The group.
        group: String,
        /// The NIC.
        nic: String,
        /// What it speaks.
        found: FabricTechnology,
        /// What the fabric speaks.
        fabric: FabricTechnology,
    },
    /// The fabric cannot be wired.
    #[error("fabric: {fault}")]
    Fabric {
        /// What is wrong.
        fault: String,
    },
    /// A rate or share that is not a positive number.
    #[error("{what} of `{owner}` is {value}; it must be above zero{}", if *.share { " and at most 1" } else { "" })]
    Number {
        /// Which figure.
        what: &'static str,
        /// Of which catalogue entry.
        owner: String,
        /// What it is.
        value: f64,
        /// Whether it is a share.
        share: bool,
    },
    /// More cards or links than 32-bit numbers count.
    #[error("the cluster has more than 4,294,967,295 {what}")]
    TooLarge {
        /// Cards or links.
        what: &'static str,
    },
}

/// Traffic that the cluster cannot carry.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RouteError {
    /// No such card.
    #[error("GPU {gpu} does not exist; the cluster has {count}")]
    UnknownGpu {
        /// The card asked for.
        gpu: u32,
        /// How many there are.
        count: u32,
    },
    /// A card that must reach another node has no NIC.
    #[error(
        "GPU {gpu} (node {node}, `{design}`) cannot leave its node: the design has no NIC; choose a design with NICs or keep its traffic inside the node"
    )]
    NoNic {
        /// The card.
        gpu: u32,
        /// Its node.
        node: u32,
        /// The node's design.
        design: String,
    },
    /// Cards of two vendors in one communicator, which no library offers.
    #[error(
        "GPU {first} ({first_vendor:?}) and GPU {other} ({other_vendor:?}) cannot share a communicator: NCCL, RCCL and HCCL do not speak to each other; put cards of different vendors in different groups"
    )]
    MixedVendors {
        /// A card.
        first: u32,
        /// Who made it.
        first_vendor: Vendor,
        /// A card of another vendor.
        other: u32,
        /// Who made that.
        other_vendor: Vendor,
    },
    /// A card is twice in one communicator.
    #[error("GPU {gpu} is twice in one communicator")]
    RepeatedMember {
        /// The card.
        gpu: u32,
    },
    /// A communicator of nobody.
    #[error("a communicator needs at least one member")]
    NoMembers,
}
