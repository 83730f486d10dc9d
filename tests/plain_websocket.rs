//! Plain WebSockets on `/ws`: the native events as JSON frames, with all that a Socket.IO client has.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{
    A_WHILE, Frame, Frames, PATIENCE, Plain, Raw, Server, at_full_speed, forge, in_time, keys_of, until,
};

// Coming in.

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_is_checked_before_the_upgrade() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let gone = server.person("gone").await;
    gone.logs_out().await;
    let expired = forge(&ada.token, crate::harness::SECRET, |claims| claims["exp"] = json!(1_000_000));
    for (path, code) in [
        ("/ws".to_owned(), "token_missing"),
        ("/ws?token=".to_owned(), "token_missing"),
        ("/ws?token=nonsense".to_owned(), "token_invalid"),
        (format!("/ws?token={}", gone.token), "token_revoked"),
        (format!("/ws?token={expired}"), "token_expired"),
    ] {
        let refused = Frames::try_open(server.address, &path, &[], true).await.err().expect("a refusal");
        refused.is(401, code);
        assert!(!refused.headers.contains_key("sec-websocket-accept"), "{refused:?}");
        assert!(refused.headers.contains_key("www-authenticate"), "{refused:?}");
    }
    // A bad one counts even where a good one stands further down.
    let bearer = format!("Bearer {}", ada.token);
    let cookie = format!("chatToken={}", ada.token);
    let headers = [("authorization", &*bearer)];
    let refused = Frames::try_open(server.address, "/ws?token=bad", &headers, true).await;
    refused.err().expect("a refusal").is(401, "token_invalid");
    for headers in [headers, [("cookie", &*cookie)]] {
        let frames = Frames::try_open(server.address, "/ws", &headers, true).await.unwrap();
        frames.says(json!({ "event": "listRooms", "id": "x" }).to_string());
        frames.sees_frame("a reply", |frame| frame["reply"] == "x").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_upgrade_is_told_what_is_needed() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let answer = ada.get("/ws").await;
    answer.is_refused(426, "bad_request");
    assert_eq!(answer.header("upgrade"), "websocket");
    assert_eq!(ada.post("/ws", json!({})).await.status, 405);

    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket";
    for (lines, status, more) in [
        (format!("{upgrade}\r\nSec-WebSocket-Version: 8\r\n{key}"), "426", "sec-websocket-version: 13"),
        (format!("{upgrade}\r\n{key}"), "426", "sec-websocket-version: 13"),
        (format!("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{key}"), "426", "upgrade: websocket"),
        (format!("{upgrade}\r\nSec-WebSocket-Version: 13"), "400", "problem+json"),
        (
            format!("{upgrade}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short"),
            "400",
            "problem+json",
        ),
        (
            format!("{upgrade}\r\nSec-WebSocket-Version: 13\r\n{key}"),
            "101",
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ),
    ] {
        let mut raw = Raw::connect(server.address).await;
        let request = format!("GET /ws?token={} HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n", ada.token);
        raw.send(request.as_bytes()).await;
        let head = raw.head().await.to_ascii_lowercase();
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{lines}: {head}");
        assert!(head.contains(&more.to_ascii_lowercase()), "{lines}: {head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_wish_is_a_bad_request() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for query in [
        "&catchUp=maybe",
        "&receipts=never",
        "&since=nonsense",
        "&since=5",
        "&since=%7B%22a%22%3A%22b%22%7D",
        "&since=%7B%22a%22%3A1.5%7D",
    ] {
        Plain::is_refused_connection(&ada, query).await.is(400, "bad_request");
    }
    for query in
        ["&catchUp=true", "&receipts=batched", "&since=%7B%7D", "&since=%7B%22a%22%3A1%7D", "&more=x"]
    {
        Plain::connects(&ada, query).await.is_alive().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_strange_origin_gets_no_socket() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let path = format!("/ws?token={}", ada.token);
    let strange = [("origin", "https://evil.example.com")];
    let refused = Frames::try_open(server.address, &path, &strange, true).await.err().expect("a refusal");
    refused.is(403, "forbidden");
    let listed = [("origin", "http://localhost:4200")];
    assert!(Frames::try_open(server.address, &path, &listed, true).await.is_ok());
    // By nothing but the cookie, a page of another site gets none either.
    let cookie = format!("chatToken={}", ada.token);
    let sneaky = [("cookie", &*cookie), ("sec-fetch-site", "cross-site")];
    Frames::try_open(server.address, "/ws", &sneaky, true)
        .await
        .err()
        .expect("a refusal")
        .is(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_abandoned_half_way_leaves_nothing_behind() {
    let server = Server::with(|config| config.limits.connections_per_user = 1000).await;
    let ada = server.person("ada").await;
    let path = format!("/ws?token={}", ada.token);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    for attempt in 0..300 {
        let mut raw = Raw::connect(server.address).await;
        raw.send(request.as_bytes()).await;
        // Gone at every moment on the way in, before the answer is read.
        tokio::time::sleep(Duration::from_micros(attempt % 30 * 100)).await;
        drop(raw);
    }
    server.is_deserted().await;
    // Half a frame, and gone.
    let mut raw = Raw::connect(server.address).await;
    assert!(raw.upgrades(&path, &[]).await.starts_with("HTTP/1.1 101 "));
    raw.send(&[0x81, 0xfe, 0x10]).await;
    drop(raw);
    server.is_deserted().await;
    ada.connect_plain().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialect_that_is_off_is_not_there() {
    let server = Server::with(|config| config.dialects.websocket = false).await;
    let ada = server.person("ada").await;
    Plain::is_refused_connection(&ada, "").await.is(404, "not_found");
}

// What is said.

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_socket_io_clients_talk_to_each_other_with_receipts() {
    let server = Server::start().await;
    let ada = server.person("ada").await.connect_plain().await;
    let bob = server.online("bob").await;

    let sent = ada.posts_to("bob", "hi bob").await;
    assert_eq!(bob.sees_message("hi bob").await["messageId"], sent["messageId"]);
    ada.sees_delivered(&sent).await;

    let sent = bob.posts_to("ada", "hi ada").await;
    assert_eq!(ada.sees_message("hi ada").await["messageId"], sent["messageId"]);
    bob.sees_delivered(&sent).await;

    let group = ada.makes_group("friends", &["bob"]).await;
    ada.sees("newgrp", |data| data["response"]["groupId"] == *group).await;
    let sent = ada.posts_in(&group, "hi all").await;
    bob.sees_message("hi all").await;
    ada.sees_message("hi all").await;
    ada.sees_delivered(&sent).await;
    let sent = bob.posts_in(&group, "hi back").await;
    assert_eq!(ada.sees_message("hi back").await["group"], true);
    bob.sees_delivered(&sent).await;

    bob.asks("markRead", json!({ "receiver": group, "group": true, "seq": 2 })).await;
    ada.sees("messageRead", |read| read["username"] == "bob" && read["roomId"] == *group && read["seq"] == 2)
        .await;
    ada.asks("typing", json!({ "receiver": "bob", "group": false, "typing": true })).await;
    assert_eq!(bob.sees_any("typing").await["sender"], "ada");
    bob.asks("typing", json!({ "receiver": "ada", "group": false, "typing": true })).await;
    assert_eq!(ada.sees("typing", |_| true).await["sender"], "bob");

    let cyd = server.person("cyd").await.connect_plain().await;
    ada.sees("onlineStatus", |data| data["username"] == "cyd" && data["online"] == true).await;
    cyd.asks("lobbyMessage", json!({ "content": "anyone?" })).await;
    assert_eq!(ada.sees("lobby", |_| true).await["response"]["content"], "anyone?");
    assert_eq!(bob.sees_any("lobby").await["response"]["sender"], "cyd");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_have_the_shape_of_the_protocol() {
    let server = Server::start().await;
    let ada = server.person("ada").await.connect_plain().await;
    let say = |frame: &str| ada.frames.says(frame);
    // The id comes back as it came, whatever it is.
    for id in ["7", "-1", "1.50", "\"a \\u00e9\"", "12345678901234567890123"] {
        say(&format!(r#"{{"id":{id},"event":"listGroups","data":{{}},"unknown":[1]}}"#));
        let expected = format!(r#"{{"reply":{id},"data":{{"success":true,"response":[]}}}}"#);
        until("the reply", || async { ada.frames.texts().contains(&expected) }).await;
    }
    // Without an id it is done, and not answered.
    say(r#"{"event":"privateMessage","data":{"receiver":"ada","content":"quietly"}}"#);
    let seen = ada.frames.sees_frame("the message", |frame| frame["event"] == "response").await;
    assert_eq!(keys_of(&seen), ["data", "event", "id"]);
    assert!(seen["id"].is_u64(), "{seen}");
    assert_eq!(seen["data"]["response"]["content"], "quietly");
    say(r#"{"event":"nothing of ours"}"#);
    ada.is_refused("nothing of ours", json!({}), "not_found").await;
    ada.is_refused("privateMessage", json!({ "receiver": 5 }), "bad_request").await;
    ada.is_refused("privateMessage", json!({ "receiver": "nobody", "content": "x" }), "not_found").await;
    let told =
        ada.frames.sees_frame("delivery", |frame| frame["event"] == "updateDeliveryStatusOnConnection");
    assert_eq!(keys_of(&told.await), ["data", "event"], "only `response` asks for an answer");
    assert!(ada.frames.all().iter().all(|frame| frame["event"] != "error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_frame_of_ours_is_told_so_and_hurts_nobody() {
    let server = Server::start().await;
    let ada = server.person("ada").await.connect_plain().await;
    for frame in ["", "nonsense", "5", "[]", "{}", r#"{"event":5}"#, r#"{"event":"x","id":{}}"#, "{\"a\":"] {
        ada.frames.says(frame);
        let told = ada.frames.sees_frame("an error", |frame| frame["event"] == "error").await;
        assert_eq!(keys_of(&told), ["data", "event"], "{frame}");
        assert_eq!(told["data"]["code"], "bad_request", "{frame}: {told}");
        assert!(told["data"]["message"].is_string(), "{frame}: {told}");
    }
    // Answers to nothing are let be.
    for frame in [r#"{"reply":99}"#, r#"{"reply":"x","data":null}"#, r#"{"reply":-1,"data":[]}"#] {
        ada.frames.says(frame);
    }
    ada.is_alive().await;
    ada.frames.sees_nothing_more(|frame| frame["event"] == "error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_come_in_order_to_every_kind_of_client() {
    let server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await.connect_plain().await;
    let bob = server.person("bob").await.connect_plain().await;
    let cyd = server.online("cyd").await;
    let group = ada.makes_group("friends", &["bob", "cyd"]).await;
    let room = json!(group);
    let answers: Vec<_> = (1..=1000)
        .map(|number| ada.sends("groupMessage", json!({ "receiver": group, "content": number.to_string() })))
        .collect();
    for answer in answers {
        assert_eq!(answer.await["success"], true);
    }
    let all: Vec<i64> = (1..=1000).collect();
    assert_eq!(bob.sees_seqs(&room, 1000).await, all);
    assert_eq!(ada.sees_seqs(&room, 1000).await, all);
    assert_eq!(cyd.sees_seqs(&room, 1000).await, all);
    let said: Vec<_> = bob.frames.all();
    let contents = said.iter().filter(|frame| frame["event"] == "response");
    for (number, frame) in (1..=1000).zip(contents) {
        assert_eq!(frame["data"]["response"]["content"], number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_own_message_comes_before_the_answer_and_its_delivery_after() {
    let server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await.connect_plain().await;
    let _bob = server.online("bob").await;
    let mut sent = Vec::new();
    for number in 0..50 {
        sent.push(ada.posts_to("bob", &number.to_string()).await);
    }
    for message in &sent {
        ada.sees_delivered(message).await;
    }
    let frames = ada.frames.all();
    let place = |is_it: &dyn Fn(&Json) -> bool| frames.iter().position(is_it).expect("a frame");
    for message in &sent {
        let id = &message["messageId"];
        let is =
            |frame: &Json, event| frame["event"] == event && frame["data"]["response"]["messageId"] == *id;
        let own = place(&|frame| is(frame, "response"));
        let reply = place(&|frame| frame["reply"].is_u64() && frame["data"]["response"]["messageId"] == *id);
        let delivered = place(&|frame| is(frame, "updateDeliveryStatusOnConnection"));
        assert!(own < reply && reply < delivered, "{own} {reply} {delivered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_message_is_stored_once_whatever_wire_it_comes_by() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await.connect_plain().await;
    let plain = ada.connect_plain().await;
    let draft = json!({ "receiver": "bob", "content": "once", "clientMessageId": "c1" });
    let first = plain.asks("privateMessage", draft.clone()).await;
    let again = plain.asks("privateMessage", draft.clone()).await;
    plain.frames.vanishes();
    let by_other_wire = ada.connect().await.asks("privateMessage", draft).await;
    assert_eq!(first["messageId"], again["messageId"]);
    assert_eq!(first["messageId"], by_other_wire["messageId"]);
    bob.sees_message("once").await;
    bob.sees_no_event("response").await;
}

// Receipts, and coming back.

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_gets_what_was_missed_by_receipt_or_by_since() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let first = bob.connect_plain().await;
    let sent = ada.posts_to("bob", "1").await;
    first.sees_message("1").await;
    ada.sees_delivered(&sent).await;
    first.frames.vanishes();
    let room = sent["roomId"].clone();
    for number in 2..=5 {
        ada.posts_to("bob", &number.to_string()).await;
    }
    // What a device has, it need not get again; what it names counts as arrived.
    let since = format!("&since=%7B%22{}%22%3A3%7D", room.as_str().unwrap());
    let silent = Plain::connects_without_acknowledging(&bob, &since).await;
    assert_eq!(silent.sees_seqs(&room, 2).await, [4, 5]);
    assert_eq!(bob.conversation(room.as_str().unwrap()).await["delivered"], 3);
    silent.frames.leaves();

    let by_receipt = bob.connect_plain().await;
    assert_eq!(by_receipt.sees_seqs(&room, 2).await, [4, 5]);
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 5).await;
    by_receipt.frames.leaves();
    ada.posts_to("bob", "6").await;
    let live = Plain::connects(&bob, "&catchUp=false").await;
    ada.posts_to("bob", "7").await;
    live.sees_message("7").await;
    assert_eq!(live.seqs(&room), [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_absence_comes_page_by_page_as_it_is_acknowledged() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=1200).await;
    let room = ada.all("response")[0]["response"]["roomId"].clone();
    let plain = bob.connect_plain().await;
    assert_eq!(plain.sees_seqs(&room, 1200).await, (1..=1200).collect::<Vec<i64>>());
    until("the last page to be acknowledged", || async {
        bob.conversation(room.as_str().unwrap()).await["delivered"] == 1200
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_acknowledgement_moves_the_receipt() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let silent = Plain::connects_without_acknowledging(&bob, "").await;
    let sent = ada.posts_to("bob", "1").await;
    let frame = silent.frames.sees_frame("a response", |frame| frame["event"] == "response").await;
    // Not that it is there says that it arrived, and not that it did not.
    let answer = json!({ "reply": frame["id"], "data": { "success": false } });
    silent.frames.says(answer.to_string());
    silent.is_alive().await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(bob.conversation(sent["roomId"].as_str().unwrap()).await["delivered"], 0);
    // Nor does the next one, while the first is a hole; saying so fills it.
    let second = ada.posts_to("bob", "2").await;
    let frame = silent.frames.sees_frame("a response", |frame| frame["event"] == "response").await;
    silent.frames.says(json!({ "reply": frame["id"] }).to_string());
    silent.is_alive().await;
    assert_eq!(bob.conversation(sent["roomId"].as_str().unwrap()).await["delivered"], 0);
    silent.asks("delivered", json!({ "roomId": sent["roomId"], "seq": 2 })).await;
    ada.sees_delivered(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batched_receipts_ask_for_nothing_and_are_the_same() {
    let server = Server::start().await;
    let ada = server.person("ada").await.connect_plain().await;
    let bob = server.person("bob").await;
    let bob = Plain::connects(&bob, "&receipts=batched").await;
    let sent = ada.posts_to("bob", "1").await;
    let frame = bob.frames.sees_frame("a response", |frame| frame["event"] == "response").await;
    assert_eq!(keys_of(&frame), ["data", "event"]);
    bob.asks("delivered", json!({ "rooms": { sent["roomId"].as_str().unwrap(): 1 } })).await;
    ada.sees_delivered(&sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_what_may_be_unacknowledged_events_come_without_asking() {
    let server = Server::with(|config| config.limits.unacknowledged = 3).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let silent = Plain::connects_without_acknowledging(&bob, "").await;
    let mut room = json!(null);
    for number in 1..=5 {
        room = ada.posts_to("bob", &number.to_string()).await["roomId"].clone();
    }
    // Some wait, for a while, for the first to be acknowledged.
    for count in 3..=5 {
        silent.sees_seqs(&room, count).await;
    }
    let frames = silent.frames.all();
    let asked: Vec<_> = frames.iter().filter(|frame| frame["event"] == "response").collect();
    assert_eq!(asked.len(), 5);
    assert!(asked[..3].iter().all(|frame| frame["id"].is_u64()), "{asked:#?}");
    assert!(asked[3..].iter().all(|frame| frame["id"].is_null()), "{asked:#?}");
    // The acknowledgement of a later one covers them, and not before all that were asked for.
    for frame in &asked[..2] {
        silent.frames.says(json!({ "reply": frame["id"] }).to_string());
    }
    silent.is_alive().await;
    ada.posts_to("bob", "6").await;
    let sixth = |frame: &Json| frame["event"] == "response" && frame["data"]["response"]["seq"] == 6;
    let sixth = silent.frames.sees_frame("the sixth", sixth).await;
    silent.frames.says(json!({ "reply": sixth["id"] }).to_string());
    silent.is_alive().await;
    let delivered = async || bob.conversation(room.as_str().unwrap()).await["delivered"].clone();
    until("the first two to count", async || delivered().await == 2).await;
    silent.frames.says(json!({ "reply": asked[2]["id"] }).to_string());
    until("all to count", async || delivered().await == 6).await;
}

// Going.

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_ends_the_socket_after_the_news() {
    let server = Server::start().await;
    let ada = server.person("ada").await.connect_plain().await;
    ada.is_alive().await;
    server.clock.advance(TimeDelta::minutes(59) + TimeDelta::seconds(10));
    ada.sees("token-expiring", |data| data["expiresAt"].is_string()).await;
    server.clock.advance(TimeDelta::minutes(1));
    ada.sees("token-expired", |data| data["response"].is_string()).await;
    assert_eq!(ada.ends().await, Some(4401));
    Plain::is_refused_connection(&ada, "").await.is(401, "token_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_token_keeps_the_socket() {
    let server = Server::start().await;
    let ada = server.person("ada").await.connect_plain().await;
    server.clock.advance(TimeDelta::minutes(30));
    let newer = ada.refreshes().await;
    assert!(ada.asks("refreshToken", json!({ "token": &*newer.token })).await["expiresAt"].is_string());
    server.clock.advance(TimeDelta::minutes(31));
    ada.sees_no_event("token-expired").await;
    ada.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_closes_the_sockets_of_that_login_alone() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let here = ada.connect_plain().await;
    let elsewhere = ada.logs_in_again().await.connect_plain().await;
    ada.logs_out().await;
    here.sees("token-expired", |_| true).await;
    assert_eq!(here.ends().await, Some(4401));
    elsewhere.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_put_out_of_a_group_hears_no_more_of_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await.connect_plain().await;
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "before").await;
    bob.sees_message("before").await;
    ada.asks("removeMember", json!({ "groupId": group, "username": "bob" })).await;
    bob.sees("memberLeft", |data| data["username"] == "bob").await;
    ada.posts_in(&group, "after").await;
    bob.is_refused("groupMessage", json!({ "receiver": group, "content": "let me" }), "not_a_member").await;
    bob.sees_no_event("response").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_closes_with_1001_and_coming_back_goes_on_without_a_gap() {
    let mut server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let (from, to) = (ada.connect_plain().await, bob.connect_plain().await);
    let answers: Vec<_> = (1..=200)
        .map(|number| {
            from.sends("privateMessage", json!({ "receiver": "bob", "content": number.to_string() }))
        })
        .collect();
    let room = to.sees("response", |_| true).await["response"]["roomId"].clone();
    server.stop().await;
    assert_eq!((from.ends().await, to.ends().await), (Some(1001), Some(1001)));
    // What was answered was stored; what was not was not refused either.
    let mut stored = 0;
    for answer in answers {
        if let Ok(answer) = tokio::time::timeout(Duration::from_millis(1), answer).await {
            assert_eq!(answer["success"], true, "{answer}");
            stored += 1;
        }
    }
    let had = to.seqs(&room);
    assert!(had.len() >= stored, "{} arrived, {stored} were answered", had.len());
    assert_eq!(had, (1..=had.len() as i64).collect::<Vec<i64>>());

    server.starts_again().await;
    let (from, back) = (ada.connect_plain().await, bob.connect_plain().await);
    from.posts_to("bob", "after").await;
    back.sees_message("after").await;
    let more = back.seqs(&room);
    // What bob acknowledged too late for the server that went down comes again.
    assert!(more[0] <= had.len() as i64 + 1, "a gap: {more:?} after {} messages", had.len());
    assert_eq!(more, (more[0]..=*more.last().unwrap()).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_goes_down_nobody_comes_in() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let path = format!("/ws?token={}", ada.token);
    // A line that was there before is still served, until its request is answered.
    let mut raw = Raw::connect(server.address).await;
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n").as_bytes()).await;
    tokio::time::sleep(A_WHILE).await;
    let mut server = server;
    let stopped = server.stop();
    let rest = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let asked = async {
        // The listener is told first; a little later it must be going down.
        tokio::time::sleep(Duration::from_millis(20)).await;
        raw.send(rest.as_bytes()).await;
        raw.head().await
    };
    let ((), head) = tokio::join!(stopped, asked);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
}

// What no decent client does.

async fn upgraded(person: &crate::harness::Person) -> Raw {
    let mut raw = Raw::connect(person.door.address).await;
    let head = raw.upgrades(&format!("/ws?token={}", person.token), &[]).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    raw
}

/// The frames until the line ends; the last is the goodbye.
async fn goodbye(mut raw: Raw) -> Frame {
    raw.closes().await.pop().expect("a close frame")
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_against_the_rules_end_their_own_connection_with_a_code() {
    let server = Server::with(|config| config.limits.packet_bytes = 20_000).await;
    let ada = server.person("ada").await;
    let witness = ada.connect_plain().await;
    let big = vec![b'x'; 20_001];
    type Bytes<'a> = Vec<(u8, &'a [u8])>;
    let cases: Vec<(&str, Bytes<'_>, u16)> = vec![
        ("too big", vec![(0x81, &big)], 1009),
        ("too big in parts", vec![(0x01, &big[..15_000]), (0x80, &big[..15_000])], 1009),
        ("no UTF-8", vec![(0x81, b"\xff\xfe")], 1007),
        ("no UTF-8 in parts", vec![(0x01, b"\xc3"), (0x80, b"\x28")], 1007),
        ("binary", vec![(0x82, b"{}")], 1003),
        ("binary in parts", vec![(0x02, b"{"), (0x80, b"}")], 1003),
        ("looks compressed", vec![(0xc1, b"\xaa\x56\x2a")], 1002),
        ("reserved bits", vec![(0xa1, b"{}")], 1002),
        ("reserved opcode", vec![(0x83, b"{}")], 1002),
        ("reserved control", vec![(0x8b, b"")], 1002),
        ("a fragmented ping", vec![(0x09, b"")], 1002),
        ("a long ping", vec![(0x89, &big[..126])], 1002),
        ("a continuation of nothing", vec![(0x80, b"{}")], 1002),
        ("a message inside another", vec![(0x01, b"{"), (0x81, b"{}")], 1002),
    ];
    for (what, frames, code) in cases {
        let mut raw = upgraded(&ada).await;
        for (head, payload) in frames {
            raw.frame(head, payload).await;
        }
        assert_eq!(goodbye(raw).await, Frame::Close(Some(code)), "{what}");
    }
    let mut unmasked = upgraded(&ada).await;
    unmasked.send(b"\x81\x02{}").await;
    assert_eq!(goodbye(unmasked).await, Frame::Close(Some(1002)), "unmasked");
    let mut declared = upgraded(&ada).await;
    declared.send(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04").await;
    assert_eq!(goodbye(declared).await, Frame::Close(Some(1009)), "a huge length");
    let mut garbage = upgraded(&ada).await;
    garbage.send(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(matches!(goodbye(garbage).await, Frame::Close(Some(1002))), "garbage");

    // Pings are answered, a close is, and what is just within the limit is taken.
    let mut decent = upgraded(&ada).await;
    decent.frame(0x89, b"hello").await;
    assert_eq!(decent.next().await, Some(Frame::Other(10)));
    decent.frame(0x01, br#"{"event":"listRooms","#).await;
    decent.frame(0x80, format!(r#""id":1,"more":"{}"}}"#, "x".repeat(19_000)).as_bytes()).await;
    assert!(decent.hears(r#"{"reply":1,"#).await.contains("success"));
    decent.frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(goodbye(decent).await, Frame::Close(Some(1000)));
    assert!(!witness.frames.has_ended());
    witness.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_is_never_agreed_on() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut raw = Raw::connect(server.address).await;
    let offers = ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"];
    let head = raw.upgrades(&format!("/ws?token={}", ada.token), &offers).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && !head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_nonsense_share_one_budget() {
    let server = Server::with(|config| {
        config.limits.events_per_second = 1;
        config.limits.events_burst = 5;
        config.limits.waiting_events = 5;
    })
    .await;
    let ada = server.person("ada").await.connect_plain().await;
    for _ in 0..4 {
        ada.frames.says("nonsense");
    }
    let in_budget = ada.sends("listRooms", json!({})).await;
    assert_eq!(in_budget["success"], true, "{in_budget}");
    // The first of these wait for the rate. The others are too many.
    for _ in 0..30 {
        ada.frames.says("nonsense");
    }
    let refused = ada.is_refused("listRooms", json!({}), "rate_limited").await;
    assert!(refused["retryAfterMs"].as_u64().is_some_and(|wait| wait > 0), "{refused}");
    ada.frames.says("nonsense");
    ada.frames
        .sees_frame("an error", |frame| frame["event"] == "error" && frame["data"]["code"] == "rate_limited")
        .await;
    let other = server.person("bob").await.connect_plain().await;
    other.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_too_slowly_is_cut_off_loses_nothing_and_holds_up_nobody() {
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.outgoing_packets = 64;
    })
    .await;
    let ada = server.person("ada").await.connect_plain().await;
    let bob = server.person("bob").await.connect_plain().await;
    let carl = server.person("carl").await.connect_plain().await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let room = json!(group);
    ada.posts_in(&group, "begin").await;
    carl.sees_message("begin").await;
    carl.frames.stops_reading();
    for start in (1..=900).step_by(10) {
        let answers: Vec<_> = (start..start + 10)
            .map(|number| {
                let content = format!("{number} {}", "x".repeat(15_000));
                ada.sends("groupMessage", json!({ "receiver": group, "content": content }))
            })
            .collect();
        for answer in answers {
            assert_eq!(answer.await["success"], true);
        }
    }
    assert_eq!(bob.sees_seqs(&room, 901).await, (1..=901).collect::<Vec<i64>>());
    let chat = server.chat();
    until("the slow one to be cut off", || async { chat.gauges().connections == 2 }).await;
    ada.is_alive().await;

    carl.frames.reads_again();
    assert_eq!(carl.ends().await, None, "by the end of its line");
    let had = carl.seqs(&room);
    assert_eq!(had, (1..=had.len() as i64).collect::<Vec<i64>>(), "what it got has no hole");
    let since = format!("&since=%7B%22{group}%22%3A{}%7D", had.len());
    let back = Plain::connects(&carl.person, &since).await;
    let rest: Vec<i64> = (had.len() as i64 + 1..=901).collect();
    assert_eq!(back.sees_seqs(&room, rest.len()).await, rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_hangs_up_after_the_goodbye_is_dropped() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let tasks = server.chat().gauges().tasks;
    let mut raw = upgraded(&ada).await;
    raw.says(r#"{"event":"listRooms","id":1}"#).await;
    raw.hears(r#"{"reply":1,"#).await;
    ada.logs_out().await;
    raw.hears(r#"{"event":"token-expired""#).await;
    assert_eq!(raw.next().await, Some(Frame::Close(Some(4401))));
    server.is_deserted().await;
    // It goes on talking, which nobody hears.
    let talk = async {
        let mut talked = 0;
        while server.chat().gauges().tasks > tasks {
            raw.says(r#"{"event":"listRooms","id":1}"#).await;
            talked += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        talked
    };
    let talked = tokio::time::timeout(PATIENCE, talk).await.expect("an end in time");
    assert!(talked > 0, "it was given some time");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heartbeat_has_the_times_of_the_settings() {
    const PING: Frame = Frame::Other(9);
    let (interval, timeout) = (Duration::from_millis(300), Duration::from_millis(200));
    let server = Server::with(|config| {
        (config.server.ping_interval, config.server.ping_timeout) = (interval, timeout);
    })
    .await;
    let ada = server.person("ada").await;
    for path in [format!("/ws?token={}", ada.token), format!("/chat/{}", ada.id())] {
        let began = Instant::now();
        let mut line = Raw::connect(server.address).await;
        assert!(line.upgrades(&path, &[]).await.starts_with("HTTP/1.1 101 "));
        let mut frame = line.any().await;
        while let Some(Frame::Text(_)) = frame {
            frame = line.any().await;
        }
        assert_eq!(frame, Some(PING));
        assert!(began.elapsed() >= interval, "{path}");
        while line.any().await.is_some() {}
        assert!(began.elapsed() >= interval + timeout, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_of_the_client_are_no_events() {
    let server = Server::with(|config| {
        config.limits.events_per_second = 1;
        config.limits.events_burst = 1;
    })
    .await;
    let ada = server.person("ada").await.connect_plain().await;
    for _ in 0..200 {
        ada.frames.says_message(Message::Ping(vec![1].into()));
    }
    in_time("an answer", ada.is_alive()).await;
}
