//! Order: whoever sends without waiting, everybody sees it in the order sent and without a hole.

use serde_json::json;

use crate::harness::{Server, Transport, at_full_speed, succeeded};

/// Whether a message says its own place.
fn is_its_own_seq(told: &serde_json::Value) -> bool {
    let seq = told["response"]["seq"].to_string();
    told["response"]["content"] == *seq
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_sent_without_waiting_arrive_in_order_by_every_transport() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.person("carl").await.connect_by(Transport::Polling).await;
    let dora = server.person("dora").await.connect_by(Transport::Upgraded).await;
    let group = ada.makes_group("friends", &["bob", "carl", "dora"]).await;

    let answers: Vec<_> = (1..=1000)
        .map(|number: u32| {
            ada.sends("groupMessage", json!({ "receiver": group, "content": number.to_string() }))
        })
        .collect();

    for (number, answer) in (1..).zip(answers) {
        let stored = succeeded(answer.await);
        assert_eq!((&stored["seq"], &stored["content"]), (&json!(number), &json!(number.to_string())));
    }
    let expected: Vec<i64> = (1..=1000).collect();
    for recipient in [&ada, &bob, &carl, &dora] {
        assert_eq!(recipient.sees_seqs(&json!(group), 1000).await, expected, "{}", recipient.username);
        let contents = recipient.all("response");
        assert!(contents.iter().all(is_its_own_seq));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_sender_by_polling_keeps_the_order_too() {
    let server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await.connect_by(Transport::Polling).await;
    let bob = server.online("bob").await;
    ada.posts_many_to("bob", 1..=500).await;
    let room = ada.all("response")[0]["response"]["roomId"].clone();
    assert_eq!(bob.sees_seqs(&room, 500).await, (1..=500).collect::<Vec<i64>>());
    assert!(bob.all("response").iter().all(is_its_own_seq));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_at_once_make_one_order_that_all_agree_on() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let mut answers = Vec::new();
    for number in 0..100 {
        for sender in [&ada, &bob, &carl] {
            let content = format!("{} {number}", sender.username);
            answers.push(sender.sends("groupMessage", json!({ "receiver": group, "content": content })));
        }
    }
    for answer in answers {
        succeeded(answer.await);
    }
    let room = json!(group);
    for recipient in [&ada, &bob, &carl] {
        assert_eq!(recipient.sees_seqs(&room, 300).await, (1..=300).collect::<Vec<i64>>());
    }
    let told = ada.all("response");
    assert_eq!(told, bob.all("response"));
    assert_eq!(told, carl.all("response"));
    for sender in ["ada", "bob", "carl"] {
        let own: Vec<&str> = told
            .iter()
            .filter(|told| told["response"]["sender"] == sender)
            .map(|told| told["response"]["content"].as_str().unwrap())
            .collect();
        let expected: Vec<String> = (0..100).map(|number| format!("{sender} {number}")).collect();
        assert_eq!(own, expected, "one socket's messages get seqs in the order sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_several_rooms_keep_their_order_in_each() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let others = ["bob", "carl", "dora", "eve"];
    for other in others {
        server.acquaintance(other).await;
    }
    let mut answers = Vec::new();
    for number in 1..=50 {
        for other in others {
            answers.push((number, ada.sends("privateMessage", json!({ "receiver": other, "content": "x" }))));
        }
    }
    for (number, answer) in answers {
        assert_eq!(succeeded(answer.await)["seq"], number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_write_to_each_other_for_the_first_time_at_once_meet_in_one_room() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let (first, second) = tokio::join!(ada.posts_to("bob", "hi bob"), bob.posts_to("ada", "hi ada"));
    assert_eq!(first["roomId"], second["roomId"]);
    for socket in [&ada, &bob] {
        assert_eq!(socket.sees_seqs(&first["roomId"], 2).await, [1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_one_socket_is_handled_in_the_order_sent() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    // Each of these makes sense only after the one before.
    for round in 0..10 {
        let name = format!("group {round}");
        let create = ada.sends("createGroup", json!({ "groupName": name }));
        let join = ada.sends("joinGroup", json!({ "groupName": name }));
        succeeded(create.await);
        let group = succeeded(join.await)["groupId"].as_str().unwrap().to_owned();
        let add = ada.sends("addMembers", json!({ "groupId": group, "users": ["bob"] }));
        let post = ada.sends("groupMessage", json!({ "receiver": group, "content": name }));
        succeeded(add.await);
        succeeded(post.await);
        bob.sees_message(&name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_before_leaving_is_stored_before_leaving() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    for round in 0..10 {
        let group = ada.makes_group(&format!("group {round}"), &["bob"]).await;
        let goodbye = bob.sends("groupMessage", json!({ "receiver": group, "content": "goodbye" }));
        let leave = bob.sends("leaveGroup", json!({ "groupId": group }));
        let late = bob.sends("groupMessage", json!({ "receiver": group, "content": "late" }));
        succeeded(goodbye.await);
        succeeded(leave.await);
        assert_eq!(late.await["error"]["code"], "not_a_member");
        ada.sees_message("goodbye").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_before_deleting_a_group_is_stored_before_it_is_deleted() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    for round in 0..10 {
        let group = ada.makes_group(&format!("group {round}"), &["bob"]).await;
        let last =
            ada.sends("groupMessage", json!({ "receiver": group, "content": format!("last {round}") }));
        let delete = ada.sends("deleteGroup", json!({ "groupId": group }));
        succeeded(last.await);
        succeeded(delete.await);
        bob.sees_message(&format!("last {round}")).await;
    }
}
