//! Ten thousand users, in groups of ten, connect with tokens that they have, and send nothing. Measures the
//! cost of making a connection and of keeping it.
//!
//! While at most 1,000 users are online, everyone is notified of each new one. The measured connections come
//! after that.

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    scene::Scene,
    server::Storage,
    stage::{Crowd, Figures, Scale, Stage},
};

const MEMBERS: usize = 10;

pub const IDLE: Workload = Workload {
    name: "10,000 connections, idle",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(connections(scale) / MEMBERS, MEMBERS, 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("memory/connection", "memory per connection", "KiB", Target::AtMost(22.0, 18.0)),
        Row::aimed("memory", "memory of the whole process", "MiB", Target::OfPeers(0.9, 0.7)),
        Row::aimed("cpu/connect", "CPU to connect, authenticate, join", "µs", Target::OfNode(0.35, 0.20)),
        Row::plain("connects/s", "connects a second, as fast as it goes", "/s"),
    ],
};

fn connections(scale: Scale) -> usize {
    scale.of(50, 10_000, 10_000)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let all = connections(stage.scale);
    // The users of whom everyone is notified, and some more.
    let first = stage.scale.of(20, 1_100, 1_100);
    stage.server.settles().await?;
    let before = stage.server.resident()?;
    let early = stage.connect(0..first, fresh(Receipts::Batched)).await?;
    let identities = stage.identities(first..all)?;
    let span = stage.begin().await?;
    let late = stage.connect_identities(identities, &fresh(Receipts::Batched), &early.tally).await?;
    let connected = stage.server.end(span).await?;
    // Work that a connection causes a moment later is part of its cost, too.
    stage.server.settles().await?;
    let after = stage.server.resident()?;
    let (tally, told) = (early.tally.clone(), early.told);
    early.finish(|_| 0).await?;
    Crowd { clients: late, tally, told }.finish(|_| 0).await?;
    let count = (all - first) as u64;
    Ok(Figures::from([
        ("memory/connection", after.saturating_sub(before) as f64 / 1024.0 / all as f64),
        ("memory", after as f64 / 1024.0 / 1024.0),
        ("cpu/connect", connected.app_each(count)),
        ("connects/s", count as f64 / connected.wall.as_secs_f64()),
    ]))
}
