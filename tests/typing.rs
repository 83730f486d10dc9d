//! Who types: the end is told, too, when the socket goes that said so.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Server, Socket};

fn to_bob(typing: bool) -> Json {
    json!({ "receiver": "bob", "group": false, "typing": typing })
}

async fn pair(server: &Server) -> (Socket, Socket) {
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.posts_to("bob", "hi").await;
    (ada, bob)
}

async fn sees(socket: &Socket, typing: bool) -> Json {
    socket.sees("typing", |told| told["typing"] == typing).await
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_ends_when_its_socket_goes() {
    let server = Server::start().await;
    let (ada, bob) = pair(&server).await;
    let group = ada.makes_group("friends", &["bob"]).await;
    for gone in ["leaves", "vanishes"] {
        let tab = ada.connect().await;
        tab.asks("typing", to_bob(true)).await;
        tab.asks("typing", json!({ "receiver": group, "group": true, "typing": true })).await;
        for _ in 0..2 {
            sees(&bob, true).await;
        }
        if gone == "leaves" {
            tab.leaves()
        } else {
            tab.vanishes()
        }
        let mut ended = [sees(&bob, false).await, sees(&bob, false).await];
        ended.sort_by_key(|told| told["group"].as_bool());
        assert_eq!(ended[0], json!({ "sender": "ada", "receiver": "bob", "group": false, "typing": false }));
        assert_eq!(ended[1], json!({ "sender": "ada", "receiver": group, "group": true, "typing": false }));
    }
    let plain = ada.connect_plain().await;
    plain.asks("typing", to_bob(true)).await;
    sees(&bob, true).await;
    plain.frames.vanishes();
    sees(&bob, false).await;
    assert!(ada.all("typing").is_empty(), "one's own typing is not told");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_while_another_tab_types_and_ends_once() {
    let server = Server::start().await;
    let (ada, bob) = pair(&server).await;
    let (tab, other, silent) = (ada.connect().await, ada.connect().await, ada.connect().await);
    tab.asks("typing", to_bob(true)).await;
    other.asks("typing", to_bob(true)).await;
    silent.asks("typing", to_bob(true)).await;
    silent.asks("typing", to_bob(false)).await;
    sees(&bob, false).await;
    silent.leaves();
    tab.leaves();
    let chat = server.chat();
    crate::harness::until("two tabs to be gone", || async { chat.gauges().connections == 3 }).await;
    bob.sees_nothing("nothing", A_WHILE / 2).await;
    assert_eq!(bob.all("typing").last().unwrap()["typing"], false);
    assert_eq!(bob.all("typing").len(), 4, "neither told anything by going");
    other.leaves();
    sees(&bob, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_group_or_is_logged_out_types_no_more() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let types = json!({ "receiver": group, "group": true, "typing": true });
    bob.asks("typing", types.clone()).await;
    sees(&ada, true).await;
    ada.asks("removeMember", json!({ "groupId": group, "username": "bob" })).await;
    sees(&ada, false).await;
    ada.asks("addMembers", json!({ "groupId": group, "users": ["bob"] })).await;
    bob.asks("typing", types).await;
    sees(&ada, true).await;
    bob.logs_out().await;
    sees(&ada, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_between_users_who_never_wrote_and_in_a_bounded_number_of_places() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let tab = ada.connect().await;
    tab.asks("typing", to_bob(true)).await;
    sees(&bob, true).await;
    tab.leaves();
    sees(&bob, false).await;
    // The room is made while she types.
    let tab = ada.connect().await;
    tab.asks("typing", to_bob(true)).await;
    tab.posts_to("bob", "hi").await;
    tab.asks("typing", to_bob(false)).await;
    sees(&bob, false).await;
    tab.leaves();
    let tab = ada.connect().await;
    for number in 0..64 {
        let name = format!("somebody{number}");
        server.acquaintance(&name).await;
        tab.asks("typing", json!({ "receiver": name, "group": false, "typing": true })).await;
    }
    tab.asks("typing", to_bob(true)).await;
    tab.leaves();
    bob.sees_nothing("nothing", A_WHILE).await;
    assert_eq!(bob.all("typing").len(), 4, "nobody is told what would not end");
}
