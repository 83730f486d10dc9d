//! The workloads, one file each. A workload builds its scene, drives its clients, checks what they receive,
//! and returns its figures.

mod burst;
mod catch_up;
mod devices;
mod highest_rate;
mod history;
mod hot_room;
mod idle;
mod lone_sender;
mod many_rooms;
mod offered_rate;
mod private_pairs;
mod reactions;
mod stalled_reader;
mod stored;

use anyhow::Result;
use futures_util::future::BoxFuture;

use crate::{
    client::{Options, Receipts},
    scene::Scene,
    server::{Contender, Storage},
    stage::{Figures, Scale, Stage},
};

/// See the module.
pub struct Workload {
    pub name: &'static str,
    pub storage: Storage,
    pub contenders: &'static [Contender],
    pub scene: fn(Scale) -> Scene,
    pub run: for<'a> fn(&'a Stage) -> BoxFuture<'a, Result<Figures>>,
    /// Its rows in the report.
    pub rows: &'static [Row],
}

/// A row of the report.
pub struct Row {
    /// The figure's name.
    pub figure: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub target: Option<Target>,
}

/// The required value and the value that is aimed at.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Maximum ratio of Parlor's figure to that of the better peer.
    OfPeers(f64, f64),
    /// The same, but the value that is aimed at need not be below the floor's times the third number.
    OfPeersOrFloor(f64, f64, f64),
    /// Maximum ratio of Parlor's figure to that of the peer on Node.
    OfNode(f64, f64),
    /// Minimum ratio of Parlor's figure to that of the peer on Node.
    TimesNode(f64, f64),
    /// Maximum ratio of Parlor's figure to the floor's.
    OfFloor(f64, f64),
    /// Maximum of Parlor's figure.
    AtMost(f64, f64),
}

impl Row {
    const fn plain(figure: &'static str, what: &'static str, unit: &'static str) -> Self {
        Self { figure, what, unit, target: None }
    }

    const fn aimed(figure: &'static str, what: &'static str, unit: &'static str, target: Target) -> Self {
        Self { figure, what, unit, target: Some(target) }
    }
}

const PEERS: &[Contender] = &[Contender::Parlor, Contender::Node, Contender::Bun];
const WITH_FLOOR: &[Contender] = &[Contender::Parlor, Contender::Node, Contender::Bun, Contender::Floor];
/// On PostgreSQL.
const NODE: &[Contender] = &[Contender::Parlor, Contender::Node];

/// In the order of the report.
pub const ALL: &[&Workload] = &[
    &hot_room::BATCHED,
    &hot_room::ACKNOWLEDGED,
    &hot_room::SINGLE,
    &hot_room::SINGLE_ACKNOWLEDGED,
    &burst::BURST,
    &many_rooms::MANY_ROOMS,
    &many_rooms::PART_LOAD,
    &private_pairs::ON_SQLITE,
    &private_pairs::ON_POSTGRES,
    &stored::ON_SQLITE,
    &stored::ON_POSTGRES,
    &lone_sender::LONE_SENDER,
    &offered_rate::ORDINARY_RATE,
    &offered_rate::OFFERED_RATE,
    &highest_rate::HIGHEST_RATE,
    &catch_up::CATCH_UP,
    &reactions::LIVE,
    &reactions::REPLAYED,
    &history::HISTORY,
    &offered_rate::POLLING,
    &devices::DEVICES,
    &idle::IDLE,
    &stalled_reader::STALLED_READER,
];

/// Clients that have all messages and do not catch up.
fn fresh(receipts: Receipts) -> Options {
    Options { receipts, has: 0, catches_up: false, changes: None, polling: false }
}
