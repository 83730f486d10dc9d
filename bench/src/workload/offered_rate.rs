//! A fixed number of messages per second into a room of 400, whether the server keeps up or not. 600 messages
//! make 240,000 deliveries a second.

use anyhow::Result;
use futures_util::FutureExt;

use super::{BOTH, Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    scene::Scene,
    server::Storage,
    stage::{FILLER, Figures, Scale, Stage, latencies, offer},
};

const PER_SECOND: u64 = 600;
/// Users who write in turn.
const SENDERS: usize = 12;

pub const OFFERED_RATE: Workload = Workload {
    name: "600 messages a second into a room of 400",
    storage: Storage::Sqlite,
    contenders: BOTH,
    scene: |scale| Scene::groups(1, members(scale), 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("delivery p99", "send to delivery, p99", "ms", Target::AtMost(25.0, 10.0)),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::plain("busy", "processors kept busy", ""),
        Row::plain("busy, load", "processors kept busy by the load generator", ""),
    ],
};

fn members(scale: Scale) -> usize {
    scale.of(20, 400, 400)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (members, seconds) = (members(stage.scale), stage.scale.of(1, 4, 6));
    let crowd = stage.connect(0..members, fresh(Receipts::Batched)).await?;
    let messages = PER_SECOND * seconds;
    crowd.expect(messages, members as u64);
    let span = stage.begin().await?;
    let acks = offer(&crowd.clients[..SENDERS], &stage.room(0), PER_SECOND, messages, FILLER).await?;
    crowd.tally.delivered().await?;
    let cost = stage.end(span).await?;
    crowd.tally.complete().await?;
    let seen = crowd.finish(|_| messages as i64).await?;
    let wall = cost.wall.as_secs_f64();
    let mut figures = Figures::from([
        ("cpu/delivery", cost.app_each(messages * members as u64)),
        ("busy", cost.app.as_secs_f64() / wall),
        ("busy, load", cost.load.as_secs_f64() / wall),
    ]);
    latencies(&mut figures, acks, seen);
    Ok(figures)
}
