//! Groups: making, joining, leaving, changing, ending them, and who hears of it.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Server, keys_of};

const GROUP: [&str; 7] =
    ["createdAt", "groupId", "groupName", "hasPassword", "lastSeq", "memberCount", "owner"];

fn names(group: &Json) -> Vec<&str> {
    let mut names: Vec<&str> =
        group["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

/// What everyone may see of a group.
fn is_public(group: &Json) {
    assert_eq!(keys_of(group), GROUP, "{group}");
}

fn is_for_members(group: &Json) {
    let mut keys = GROUP.to_vec();
    keys.push("users");
    assert_eq!(keys_of(group), keys, "{group}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_group_has_its_maker_as_owner_and_its_users_as_members() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let users = json!(["bob", { "username": "ada", "id": "ignored" }, "bob"]);

    let group = ada.asks("createGroup", json!({ "groupName": "friends", "users": users })).await;

    is_for_members(&group);
    assert_eq!(group["groupName"], "friends");
    assert_eq!(group["owner"], "ada");
    assert_eq!(group["hasPassword"], false);
    assert_eq!(group["memberCount"], 2);
    assert_eq!(group["lastSeq"], 0);
    assert_eq!(names(&group), ["ada", "bob"]);
    for member in [&ada, &bob] {
        assert_eq!(member.sees_any("newgrp").await["response"]["groupId"], group["groupId"]);
    }
    for anyone in [&ada, &bob, &carl] {
        let told = anyone.sees_any("roomsChanged").await;
        assert_eq!(keys_of(&told), ["change", "response"]);
        assert_eq!(told["change"], "created");
        is_public(&told["response"]);
    }
    carl.sees_nothing("newgrp", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_a_group_reaches_all_of_it_and_nobody_else() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let stored = ada.posts_in(&group, "hello all").await;
    assert_eq!((&stored["receiver"], &stored["group"]), (&json!(group), &json!(true)));
    assert_eq!(stored["roomId"], group, "the groupId is the roomId");
    assert_eq!(stored["seq"], 1);
    for member in [&ada, &bob] {
        assert_eq!(member.sees_message("hello all").await, stored);
    }
    ada.sees_delivered(&stored).await;
    carl.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_joins_an_open_group_by_id_or_by_name() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("open", &[]).await;
    for (joiner, payload) in [(&bob, json!({ "groupId": group })), (&carl, json!({ "groupName": "open" }))] {
        let joined = joiner.asks("joinGroup", payload).await;
        is_for_members(&joined);
        assert!(names(&joined).contains(&&*joiner.username));
        let told = ada.sees_any("memberJoined").await;
        assert_eq!(told, json!({ "groupId": group, "username": &*joiner.username }));
    }
    assert_eq!(bob.sees("memberJoined", |told| told["username"] == "carl").await["groupId"], group);
    bob.posts_in(&group, "here I am").await;
    carl.sees_message("here I am").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_twice_is_being_in_once() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("open", &[]).await;
    for _ in 0..2 {
        let joined = bob.asks("joinGroup", json!({ "groupId": group })).await;
        assert_eq!(joined["memberCount"], 2);
    }
    ada.sees_any("memberJoined").await;
    ada.sees_nothing("memberJoined", A_WHILE).await;
    ada.posts_in(&group, "once").await;
    bob.sees_message("once").await;
    bob.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_with_a_password_opens_to_the_password_only() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let made = json!({ "groupName": "vault", "password": "open sesame" });
    let group = ada.asks("createGroup", made).await;
    assert_eq!(group["hasPassword"], true);
    let id = &group["groupId"];
    for wrong in [json!({ "groupId": id }), json!({ "groupId": id, "password": "wrong" })] {
        bob.is_refused("joinGroup", wrong, "wrong_password").await;
    }
    bob.is_refused("groupMessage", json!({ "receiver": id, "content": "hi" }), "not_a_member").await;
    let joined = bob.asks("joinGroup", json!({ "groupId": id, "password": "open sesame" })).await;
    assert_eq!(names(&joined), ["ada", "bob"]);
    // Inside, nobody asks again.
    bob.asks("joinGroup", json!({ "groupId": id })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_can_be_changed_and_taken_away() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_secret_group("vault", "first").await;
    let id = &json!(group);
    let changed = ada.asks("updateGroup", json!({ "groupId": id, "password": "second" })).await;
    assert_eq!(changed["hasPassword"], true);
    bob.is_refused("joinGroup", json!({ "groupId": id, "password": "first" }), "wrong_password").await;
    bob.asks("joinGroup", json!({ "groupId": id, "password": "second" })).await;
    // Left out is not null.
    let renamed = ada.asks("updateGroup", json!({ "groupId": id, "groupName": "safe" })).await;
    assert_eq!((&renamed["groupName"], &renamed["hasPassword"]), (&json!("safe"), &json!(true)));
    let opened = ada.asks("updateGroup", json!({ "groupId": id, "password": null })).await;
    assert_eq!(opened["hasPassword"], false);
    let told = carl.sees("roomsChanged", |told| told["response"]["hasPassword"] == false).await;
    assert_eq!(told["change"], "updated");
    carl.asks("joinGroup", json!({ "groupName": "safe" })).await;
    carl.is_refused("joinGroup", json!({ "groupName": "vault" }), "not_found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_hears_no_more_of_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let bobs_phone = bob.connect().await;
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "before").await;
    for socket in [&bob, &bobs_phone] {
        socket.sees_message("before").await;
    }
    let left = bob.asks("leaveGroup", json!({ "groupId": group })).await;
    assert_eq!(left["groupId"], group);
    let told = ada.sees_any("memberLeft").await;
    assert_eq!(told, json!({ "groupId": group, "username": "bob" }));
    ada.posts_in(&group, "after").await;
    ada.asks("typing", json!({ "receiver": group, "group": true, "typing": true })).await;
    bob.sees_no_message().await;
    assert_eq!(bobs_phone.all("response").len(), 1);
    assert!(bob.all("typing").is_empty());
    bob.is_refused("groupMessage", json!({ "receiver": group, "content": "hi" }), "not_a_member").await;
    bob.is_refused("history", json!({ "receiver": group, "group": true }), "not_a_member").await;
    bob.is_refused("leaveGroup", json!({ "groupId": group }), "not_a_member").await;
    assert_eq!(bob.get("/api/rooms/mine").await.is(200), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn added_members_are_told_of_the_group_and_hear_it_at_once() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_secret_group("vault", "open sesame").await;
    ada.posts_in(&group, "long ago").await;

    let added =
        ada.asks("addMembers", json!({ "groupId": group, "users": ["bob", { "username": "carl" }] })).await;

    assert_eq!(names(&added), ["ada", "bob", "carl"]);
    for socket in [&bob, &carl] {
        let told = socket.sees_any("newgrp").await;
        assert_eq!(names(&told["response"]), ["ada", "bob", "carl"]);
    }
    for name in ["bob", "carl"] {
        ada.sees("memberJoined", |told| told["username"] == name).await;
    }
    ada.posts_in(&group, "welcome").await;
    bob.sees_message("welcome").await;
    carl.sees_message("welcome").await;
    // Older history is there to read, and nothing of it is replayed.
    assert_eq!(bob.seqs(&json!(group)), [2]);
    let history = bob.asks("history", json!({ "receiver": group, "group": true })).await;
    assert_eq!(history["messages"][0]["content"], "long ago");
    // Nobody was added where one of them does not exist.
    ada.is_refused("addMembers", json!({ "groupId": group, "users": ["nobody"] }), "not_found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_members_sockets_leave_at_once() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let bobs_phone = bob.connect().await;
    let group = ada.makes_group("friends", &["bob"]).await;
    bob.sees_any("newgrp").await;

    let left = ada.asks("removeMember", json!({ "groupId": group, "username": "bob" })).await;

    assert_eq!(names(&left), ["ada"]);
    ada.sees("memberLeft", |told| told["username"] == "bob").await;
    ada.posts_in(&group, "secret").await;
    bob.is_refused("groupMessage", json!({ "receiver": group, "content": "hi" }), "not_a_member").await;
    bob.sees_no_message().await;
    bobs_phone.sees_no_message().await;
    let later = bob.connect().await;
    later.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_group_is_gone_for_everyone() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "hi").await;
    ada.asks("deleteGroup", json!({ "groupId": group })).await;
    for anyone in [&ada, &bob, &carl] {
        let told = anyone.sees("roomsChanged", |told| told["change"] == "deleted").await;
        assert_eq!(told["response"]["groupId"], group);
    }
    for member in [&ada, &bob] {
        member.is_refused("groupMessage", json!({ "receiver": group, "content": "hi" }), "not_found").await;
        member.is_refused("history", json!({ "receiver": group, "group": true }), "not_found").await;
        member.is_refused("joinGroup", json!({ "groupId": group }), "not_found").await;
    }
    assert_eq!(ada.asks("listGroups", json!({})).await, json!([]));
    assert_eq!(bob.asks("listRooms", json!({})).await, json!([]));
    // Its name is free again.
    ada.makes_group("friends", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_passes_on_when_its_owner_leaves_and_ends_with_the_last() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.asks("leaveGroup", json!({ "groupId": group })).await;
    assert_eq!(ada.asks("listGroups", json!({})).await[0]["owner"], "bob");
    bob.asks("updateGroup", json!({ "groupId": group, "groupName": "mine" })).await;
    bob.asks("leaveGroup", json!({ "groupId": group })).await;
    ada.sees("roomsChanged", |told| told["change"] == "deleted").await;
    ada.is_refused("joinGroup", json!({ "groupId": group }), "not_found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_made_over_http_can_be_announced() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    for socket in [&ada, &bob] {
        socket.sees_any("newgrp").await;
    }
    let told = ada.asks("createGroup", json!({ "groupId": group })).await;
    assert_eq!(told["groupId"], group);
    for socket in [&ada, &bob] {
        assert_eq!(socket.sees_any("newgrp").await["response"]["groupId"], group);
    }
    carl.is_refused("createGroup", json!({ "groupId": group }), "not_a_member").await;
    carl.sees_nothing("newgrp", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_shows_at_most_200_of_its_users() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let names: Vec<String> = (0..230).map(|number| format!("user{number:03}")).collect();
    for name in &names {
        server.acquaintance(name).await;
    }
    let group = ada.post("/api/rooms", json!({ "groupName": "crowd", "users": names })).await.is(201);
    assert_eq!(group["memberCount"], 231);
    assert_eq!(group["users"].as_array().unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_show_what_may_be_joined_who_is_there_and_where_one_is() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    server.person("carl").await;
    let vault = ada.makes_secret_group("vault", "open sesame").await;
    let friends = ada.makes_group("friends", &["bob"]).await;
    ada.posts_to("bob", "hi").await;
    bob.sees_message("hi").await;

    let groups = bob.asks("listGroups", json!({})).await;
    let mut listed: Vec<(&str, bool)> = Vec::new();
    for group in groups.as_array().unwrap() {
        is_public(group);
        listed.push((group["groupName"].as_str().unwrap(), group["hasPassword"].as_bool().unwrap()));
    }
    assert_eq!(listed, [("friends", false), ("vault", true)]);
    assert!(!groups.to_string().contains("argon2"));

    let users = bob.asks("listUsers", json!({})).await;
    let online: Vec<(&str, bool)> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["username"].as_str().unwrap(), user["isOnline"].as_bool().unwrap()))
        .collect();
    assert_eq!(online, [("ada", true), ("bob", true), ("carl", false)]);

    let rooms = bob.asks("listRooms", json!({})).await;
    assert_eq!(rooms, bob.get("/api/rooms/mine").await.is(200));
    let rooms = rooms.as_array().unwrap();
    assert_eq!(rooms.len(), 2, "not the vault {vault}");
    let direct = rooms.iter().find(|room| room["kind"] == "direct").unwrap();
    assert_eq!(
        keys_of(direct),
        ["delivered", "kind", "lastMessage", "lastSeq", "peer", "read", "roomId", "unread"]
    );
    assert_eq!((&direct["peer"]["username"], &direct["unread"]), (&json!("ada"), &json!(1)));
    assert_eq!(direct["lastMessage"]["content"], "hi");
    let group = rooms.iter().find(|room| room["kind"] == "group").unwrap();
    assert_eq!(keys_of(group), ["delivered", "group", "kind", "lastSeq", "read", "roomId", "unread"]);
    assert_eq!(group["group"]["groupId"], friends);
}
