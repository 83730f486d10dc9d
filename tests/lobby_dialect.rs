//! The lobby page's events on the namespace `/` (docs/dialects.md).

use serde_json::json;

use crate::harness::{A_WHILE, Person, Server, Socket};

/// The page connects with nothing but the cookie.
async fn page(person: &Person) -> Socket {
    let cookie = format!("chatToken={}", person.token);
    person.connecting().at_root().with_only(json!(null)).header("cookie", &cookie).open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_the_lobby_reaches_all_others_as_a_line() {
    let server = Server::start().await;
    let (ada, bob, cyd) =
        (server.person("ada").await, server.person("bob").await, server.online("cyd").await);
    let (ada, bob) = (page(&ada).await, page(&bob).await);
    let tab = page(&ada).await;
    ada.sends_only("chat message", json!("hello"));
    for other in [&bob, &tab] {
        other.sees("chat message", |line| line == "ada : hello").await;
    }
    let native = cyd.sees_any("lobby").await["response"].clone();
    assert_eq!((&native["sender"], &native["content"]), (&json!("ada"), &json!("hello")));
    cyd.asks("lobbyMessage", json!({ "content": "good \"day\"" })).await;
    for other in [&ada, &bob, &tab] {
        other.sees("chat message", |line| line == "cyd : good \"day\"").await;
    }
    assert_eq!(ada.all("chat message").len(), 1, "one's own does not come back");
    let stored = cyd.asks("history", json!({ "lobby": true })).await;
    assert_eq!(stored["messages"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn coming_and_going_is_told_by_name() {
    let server = Server::with(|config| config.presence.grace = std::time::Duration::from_millis(100)).await;
    let ada = page(&server.person("ada").await).await;
    let bob = server.person("bob").await;
    let first = page(&bob).await;
    ada.sees("new user", |name| name == "bob").await;
    let second = page(&bob).await;
    first.leaves();
    ada.sees_nothing("user left", A_WHILE).await;
    second.leaves();
    ada.sees("user left", |name| name == "bob").await;
    assert_eq!(ada.all("new user").len(), 1);
    // Whoever is on another wire is as much there.
    let native = server.online("cyd").await;
    ada.sees("new user", |name| name == "cyd").await;
    native.leaves();
    ada.sees("user left", |name| name == "cyd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_a_string_and_is_answered_where_that_is_asked() {
    let server = Server::start().await;
    let ada = page(&server.person("ada").await).await;
    let message = ada.emit("chat message", json!("hi\u{0}there")).await;
    assert_eq!((&message["content"], &message["sender"]), (&json!("hi\u{0}there"), &json!("ada")));
    for wrong in [json!({}), json!(5), json!(null), json!(["hi"])] {
        let refused = ada.emit("chat message", wrong.clone()).await;
        assert_eq!(refused["error"]["code"], "bad_request", "{wrong}: {refused}");
    }
    assert_eq!(ada.sends_text("chat message", "").await["error"]["code"], "bad_request");
    let long = "x".repeat(16 * 1024 + 1);
    assert_eq!(ada.emit("chat message", json!(long)).await["error"]["code"], "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_spoke_as_one_front_end_does_not_hear_the_other() {
    let server = Server::start().await;
    let (ada, bob, cyd) =
        (server.person("ada").await, server.person("bob").await, server.person("cyd").await);
    let (lobby, rooms) = (page(&ada).await, bob.connecting().at_root().open().await);
    let undecided = cyd.connecting().at_root().open().await;
    lobby.emit("chat message", json!("hello")).await;
    rooms.sees_any("chat message").await;
    rooms.sends_text("get:rooms", "").await;
    lobby.emit("chat message", json!("again")).await;
    rooms.emit("create:room", json!({ "roomName": "tea", "roomPwd": "secret" })).await;
    undecided.sees("chat message", |line| line == "ada : again").await;
    undecided.sees_any("updateRoomsDropdowns").await;
    lobby.sees_nothing("updateRoomsDropdowns", A_WHILE).await;
    rooms.sees_nothing("chat message", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_live_login_nobody_gets_in() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let socket = page(&ada).await;
    ada.logs_out().await;
    socket.ends().await;
    let cookie = format!("chatToken={}", ada.token);
    let back = ada.connecting().at_root().with_only(json!(null)).header("cookie", &cookie);
    assert_eq!(back.fails().await, "Not Authorized");
    assert_eq!(ada.connecting().at_root().with_only(json!(null)).fails().await, "Not Authorized");
}
