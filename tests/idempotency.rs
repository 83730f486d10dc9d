//! `clientMessageId`: sending again stores nothing and answers with what is stored.

use serde_json::{Value as Json, json};

use crate::harness::{Database, Process, Server, keys_of, succeeded};

fn to_bob(content: &str, id: &str) -> Json {
    json!({ "receiver": "bob", "content": content, "clientMessageId": id })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_with_the_stored_message_and_emitted_to_nobody() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let stored = ada.asks("privateMessage", to_bob("hi", "one")).await;
    assert_eq!(stored["clientMessageId"], "one");
    assert_eq!(bob.sees_message("hi").await["clientMessageId"], "one");
    ada.sees_message("hi").await;

    let repeated = ada.asks("privateMessage", to_bob("hi", "one")).await;
    let changed = ada.asks("privateMessage", to_bob("something else", "one")).await;

    for field in ["messageId", "seq", "content", "timestamp", "clientMessageId", "roomId"] {
        assert_eq!(repeated[field], stored[field]);
        assert_eq!(changed[field], stored[field]);
    }
    bob.sees_no_message().await;
    ada.sees_no_message().await;
    assert_eq!(ada.posts_to("bob", "next").await["seq"], 2, "no seq was used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_repeats_at_once_store_one_message() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let phone = ada.connect().await;
    let bob = server.online("bob").await;
    let answers: Vec<_> =
        (0..20).map(|n| [&ada, &phone][n % 2].sends("privateMessage", to_bob("hi", "one"))).collect();
    let mut ids = Vec::new();
    for answer in answers {
        ids.push(succeeded(answer.await)["messageId"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let room = bob.sees_message("hi").await["roomId"].as_str().unwrap().to_owned();
    bob.sees_no_message().await;
    assert_eq!(bob.history(&room).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_its_senders_own_and_its_rooms_own() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    server.person("carl").await;
    let first = ada.asks("privateMessage", to_bob("from ada", "one")).await;
    let back = json!({ "receiver": "ada", "content": "from bob", "clientMessageId": "one" });
    let second = bob.asks("privateMessage", back).await;
    let other_room = json!({ "receiver": "carl", "content": "elsewhere", "clientMessageId": "one" });
    let third = ada.asks("privateMessage", other_room).await;
    let lobby = ada.asks("lobbyMessage", json!({ "content": "lobby", "clientMessageId": "one" })).await;
    assert_eq!((&first["seq"], &second["seq"], &third["seq"]), (&json!(1), &json!(2), &json!(1)));
    let ids = [&first, &second, &third, &lobby].map(|message| message["messageId"].to_string());
    assert_eq!(std::collections::HashSet::from(ids).len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_after_a_restart_is_recognised() {
    let mut server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.person("bob").await;
    let stored = ada.asks("privateMessage", to_bob("hi", "one")).await;
    server.restart().await;
    let again = ada.connect().await;
    assert_eq!(again.asks("privateMessage", to_bob("hi", "one")).await["messageId"], stored["messageId"]);
    assert_eq!(again.posts_to("bob", "next").await["seq"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_behind_others_is_answered_in_its_place() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let sent = [("a", "1"), ("b", "2"), ("a", "1"), ("c", "3"), ("b", "2")];
    let answers: Vec<_> =
        sent.iter().map(|(content, id)| ada.sends("privateMessage", to_bob(content, id))).collect();
    let mut seqs = Vec::new();
    for answer in answers {
        seqs.push(succeeded(answer.await)["seq"].as_i64().unwrap());
    }
    assert_eq!(seqs, [1, 2, 1, 3, 2]);
    let room = bob.sees_message("a").await["roomId"].clone();
    assert_eq!(bob.sees_seqs(&room, 3).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lobby_and_group_messages_know_it_too() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let group = ada.makes_group("friends", &[]).await;
    for (event, payload) in [
        ("groupMessage", json!({ "receiver": group, "content": "hi", "clientMessageId": "one" })),
        ("lobbyMessage", json!({ "content": "hi", "clientMessageId": "one" })),
    ] {
        let first = ada.asks(event, payload.clone()).await;
        assert!(keys_of(&first).contains(&"clientMessageId"));
        assert_eq!(ada.asks(event, payload).await["messageId"], first["messageId"], "{event}");
    }
    assert_eq!(ada.all("lobby").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_none_is_refused() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    server.person("bob").await;
    for id in [json!(7), json!({}), json!([]), json!(""), json!("x".repeat(10_000)), json!("a\u{0}b")] {
        let payload = json!({ "receiver": "bob", "content": "hi", "clientMessageId": id });
        ada.is_refused("privateMessage", payload, "bad_request").await;
    }
    let payload = json!({ "receiver": "bob", "content": "hi", "clientMessageId": null });
    assert!(ada.asks("privateMessage", payload).await.get("clientMessageId").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_the_room_gets_no_answer_out_of_a_repeat() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let payload = json!({ "receiver": group, "content": "hi", "clientMessageId": "one" });
    bob.asks("groupMessage", payload.clone()).await;
    bob.asks("leaveGroup", json!({ "groupId": group })).await;
    bob.is_refused("groupMessage", payload, "not_a_member").await;
}

/// How many commits the server has made: on the fast path, and as transactions.
async fn commits(process: &Process) -> [f64; 2] {
    let metrics = process.http.metrics().await;
    ["fast", "transaction"].map(|path| {
        let counted = metrics.get(&format!("parlor_commits_total{{path=\"{path}\"}}"));
        counted.copied().unwrap_or_default()
    })
}

/// The closer look costs several times as much: only who repeats may cause it.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_repeat_is_looked_at_closely() {
    let database = Database::fresh().await;
    let process = Process::start(&database).await;
    let ada = process.online("ada").await;
    process.person("bob").await;
    let first = ada.asks("privateMessage", to_bob("hi", "0")).await;
    for n in 1..20 {
        let mut message = to_bob("hi", &n.to_string());
        if n % 3 == 0 {
            message["replyTo"] = first["messageId"].clone();
        }
        ada.asks("privateMessage", message).await;
    }
    ada.posts_to("bob", "without an id").await;
    assert_eq!(commits(&process).await, [21.0, 0.0]);

    assert_eq!(ada.asks("privateMessage", to_bob("hi", "7")).await["seq"], 8);
    assert_eq!(commits(&process).await, [21.0, 1.0]);
    drop((ada, process));
    database.remove().await;
}
