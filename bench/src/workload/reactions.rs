//! Reactions beside messages: what one costs to tell, and what a device that was away is sent.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::try_join_all, stream};
use memchr::memmem;

use super::{PEERS, Row, Target, Workload, fresh};
use crate::{
    client::{Client, Options, Receipts},
    scene::Scene,
    server::Storage,
    stage::{Crowd, Figures, Scale, Stage, pump},
    tally::Tally,
};

const SENDERS: usize = 4;
/// Unanswered events of each sender.
const IN_FLIGHT: usize = 4;
/// The most messages of a page of `history`.
const PAGE: u32 = 200;

/// Four users write into a room of 200, and then react to what was written: a message and a reaction each reach
/// everyone.
pub const LIVE: Workload = Workload {
    name: "reactions in a room of 200",
    storage: Storage::Sqlite,
    contenders: PEERS,
    scene: |scale| Scene::groups(1, members(scale), 0),
    run: |stage| live(stage).boxed(),
    rows: &[
        Row::aimed("cpu/reaction", "CPU per reaction", "µs", Target::OfNode(0.5, 0.3)),
        Row::plain("cpu/message", "CPU per message", "µs"),
        Row::aimed("reaction/message", "a reaction, of a message", "", Target::AtMost(1.0, 1.0)),
    ],
};

/// Users of small rooms reconnect twice: once they have missed messages, and once a reaction to each of these.
pub const REPLAYED: Workload = Workload {
    name: "reactions, 500 of them missed",
    scene: |scale| Scene::groups(rooms(scale), ROOM, missed(scale)),
    run: |stage| replayed(stage).boxed(),
    rows: &[
        Row::aimed("cpu/change", "CPU per missed change", "µs", Target::OfNode(0.5, 0.3)),
        Row::plain("cpu/message", "CPU per missed message", "µs"),
        Row::aimed("change/message", "a missed change, of a message", "", Target::AtMost(0.5, 0.5)),
    ],
    ..LIVE
};

fn members(scale: Scale) -> usize {
    scale.of(10, 200, 200)
}

/// The members of each room that reconnect; one more reacts.
const RETURNING: usize = 9;
const ROOM: usize = RETURNING + 1;

fn rooms(scale: Scale) -> usize {
    scale.of(2, 20, 20)
}

fn missed(scale: Scale) -> u32 {
    scale.of(20, 500, 500)
}

async fn live(stage: &Stage) -> Result<Figures> {
    let (members, each) = (members(stage.scale), stage.scale.of(5, 250, 500));
    let messages = SENDERS as u64 * each;
    let options = Options { changes: Some(0), ..fresh(Receipts::Batched) };
    let crowd = stage.connect(0..members, options).await?;
    let room = stage.room(0);
    crowd.expect(messages, members as u64);
    let span = stage.begin().await?;
    try_join_all(crowd.clients[..SENDERS].iter().map(|client| pump(client, &room, each, IN_FLIGHT))).await?;
    crowd.tally.complete().await?;
    let told = stage.end(span).await?;

    let ids = history(&crowd.clients[0], stage, 0, messages.try_into()?).await?;
    crowd.tally.changes.expect(messages * members as u64);
    let span = stage.begin().await?;
    let shares = ids.chunks(ids.len().div_ceil(SENDERS));
    try_join_all(crowd.clients.iter().zip(shares).map(|(client, ids)| react(client, ids))).await?;
    crowd.tally.changed().await?;
    let changed = stage.end(span).await?;
    crowd.finish(|_| messages as i64).await?;
    let (message, reaction) = (told.app_each(messages), changed.app_each(messages));
    Ok(Figures::from([
        ("cpu/reaction", reaction),
        ("cpu/message", message),
        ("reaction/message", reaction / message),
    ]))
}

async fn replayed(stage: &Stage) -> Result<Figures> {
    let (rooms, missed) = (rooms(stage.scale), missed(stage.scale));
    let last = i64::from(missed);
    // The first member of each room reacts, and stays.
    let mut clients = Vec::new();
    let tally: Arc<Tally> = Arc::default();
    let stays = Options { has: last, ..fresh(Receipts::Batched) };
    let mut returning = Vec::new();
    for room in 0..rooms {
        let first = room * ROOM;
        clients.extend(stage.connect_identities(stage.identities(first..first + 1)?, &stays, &tally).await?);
        returning.extend(stage.identities(first + 1..first + ROOM)?);
    }
    let units = u64::from(missed) * returning.len() as u64;

    let options = Options { catches_up: true, ..fresh(Receipts::Batched) };
    let told = Arc::<Tally>::default();
    told.deliveries.expect(units);
    let span = stage.begin().await?;
    let back = stage.connect_identities(returning.clone(), &options, &told).await?;
    told.delivered().await?;
    let messages = stage.end(span).await?;
    Crowd { clients: back, tally: told, told: false }.finish(|_| last).await?;

    tally.changes.expect(u64::from(missed) * rooms as u64);
    for (room, client) in clients.iter().enumerate() {
        react(client, &history(client, stage, room, missed).await?).await?;
    }
    tally.changed().await?;
    let options = Options { has: last, catches_up: true, changes: Some(0), ..fresh(Receipts::Batched) };
    let told = Arc::<Tally>::default();
    told.changes.expect(units);
    let span = stage.begin().await?;
    let back = stage.connect_identities(returning, &options, &told).await?;
    told.changed().await?;
    let changes = stage.end(span).await?;
    Crowd { clients: back, tally: told, told: false }.finish(|_| last).await?;
    Crowd { clients, tally, told: false }.finish(|_| last).await?;
    let (message, change) = (messages.app_each(units), changes.app_each(units));
    Ok(Figures::from([
        ("cpu/change", change),
        ("cpu/message", message),
        ("change/message", change / message),
    ]))
}

/// The ids of a room's messages.
async fn history(client: &Client, stage: &Stage, room: usize, messages: u32) -> Result<Vec<String>> {
    let room = stage.scene.rooms[room].id;
    let mut ids = Vec::new();
    let mut after = 0;
    while after < messages {
        let asked = format!(r#"{{"receiver":"{room}","group":true,"after":{after},"limit":{PAGE}}}"#);
        let page = client.send("history", asked).await.context("a page of history")?.packet;
        const BEFORE: &str = "\"messageId\":\"";
        ids.extend(memmem::find_iter(page.as_bytes(), BEFORE).filter_map(|at| {
            let rest = page.get(at + BEFORE.len()..)?;
            Some(rest.split_once('"')?.0.to_owned())
        }));
        after += PAGE;
    }
    anyhow::ensure!(ids.len() == messages as usize, "{} of {messages} messages", ids.len());
    Ok(ids)
}

/// Reacts to each message, with some unanswered reactions at a time.
async fn react(client: &Client, messages: &[String]) -> Result<()> {
    let reacting = stream::iter(messages.to_vec())
        .map(|id| client.send("react", format!(r#"{{"messageId":"{id}","key":"+1","on":true}}"#)));
    reacting
        .buffered(IN_FLIGHT)
        .try_for_each(|_| async { Ok(()) })
        .await
        .context("a reaction was not answered")
}
