//! Who reads too slowly is cut off in a bounded time, loses nothing, and holds up nobody.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Ended, Server, Transport, succeeded, until};

fn tight(config: &mut parlor::config::Config) {
    config.limits.outgoing_packets = 64;
    config.limits.events_per_second = 1_000_000;
    config.limits.events_burst = 1_000_000;
    config.limits.waiting_events = 10_000;
    config.presence.grace = Duration::from_millis(100);
}

const BULK: usize = 15_000;

/// Posts until a queue must be full; the number of the last message.
async fn floods(ada: &crate::harness::Socket, group: &str, messages: u32) {
    // A few at a time, so that healthy readers keep up with a short queue.
    for start in (0..messages).step_by(10) {
        let answers: Vec<_> = (start + 1..=start + 10)
            .map(|number| {
                let content = format!("{number} {}", "x".repeat(BULK));
                ada.sends("groupMessage", json!({ "receiver": group, "content": content }))
            })
            .collect();
        for answer in answers {
            succeeded(answer.await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_stops_reading_is_cut_off_and_the_others_notice_nothing() {
    let server = Server::with(tight).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let room = json!(group);
    ada.posts_in(&group, "begin").await;
    carl.sees_message("begin").await;
    assert_eq!(server.chat().gauges().connections, 3);

    carl.stops_reading();
    let began = Instant::now();
    floods(&ada, &group, 900).await;
    assert_eq!(bob.sees_seqs(&room, 901).await, (1..=901).collect::<Vec<i64>>());
    until("the slow one to be cut off", || async { server.chat().gauges().connections == 2 }).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    ada.is_alive().await;

    // It is told by the end of its line, and catches up without a hole.
    carl.reads_again();
    assert_eq!(carl.ends().await, Ended::Transport);
    let had = carl.seqs(&room);
    assert_eq!(had, (1..=had.len() as i64).collect::<Vec<i64>>(), "what it got has no hole either");
    let back = carl.connect_with(json!({ "since": { group.clone(): had.len() } })).await;
    let rest: Vec<i64> = (had.len() as i64 + 1..=901).collect();
    assert_eq!(back.sees_seqs(&room, rest.len()).await, rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_that_stops_polling_is_cut_off_too() {
    let server = Server::with(tight).await;
    let ada = server.online("ada").await;
    let carl = server.person("carl").await.connect_by(Transport::Polling).await;
    let group = ada.makes_group("friends", &["carl"]).await;
    let room = json!(group);
    ada.posts_in(&group, "begin").await;
    carl.sees_message("begin").await;
    carl.stops_reading();
    floods(&ada, &group, 200).await;
    until("the slow one to be cut off", || async { server.chat().gauges().connections == 1 }).await;
    carl.reads_again();
    assert_eq!(carl.ends().await, Ended::Transport);
    let had = carl.seqs(&room);
    assert_eq!(had, (1..=had.len() as i64).collect::<Vec<i64>>());
    let back = carl.person.connect_by(Transport::Polling).await;
    back.sees("response", |told| told["response"]["seq"] == 201).await;
    let seen = back.seqs(&room);
    assert_eq!(seen, (seen[0]..=201).collect::<Vec<i64>>());
    assert!(seen[0] <= had.len() as i64 + 1, "{} after {}", seen[0], had.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn catching_up_does_not_overflow_a_reader_that_keeps_up() {
    let server = Server::with(|config| {
        tight(config);
        config.limits.outgoing_packets = 4096;
    })
    .await;
    let ada = server.online("ada").await;
    let carl = server.person("carl").await;
    let group = ada.makes_group("friends", &["carl"]).await;
    floods(&ada, &group, 700).await;
    let socket = carl.connect().await;
    assert_eq!(socket.sees_seqs(&json!(group), 700).await, (1..=700).collect::<Vec<i64>>());
}
