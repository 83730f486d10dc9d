//! Guesses of passwords: how far they get, and that they lock out nobody who is innocent. Requests come through a
//! trusted proxy, so that a test chooses their addresses.

use std::future::Future;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use crate::harness::{Answer, Person, Server, Socket};

const HOME: &str = "192.0.2.1";
const OFFICE: &str = "198.51.100.1";

/// A server that believes its clients about their addresses.
async fn behind_a_proxy(change: impl FnOnce(&mut parlor::config::Config)) -> Server {
    Server::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        change(config);
    })
    .await
}

fn posts(server: &Server, path: &str, from: &str, body: Json) -> impl Future<Output = Answer> + use<> {
    let request = server.http.request(http::Method::POST, path).header("x-forwarded-for", from);
    Answer::to(request.json(&body))
}

fn logs_in(server: &Server, name: &str, from: &str) -> impl Future<Output = Answer> + use<> {
    let body = json!({ "username": name, "password": Person::password_of(name) });
    posts(server, "/api/auth/login", from, body)
}

fn guesses(server: &Server, name: &str, from: &str) -> impl Future<Output = Answer> + use<> {
    posts(server, "/api/auth/login", from, json!({ "username": name, "password": "a wrong guess" }))
}

fn signs_up(server: &Server, name: &str, from: &str) -> impl Future<Output = Answer> + use<> {
    let body = json!({ "username": name, "password": Person::password_of(name) });
    posts(server, "/api/users", from, body)
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_room_password_forgives_no_wrong_one() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let vault = ada.makes_secret_group("vault", "open sesame").await;
    let shed = ada.makes_secret_group("shed", "known to eve").await;
    let eve = server.person("eve").await;
    let socket = eve.connect().await;
    let rooms = eve.connecting().at_root().open().await;
    let mut looked_at = 0;
    for number in 0..40 {
        looked_at += usize::from(guesses_at_a_room(&socket, &rooms, number, &vault).await);
        // By each door in turn.
        let known = json!({ "groupId": shed, "password": "known to eve" });
        match number % 3 {
            0 => drop(socket.emit("joinGroup", known).await),
            1 => drop(eve.post(&format!("/api/rooms/{shed}/join"), known).await),
            _ => {
                let known = json!({ "roomName": "shed", "roomPwd": "known to eve" });
                rooms.emit("joinIfExists:room", known).await;
            }
        }
        socket.emit("leaveGroup", json!({ "groupId": shed })).await;
    }
    assert_eq!(looked_at, 5);
}

