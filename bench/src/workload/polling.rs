//! Clients behind a network that lets no WebSocket through: HTTP long polling. 20 messages a second go into a room of
//! 100. Each delivery is an answer to a waiting request, and each acknowledgement a request of its own.

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Workload, fresh};
use crate::{
    client::{Options, Receipts},
    scene::Scene,
    server::Storage,
    stage::{FILLER, Figures, Scale, Stage, latencies, offer, writers},
};

const PER_SECOND: u64 = 20;
/// Users who write in turn.
const SENDERS: usize = 4;

pub const POLLING: Workload = Workload {
    name: "polling clients, 20 messages a second into a room of 100",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, members(scale), 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::plain("cpu/delivery", "CPU per delivery", "µs"),
        Row::plain("ack p50", "send to ack, p50", "ms"),
        Row::plain("delivery p50", "send to delivery, p50", "ms"),
        Row::plain("delivery p99", "send to delivery, p99", "ms"),
    ],
};

fn members(scale: Scale) -> usize {
    scale.of(10, 100, 100)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (members, seconds) = (members(stage.scale), stage.scale.of(1, 4, 8));
    let crowd = stage.connect(0..members, Options { polling: true, ..fresh(Receipts::Each) }).await?;
    let messages = PER_SECOND * seconds;
    crowd.expect(messages, members as u64);
    let span = stage.begin().await?;
    let acks =
        offer(&writers(&crowd.clients[..SENDERS], &stage.room(0)), PER_SECOND, messages, FILLER).await?;
    crowd.tally.complete().await?;
    let cost = stage.end(span).await?;
    let seen = crowd.finish(|_| messages as i64).await?;
    let mut figures = Figures::from([("cpu/delivery", cost.app_each(messages * members as u64))]);
    latencies(&mut figures, acks, seen);
    Ok(figures)
}
