//! The contradictions that the catalogue is checked for, in the words that name the entry and the
//! remedy.

use thiserror::Error;

use crate::FabricTechnology;

/// A contradiction in the catalogue.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages name the fields")]
pub enum Inconsistency {
    /// A source key that `sources.ron` lacks.
    #[error("{entry}: `{field}` cites `{key}`, which is not in sources.ron; add it there")]
    UnknownSource { entry: String, field: String, key: String },
    /// A figure without a source.
    #[error("{entry}: `{field}` gives no source; say where or why")]
    Unexplained { entry: String, field: String },
    /// A card of an architecture that has no constants.
    #[error("device `{device}`: there is no architecture `{architecture}`; add its file")]
    UnknownArchitecture { device: String, architecture: String },
    /// A node that carries a card that does not exist.
    #[error("node `{node}`: there is no device `{device}`; add its file")]
    UnknownDevice { node: String, device: String },
    /// A node or fabric with a NIC that does not exist.
    #[error("{entry}: there is no NIC `{nic}`; add its file")]
    UnknownNic { entry: String, nic: String },
    /// A fabric whose NICs do not speak as it does.
    #[error(
        "fabric `{fabric}`: speaks {technology:?}, its NIC `{nic}` {speaks:?}; name another NIC"
    )]
    FabricTechnology {
        fabric: String,
        technology: FabricTechnology,
        nic: String,
        speaks: FabricTechnology,
    },
    /// More capacity up than down, which a fabric cannot use.
    #[error(
        "fabric `{fabric}`: `oversubscription` is downward over upward capacity and at least 1, \
         found {oversubscription}"
    )]
    Undersubscribed { fabric: String, oversubscription: f64 },
    /// A quantity that must be above zero.
    #[error("{entry}: `{field}` must be above zero")]
    NotPositive { entry: String, field: &'static str },
    /// A share outside of `(0, 1]`.
    #[error("{entry}: `{field}` is a share above 0 and at most 1, found {value}")]
    NotAShare { entry: String, field: &'static str, value: f64 },
    /// A card without any arithmetic path.
    #[error("device `{device}`: has no peak rate at all; give at least `peaks.fp32`")]
    NoPeak { device: String },
    /// A node that links cards that have no links.
    #[error(
        "node `{node}`: links its cards beside PCIe, but device `{device}` has no such links; \
         use `scale_up: None` or another device"
    )]
    NoLinks { node: String, device: String },
    /// A link matrix that is not square with one row per card.
    #[error("node `{node}`: the link matrix must have {gpus} rows and {gpus} columns")]
    MeshShape { node: String, gpus: u32 },
    /// A link matrix that says two things of one pair.
    #[error(
        "node `{node}`: the link matrix gives {forth} links for ({row}, {column}) and {back} for ({column}, {row})"
    )]
    MeshAsymmetric { node: String, row: usize, column: usize, forth: u32, back: u32 },
    /// A card that is linked to itself.
    #[error("node `{node}`: the link matrix links card {gpu} to itself")]
    MeshSelfLink { node: String, gpu: usize },
    /// More links than the card has.
    #[error("node `{node}`: card {gpu} uses {used} links, but device `{device}` has {available}")]
    MeshOverfull { node: String, gpu: usize, used: u32, device: String, available: u32 },
    /// Switches that no card reaches.
    #[error("node `{node}`: NVSwitch needs between 1 and {links} switches, found {switches}")]
    SwitchCount { node: String, switches: u32, links: u32 },
    /// A card that is not in the PCIe layout exactly once.
    #[error(
        "node `{node}`: card {gpu} of {gpus} is {times} times in the PCIe layout, must be once"
    )]
    GpuPlacement { node: String, gpu: u32, gpus: u32, times: usize },
    /// NICs that are not numbered from zero without gaps.
    #[error(
        "node `{node}`: NIC {nic} is {times} times in the PCIe layout; {nics} NICs are there, \
         numbered from 0, each once"
    )]
    NicPlacement { node: String, nic: u32, nics: u32, times: usize },
    /// A switch below a socket that the node lacks.
    #[error("node `{node}`: PCIe switch {switch} is below socket {socket} of {sockets}")]
    NoSuchSocket { node: String, switch: usize, socket: u32, sockets: u32 },
}