/// Whether the guess was looked at.
async fn guesses_at_a_room(native: &Socket, rooms: &Socket, number: usize, vault: &str) -> bool {
    let answer = if number.is_multiple_of(2) {
        native.emit("joinGroup", json!({ "groupId": vault, "password": format!("guess {number}") })).await
    } else {
        let guess = json!({ "roomName": "vault", "roomPwd": format!("guess {number}") });
        rooms.emit("joinIfExists:room", guess).await
    };
    match answer["error"]["code"].as_str() {
        Some("wrong_password") => true,
        Some("rate_limited") => false,
        _ => panic!("{answer}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_a_slow_limit_over_all_addresses_and_its_owner_is_not_locked_out() {
    let server = behind_a_proxy(|config| config.limits.failed_attempts_per_account = 12).await;
    signs_up(&server, "ada", HOME).await.is(201);
    let token = logs_in(&server, "ada", HOME).await.is(200)["token"].as_str().unwrap().to_owned();
    let sources: Vec<String> = (0..40).map(|number| format!("2001:db8:{number:x}::1")).collect();
    let answers = join_all(sources.iter().map(|from| guesses(&server, "ADA", from))).await;
    assert_eq!((count(&answers, 401), count(&answers, 429)), (12, 28));

    // Neither from where she logged in, nor with a login that lasts.
    logs_in(&server, "ada", HOME).await.is(200);
    let ada = server.http.with_token(&token);
    ada.post("/api/auth/refresh", json!({})).await.is(200);
    let body = json!({ "username": "ada", "password": Person::password_of("ada") });
    let elsewhere = ada.request(http::Method::POST, "/api/auth/login").header("x-forwarded-for", OFFICE);
    Answer::to(elsewhere.json(&body)).await.is(200);
    // Where nothing is known of her, one attempt passes in a quarter of an hour.
    let refused = logs_in(&server, "ada", "203.0.113.1").await;
    refused.is_refused(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 900);
    server.clock.advance(TimeDelta::seconds(901));
    guesses(&server, "ada", "203.0.113.2").await.is_refused(401, "unauthorized");
    logs_in(&server, "ada", "203.0.113.1").await.is_refused(429, "rate_limited");
    server.clock.advance(TimeDelta::seconds(901));
    logs_in(&server, "ada", "203.0.113.1").await.is(200);
    guesses(&server, "ada", "203.0.113.2").await.is_refused(401, "unauthorized");
    guesses(&server, "ada", "203.0.113.2").await.is_refused(429, "rate_limited");
    logs_in(&server, "ada", "203.0.113.1").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_network_and_a_site_are_one_address() {
    let server = behind_a_proxy(|_| {}).await;
    for number in 0..5 {
        guesses(&server, "ada", &format!("2001:db8:1:1::{number}")).await.is_refused(401, "unauthorized");
        guesses(&server, "bob", &format!("2001:db8:2:{number}::1")).await.is_refused(401, "unauthorized");
    }
    guesses(&server, "ada", "2001:db8:1:1:ffff::1").await.is_refused(429, "rate_limited");
    guesses(&server, "bob", "2001:db8:2:ffff::1").await.is_refused(429, "rate_limited");
    guesses(&server, "bob", "2001:db8:3::1").await.is_refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn right_logins_at_once_are_never_refused() {
    let server = behind_a_proxy(|config| {
        config.limits.failed_attempts = 2;
        config.limits.failed_attempts_per_address = 3;
    })
    .await;
    let names: Vec<String> = (0..8).map(|number| format!("name{number}")).collect();
    for name in &names {
        signs_up(&server, name, HOME).await.is(201);
    }
    // Ten workers of one account, and everybody of an office, where nobody is known yet.
    for from in [HOME, OFFICE] {
        let of_one = join_all((0..10).map(|_| logs_in(&server, "name0", from))).await;
        assert_eq!(count(&of_one, 200), 10);
    }
    let of_all =
        join_all(names.iter().chain(&names).map(|name| logs_in(&server, name, "198.51.100.2"))).await;
    assert_eq!(count(&of_all, 200), 16);
    // Wrong ones among them are counted, each.
    let mixed = join_all((0..20).map(async |number| match number % 2 {
        0 => logs_in(&server, "name1", "198.51.100.3").await,
        _ => guesses(&server, "name1", "198.51.100.3").await,
    }))
    .await;
    assert_eq!(count(&mixed, 200) + count(&mixed, 401) + count(&mixed, 429), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_locks_out_nobody_who_is_known_at_the_address() {
    let server = behind_a_proxy(|config| config.limits.failed_attempts_per_address = 10).await;
    for name in ["ada", "bob"] {
        signs_up(&server, name, HOME).await.is(201);
    }
    logs_in(&server, "ada", OFFICE).await.is(200);
    signs_up(&server, "carl", OFFICE).await.is(201);
    let names: Vec<String> = (0..15).map(|number| format!("nobody{number}")).collect();
    let answers = join_all(names.iter().map(|name| guesses(&server, name, OFFICE))).await;
    assert_eq!((count(&answers, 401), count(&answers, 429)), (10, 5));
    logs_in(&server, "ada", OFFICE).await.is(200);
    logs_in(&server, "carl", OFFICE).await.is(200);
    // Nothing is known of bob there.
    logs_in(&server, "bob", OFFICE).await.is_refused(429, "rate_limited");
    logs_in(&server, "bob", HOME).await.is(200);
    // Who is known has five guesses, as everywhere.
    for _ in 0..5 {
        guesses(&server, "ada", OFFICE).await.is_refused(401, "unauthorized");
    }
    logs_in(&server, "ada", OFFICE).await.is_refused(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_a_live_login_of_the_account_has_attempts_of_ones_own() {
    let server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let body = json!({ "username": "ada", "password": Person::password_of("ada") });
    let with = |cookie: String| {
        let request = server.http.request(http::Method::POST, "/api/auth/login").header("cookie", cookie);
        Answer::to(request.json(&body))
    };
    for _ in 0..6 {
        Person::tries_to_log_in(&server, "ada", "a wrong guess").await;
    }
    Person::tries_to_log_in(&server, "ada", &Person::password_of("ada"))
        .await
        .is_refused(429, "rate_limited");
    with(format!("chatToken={}", ada.token)).await.is(200);
    // Another's login, one that an open dialect gave without a password, and one that has ended, are none.
    let web = server.http.post("/web/login", json!({ "username": "ada" })).await;
    web.is(200);
    with(format!("chatToken={}", web.header("auth-token"))).await.is_refused(429, "rate_limited");
    with(format!("chatToken={}", bob.token)).await.is_refused(429, "rate_limited");
    let over = ada.refreshes().await;
    over.logs_out().await;
    with(format!("chatToken={}", ada.token)).await.is_refused(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_current_passwords_are_counted_for_the_login_that_shows_them() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let phone = ada.logs_in_again().await;
    for _ in 0..6 {
        Person::tries_to_log_in(&server, "ada", "a wrong guess").await;
    }
    let change = |current: &str| json!({ "email": "ada@example.com", "currentPassword": current });
    for _ in 0..5 {
        ada.patch("/api/users/ada", change("a wrong guess")).await.is_refused(403, "wrong_password");
    }
    let right = change(&Person::password_of("ada"));
    let refused = ada.patch("/api/users/ada", right.clone()).await;
    refused.is_refused(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 300);
    // None at all is no guess.
    phone.patch("/api/users/ada", json!({ "email": "x" })).await.is_refused(403, "wrong_password");
    phone.patch("/api/users/ada", right).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_are_counted_for_each_address() {
    let server = behind_a_proxy(|config| config.limits.signups_per_address = 3).await;
    signs_up(&server, "ada", HOME).await.is(201);
    // Those that come to nothing count, too: they say which names are taken.
    signs_up(&server, "ada", HOME).await.is_refused(409, "conflict");
    signs_up(&server, "bob", HOME).await.is(201);
    let refused = signs_up(&server, "carl", HOME).await;
    refused.is_refused(429, "rate_limited");
    assert!((1..=3_600).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    signs_up(&server, "carl", OFFICE).await.is(201);
    server.clock.advance(TimeDelta::minutes(61));
    signs_up(&server, "dora", HOME).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_found_before_anything_is_hashed() {
    let server = Server::with(|config| {
        config.auth.hashing_at_once = 1;
        config.auth.hashing_queue = 2;
    })
    .await;
    let ada = server.person("ada").await;
    ada.makes_secret_group("taken", "open sesame").await;
    let sign_up = json!({ "username": "ADA", "password": Person::password_of("ada") });
    let group = json!({ "groupName": "taken", "password": "another" });
    let (sign_ups, groups) = tokio::join!(
        join_all((0..40).map(|_| server.http.post("/api/users", sign_up.clone()))),
        join_all((0..40).map(|_| ada.post("/api/rooms", group.clone()))),
    );
    assert_eq!((count(&sign_ups, 409), count(&groups, 409)), (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_and_room_passwords_leave_places_for_logins() {
    let server = Server::with(|config| {
        config.auth.hashing_at_once = 1;
        config.auth.hashing_queue = 11;
    })
    .await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let vault = ada.makes_secret_group("vault", "open sesame").await;
    let sign_ups = join_all((0..40).map(|number| {
        let body = json!({ "username": format!("name{number}"), "password": "long enough" });
        server.http.post("/api/users", body)
    }));
    let members = join_all((0..30).map(|number| {
        let body = json!({ "groupName": format!("group {number}"), "password": "open sesame" });
        ada.post("/api/rooms", body)
    }));
    let logins = async {
        for _ in 0..10 {
            let bob = Person::logs_in(&server, "bob").await;
            bob.get("/api/auth/session").await.is(200);
        }
    };
    let (sign_ups, members, ()) = tokio::join!(sign_ups, members, logins);
    assert!(count(&sign_ups, 503) > 0 && count(&members, 503) > 0, "the line was full");
    assert_eq!(count(&sign_ups, 503) + count(&sign_ups, 201), 40);
    bob.post(&format!("/api/rooms/{vault}/join"), json!({ "password": "open sesame" })).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_at_once_wait_for_a_place_and_the_others_notice_nothing() {
    let server = behind_a_proxy(|config| {
        config.auth.hashing_at_once = 1;
        config.auth.hashing_queue = 20;
    })
    .await;
    for name in ["ada", "bob"] {
        signs_up(&server, name, HOME).await.is(201);
    }
    // More than the line has places, from one address; beside them, one from another address.
    let many = join_all((0..40).map(|_| logs_in(&server, "ada", OFFICE)));
    let (many, other) = tokio::join!(many, logs_in(&server, "bob", HOME));
    assert_eq!(count(&many, 200), 40);
    other.is(200);
}
