//! One user writes to a connected user, one message at a time.

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    scene::Scene,
    server::Storage,
    stage::{Figures, Stage, latencies, pump},
};

pub const LONE_SENDER: Workload = Workload {
    name: "lone sender",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |_| Scene::pairs(1),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("ack p50", "send to ack, p50", "ms", Target::OfNode(1.5, 1.0)),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("cpu/message", "CPU per message", "µs"),
    ],
};

async fn run(stage: &Stage) -> Result<Figures> {
    let messages = stage.scale.of(10, 2_000, 6_000);
    let crowd = stage.connect(0..2, fresh(Receipts::Batched)).await?;
    crowd.expect(messages, 2);
    let span = stage.begin().await?;
    let acks = pump(&crowd.clients[0], &stage.user(1), messages, 1).await?;
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| messages as i64).await?;
    let mut figures = Figures::from([("cpu/message", cost.app_each(messages))]);
    latencies(&mut figures, acks, seen);
    Ok(figures)
}
