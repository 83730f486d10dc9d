//! The workloads, a file each. A workload makes its scene, drives its clients, checks what they were sent, and says what
//! it measured.

mod burst;
mod catch_up;
mod highest_rate;
mod history;
mod hot_room;
mod idle;
mod lone_sender;
mod many_rooms;
mod offered_rate;
mod private_pairs;
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
    /// What the report shows of it.
    pub rows: &'static [Row],
}

/// A line of the report.
pub struct Row {
    /// The figure's name.
    pub figure: &'static str,
    pub what: &'static str,
    pub unit: &'static str,
    pub target: Option<Target>,
}

/// What the issue asks for: what must be, and what is aimed at.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Parlor's figure divided by the peer's, at most.
    OfNode(f64, f64),
    /// Parlor's figure divided by the peer's, at least.
    TimesNode(f64, f64),
    /// Parlor's figure divided by the floor's, at most.
    OfFloor(f64, f64),
    /// Parlor's figure, at most.
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

const BOTH: &[Contender] = &[Contender::Parlor, Contender::Node];
const WITH_FLOOR: &[Contender] = &[Contender::Parlor, Contender::Node, Contender::Floor];

/// In the order of the report.
pub const ALL: &[&Workload] = &[
    &hot_room::BATCHED,
    &hot_room::ACKNOWLEDGED,
    &hot_room::SINGLE,
    &burst::BURST,
    &many_rooms::MANY_ROOMS,
    &private_pairs::ON_SQLITE,
    &private_pairs::ON_POSTGRES,
    &stored::ON_SQLITE,
    &stored::ON_POSTGRES,
    &lone_sender::LONE_SENDER,
    &offered_rate::OFFERED_RATE,
    &highest_rate::HIGHEST_RATE,
    &catch_up::CATCH_UP,
    &history::HISTORY,
    &idle::IDLE,
    &stalled_reader::STALLED_READER,
];

/// Clients that have everything, and ask for nothing old.
fn fresh(receipts: Receipts) -> Options {
    Options { receipts, has: 0, catches_up: false }
}
