//! A user who has too many connections: the new one is accepted, and another one makes room.

use serde_json::json;

use crate::harness::{Ended, Plain, Raw, Server, Socket, Transport};

fn three(config: &mut parlor::config::Config) {
    config.limits.connections_per_user = 3;
}

/// The socket gets a sentence and leaves the namespace, so that its client does not come back by itself.
async fn is_displaced(socket: &Socket) {
    let told = socket.sees_any("displaced").await;
    assert!(told["response"].as_str().is_some_and(|sentence| sentence.contains(' ')), "{told}");
    assert_eq!(socket.ends().await, Ended::Namespace);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_of_twenty_makes_room() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let mut sockets = Vec::new();
    for number in 0..20 {
        let transport = if number % 5 == 0 { Transport::Polling } else { Transport::WebSocket };
        sockets.push(ada.connect_by(transport).await);
    }
    let oldest = sockets.remove(0);
    sockets.push(ada.connect().await);
    is_displaced(&oldest).await;
    let next = sockets.remove(0);
    sockets.push(ada.connect_by(Transport::Upgraded).await);
    is_displaced(&next).await;
    bob.posts_to("ada", "to all of yours").await;
    for socket in &sockets {
        socket.sees_message("to all of yours").await;
        assert!(socket.all("displaced").is_empty());
    }
    assert_eq!(server.chat().gauges().connections, 21, "and nobody is counted who has gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_gateways_share_the_places() {
    let server = Server::with(three).await;
    let ada = server.person("ada").await;
    let plain = ada.connect_plain().await;
    let app = ada.connecting().at_root().open().await;
    let native = ada.connect().await;
    let newest = Plain::connects(&ada, "").await;
    let told = plain.sees("displaced", |_| true).await;
    assert!(told["response"].is_string(), "{told}");
    assert_eq!(plain.frames.ends().await, Some(1000));
    let other = ada.connect().await;
    assert_eq!(app.ends().await, Ended::Namespace);
    for socket in [&native, &other] {
        socket.is_alive().await;
    }
    newest.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_connections_that_have_joined_count() {
    let server = Server::with(three).await;
    let ada = server.person("ada").await;
    let sockets = [ada.connect().await, ada.connect().await, ada.connect().await];
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let (mut line, _) = Raw::websocket(server.address).await;
        line.says("40/chat,{\"token\":\"nonsense\"}").await;
        line.hears("44/chat,").await;
        strangers.push(line);
    }
    // Refused before the upgrade, too.
    Plain::is_refused_connection(&ada, "&receipts=nonsense").await.is(400, "bad_request");
    for socket in &sockets {
        socket.is_alive().await;
    }
    sockets[0].asks("privateMessage", json!({ "receiver": "ada", "content": "still here" })).await;
    sockets[2].sees_message("still here").await;
}
