//! Sixty-four senders write to users who are not connected, and each waits for the answer before the next
//! message. Measures the cost of storing a message durably. As always, senders also receive their own
//! messages.

use anyhow::Result;
use futures_util::{FutureExt, future::try_join_all};

use super::{NODE, PEERS, Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::Storage,
    stage::{Figures, Scale, Stage, pump},
};

pub const ON_SQLITE: Workload = Workload {
    name: "64 senders",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::pairs(senders(scale)),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("stored/s", "stored a second, one in flight each", "/s", Target::TimesNode(7.0, 10.0)),
        Row::plain("cpu/message", "CPU per message", "µs"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::aimed("stored/s, 16", "stored a second, 16 in flight each", "/s", Target::TimesNode(7.0, 10.0)),
        Row::plain("cpu/message, 16", "CPU per message, 16 in flight each", "µs"),
    ],
};

pub const ON_POSTGRES: Workload = Workload {
    name: "64 senders, PostgreSQL",
    storage: Storage::Postgres,
    contenders: NODE,
    rows: &[
        Row::aimed("cpu/message", "CPU per message, app + database", "µs", Target::OfNode(0.25, 0.13)),
        Row::plain("app/message", "… of it the app", "µs"),
        Row::plain("database/message", "… of it the database", "µs"),
        Row::plain("stored/s", "stored a second, one in flight each", "/s"),
        Row::aimed("cpu/message, 16", "CPU per message, 16 in flight each", "µs", Target::OfNode(0.25, 0.13)),
    ],
    ..ON_SQLITE
};

fn senders(scale: Scale) -> usize {
    scale.of(4, 64, 64)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (senders, each) = (senders(stage.scale), stage.scale.of(3, 50, 150));
    // Only the first half of each pair connects, so no message is ever delivered to all.
    let tally = std::sync::Arc::default();
    let everyone = stage.identities(0..senders * 2)?;
    let present = everyone.into_iter().step_by(2).collect();
    let clients = stage.connect_identities(present, &fresh(Receipts::Batched), &tally).await?;
    let crowd = crate::stage::Crowd { clients, tally, told: false };
    let messages = each * senders as u64;
    let mut figures = Figures::new();
    for (in_flight, names) in [
        (1, ["stored/s", "cpu/message", "app/message", "database/message"]),
        (16, ["stored/s, 16", "cpu/message, 16", "app/message, 16", "database/message, 16"]),
    ] {
        crowd.expect(messages, 1);
        let span = stage.begin().await?;
        let pumping = crowd.clients.iter().enumerate().map(|(at, client)| {
            let to = stage.user(at * 2 + 1);
            async move { pump(client, &to, each, in_flight).await }
        });
        let mut acks = Latencies::default();
        try_join_all(pumping).await?.into_iter().for_each(|part| acks.merge(part));
        crowd.tally.complete().await?;
        let cost = stage.end(span).await?;
        let (both, app) = (cost.each(messages), cost.app_each(messages));
        let rate = messages as f64 / cost.wall.as_secs_f64();
        figures.extend(names.into_iter().zip([rate, both, app, both - app]));
        if in_flight == 1 {
            figures.insert("ack p50", acks.percentile(0.5));
        }
    }
    crowd.finish(|_| 2 * each as i64).await?;
    Ok(figures)
}
