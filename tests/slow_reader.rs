//! Who reads too slowly, or does not go on with what it began, is cut off in a bounded time, loses nothing,
//! and holds up nobody. (Slow plain WebSockets are in `plain_websocket`.)

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    Ended, PATIENCE, Person, Plain, Raw, Server, Socket, Transport, at_full_speed, handshake_of, succeeded,
    until,
};

fn tight(config: &mut parlor::config::Config) {
    config.limits.outgoing_packets = 64;
    at_full_speed(config);
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
    floods(&ada, &group, 900).await;
    assert_eq!(bob.sees_seqs(&room, 901).await, (1..=901).collect::<Vec<i64>>());
    until("the slow one to be cut off", || async { server.chat().gauges().connections == 2 }).await;
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

/// What somebody begins and never goes on with.
enum Silent {
    Raw(#[expect(dead_code, reason = "kept open")] Raw),
    Socket(#[expect(dead_code, reason = "kept open")] Socket),
    Plain(#[expect(dead_code, reason = "kept open")] Plain),
    /// A polling session that is not polled.
    Nothing,
}

async fn polling_session(server: &Server) -> String {
    let open = server.http.get("/socket.io/?EIO=4&transport=polling").await;
    handshake_of(&open.text)["sid"].as_str().unwrap().to_owned()
}

/// An upgrade that stops half-way, with the probe sent or not.
async fn half_an_upgrade(server: &Server, probes: bool) -> Silent {
    let mut line = Raw::connect(server.address).await;
    let sid = polling_session(server).await;
    let head = line.upgrades(&format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"), &[]).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    if probes {
        line.says("2probe").await;
        assert_eq!(line.text().await, "3probe");
    }
    Silent::Raw(line)
}

/// In `/chat`, with a receive buffer of next to nothing, and it never reads again.
async fn never_reads(server: &Server, person: &Person) -> Silent {
    let mut line = Raw::connect_narrowly(server.address).await;
    line.upgrades("/socket.io/?EIO=4&transport=websocket", &[]).await;
    line.text().await;
    line.joins(&person.token).await;
    Silent::Raw(line)
}

async fn never_polls(server: &Server, person: &Person) -> Silent {
    let sid = polling_session(server).await;
    let join = format!("40/chat,{{\"token\":\"{}\"}}", person.token);
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let post = server.http.request(http::Method::POST, &path).body(join);
    assert_eq!(post.send().await.unwrap().status(), 200);
    Silent::Nothing
}

/// Whether anything but the healthy is still there, of all that is counted.
fn is_left_to(server: &Server, healthy: usize) -> bool {
    let (gauges, counts) = (server.chat().gauges(), server.chat().counts());
    gauges.connections == healthy
        && gauges.acknowledgements == 0
        && gauges.catch_ups == 0
        && counts.engine_sessions.now() == healthy
        && counts.tcp_connections.now() == healthy
        && counts.connections().iter().map(|(_, count)| count).sum::<usize>() == healthy
}

/// All kinds at once, each of them many times, next to people who talk: these get every message while
/// the others are stuck, and afterwards nothing of the others is left.
#[tokio::test(flavor = "multi_thread")]
async fn the_silent_hold_up_nobody_and_are_let_go_of_in_time() {
    let server = Server::with(|config| {
        tight(config);
        // On a busy machine, the healthy need longer than a moment, too.
        config.limits.connect_timeout = Duration::from_secs(8);
        config.limits.unacknowledged = 40;
        config.server.head_timeout = Duration::from_secs(8);
        // Who is owed few messages is noticed by the heartbeat only.
        config.server.ping_interval = Duration::from_secs(1);
        config.server.ping_timeout = Duration::from_secs(15);
    })
    .await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let carl = server.person("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let room = json!(group);
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(never_reads(&server, &carl).await);
        silent.push(never_polls(&server, &carl).await);
        silent.push(Silent::Socket(carl.connecting().without_acknowledging().open().await));
        silent.push(Silent::Plain(Plain::connects_without_acknowledging(&carl, "").await));
    }
    for _ in 0..20 {
        silent.push(half_an_upgrade(&server, false).await);
        silent.push(half_an_upgrade(&server, true).await);
        silent.push(Silent::Raw(Raw::websocket(server.address).await.0));
        let mut half_a_request = Raw::connect(server.address).await;
        half_a_request.send(b"GET /healthz HTTP/1.1\r\nHost:").await;
        silent.push(Silent::Raw(half_a_request));
    }

    // Each message has reached the healthy before the next is sent, whatever becomes of the others.
    for number in 1..=400 {
        ada.posts_in(&group, &format!("{number} {}", "x".repeat(BULK))).await;
        bob.sees("response", |told| told["response"]["seq"] == number).await;
        // Twelve connections may owe forty acknowledgements each, whatever is sent to them.
        let owed = server.chat().gauges().acknowledgements;
        assert!(owed <= 12 * 40 + 2, "{owed}");
    }
    assert_eq!(bob.seqs(&room), (1..=400).collect::<Vec<i64>>());
    until("those who do not take what they are sent to be cut off", || async {
        let all = server.chat().counts().connections();
        let of = |name| all.iter().find(|(gateway, _)| *gateway == name).map_or(0, |(_, count)| *count);
        // What is left is who reads and acknowledges nothing: two healthy and three of those; three plain.
        (of("chat"), of("websocket")) == (5, 3)
    })
    .await;

    // What began and did not go on goes by itself; what reads may stay until it leaves.
    let (stays, goes): (Vec<Silent>, Vec<Silent>) =
        silent.into_iter().partition(|silent| matches!(silent, Silent::Socket(_) | Silent::Plain(_)));
    until("lines that say nothing to be closed by the server", || async {
        server.chat().counts().tcp_connections.now() <= 2 + stays.len()
    })
    .await;
    drop(stays);
    until("nothing to be left", || async { is_left_to(&server, 2) }).await;
    drop(goes);

    // And nothing was lost for who comes back.
    let back = carl.connect_with(json!({ "since": { group: 0 } })).await;
    assert_eq!(back.sees_seqs(&room, 400).await, (1..=400).collect::<Vec<i64>>());
}

/// A polling client that goes without a word, in a quiet room: nothing is queued, so only the heartbeat
/// can tell.
#[tokio::test(flavor = "multi_thread")]
async fn who_never_polls_again_is_given_up_by_the_heartbeat() {
    let server = Server::with(|config| {
        tight(config);
        config.server.ping_interval = Duration::from_secs(1);
    })
    .await;
    let ada = server.online("ada").await;
    let began = Instant::now();
    never_polls(&server, &server.person("carl").await).await;
    ada.sees_online("carl", true).await;
    ada.sees_within(PATIENCE * 2, "onlineStatus", |told| {
        told["username"] == "carl" && told["online"] == false
    })
    .await;
    assert!(began.elapsed() >= Duration::from_secs(21), "there was no time to answer a ping");
    until("nothing to be left", || async { is_left_to(&server, 1) }).await;
}
