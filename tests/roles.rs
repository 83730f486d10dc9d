//! Roles in a group: given, taken away, and handed over.

use serde_json::{Value as Json, json};

use crate::harness::{Person, Plain, Server, at_full_speed};

fn set(group: &str, username: &str, role: &str) -> Json {
    json!({ "groupId": group, "username": username, "role": role })
}

/// The roles of a group's members.
async fn roles(person: &Person, group: &str) -> Vec<(String, String)> {
    let page = person.get(&format!("/api/rooms/{group}/members")).await.is(200);
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let mut roles: Vec<_> = page["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (text(&member["username"]), text(&member["role"])))
        .collect();
    roles.sort();
    roles
}

fn are(roles: &[(&str, &str)]) -> Vec<(String, String)> {
    roles.iter().map(|(user, role)| ((*user).to_owned(), (*role).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_gives_roles_by_every_door_and_everyone_is_told() {
    let mut server = Server::with(at_full_speed).await;
    let (ada, bob, carl, eve) = (
        server.online("ada").await,
        server.online("bob").await,
        server.online("carl").await,
        server.online("eve").await,
    );
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let path = |user: &str| format!("/api/rooms/{group}/members/{user}");
    let admin = ada.asks("setRole", set(&group, "bob", "admin")).await;
    assert_eq!((&admin["username"], &admin["role"]), (&json!("bob"), &json!("admin")));
    for socket in [&ada, &bob, &carl] {
        let told = socket.sees_any("memberChanged").await;
        assert_eq!(told, json!({ "groupId": group, "username": "bob", "role": "admin" }));
    }
    // An admin may do what admins may, and gives no roles.
    let message = carl.posts_in(&group, "spam").await;
    bob.asks("deleteMessage", json!({ "messageId": message["messageId"] })).await;
    bob.is_refused("setRole", set(&group, "carl", "admin"), "forbidden").await;
    carl.patch(&path("carl"), json!({ "role": "admin" })).await.is_refused(403, "forbidden");
    eve.is_refused("setRole", set(&group, "eve", "owner"), "not_a_member").await;
    ada.is_refused("setRole", set(&group, "eve", "admin"), "not_found").await;
    ada.is_refused("setRole", set(&group, "bob", "king"), "bad_request").await;
    ada.is_refused("setRole", set(&group, "ada", "member"), "bad_request").await;
    // The same again tells nobody.
    bob.forgets();
    ada.asks("setRole", set(&group, "bob", "admin")).await;
    let plain = Plain::connects(&ada, "").await;
    assert_eq!(plain.asks("setRole", set(&group, "bob", "member")).await["role"], "member");
    assert_eq!(bob.sees_any("memberChanged").await["role"], "member");
    // A role that was taken away counts no more.
    let message = carl.posts_in(&group, "spam again").await;
    bob.is_refused("deleteMessage", json!({ "messageId": message["messageId"] }), "forbidden").await;
    assert_eq!(ada.patch(&path("carl"), json!({ "role": "admin" })).await.is(200)["role"], "admin");
    let expected = are(&[("ada", "owner"), ("bob", "member"), ("carl", "admin")]);
    assert_eq!(roles(&ada, &group).await, expected);
    server.restart().await;
    assert_eq!(roles(&Person::logs_in(&server, "bob").await, &group).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_handed_over_and_has_one_owner() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    carl.forgets();
    ada.asks("setRole", set(&group, "bob", "owner")).await;
    assert_eq!(roles(&carl, &group).await, are(&[("ada", "admin"), ("bob", "owner"), ("carl", "member")]));
    carl.sees("memberChanged", |told| told["username"] == "bob" && told["role"] == "owner").await;
    carl.sees("memberChanged", |told| told["username"] == "ada" && told["role"] == "admin").await;
    carl.sees("roomsChanged", |told| told["response"]["owner"] == "bob").await;
    ada.is_refused("deleteGroup", json!({ "groupId": group }), "forbidden").await;
    ada.is_refused("setRole", set(&group, "ada", "owner"), "forbidden").await;
    // When the owner leaves, the admin is the next one, and everyone is told.
    bob.emit("leaveGroup", json!({ "groupId": group })).await;
    carl.sees("memberChanged", |told| told["username"] == "ada" && told["role"] == "owner").await;
    assert_eq!(roles(&carl, &group).await, are(&[("ada", "owner"), ("carl", "member")]));
    ada.asks("deleteGroup", json!({ "groupId": group })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_another_process_gave_counts_at_once_and_is_told() {
    let server = Server::start().await;
    let other = server.beside().await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let message = ada.posts_in(&group, "hello").await;
    let there = Person::shows(&other, &ada.token).await.connect().await;
    there.asks("setRole", set(&group, "bob", "admin")).await;
    // The next transaction finds the newer membership.
    bob.asks("pinMessage", json!({ "messageId": message["messageId"], "on": true })).await;
    assert_eq!(bob.sees_any("memberChanged").await["role"], "admin");
    drop((ada, bob, there));
    drop((other, server));
}
