//! A hundred pairs. In each, one user writes to the other, one message at a time; it is stored and
//! acknowledged by both.

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};

use super::{NODE, PEERS, Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::Storage,
    stage::{Figures, Scale, Stage, latencies, pump, shares},
};

pub const ON_SQLITE: Workload = Workload {
    name: "private pairs",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::pairs(pairs(scale)),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("cpu/message", "CPU per message", "µs", Target::OfPeers(0.35, 0.25)),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
        Row::plain("wall rate", "deliveries a second, as fast as it goes", "/s"),
    ],
};

pub const ON_POSTGRES: Workload = Workload {
    name: "private pairs, PostgreSQL",
    storage: Storage::Postgres,
    contenders: NODE,
    rows: &[
        Row::aimed("cpu/message", "CPU per message, app + database", "µs", Target::OfNode(0.35, 0.25)),
        Row::plain("app/message", "… of it the app", "µs"),
        Row::plain("database/message", "… of it the database", "µs"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
    ],
    ..ON_SQLITE
};

fn pairs(scale: Scale) -> usize {
    scale.of(3, 100, 100)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (pairs, each) = (pairs(stage.scale), stage.scale.of(3, 40, 100));
    let crowd = stage.connect(0..pairs * 2, fresh(Receipts::Each)).await?;
    let messages = each * pairs as u64;
    crowd.expect(messages, 2);
    let span = stage.begin().await?;
    let pumping = (0..pairs).map(|pair| {
        let (client, to) = (&crowd.clients[pair * 2], stage.user(pair * 2 + 1));
        async move { pump(client, &to, each, 1).await }
    });
    let mut acks = Latencies::default();
    try_join_all(pumping).await?.into_iter().for_each(|part| acks.merge(part));
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| each as i64).await?;
    let mut figures = Figures::from([
        ("cpu/message", cost.each(messages)),
        ("app/message", cost.app_each(messages)),
        ("database/message", cost.each(messages) - cost.app_each(messages)),
    ]);
    shares(&mut figures, &cost, messages * 2);
    latencies(&mut figures, acks, seen);
    Ok(figures)
}
