//! The lobby: the room that everyone is in. Stored and paged like a room, without receipts.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Server, Transport, keys_of};

#[tokio::test(flavor = "multi_thread")]
async fn everyone_online_gets_what_is_said_in_the_lobby() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.person("carl").await.connect_by(Transport::Polling).await;
    let stored = ada.asks("lobbyMessage", json!({ "content": "hello, world" })).await;
    assert_eq!(
        (&stored["sender"], &stored["seq"], &stored["kind"]),
        (&json!("ada"), &json!(1), &json!("text"))
    );
    for socket in [&ada, &bob, &carl] {
        let seen = socket.sees_any("lobby").await;
        assert_eq!(keys_of(&seen), ["response"]);
        assert_eq!(seen["response"], stored);
    }
    assert!(bob.all("response").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lobby_keeps_no_receipts() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.asks("lobbyMessage", json!({ "content": "hi" })).await;
    bob.sees_any("lobby").await;
    ada.sees_nothing("updateDeliveryStatusOnConnection", A_WHILE).await;
    // And is nobody's conversation.
    assert_eq!(bob.asks("listRooms", json!({})).await, json!([]));
    assert_eq!(bob.asks("listGroups", json!({})).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_replayed_and_all_of_it_can_be_read() {
    let mut server = Server::start().await;
    let ada = server.online("ada").await;
    for number in 1..=60 {
        ada.asks("lobbyMessage", json!({ "content": number.to_string() })).await;
    }
    ada.leaves();
    server.is_deserted().await;
    server.restart().await;
    let bob = server.online("bob").await;
    bob.sees_nothing("lobby", A_WHILE).await;
    let page = async |more: Json| {
        let mut wanted = json!({ "lobby": true });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = bob.asks("history", wanted).await;
        let seqs: Vec<i64> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["seq"].as_i64().unwrap())
            .collect();
        (seqs, page["hasMore"].as_bool().unwrap())
    };
    assert_eq!(page(json!({ "limit": 20 })).await, ((41..=60).collect(), true));
    assert_eq!(page(json!({ "limit": 20, "before": 21 })).await, ((1..=20).collect(), false));
    assert_eq!(page(json!({ "after": 58 })).await, (vec![59, 60], false));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lobby_has_one_order_for_everyone() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let mut answers = Vec::new();
    for number in 0..40 {
        for socket in [&ada, &bob] {
            answers.push(socket.sends("lobbyMessage", json!({ "content": number.to_string() })));
        }
    }
    for answer in answers {
        assert_eq!(answer.await["success"], true);
    }
    ada.sees("lobby", |told| told["response"]["seq"] == 80).await;
    bob.sees("lobby", |told| told["response"]["seq"] == 80).await;
    let seqs: Vec<i64> =
        ada.all("lobby").iter().map(|told| told["response"]["seq"].as_i64().unwrap()).collect();
    assert_eq!(seqs, (1..=80).collect::<Vec<i64>>());
    assert_eq!(ada.all("lobby"), bob.all("lobby"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lobby_cannot_be_left_joined_changed_or_ended() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let said = ada.asks("lobbyMessage", json!({ "content": "hi" })).await;
    let lobby = &said["roomId"];
    for event in ["joinGroup", "leaveGroup", "deleteGroup", "updateGroup", "createGroup"] {
        let answer = ada.emit(event, json!({ "groupId": lobby, "groupName": "mine" })).await;
        assert_eq!(answer["success"], false, "{event}: {answer}");
    }
    ada.asks("lobbyMessage", json!({ "content": "still here" })).await;
}
