//! The machine's clock is set back (by NTP, in a resumed virtual machine): nobody is logged out, and nothing is
//! disordered.

use chrono::TimeDelta;
use parlor::clock::Clock;
use serde_json::json;

use crate::harness::{Person, Server};

/// The names of those whom she has written with, the last one first.
async fn peers(ada: &Person) -> Vec<String> {
    let rooms = ada.get("/api/rooms/mine").await.is(200);
    let rooms = rooms.as_array().unwrap();
    rooms.iter().map(|room| room["peer"]["username"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_logs_nobody_out_and_disorders_nothing() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let (bob, cyd) = (server.person("bob").await, server.person("cyd").await);
    let socket = ada.connect().await;
    let says = async |receiver: &str| {
        let message = socket.asks("privateMessage", json!({ "receiver": receiver, "content": "x" })).await;
        message["timestamp"].as_str().unwrap().to_owned()
    };
    let mut told = vec![says("bob").await, says("cyd").await];
    server.clock.advance(TimeDelta::seconds(-120));
    told.push(says("bob").await);
    told.push(says("bob").await);
    assert!(told.is_sorted(), "{told:?}");
    bob.get("/api/auth/session").await.is(200);
    bob.connect().await.is_alive().await;
    cyd.refreshes().await.connect().await.is_alive().await;
    assert_eq!(peers(&ada).await, ["bob", "cyd"]);
    drop(socket);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_after_the_clock_was_set_back_goes_on_from_the_last_message() {
    let mut server = Server::start().await;
    let ada = server.person("ada").await;
    for name in ["bob", "cyd"] {
        server.acquaintance(name).await;
    }
    let socket = ada.connect().await;
    socket.posts_to("bob", "one").await;
    let before = socket.asks("privateMessage", json!({ "receiver": "cyd", "content": "two" })).await;
    drop(socket);
    server.stop().await;
    server.clock = Clock::movable();
    server.clock.advance(TimeDelta::seconds(-120));
    server.starts_again().await;
    ada.get("/api/auth/session").await.is(200);
    let socket = ada.connect().await;
    let after = socket.asks("privateMessage", json!({ "receiver": "bob", "content": "three" })).await;
    assert!(after["timestamp"].as_str() >= before["timestamp"].as_str(), "{before} {after}");
    assert_eq!(peers(&ada).await, ["bob", "cyd"]);
    drop(socket);
}
