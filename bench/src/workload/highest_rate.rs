//! The highest sustained rate: messages into a room of 400, at an increasing rate, until the slowest
//! hundredth of the deliveries takes too long.

use anyhow::Result;
use futures_util::FutureExt;

use super::{PEERS, Row, Workload, fresh};
use crate::{
    client::Receipts,
    latency::Latencies,
    scene::Scene,
    server::Storage,
    stage::{FILLER, Figures, Scale, Stage, offer, writers},
};

/// The rates to try, in messages per second.
const RATES: &[u64] = &[50, 75, 100, 150, 200, 400, 600, 800, 1_000, 1_300, 1_600, 2_000];
/// Fewer rates, for a quick run.
const FEW: &[u64] = &[50, 100, 200, 400, 800, 1_200, 1_600, 2_000];
/// The p99 in milliseconds above which a rate does not count as sustained.
const HELD: f64 = 100.0;
/// How often a rate is tried, so that one short delay of the machine does not end the search.
const ATTEMPTS: usize = 2;
const SENDERS: usize = 12;

pub const HIGHEST_RATE: Workload = Workload {
    name: "highest rate held in a room of 400",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, members(scale), 0),
    run: |stage| run(stage).boxed(),
    rows: &[Row::plain("held", "messages a second with a p99 of 100 ms to delivery", "/s")],
};

fn members(scale: Scale) -> usize {
    scale.of(20, 400, 400)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let members = members(stage.scale);
    let crowd = stage.connect(0..members, fresh(Receipts::Batched)).await?;
    let (room, rates) = (stage.room(0), stage.scale.of(&FEW[..2], FEW, RATES));
    stage.server.settles().await?;
    let (mut held, mut messages) = (0, 0);
    let mut missed = 0;
    for rate in rates.iter().flat_map(|rate| [rate; ATTEMPTS]) {
        if *rate == held {
            continue;
        }
        let count = *rate;
        crowd.expect(count, members as u64);
        offer(&writers(&crowd.clients[..SENDERS], &room), *rate, count, FILLER).await?;
        crowd.tally.complete().await?;
        messages += count;
        let mut deliveries = Latencies::default();
        for client in &crowd.clients {
            deliveries.merge(client.take().await?);
        }
        if deliveries.percentile(0.99) <= HELD {
            (held, missed) = (*rate, 0);
            continue;
        }
        missed += 1;
        if missed == ATTEMPTS {
            break;
        }
    }
    crowd.finish(|_| messages as i64).await?;
    Ok(Figures::from([("held", held as f64)]))
}
