//! In a room of 50, one client stops reading and keeps its connection. Measures what the others notice, and
//! how much the server buffers for that client, and for how long.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::FutureExt;

use super::{Row, Target, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::{Contender, Storage},
    stage::{Address, Crowd, Figures, Scale, Stage, offer, writers},
};

const PER_SECOND: u64 = 100;
/// The client that stops reading. The first client writes.
const STALLED: usize = 1;

pub const STALLED_READER: Workload = Workload {
    name: "a reader that stalls",
    storage: Storage::Sqlite,
    contenders: &[Contender::Parlor],
    scene: |scale| Scene::groups(1, members(scale), 0),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::aimed("times p99", "others' p99, times that without", "×", Target::AtMost(1.5, 1.2)),
        Row::aimed("held", "memory held at most", "MiB", Target::AtMost(6.0, 6.0)),
        Row::aimed("freed", "freed after", "s", Target::AtMost(60.0, 20.0)),
        Row::plain("p99 before", "others' p99 before", "ms"),
        Row::plain("p99 during", "others' p99 while it stalls", "ms"),
    ],
};

fn members(scale: Scale) -> usize {
    scale.of(5, 50, 50)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let members = members(stage.scale);
    let mut crowd = stage.connect(0..members, fresh(Receipts::Batched)).await?;
    // What that client does not receive never reaches everyone, so senders are not notified.
    crowd.told = false;
    let room = stage.room(0);
    stage.server.settles().await?;
    for _ in 0..stage.scale.of(1, 5, 7) {
        write(&crowd, &room, members).await?;
    }
    let before = slowest(&crowd, members).await?;
    stage.server.settles().await?;
    let (resident, open) = (stage.server.resident()?, stage.server.open_files()?);
    let patience = Duration::from_secs(stage.scale.of(2, 40, 65));
    crowd.clients[STALLED].stall();
    let stalled = Instant::now();
    let (mut most, mut freed) = (resident, f64::INFINITY);
    while stalled.elapsed() < patience && freed.is_infinite() {
        write(&crowd, &room, members - 1).await?;
        most = most.max(stage.server.resident()?);
        if stage.server.open_files()? < open {
            freed = stalled.elapsed().as_secs_f64();
        }
    }
    let during = slowest(&crowd, members).await?;
    crowd.tally.check()?;
    Ok(Figures::from([
        ("p99 before", before),
        ("p99 during", during),
        ("times p99", during / before),
        ("held", (most - resident) as f64 / 1024.0 / 1024.0),
        ("freed", freed),
    ]))
}

/// One second of messages that reach this many clients each.
async fn write(crowd: &Crowd, room: &Address, reaching: usize) -> Result<()> {
    crowd.expect(PER_SECOND, reaching as u64);
    // Long messages, so that the kernel's buffer for that client is soon full.
    let filler = " ".repeat(8_000);
    offer(&writers(&crowd.clients[..1], room), PER_SECOND, PER_SECOND, &filler).await?;
    crowd.tally.delivered().await
}

/// The p99 of the deliveries to all other clients since the last call.
async fn slowest(crowd: &Crowd, members: usize) -> Result<f64> {
    let mut deliveries = Latencies::default();
    for at in (0..members).filter(|at| *at != STALLED) {
        deliveries.merge(crowd.clients[at].take().await?);
    }
    Ok(deliveries.percentile(0.99))
}
