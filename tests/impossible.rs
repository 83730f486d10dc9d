//! What must be impossible, tried.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Person, Server, handshake_of};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_a_room_that_they_are_not_in() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    let eve = server.online("eve").await;
    let direct = ada.posts_to("bob", "between us").await["roomId"].as_str().unwrap().to_owned();
    let group = ada.makes_secret_group("vault", "open sesame").await;
    let in_vault = ada.posts_in(&group, "in the vault").await;
    ada.sees_delivered(&in_vault).await;

    for room in [&direct, &group] {
        for what in ["messages", "members"] {
            let answer = eve.get(&format!("/api/rooms/{room}/{what}")).await;
            assert!(matches!(answer.status, 403 | 404), "{}", answer.text);
        }
        for payload in
            [json!({ "receiver": room, "group": true }), json!({ "receiver": room, "group": false })]
        {
            assert_eq!(eve.emit("history", payload).await["success"], false);
        }
        let answer = eve.emit("groupMessage", json!({ "receiver": room, "content": "me too" })).await;
        assert_eq!(answer["success"], false);
        let answer = eve.emit("joinGroup", json!({ "groupId": room })).await;
        assert_eq!(answer["success"], false, "{answer}");
        let spying = eve.connect_with(json!({ "since": { room: 0 } })).await;
        spying.sees_no_message().await;
    }
    // What she has with Bob is another room, and an empty one.
    let own = eve.asks("history", json!({ "receiver": "bob", "group": false })).await;
    assert_eq!(own["messages"], json!([]));
    // A direct room is its members' business: it is there for eve no more than one that is not.
    let nowhere = uuid::Uuid::now_v7();
    for path in ["messages", "members"] {
        let there = eve.get(&format!("/api/rooms/{direct}/{path}")).await;
        let not_there = eve.get(&format!("/api/rooms/{nowhere}/{path}")).await;
        assert_eq!(
            (there.status, there.json()["code"].clone()),
            (not_there.status, not_there.json()["code"].clone())
        );
    }
    let _ = eve.emit("delivered", json!({ "roomId": direct, "seq": 1 })).await;
    ada.sees_nothing("updateDeliveryStatusOnConnection", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_a_hash() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let admin = server.admin("admin").await.connect().await;
    let group = ada.makes_secret_group("vault", "open sesame").await;
    ada.asks("updateGroup", json!({ "groupId": group, "password": "another one" })).await;
    ada.posts_in(&group, "hi").await;
    let mut told = String::new();
    for person in [&ada, &admin] {
        for path in [
            "/api/users",
            "/api/users/ada",
            "/api/rooms",
            "/api/rooms/mine",
            "/api/auth/session",
            "/openapi.json",
            "/metrics",
            &format!("/api/rooms/{group}/members"),
            &format!("/api/rooms/{group}/messages"),
        ] {
            told.push_str(&person.get(path).await.text);
        }
        for event in ["listUsers", "listGroups", "listRooms"] {
            told.push_str(&person.emit(event, json!({})).await.to_string());
        }
        for event in ["newgrp", "roomsChanged", "response", "onlineStatus"] {
            told.push_str(&json!(person.all(event)).to_string());
        }
    }
    told.push_str(&Person::tries_to_log_in(&server, "ada", &Person::password_of("ada")).await.text);
    for secret in ["argon2", "passwordHash", "password_hash", "$v=19", "open sesame", "another one"] {
        assert!(!told.contains(secret), "{secret} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_anothers_socket_id() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "hi").await;
    ada.posts_to("bob", "hi").await;
    ada.asks("typing", json!({ "receiver": "bob", "group": false, "typing": true })).await;
    ada.asks("markRead", json!({ "receiver": group, "group": true, "seq": 1 })).await;
    ada.asks("lobbyMessage", json!({ "content": "hi" })).await;
    bob.sees_any("lobby").await;
    let mut told = String::new();
    for event in bob.story() {
        told.push_str(&json!(bob.all(&event)).to_string());
    }
    for path in [
        "/api/users",
        "/api/users/ada",
        "/api/rooms/mine",
        "/metrics",
        &format!("/api/rooms/{group}/members"),
    ] {
        told.push_str(&bob.get(path).await.text);
    }
    assert!(!ada.sid.is_empty() && !told.contains(&ada.sid), "{} was told", ada.sid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_id_gives_no_right_to_what_its_user_may() {
    let server = Server::start().await;
    // Whoever guesses an engine session still has to come by the token.
    let open = server.http.get("/socket.io/?EIO=4&transport=polling").await;
    let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
    let answer = server.http.with_token("x").get(&format!("/api/users?sid={sid}")).await;
    answer.is_refused(401, "token_invalid");
    server.http.get(&format!("/api/users?sid={sid}")).await.is_refused(401, "token_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_speaks_or_acts_for_another() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let eve = server.online("eve").await;
    let claims = json!({
        "sender": "ada", "username": "ada", "userId": ada.id(), "user": { "id": ada.id(), "username": "ada" },
        "token": &*ada.token, "caller": ada.id(),
    });
    let with = |payload: Json| {
        let mut whole = claims.clone();
        whole.as_object_mut().unwrap().extend(payload.as_object().unwrap().clone());
        whole
    };
    let stored = eve.asks("privateMessage", with(json!({ "receiver": "bob", "content": "I am ada" }))).await;
    assert_eq!(stored["sender"], "eve");
    assert_eq!(bob.sees_message("I am ada").await["sender"], "eve");
    let group = eve.asks("createGroup", with(json!({ "groupName": "adas" }))).await;
    assert_eq!(group["owner"], "eve");
    eve.asks("typing", with(json!({ "receiver": "bob", "group": false, "typing": true }))).await;
    assert_eq!(bob.sees_any("typing").await["sender"], "eve");
    assert!(ada.get("/api/rooms/mine").await.is(200).as_array().unwrap().is_empty());
}
