//! A fixed number of messages per second into a room, whether the server keeps up or not.

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Target, WITH_FLOOR, Workload, fresh};
use crate::{
    client::{Options, Receipts},
    scene::Scene,
    server::Storage,
    stage::{FILLER, Figures, Stage, latencies, offer, writers},
};

/// Users who write in turn.
const SENDERS: usize = 12;

/// What a busy room of people is like: one message every 10 ms, so that hardly anything can be combined, and every
/// delivery is acknowledged. 20,000 deliveries a second are a part of what each contender can do.
pub const ORDINARY_RATE: Workload = Workload {
    name: "100 messages a second into a room of 200",
    storage: Storage::Sqlite,
    contenders: WITH_FLOOR,
    scene: |scale| Scene::groups(1, scale.of(20, 200, 200), 0),
    run: |stage| run(stage, fresh(Receipts::Each), SENDERS, 100).boxed(),
    rows: &[
        Row::aimed("cpu/delivery", "CPU per delivery", "µs", Target::OfPeers(0.9, 0.7)),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
};

/// 600 messages make 240,000 deliveries a second.
pub const OFFERED_RATE: Workload = Workload {
    name: "600 messages a second into a room of 400",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, scale.of(20, 400, 400), 0),
    run: |stage| run(stage, fresh(Receipts::Batched), SENDERS, 600).boxed(),
    rows: &[
        Row::aimed("delivery p99", "send to delivery, p99", "ms", Target::AtMost(15.0, 8.0)),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("ack p99", "send to ack, p99", "ms"),
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::plain("busy", "processors kept busy", ""),
        Row::plain("busy, load", "processors kept busy by the load generator", ""),
    ],
};

/// Clients behind a network that lets no WebSocket through: HTTP long polling. Each delivery is an answer to a waiting
/// request, and each acknowledgement a request of its own.
pub const POLLING: Workload = Workload {
    name: "polling clients, 20 messages a second into a room of 100",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, scale.of(10, 100, 100), 0),
    run: |stage| run(stage, Options { polling: true, ..fresh(Receipts::Each) }, 4, 20).boxed(),
    rows: &[
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
};

/// The first `senders` of all users write in turn.
async fn run(stage: &Stage, options: Options, senders: usize, per_second: u64) -> Result<Figures> {
    let (members, seconds) = (stage.scene.users.len(), stage.scale.of(1, 4, 6));
    let receipts = options.receipts;
    let crowd = stage.connect(0..members, options).await?;
    let messages = per_second * seconds;
    crowd.expect(messages, members as u64);
    let span = stage.begin().await?;
    let acks =
        offer(&writers(&crowd.clients[..senders], &stage.room(0)), per_second, messages, FILLER).await?;
    if receipts == Receipts::Batched {
        // The reports that follow come a second later.
        crowd.tally.delivered().await?;
    } else {
        crowd.tally.complete().await?;
    }
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
