//! Floods of every kind: so many get through, the rest is refused or goes, and others are served
//! meanwhile. Counts decide, not times.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use crate::harness::{Answer, Frame, Person, Raw, Server, Socket, handshake_of, succeeded, until};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// Two who talk while something goes on around them.
struct Others {
    carl: Socket,
    dora: Socket,
}

impl Others {
    async fn at(server: &Server) -> Self {
        Self { carl: server.online("carl").await, dora: server.online("dora").await }
    }

    /// A whole conversation, at this moment.
    async fn are_served(&self, what: &str) {
        for number in 0..20 {
            let content = format!("{what} {number}");
            self.carl.posts_to("dora", &content).await;
            self.dora.sees_message(&content).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_join_nothing_go_and_hold_up_nobody() {
    let server = Server::with(|config| config.limits.connect_timeout = Duration::from_secs(1)).await;
    let others = Others::at(&server).await;
    let mut lines: Vec<Raw> = join_all((0..200).map(|_| Raw::websocket(server.address)))
        .await
        .into_iter()
        .map(|(line, _)| line)
        .collect();
    let polls = join_all((0..100).map(|_| server.http.get(POLLING))).await;
    others.are_served("beside 300 that say nothing").await;
    for line in &mut lines {
        line.closes().await;
    }
    for poll in polls {
        let path = format!("{POLLING}&sid={}", handshake_of(&poll.text)["sid"].as_str().unwrap());
        until("a session to be gone", || async { server.http.get(&path).await.status == 400 }).await;
    }
    others.are_served("afterwards").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_to_join_are_limited_for_each_session() {
    let server = Server::start().await;
    let others = Others::at(&server).await;
    let ada = server.person("ada").await;
    let (mut line, _) = Raw::websocket(server.address).await;
    let mut looked_at = 0;
    let mut is_closed = false;
    for number in 0..200 {
        // The right one among them helps as little.
        let token = if number % 10 == 9 && number > 100 { &*ada.token } else { "guess" };
        line.says(&format!("40/chat,{{\"token\":\"{token}\"}}")).await;
        // The library passes over a CONNECT that comes while it is still busy refusing the one before.
        let Ok(frame) = tokio::time::timeout(Duration::from_secs(1), line.next()).await else { continue };
        match frame {
            Some(Frame::Text(text)) if text.starts_with("44/chat,{\"message\":\"token_invalid: ") => {
                looked_at += 1
            }
            // It is not told to be over the limit, which its client would take as final.
            Some(Frame::Text(text)) if text == "1" => is_closed = true,
            None | Some(Frame::Close(_)) => {
                is_closed = true;
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // Ten at once and one a second. The first one too many ends the connection, after a while.
    assert!(is_closed && (10..=100).contains(&looked_at), "{looked_at}");
    others.are_served("beside a guesser").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_from_one_address_are_limited_whatever_the_account() {
    let server = Server::with(|config| config.limits.failed_attempts_per_address = 20).await;
    let others = Others::at(&server).await;
    let names: Vec<String> = (0..60).map(|number| format!("name{number}")).collect();
    let guesses =
        join_all(names.iter().map(|name| Person::tries_to_log_in(&server, name, "a wrong guess"))).await;
    let looked_at = guesses.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 20);
    for refused in guesses.iter().filter(|answer| answer.status != 401) {
        refused.is_refused(429, "rate_limited");
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
    }
    // By the other door as well.
    let lobby = json!({ "userID": "name99", "password": "a wrong guess" });
    assert_eq!(server.http.post("/auth/login", lobby).await.status, 429);
    others.are_served("beside a guesser").await;
    // Who has logged in from there is not refused.
    Person::logs_in(&server, "carl").await;
    server.clock.advance(TimeDelta::seconds(301));
    Person::tries_to_log_in(&server, "name99", "a wrong guess").await.is_refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rooms_password_has_five_guesses_by_all_doors_together() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let group = ada.makes_secret_group("vault", "open sesame").await;
    let eve = server.person("eve").await;
    let (native, rooms) = (eve.connect().await, eve.connecting().at_root().open().await);
    let guess = json!({ "groupId": group, "password": "a guess" });
    let door = |password: &str| json!({ "roomName": "vault", "roomPwd": password });
    let path = format!("/api/rooms/{group}/join");
    native.is_refused("joinGroup", guess.clone(), "wrong_password").await;
    native.is_refused("joinGroup", guess.clone(), "wrong_password").await;
    eve.post(&path, json!({ "password": "a guess" })).await.is_refused(403, "wrong_password");
    let mut by_name = Vec::new();
    for _ in 0..12 {
        by_name.push(rooms.emit("joinIfExists:room", door("a guess")).await["error"]["code"].clone());
    }
    let looked_at = by_name.iter().filter(|code| **code == "wrong_password").count();
    assert!(looked_at <= 5, "{by_name:?}");
    assert_eq!(by_name.last().unwrap(), "rate_limited");
    // Then not even the right one opens it by that door.
    assert_eq!(rooms.emit("joinIfExists:room", door("open sesame")).await["error"]["code"], "rate_limited");
    for _ in 0..2 {
        native.emit("joinGroup", guess.clone()).await;
    }
    let right = json!({ "password": "open sesame" });
    eve.post(&path, right.clone()).await.is_refused(429, "rate_limited");
    let carl = server.person("carl").await;
    carl.post(&path, right).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_come_in_one_request_count_each() {
    let server = Server::with(|config| {
        let limits = &mut config.limits;
        (limits.events_per_second, limits.events_burst, limits.waiting_events) = (100, 100, 100);
    })
    .await;
    let others = Others::at(&server).await;
    let ada = server.person("ada").await;
    let open = server.http.get(POLLING).await;
    let path = format!("{POLLING}&sid={}", handshake_of(&open.text)["sid"].as_str().unwrap());
    let post = |payload: String| {
        let request = server.http.request(http::Method::POST, &path).body(payload);
        async move { Answer::to(request).await.status }
    };
    assert_eq!(post(format!("40/chat,{{\"token\":\"{}\"}}", ada.token)).await, 200);
    // What comes before it is in would not be heard.
    while !server.http.get(&path).await.text.contains("40/chat,") {}
    let events: Vec<String> = (0..300)
        .map(|id| format!("42/chat,{id}[\"privateMessage\",{{\"receiver\":\"carl\",\"content\":\"flood\"}}]"))
        .collect();
    assert_eq!(post(events.join("\u{1e}")).await, 200);
    let mut answers = String::new();
    while answers.matches("43/chat,").count() < 300 {
        let poll = server.http.get(&path).await;
        assert_eq!(poll.status, 200, "{}", poll.text);
        answers.push_str(&poll.text);
    }
    let passed = answers.matches("43/chat,").count() - answers.matches("\"rate_limited\"").count();
    assert!((200..300).contains(&passed), "100 at once, and 100 wait: {passed}");
    others.are_served("beside a flood of events").await;
    assert_eq!(post("1".to_owned()).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_no_session_are_refused_and_hold_up_nobody() {
    let server = Server::start().await;
    let others = Others::at(&server).await;
    let paths = [format!("{POLLING}&sid=AAAAAAAAAAAAAAAA"), "/api/auth/session?token=guess".to_owned()];
    for path in &paths {
        let answers = join_all((0..300).map(|_| server.http.get(path))).await;
        assert!(answers.iter().all(|answer| matches!(answer.status, 400 | 401)));
        others.are_served(path).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_over_the_limit_are_not_read_to_their_end() {
    let server = Server::start().await;
    let others = Others::at(&server).await;
    let ada = server.person("ada").await;
    let mut lines = Vec::new();
    for path in ["/api/auth/login", "/api/users", "/api/rooms", "/auth/login", "/web/login", "/web/group"] {
        // A gigabyte is announced, and nothing of it is sent.
        let mut line = Raw::connect(server.address).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: 1000000000\r\n\r\n{{",
            ada.token
        );
        line.send(request.as_bytes()).await;
        lines.push((path, line));
    }
    others.are_served("beside huge bodies").await;
    for (path, mut line) in lines {
        let head = line.head().await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{path}: {head}");
        line.everything().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_wait_in_a_line_of_some_length_and_no_longer() {
    let server = Server::with(|config| {
        config.auth.hashing_at_once = 1;
        config.auth.hashing_queue = 4;
    })
    .await;
    let others = Others::at(&server).await;
    let sign_ups = (0..60).map(|number| {
        server
            .http
            .post("/api/users", json!({ "username": format!("name{number}"), "password": "long enough" }))
    });
    let (answers, ()) = tokio::join!(join_all(sign_ups), others.are_served("beside sign-ups"));
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert!((1..60).contains(&made), "{made}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.is_refused(503, "unavailable");
    }
    // Nothing is left of those who were refused.
    let users = others.carl.asks("listUsers", json!({})).await;
    assert_eq!(users.as_array().unwrap().len(), made + 2, "{users}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_events_are_answered_and_hold_up_nobody() {
    let server = Server::with(|config| config.limits.waiting_events = 100).await;
    let others = Others::at(&server).await;
    let eve = server.online("eve").await;
    let flood: Vec<_> = (0..2_000).map(|number| eve.sends("nonsense", json!({ "number": number }))).collect();
    others.are_served("beside a flood of nonsense").await;
    let answers: Vec<Json> = join_all(flood).await;
    assert!(answers.iter().all(|answer| answer["success"] == false));
    let limited = answers.iter().filter(|answer| answer["error"]["code"] == "rate_limited").count();
    assert!(limited > 1_000, "{limited}");
    // She has not lost her connection by it.
    until("her budget to be back", || async { eve.emit("listRooms", json!({})).await["success"] == true })
        .await;
    succeeded(eve.emit("privateMessage", json!({ "receiver": "carl", "content": "sorry" })).await);
}
