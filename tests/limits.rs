//! Limits: what is just within them passes, what is over is refused and says when to come back.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, PATIENCE, Person, Server, at_full_speed, succeeded, until};

const LIMIT: usize = 16 * 1024;

/// That it is `rate_limited` and names a time to wait.
fn is_rate_limited(error: &Json) -> Duration {
    assert_eq!(error["code"], "rate_limited", "{error}");
    let wait = error["retryAfterMs"].as_u64().unwrap_or_else(|| panic!("no time to wait: {error}"));
    assert!(wait > 0);
    Duration::from_millis(wait)
}

#[tokio::test(flavor = "multi_thread")]
async fn content_of_16_kib_passes_and_a_byte_more_does_not() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    for content in [
        "x".repeat(LIMIT),
        "é".repeat(LIMIT / 2),
        "\u{0}".repeat(LIMIT),
        "\"".repeat(LIMIT),
        "💥".repeat(LIMIT / 4),
    ] {
        let stored = ada.posts_to("bob", &content).await;
        assert_eq!(stored["content"], content);
        bob.sees_message(&content).await;
    }
    for content in ["x".repeat(LIMIT + 1), "é".repeat(LIMIT / 2) + "x", "\u{0}".repeat(LIMIT + 1)] {
        ada.is_refused("privateMessage", json!({ "receiver": "bob", "content": content }), "too_large").await;
        ada.is_refused("groupMessage", json!({ "receiver": group, "content": content }), "too_large").await;
        ada.is_refused("lobbyMessage", json!({ "content": content }), "too_large").await;
    }
    // Without the quotation marks.
    let sealed =
        |bytes: usize| json!({ "receiver": "bob", "kind": "encrypted", "content": "x".repeat(bytes) });
    ada.asks("privateMessage", sealed(LIMIT)).await;
    ada.is_refused("privateMessage", sealed(LIMIT + 1), "too_large").await;
    let room = ada.posts_to("bob", "the end").await;
    assert_eq!(room["seq"], 7, "what was refused was not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_every_kind_count() {
    let server = Server::with(|config| {
        let limits = &mut config.limits;
        (limits.events_per_second, limits.events_burst, limits.waiting_events) = (1, 100, 100);
    })
    .await;
    let ada = server.online("ada").await;
    for _ in 0..300 {
        ada.sends_only("typing", json!({ "receiver": "ada", "group": false, "typing": true }));
    }
    let answer = ada.emit("nonsense", json!({})).await;
    is_rate_limited(&answer["error"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sockets_flood_is_not_anothers() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let phone = ada.connect().await;
    let answers: Vec<_> = (0..150).map(|_| ada.sends("listRooms", json!({}))).collect();
    phone.is_alive().await;
    for answer in answers {
        answer.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_logins_and_then_not_even_the_right_one_for_five_minutes() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    server.person("bob").await;
    for _ in 0..5 {
        Person::tries_to_log_in(&server, "ada", "wrong password").await.is_refused(401, "unauthorized");
    }
    for password in ["wrong password", &Person::password_of("ada")] {
        let answer = Person::tries_to_log_in(&server, "ada", password).await;
        let wait = is_rate_limited(&answer.is_refused(429, "rate_limited"));
        assert!(wait <= Duration::from_secs(300), "{wait:?}");
        let header: u64 = answer.header("retry-after").parse().expect("a Retry-After header");
        assert!(header > 0 && header <= 300, "{header}");
    }
    // Neither others nor live logins suffer.
    Person::logs_in(&server, "bob").await;
    ada.get("/api/auth/session").await.is(200);
    ada.connect().await.is_alive().await;
    server.clock.advance(TimeDelta::seconds(301));
    Person::logs_in(&server, "ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_is_throttled_just_the_same() {
    let server = Server::start().await;
    for _ in 0..5 {
        Person::tries_to_log_in(&server, "nobody", "wrong password").await.is_refused(401, "unauthorized");
    }
    Person::tries_to_log_in(&server, "nobody", "wrong password").await.is_refused(429, "rate_limited");
    Person::tries_to_log_in(&server, "NOBODY", "wrong password").await.is_refused(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_logins_at_once_are_counted_each() {
    let server = Server::start().await;
    server.person("ada").await;
    let attempts = (0..30).map(|_| Person::tries_to_log_in(&server, "ada", "wrong password"));
    let answers = futures_util::future::join_all(attempts).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 5, "guessing in parallel gets no further");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_room_passwords_and_then_not_even_the_right_one() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_secret_group("vault", "open sesame").await;
    let with = |password: &str| json!({ "groupId": group, "password": password });
    for number in 0..5 {
        if number % 2 == 0 {
            bob.is_refused("joinGroup", with("wrong"), "wrong_password").await;
        } else {
            let path = format!("/api/rooms/{group}/join");
            bob.post(&path, json!({ "password": "wrong" })).await.is_refused(403, "wrong_password");
        }
    }
    is_rate_limited(&bob.is_refused("joinGroup", with("wrong"), "rate_limited").await);
    is_rate_limited(&bob.is_refused("joinGroup", with("open sesame"), "rate_limited").await);
    carl.asks("joinGroup", with("open sesame")).await;
    server.clock.advance(TimeDelta::seconds(301));
    bob.asks("joinGroup", with("open sesame")).await;
}

/// How many of these answers refuse; all of those because there is no room.
async fn refusals(answers: Vec<impl Future<Output = Json>>) -> usize {
    let mut refused = 0;
    for answer in answers {
        let answer = answer.await;
        if answer["success"] == false {
            assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
            refused += 1;
        }
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn more_events_than_may_wait_are_refused_and_may_come_again() {
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.waiting_events = 4;
    })
    .await;
    let ada = server.online("ada").await;
    let answers: Vec<_> = (0..200).map(|_| ada.sends("listUsers", json!({}))).collect();
    let refused = refusals(answers).await;
    assert!(refused > 0);
    ada.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_wait_are_bounded_in_bytes_too() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    // Far fewer than may wait, and far more than two packets' worth of bytes. Each takes a hash, so that
    // they come faster than they are handled.
    let pad = "x".repeat(400_000);
    let group = |number| json!({ "groupName": format!("group {number}"), "password": "secret", "pad": pad });
    let answers: Vec<_> = (0..40).map(|number| ada.sends("createGroup", group(number))).collect();
    let refused = refusals(answers).await;
    assert!(refused > 0);
    assert!(refused < 40);
    // One packet of the largest size is always taken where nothing waits.
    ada.asks("listUsers", json!({ "pad": "x".repeat(900_000) })).await;
    ada.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_writer_refuses_and_loses_nothing_it_has_taken() {
    let server = Server::with(|config| {
        config.writer.queue = 8;
        config.writer.batch = 2;
        at_full_speed(config);
    })
    .await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let answers: Vec<_> = (0..500)
        .map(|number: u32| {
            ada.sends("privateMessage", json!({ "receiver": "bob", "content": number.to_string() }))
        })
        .collect();
    let mut stored = Vec::new();
    for answer in answers {
        let answer = answer.await;
        if answer["success"] == true {
            stored.push(succeeded(answer)["content"].clone());
        } else {
            assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
        }
    }
    let room = ada.posts_to("bob", "the end").await["roomId"].clone();
    bob.sees_message("the end").await;
    let history: Vec<Json> =
        bob.history(room.as_str().unwrap()).await.iter().map(|row| row["content"].clone()).collect();
    assert_eq!(history[..history.len() - 1], stored, "what was acknowledged is stored, and nothing else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_acknowledges_gets_everything_and_its_receipt_stays() {
    let server = Server::with(|config| config.limits.unacknowledged = 20).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let deaf = bob.connecting().without_acknowledging().open().await;
    for number in 1..=25 {
        ada.posts_to("bob", &number.to_string()).await;
    }
    // Half of the limit comes at once; the rest waits, for a while, for the first to be acknowledged.
    let message = deaf.sees_within(PATIENCE * 4, "response", |told| told["response"]["seq"] == 25).await;
    let room = message["response"]["roomId"].clone();
    // Whoever has not acknowledged anything by now is not waited for any more.
    for number in 26..=60 {
        ada.posts_to("bob", &number.to_string()).await;
    }
    deaf.sees_message("60").await;
    assert_eq!(deaf.seqs(&room), (1..=60).collect::<Vec<i64>>());
    ada.sees_nothing("updateDeliveryStatusOnConnection", A_WHILE).await;
    deaf.is_alive().await;
    let back = bob.connect().await;
    assert_eq!(back.sees_seqs(&room, 60).await, (1..=60).collect::<Vec<i64>>());
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_moves_again_when_a_silent_client_acknowledges_again() {
    let server = Server::with(|config| config.limits.unacknowledged = 20).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let silent = bob.connecting().without_acknowledging().open().await;
    ada.posts_many_to("bob", 1..=50).await;
    let room =
        silent.sees_within(PATIENCE * 4, "response", |told| told["response"]["seq"] == 50).await["response"]
            ["roomId"]
            .clone();
    // Only the first of them were to be acknowledged.
    silent.acknowledges_all();
    until("the acknowledgements to arrive", async || server.chat().gauges().acknowledgements == 0).await;
    ada.posts_to("bob", "51").await;
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 51).await;
    assert_eq!(bob.conversation(room.as_str().unwrap()).await["delivered"], 51);
    assert_eq!(silent.seqs(&room), (1..=51).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_beyond_what_may_be_unacknowledged_leaves_no_hole_in_the_receipt() {
    let server = Server::with(|config| {
        config.limits.unacknowledged = 40;
        at_full_speed(config);
    })
    .await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let far_away = bob.connecting().without_acknowledging().open().await;
    ada.posts_many_to("bob", 1..=300).await;
    // No answer has come back yet: a round trip is long.
    let room = far_away.sees_message("20").await["roomId"].clone();
    let owes = || async { server.chat().gauges().acknowledgements == 40 };
    until("the page to be there that may be under way, and no more", owes).await;
    far_away.sees_message("40").await;
    // After a while without any acknowledgement, the server goes on without asking for them.
    let seen = far_away.seqs(&room);
    assert_eq!(seen, (1..=seen.len() as i64).collect::<Vec<i64>>());
    far_away.acknowledges_all();
    assert_eq!(far_away.sees_seqs(&room, 300).await, (1..=300).collect::<Vec<i64>>());
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 300).await;
    assert_eq!(bob.conversation(room.as_str().unwrap()).await["delivered"], 300);
}
