//! Events over the rate wait for their turn, in order. Only a flood is refused.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::{Server, Socket, succeeded};

fn strict(config: &mut parlor::config::Config) {
    let limits = &mut config.limits;
    (limits.events_per_second, limits.events_burst, limits.waiting_events) = (200, 200, 300);
}

fn many(socket: &Socket, count: u32) -> Vec<impl Future<Output = Json> + use<>> {
    let message = |number: u32| json!({ "receiver": "bob", "content": number.to_string() });
    (0..count).map(|number| socket.sends("privateMessage", message(number))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_offline_arrives_in_order() {
    let server = Server::with(strict).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    for (number, answer) in many(&ada, 450).into_iter().enumerate() {
        let stored = succeeded(answer.await);
        assert_eq!((&stored["content"], &stored["seq"]), (&json!(number.to_string()), &json!(number + 1)));
    }
    let seqs = bob.sees_seqs(&bob.all("response")[0]["response"]["roomId"], 450).await;
    assert_eq!(seqs, (1..=450).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_beyond_the_waiting_events_is_refused_with_a_time_to_wait() {
    let server = Server::with(strict).await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    let mut stored = 0;
    let mut wait = Duration::ZERO;
    for answer in many(&ada, 2_000) {
        let answer = answer.await;
        if answer["success"] == true {
            stored += 1;
            assert_eq!(answer["response"]["seq"], stored, "in order: {answer}");
        } else {
            assert_eq!(answer["error"]["code"], "rate_limited", "{answer}");
            wait = wait.max(Duration::from_millis(answer["error"]["retryAfterMs"].as_u64().unwrap()));
        }
    }
    assert!((500..2_000).contains(&stored), "200 at once, and 300 wait: {stored}");
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "half of them at the rate: {wait:?}");
    tokio::time::sleep(wait).await;
    assert_eq!(ada.posts_to("bob", "I waited").await["seq"], stored + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_has_sent_what_waits_and_a_shutdown_handles_it() {
    let mut server = Server::with(|config| {
        let limits = &mut config.limits;
        // So many that they wait for minutes: a busy machine takes long to read them.
        (limits.events_per_second, limits.events_burst, limits.waiting_events) = (1, 1, 400);
    })
    .await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    for number in 0..199 {
        ada.sends_only("privateMessage", json!({ "receiver": "bob", "content": number.to_string() }));
    }
    ada.sends_only("privateMessage", json!({ "receiver": "bob", "content": "x".repeat(10_000) }));
    bob.sees_message("0").await;
    // What the server has not read when the connection breaks is lost.
    let waiting = || server.chat().counts().waiting_bytes.now();
    crate::harness::until("the last one to be read", || async { waiting() > 10_000 }).await;
    let sent = ada.answer_if_any("listRooms", json!({}));
    ada.vanishes();
    assert_eq!(sent.await, None, "it waits behind the messages");
    server.restart().await;
    let bob = bob.person.connect_with(json!({ "catchUp": false })).await;
    let page = bob.asks("history", json!({ "receiver": "ada", "group": false, "limit": 200 })).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_that_wait_for_all_sockets_are_bounded_and_each_socket_may_have_an_event() {
    let server = Server::with(|config| {
        let limits = &mut config.limits;
        (limits.events_per_second, limits.events_burst) = (1, 1);
        limits.waiting_bytes_total = 20_000;
    })
    .await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let long = |receiver: &str| json!({ "receiver": receiver, "content": "x".repeat(1_000) });
    let sent: Vec<_> = (0..40).map(|_| ada.answer_if_any("privateMessage", long("bob"))).collect();
    crate::harness::until("the rest to be refused", || async {
        let answers = ada.all(crate::harness::ANSWER);
        answers.iter().filter(|answer| answer["error"]["code"] == "rate_limited").count() >= 18
    })
    .await;
    let waiting = server.chat().counts().waiting_bytes.now();
    assert!(waiting > 0 && waiting <= 20_000, "{waiting}");
    succeeded(bob.emit("privateMessage", long("ada")).await);
    drop(sent);
}
