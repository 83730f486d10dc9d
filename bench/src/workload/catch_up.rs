//! A thousand users reconnect, and each receives the hundred messages that they have missed.
//!
//! Many other users are online. So only the members of the same room are notified of each reconnect;
//! otherwise these notifications would be most of the work.

use std::sync::Arc;

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Target, Workload, fresh};
use crate::{
    client::{Options, Receipts},
    scene::Scene,
    server::Storage,
    stage::{Crowd, Figures, Scale, Stage},
    tally::Tally,
};

const MEMBERS: usize = 10;
const MISSED: u32 = 100;
/// The messages that they had before.
const SEEN: u32 = 20;

pub const CATCH_UP: Workload = Workload {
    name: "catch-up of 1,000 users × 100 messages",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(rooms(scale) + bystanders(scale), MEMBERS, SEEN + MISSED),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("cpu/message", "CPU per message, connecting included", "µs", Target::OfPeers(0.37, 0.20)),
        Row::plain("seconds", "from the first to the last", "s"),
    ],
};

fn rooms(scale: Scale) -> usize {
    scale.of(2, 100, 100)
}

/// Rooms of users who are online all the time.
fn bystanders(scale: Scale) -> usize {
    scale.of(1, 101, 101)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let users = rooms(stage.scale) * MEMBERS;
    let last = i64::from(SEEN + MISSED);
    let here = Options { has: last, ..fresh(Receipts::Batched) };
    let bystanders = stage.connect(users..users + bystanders(stage.scale) * MEMBERS, here).await?;
    let identities = stage.identities(0..users)?;
    let options = Options { has: SEEN.into(), catches_up: true, ..fresh(Receipts::Batched) };
    let tally: Arc<Tally> = Arc::default();
    let messages = users as u64 * u64::from(MISSED);
    tally.deliveries.expect(messages);
    let span = stage.begin().await?;
    let clients = stage.connect_identities(identities, &options, &tally).await?;
    tally.delivered().await?;
    let cost = stage.end(span).await?;
    Crowd { clients, tally, told: false }.finish(|_| last).await?;
    bystanders.finish(|_| last).await?;
    Ok(Figures::from([("cpu/message", cost.app_each(messages)), ("seconds", cost.wall.as_secs_f64())]))
}
