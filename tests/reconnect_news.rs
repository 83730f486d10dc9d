//! What a reconnect tells besides messages: what has changed in the groups that the client names, and who has
//! read its user's messages meanwhile.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Person, Plain, Server, Socket, until};

/// The person's last connection is gone, and nobody else's.
async fn gone(server: &Server, others: usize) {
    until("the connection to be gone", || async { server.chat().gauges().connections == others }).await;
    // Times are compared by the millisecond.
    server.clock.advance(chrono::TimeDelta::milliseconds(5));
}

/// Connects with these seqs.
async fn back(person: &Person, since: Json) -> Socket {
    person.connect_with(json!({ "since": since })).await
}

/// Everything that a client is told before the answer to its first event, without messages and presence.
async fn told(socket: &Socket) -> Vec<String> {
    socket.is_alive().await;
    socket.sees_nothing("nothing", A_WHILE).await;
    let names = ["memberLeft", "roomsChanged", "newgrp", "messageRead"];
    socket.story().into_iter().filter(|name| names.contains(&&**name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_were_left_deleted_changed_or_joined_meanwhile_are_told() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let phone = bob.connect().await;
    let mut groups = Vec::new();
    for name in ["left", "deleted", "renamed", "locked", "the same"] {
        groups.push(ada.makes_group(name, &["bob"]).await);
    }
    let [left, deleted, renamed, locked, same] = &groups[..] else { panic!() };
    phone.sees("newgrp", |told| told["response"]["groupName"] == "the same").await;
    phone.leaves();
    gone(&server, 1).await;

    ada.asks("removeMember", json!({ "groupId": left, "username": "bob" })).await;
    ada.asks("deleteGroup", json!({ "groupId": deleted })).await;
    ada.asks("updateGroup", json!({ "groupId": renamed, "groupName": "a new name" })).await;
    ada.asks("updateGroup", json!({ "groupId": locked, "password": "open sesame" })).await;
    ada.posts_in(same, "a message").await;
    let joined = ada.makes_group("joined", &["bob"]).await;
    ada.posts_in(&joined, "welcome").await;
    let since: Json =
        groups.iter().map(|group| (group.clone(), json!(0))).collect::<serde_json::Map<_, _>>().into();

    for plain in [false, true] {
        if plain {
            let since: String = since.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
            let back = Plain::connects(&bob, &format!("&since={since}")).await;
            back.sees("memberLeft", |told| *told == json!({ "groupId": left, "username": "bob" })).await;
            back.sees("newgrp", |told| told["response"]["groupId"] == *joined).await;
            continue;
        }
        let back = back(&bob, since.clone()).await;
        let told_left = back.sees_any("memberLeft").await;
        assert_eq!(told_left, json!({ "groupId": left, "username": "bob" }));
        let changed = async |group: &str, change: &str| {
            let told = back.sees("roomsChanged", |told| told["response"]["groupId"] == *group).await;
            assert_eq!(told["change"], change, "{told}");
            told["response"].clone()
        };
        changed(deleted, "deleted").await;
        assert_eq!(changed(renamed, "updated").await["groupName"], "a new name");
        assert_eq!(changed(locked, "updated").await["hasPassword"], true);
        back.sees_message("welcome").await;
        let told = told(&back).await;
        assert_eq!(told.len(), 5, "and nothing else: {told:?}");
        // The group comes before its messages.
        let story = back.story();
        let welcome =
            back.all("response").iter().position(|m| m["response"]["content"] == "welcome").unwrap();
        let before = story.iter().position(|name| name == "newgrp").unwrap();
        let messages = story[..before].iter().filter(|name| *name == "response").count();
        assert!(messages <= welcome, "{story:?}");
        back.leaves();
        gone(&server, 1).await;
    }
    // Once told, and nothing has changed since.
    let mut since = since;
    since[&joined] = json!(1);
    for gone in [left, deleted] {
        since.as_object_mut().unwrap().remove(gone);
    }
    gone_twice(&server).await;
    let again = back(&bob, since).await;
    assert_eq!(told(&again).await, Vec::<String>::new());
}

async fn gone_twice(server: &Server) {
    until("only ada to be here", || async { server.chat().gauges().connections == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_owner_is_told_and_messages_come_after_the_announcement() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    server.person("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let phone = bob.connect().await;
    phone.leaves();
    gone(&server, 1).await;
    ada.asks("leaveGroup", json!({ "groupId": group })).await;
    let since = json!({ group: 0 });
    let phone = back(&bob, since).await;
    let told = phone.sees("roomsChanged", |told| told["change"] == "updated").await;
    assert!(told["response"]["owner"] != "ada" && told["response"]["owner"].is_string(), "{told}");
    // A first connect, of a device that has nothing yet.
    let desk = back(&bob, json!({})).await;
    let told = desk.sees_any("newgrp").await;
    assert_eq!(told["response"]["groupName"], "friends");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_read_meanwhile_is_told_with_and_without_since() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let ada = server.person("ada").await;
    let phone = ada.connect().await;
    let direct = phone.posts_to("bob", "1").await;
    let group = phone.makes_group("friends", &["bob", "carl"]).await;
    phone.posts_in(&group, "hello").await;
    bob.posts_in(&group, "hi").await;
    carl.sees_message("hi").await;
    carl.asks("markRead", json!({ "receiver": group, "group": true, "seq": 1 })).await;
    phone.sees("messageRead", |told| told["username"] == "carl").await;
    phone.leaves();
    gone(&server, 2).await;

    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    bob.asks("markRead", json!({ "receiver": group, "group": true, "seq": 2 })).await;
    // Saved within a tick; the other members are told then.
    carl.sees("messageRead", |told| told["username"] == "bob").await;
    let room = direct["roomId"].as_str().unwrap();
    let phone = back(&ada, json!({ room: 1, (group.as_str()): 2 })).await;
    let told_direct = phone.sees("messageRead", |told| told["roomId"] == *room).await;
    let expected = json!({ "roomId": room, "receiver": "ada", "group": false, "username": "bob", "seq": 1 });
    assert_eq!(told_direct, expected);
    let in_group = phone.sees("messageRead", |told| told["roomId"] == *group).await;
    assert_eq!((&in_group["username"], &in_group["seq"]), (&json!("bob"), &json!(2)));
    assert_eq!(told(&phone).await.len(), 2, "carl has read before");

    // Without `since`, nothing else is told.
    phone.posts_to("bob", "2").await;
    let desk = bob.connect().await;
    phone.leaves();
    gone(&server, 3).await;
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 2 })).await;
    // His other device is told when the receipt is saved.
    desk.sees("messageRead", |told| told["username"] == "bob" && told["seq"] == 2).await;
    let phone = ada.connect().await;
    let again = phone.sees_any("messageRead").await;
    assert_eq!((&again["username"], &again["seq"]), (&json!("bob"), &json!(2)));
    assert_eq!(told(&phone).await, ["messageRead"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_is_told_after_a_restart_and_not_in_large_groups() {
    let mut server = Server::with(|config| config.presence.grace = Duration::from_millis(10)).await;
    let bob = server.online("bob").await;
    let ada = server.person("ada").await;
    let phone = ada.connect().await;
    phone.posts_to("bob", "1").await;
    let many: Vec<String> = (0..49).map(|number| format!("member{number}")).collect();
    for name in &many {
        server.acquaintance(name).await;
    }
    let members: Vec<&str> = many.iter().map(String::as_str).chain(["bob"]).collect();
    let group = phone.makes_group("a crowd", &members).await;
    phone.posts_in(&group, "hello").await;
    bob.sees_message("hello").await;
    phone.leaves();
    gone(&server, 1).await;
    bob.sees_online("ada", false).await;
    bob.asks("markRead", json!({ "receiver": group, "group": true, "seq": 1 })).await;
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    let person = bob.person.clone();
    server.restart().await;
    drop(bob);
    let _bob = person.connect().await;
    let phone = ada.connect().await;
    let seen = phone.sees_any("messageRead").await;
    assert_eq!((&seen["username"], &seen["group"]), (&json!("bob"), &json!(false)));
    assert_eq!(told(&phone).await.len(), 1, "the group has 51 members");
}
