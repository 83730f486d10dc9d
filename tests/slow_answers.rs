//! The bound in bytes at the doors that have no acknowledgements: pages over HTTP, and frames of the encrypted
//! app. And deliveries, of which a sender is told unasked.

use std::time::Duration;

use serde_json::json;

use crate::{
    bounds::{LONG, OUTGOING, PAGE, talkative, tight, waiting},
    harness::{Frames, Person, Raw, Server, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn pages_over_http_that_are_not_read_are_bounded_and_none_is_lost() {
    const ASKED: usize = 40;
    let server = Server::with(tight).await;
    talkative(&server, "ada", "ada", 60).await;
    let ada = Person::logs_in(&server, "ada").await;
    let witness = server.online("witness").await;
    let rooms = ada.get("/api/rooms/mine").await.is(200);
    let room = rooms[0]["roomId"].as_str().unwrap();
    let head = format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", ada.token);
    let ask = format!("GET /api/rooms/{room}/messages?limit=200 HTTP/1.1\r\n{head}\r\n");
    let group = json!({ "groupName": "behind" }).to_string();
    let change = format!(
        "POST /api/rooms HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{group}",
        group.len()
    );
    let mut raw = Raw::connect_narrowly(server.address).await;
    raw.send((ask.repeat(ASKED) + &change).as_bytes()).await;
    until("a page to wait", || async { waiting(&server) > PAGE / 2 }).await;
    // Whatever the machine does: what comes behind is not handled while nothing is read.
    witness.sees_nothing("roomsChanged", Duration::from_millis(500)).await;
    for _ in 0..ASKED {
        // One page, and what is left of the one before.
        assert!(waiting(&server) <= 2 * PAGE, "{}", waiting(&server));
        let (head, body) = raw.answer().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!((PAGE * 3 / 4..PAGE + 1_000).contains(&body.len()), "{}", body.len());
    }
    let (head, _) = raw.answer().await;
    assert!(head.starts_with("HTTP/1.1 201 "), "{head}");
    witness.sees("roomsChanged", |_| true).await;
    until("everything to be taken", || async { waiting(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_the_encrypted_app_that_come_back_and_are_not_read_are_bounded_and_none_is_lost() {
    const SENT: usize = 61;
    let server = Server::with(tight).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let witness = Frames::open(server.address, &format!("/chat/{}?token={}", bob.id(), bob.token)).await;
    let mut raw = Raw::connect_narrowly(server.address).await;
    let head = raw.upgrades(&format!("/chat/{}?token={}", ada.id(), ada.token), &[]).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let fails = |number: &usize| number.is_multiple_of(9);
    let frame = |number: usize| {
        let receiver = if fails(&number) { "nobody" } else { bob.id() };
        let chat = format!("{number} {}", "y".repeat(200));
        json!({ "chatId": chat, "receiverid": receiver, "message": "x".repeat(LONG) }).to_string()
    };
    for number in 1..=SENT {
        raw.says(&frame(number)).await;
    }
    until("frames to wait", || async { waiting(&server) > LONG }).await;
    let (mut stored, mut failed) = (Vec::new(), Vec::new());
    for _ in 0..SENT {
        assert!(waiting(&server) <= OUTGOING / 2, "{}", waiting(&server));
        let frame: serde_json::Value = serde_json::from_str(&raw.text().await).unwrap();
        let number: usize = frame["chatId"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
        if frame["error"].is_null() { stored.push(number) } else { failed.push(number) }
    }
    assert_eq!(failed, (1..=SENT).filter(fails).collect::<Vec<_>>());
    assert_eq!(stored, (1..=SENT).filter(|number| !fails(number)).collect::<Vec<_>>());
    let last = format!("{SENT} ");
    witness.sees_frame("the last one", |seen| seen["chatId"].as_str().unwrap().starts_with(&last)).await;
    until("everything to be taken", || async { waiting(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_that_a_sender_is_told_of_come_as_they_are_read() {
    const SENT: i64 = 400;
    let server = Server::with(tight).await;
    let bob = server.person("bob").await;
    talkative(&server, "ada", "bob", SENT as u32).await;
    let ada = Person::logs_in(&server, "ada").await;
    let reader = bob.connect().await;
    reader.sees("response", |told| told["response"]["seq"] == SENT).await;
    // It leaves no earlier: an acknowledgement that is still under way to the server would end with it.
    until("everything to be acknowledged", || async {
        bob.get("/api/rooms/mine").await.is(200)[0]["delivered"] == SENT
    })
    .await;
    reader.leaves();
    server.is_deserted().await;
    let mut raw = Raw::connect_narrowly(server.address).await;
    raw.upgrades("/socket.io/?EIO=4&transport=websocket", &[]).await;
    raw.text().await;
    raw.says(&format!("40/chat,{}", json!({ "token": ada.token, "catchUp": false }))).await;
    // More than may wait for a connection.
    let mut told = 0;
    while told < SENT {
        let text = raw.text().await;
        assert!(waiting(&server) <= 2 * PAGE, "{}", waiting(&server));
        let Some(json) = text.strip_prefix("42/chat,[\"updateDeliveryStatusOnConnection\",") else {
            continue;
        };
        let event: serde_json::Value = serde_json::from_str(json.strip_suffix(']').unwrap()).unwrap();
        assert_eq!(event["response"]["seq"], told + 1);
        told += 1;
    }
    until("everything to be taken", || async { waiting(&server) == 0 }).await;
}
