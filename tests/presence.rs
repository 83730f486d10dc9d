//! Coming and going: told to the others, once, and not for a reload.

use std::time::Duration;

use chrono::DateTime;
use serde_json::json;

use crate::harness::{A_WHILE, Server, keys_of};

fn impatient(config: &mut parlor::config::Config) {
    config.presence.grace = Duration::from_millis(300);
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_else_hears_who_comes_and_goes() {
    let server = Server::with(impatient).await;
    let ada = server.online("ada").await;
    let carl = server.online("carl").await;
    let bob = server.online("bob").await;
    for other in [&ada, &carl] {
        let told = other.sees_online("bob", true).await;
        assert_eq!(keys_of(&told), ["lastSeen", "online", "username"]);
        DateTime::parse_from_rfc3339(told["lastSeen"].as_str().unwrap()).unwrap();
    }
    assert_eq!(ada.get("/api/users/bob").await.is(200)["isOnline"], true);
    bob.sees_nothing("onlineStatus", A_WHILE / 2).await;
    bob.leaves();
    let told = ada.sees_online("bob", false).await;
    carl.sees_online("bob", false).await;
    let user = ada.get("/api/users/bob").await.is(200);
    assert_eq!((&user["isOnline"], &user["lastSeen"]), (&json!(false), &told["lastSeen"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_not_told() {
    let grace = Duration::from_secs(2);
    let server = Server::with(|config| config.presence.grace = grace).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.sees_online("bob", true).await;
    let person = bob.person.clone();
    bob.vanishes();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let _back = person.connect().await;
    ada.sees_nothing("onlineStatus", grace + A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_gone_before_the_grace_is_over() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.sees_online("bob", true).await;
    let began = std::time::Instant::now();
    bob.leaves();
    ada.sees_online("bob", false).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_online_from_the_first_socket_to_the_last() {
    let server = Server::with(impatient).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let phone = bob.connect().await;
    ada.sees_online("bob", true).await;
    bob.leaves();
    ada.sees_nothing("onlineStatus", Duration::from_millis(500)).await;
    phone.leaves();
    ada.sees_online("bob", false).await;
    ada.sees_nothing("onlineStatus", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_the_grace_is_news_again() {
    let server = Server::with(impatient).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    for _ in 0..2 {
        let socket = bob.connect().await;
        ada.sees_online("bob", true).await;
        socket.leaves();
        ada.sees_online("bob", false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_no_news() {
    let server = Server::with(impatient).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    bob.connecting().with(json!({ "token": "bad" })).fails().await;
    bob.connecting().with(json!({ "receipts": "sometimes" })).fails().await;
    ada.sees_nothing("onlineStatus", Duration::from_millis(600)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_crowd_only_those_who_share_a_room_hear_of_it() {
    let server = Server::with(|config| {
        impatient(config);
        config.presence.everyone_up_to = 2;
    })
    .await;
    let friend = server.online("friend").await;
    let stranger = server.online("stranger").await;
    let bob = server.person("bob").await;
    friend.posts_to("bob", "hi").await;
    let _others = (server.online("one").await, server.online("two").await);
    friend.forgets();
    stranger.forgets();
    let socket = bob.connect().await;
    friend.sees_online("bob", true).await;
    socket.leaves();
    friend.sees_online("bob", false).await;
    stranger.sees_nothing("onlineStatus", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_somebody_was_last_seen_survives_a_restart() {
    let mut server = Server::with(impatient).await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    server.restart().await;
    let seen = ada.get("/api/users/bob").await.is(200);
    assert_eq!(seen["isOnline"], false);
    DateTime::parse_from_rfc3339(seen["lastSeen"].as_str().expect("a time")).unwrap();
    drop(bob);
}
