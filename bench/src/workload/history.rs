//! Thirty-two users read old messages page by page, back to the first one.

use anyhow::{Context, Result, ensure};
use futures_util::{FutureExt, future::try_join_all};
use memchr::memmem;

use super::{PEERS, Row, Workload, fresh};
use crate::{
    client::{Client, Receipts},
    latency::Latencies,
    scene::Scene,
    server::Storage,
    stage::{Figures, Scale, Stage},
};

const PAGE: u32 = 50;

pub const HISTORY: Workload = Workload {
    name: "history, pages of 50",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, readers(scale), messages(scale)),
    run: |stage| run(stage).boxed(),
    rows: &[
        Row::plain("cpu/page", "CPU per page", "µs"),
        Row::plain("page p50", "a page, p50", "ms"),
        Row::plain("page p99", "a page, p99", "ms"),
        Row::plain("pages/s", "pages a second, as fast as it goes", "/s"),
    ],
};

fn readers(scale: Scale) -> usize {
    scale.of(2, 32, 32)
}

fn messages(scale: Scale) -> u32 {
    scale.of(200, 2_000, 5_000)
}

async fn run(stage: &Stage) -> Result<Figures> {
    let (readers, messages) = (readers(stage.scale), messages(stage.scale));
    let crowd = stage
        .connect(0..readers, crate::client::Options { has: messages.into(), ..fresh(Receipts::Batched) })
        .await?;
    let room = stage.scene.rooms[0].id.to_string();
    let span = stage.begin().await?;
    let took = try_join_all(crowd.clients.iter().map(|client| read(client, &room, messages))).await?;
    let cost = stage.end(span).await?;
    crowd.finish(|_| messages.into()).await?;
    let mut pages = Latencies::default();
    took.into_iter().for_each(|part| pages.merge(part));
    let count = u64::from(messages / PAGE) * readers as u64;
    Ok(Figures::from([
        ("cpu/page", cost.app_each(count)),
        ("page p50", pages.percentile(0.5)),
        ("page p99", pages.percentile(0.99)),
        ("pages/s", count as f64 / cost.wall.as_secs_f64()),
    ]))
}

async fn read(client: &Client, room: &str, messages: u32) -> Result<Latencies> {
    let mut took = Latencies::default();
    let mut before = messages + 1;
    while before > 1 {
        let asked = format!(r#"{{"receiver":"{room}","group":true,"before":{before},"limit":{PAGE}}}"#);
        let answer = client.send("history", asked).await.context("a page was not answered")?;
        let packet = answer.packet.as_bytes();
        let found = memmem::find_iter(packet, "\"messageId\":").count();
        ensure!(found == PAGE as usize, "a page of {found} messages");
        before -= PAGE;
        let first = memmem::find(packet, format!("\"seq\":{before},").as_bytes());
        ensure!(first.is_some(), "a page that does not begin with seq {before}");
        took.add(answer.took);
    }
    Ok(took)
}
