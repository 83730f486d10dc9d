//! A room of 1,000 in which four users write.

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};

use super::{Row, Target, WITH_FLOOR, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::Storage,
    stage::{Figures, Scale, Stage, latencies, pump, shares},
};

const SENDERS: usize = 4;
/// Unanswered messages of each sender.
const IN_FLIGHT: usize = 4;

/// Several messages in flight, and receipts once a second.
pub const BATCHED: Workload = Workload {
    name: "hot room, batched receipts",
    storage: Storage::Sqlite,
    contenders: WITH_FLOOR,
    scene,
    run: |stage| run(stage, Receipts::Batched, stage.scale.of(5, 60, 160)).boxed(),
    rows: &[
        Row::aimed("cpu/delivery", "CPU per delivery", "µs", Target::OfPeers(0.17, 0.14)),
        Row::plain("cpu/message", "CPU per stored message", "µs"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
        Row::plain("wall rate", "deliveries a second, as fast as it goes", "/s"),
        Row::plain("load share", "share of the load generator in all CPU", ""),
    ],
};

/// The same, but each recipient acknowledges every delivery.
pub const ACKNOWLEDGED: Workload = Workload {
    name: "hot room, every delivery acknowledged",
    run: |stage| run(stage, Receipts::Each, stage.scale.of(5, 40, 80)).boxed(),
    rows: &[
        Row::aimed("cpu/delivery", "CPU per delivery", "µs", Target::OfPeers(0.5, 0.4)),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
        Row::plain("wall rate", "deliveries a second, as fast as it goes", "/s"),
    ],
    ..BATCHED
};

/// Each message is sent when the previous one has reached everybody, so no writes can be combined.
pub const SINGLE: Workload = Workload {
    name: "hot room, one message at a time",
    run: |stage| one_at_a_time(stage, Receipts::Batched).boxed(),
    rows: &[
        Row::aimed("cpu/delivery", "CPU per delivery", "µs", Target::OfPeersOrFloor(0.85, 0.7, 1.2)),
        Row::aimed("cpu/delivery", "CPU per delivery, of the floor", "µs", Target::OfFloor(1.5, 1.3)),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
    ..BATCHED
};

/// The same, but each recipient acknowledges every delivery.
pub const SINGLE_ACKNOWLEDGED: Workload = Workload {
    name: "hot room, one message at a time, every delivery acknowledged",
    run: |stage| one_at_a_time(stage, Receipts::Each).boxed(),
    rows: &[
        Row::aimed("cpu/delivery", "CPU per delivery", "µs", Target::OfPeersOrFloor(0.8, 0.65, 1.2)),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
    ..BATCHED
};

fn scene(scale: Scale) -> Scene {
    Scene::groups(1, members(scale), 0)
}

fn members(scale: Scale) -> usize {
    scale.of(20, 1_000, 1_000)
}

async fn run(stage: &Stage, receipts: Receipts, each: u64) -> Result<Figures> {
    let members = members(stage.scale);
    let crowd = stage.connect(0..members, fresh(receipts)).await?;
    let (messages, room) = (each * SENDERS as u64, stage.room(0));
    let deliveries = messages * members as u64;
    crowd.expect(messages, members as u64);
    let span = stage.begin().await?;
    let pumping = crowd.clients[..SENDERS].iter().map(|client| pump(client, &room, each, IN_FLIGHT));
    let acks = try_join_all(pumping).await?;
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| messages as i64).await?;
    let mut figures = Figures::from([
        ("cpu/delivery", cost.app_each(deliveries)),
        ("cpu/message", cost.app_each(messages)),
    ]);
    shares(&mut figures, &cost, deliveries);
    latencies(&mut figures, merged(acks), seen);
    Ok(figures)
}

fn merged(all: Vec<Latencies>) -> Latencies {
    let mut merged = Latencies::default();
    all.into_iter().for_each(|part| merged.merge(part));
    merged
}

async fn one_at_a_time(stage: &Stage, receipts: Receipts) -> Result<Figures> {
    let (members, messages) = (members(stage.scale), stage.scale.of(5, 120, 240));
    let crowd = stage.connect(0..members, fresh(receipts)).await?;
    let room = stage.room(0);
    let mut acks = Latencies::default();
    let span = stage.begin().await?;
    for at in 0..messages {
        crowd.expect(1, members as u64);
        let sender = &crowd.clients[at as usize % SENDERS];
        acks.merge(pump(sender, &room, 1, 1).await?);
        crowd.tally.delivered().await?;
    }
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| messages as i64).await?;
    let mut figures = Figures::from([("cpu/delivery", cost.app_each(messages * members as u64))]);
    latencies(&mut figures, acks, seen);
    Ok(figures)
}
