//! One hundred messages at once into a room of 300.

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::Storage,
    stage::{Figures, Scale, Stage, latencies, pump},
};

const AT_ONCE: u64 = 100;

pub const BURST: Workload = Workload {
    name: "burst of 100 into a room of 300",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, members(scale), 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
};

fn members(scale: Scale) -> usize {
    scale.of(10, 300, 300)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (members, bursts) = (members(stage.scale), stage.scale.of(1, 8, 20));
    let crowd = stage.connect(0..members, fresh(Receipts::Batched)).await?;
    let room = stage.room(0);
    let mut acks = Latencies::default();
    let span = stage.begin().await?;
    for burst in 0..bursts {
        crowd.expect(AT_ONCE, members as u64);
        let sender = &crowd.clients[burst as usize % members];
        acks.merge(pump(sender, &room, AT_ONCE, AT_ONCE as usize).await?);
        crowd.tally.delivered().await?;
    }
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let messages = bursts * AT_ONCE;
    let seen = crowd.finish(|_| messages as i64).await?;
    let mut figures = Figures::from([("cpu/delivery", cost.app_each(messages * members as u64))]);
    latencies(&mut figures, acks, seen);
    Ok(figures)
}
