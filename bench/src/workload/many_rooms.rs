//! Two hundred rooms of ten with one writer each. Every delivery is acknowledged.

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};

use super::{PEERS, Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::{Cost, Storage},
    stage::{FILLER, Figures, Scale, Stage, latencies, offer, pump, shares},
};

const MEMBERS: usize = 10;
const IN_FLIGHT: usize = 2;

pub const MANY_ROOMS: Workload = Workload {
    name: "200 rooms of 10",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(rooms(scale), MEMBERS, 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::aimed("cpu/message", "CPU per stored message", "µs", Target::OfPeers(0.35, 0.25)),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
        Row::plain("wall rate", "deliveries a second, as fast as it goes", "/s"),
    ],
};

/// Messages a second into all of these rooms together: each room has one every third of a second. That is about 30 %
/// of what the slowest contender, Node, takes as fast as it goes (1,900 in the table of 433cac7), and the same for all
/// contenders, so that they do the same work.
const PART: u64 = 600;

/// The same rooms, but with pauses between the messages, as people make them.
pub const PART_LOAD: Workload = Workload {
    name: "200 rooms of 10 at 30 % load",
    run: |stage| part_load(stage).boxed(),
    rows: &[
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::aimed("cpu/message", "CPU per stored message", "µs", Target::OfPeers(0.35, 0.25)),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
    ..MANY_ROOMS
};

fn rooms(scale: Scale) -> usize {
    scale.of(3, 200, 200)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (rooms, each) = (rooms(stage.scale), stage.scale.of(3, 20, 45));
    let crowd = stage.connect(0..rooms * MEMBERS, fresh(Receipts::Each)).await?;
    let messages = each * rooms as u64;
    crowd.expect(messages, MEMBERS as u64);
    let span = stage.begin().await?;
    let pumping = (0..rooms).map(|room| {
        let (client, to) = (&crowd.clients[room * MEMBERS], stage.room(room));
        async move { pump(client, &to, each, IN_FLIGHT).await }
    });
    let mut acks = Latencies::default();
    try_join_all(pumping).await?.into_iter().for_each(|part| acks.merge(part));
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| each as i64).await?;
    Ok(figures(&cost, messages, acks, seen))
}

async fn part_load(stage: &Stage) -> Result<Figures> {
    let (rooms, each) = (rooms(stage.scale), stage.scale.of(3, 15, 24));
    let crowd = stage.connect(0..rooms * MEMBERS, fresh(Receipts::Each)).await?;
    let messages = each * rooms as u64;
    crowd.expect(messages, MEMBERS as u64);
    let writers: Vec<_> = (0..rooms).map(|room| (&crowd.clients[room * MEMBERS], stage.room(room))).collect();
    let span = stage.begin().await?;
    let acks = offer(&writers, PART, messages, FILLER).await?;
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| each as i64).await?;
    Ok(figures(&cost, messages, acks, seen))
}

fn figures(cost: &Cost, messages: u64, acks: Latencies, seen: Latencies) -> Figures {
    let deliveries = messages * MEMBERS as u64;
    let mut figures = Figures::from([
        ("cpu/delivery", cost.app_each(deliveries)),
        ("cpu/message", cost.app_each(messages)),
    ]);
    shares(&mut figures, cost, deliveries);
    latencies(&mut figures, acks, seen);
    figures
}
