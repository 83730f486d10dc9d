//! People who are online connect with more devices. Their presence does not change, so no events are sent. Only connecting
//! is measured: reading the token, the user and the rooms, and joining.

use std::sync::Arc;

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Target, Workload, fresh};
use crate::{
    client::{Identity, Receipts},
    scene::Scene,
    server::Storage,
    stage::{Crowd, Figures, Scale, Stage},
};

const MEMBERS: usize = 10;
/// Connections of each person beyond the first. A user may have 20.
const MORE: usize = 4;

pub const DEVICES: Workload = Workload {
    name: "connects of people who are online",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(people(scale) / MEMBERS, MEMBERS, 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("cpu/connect", "CPU to connect, authenticate, join", "µs", Target::OfPeers(0.8, 0.5)),
        Row::plain("connects/s", "connects a second, as fast as it goes", "/s"),
    ],
};

fn people(scale: Scale) -> usize {
    scale.of(20, 1_000, 1_000)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let people = people(stage.scale);
    let options = fresh(Receipts::Batched);
    let here = stage.connect(0..people, options.clone()).await?;
    let identities = stage.identities(0..people)?;
    // Everyone's second device, then everyone's third.
    let devices: Vec<Identity> = (0..MORE).flat_map(|_| identities.clone()).collect();
    let count = devices.len();
    let tally = Arc::default();
    let span = stage.begin().await?;
    let clients = stage.connect_identities(devices, &options, &tally).await?;
    let cost = stage.end(span).await?;
    Crowd { clients, tally, told: false }.finish(|_| 0).await?;
    here.finish(|_| 0).await?;
    Ok(Figures::from([
        ("cpu/connect", cost.app_each(count as u64)),
        ("connects/s", count as f64 / cost.wall.as_secs_f64()),
    ]))
}
