//! What counts as read: what a user marks, and what a socket had acknowledged when its user answered. The
//! user's other devices are told.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Server, Socket, until};

/// How far the socket's user has read in the direct room with `peer`, and the number of unread messages.
async fn read(socket: &Socket, peer: &str) -> (i64, i64) {
    let rooms = socket.asks("listRooms", json!({})).await;
    let rooms = rooms.as_array().unwrap();
    let room = rooms.iter().find(|room| room["peer"]["username"] == peer).unwrap();
    (room["read"].as_i64().unwrap(), room["unread"].as_i64().unwrap())
}

async fn reads(socket: &Socket, peer: &str, expected: (i64, i64)) {
    until("the answer to count as reading", || async { read(socket, peer).await == expected }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_told_to_the_readers_other_devices_and_not_to_the_one_that_reads() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let phone = server.online("bob").await;
    let (desk, plain) = (phone.connect().await, phone.connect_plain().await);
    let message = ada.posts_to("bob", "hi").await;
    phone.sees_message("hi").await;
    phone.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    let told = desk.sees_any("messageRead").await;
    assert_eq!(
        (&told["roomId"], &told["username"], &told["seq"]),
        (&message["roomId"], &json!("bob"), &json!(1))
    );
    plain.sees("messageRead", |told| told["seq"] == 1).await;
    ada.sees_any("messageRead").await;
    phone.sees_nothing("messageRead", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_has_read_what_the_socket_had_acknowledged() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let desk = bob.connect().await;
    for number in 1..=3 {
        ada.posts_to("bob", &number.to_string()).await;
    }
    bob.sees_message("3").await;
    // The acknowledgement of the third has gone out just before the answer, in a frame of its own.
    bob.posts_to("ada", "an answer").await;
    reads(&bob, "ada", (3, 0)).await;
    for other in [&ada, &desk] {
        let told = other.sees_any("messageRead").await;
        assert_eq!((&told["username"], &told["seq"]), (&json!("bob"), &json!(3)), "{told}");
    }
    bob.sees_nothing("messageRead", A_WHILE / 2).await;

    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "hello").await;
    let plain = bob.connect_plain().await;
    ada.posts_in(&group, "all").await;
    plain.sees_message("all").await;
    plain.asks("groupMessage", json!({ "receiver": group, "content": "hello" })).await;
    ada.sees("messageRead", |told| told["roomId"] == *group && told["seq"] == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_is_not_read_by_answering() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let socket = bob.connecting().without_acknowledging().open().await;
    for number in 1..=3 {
        ada.posts_to("bob", &number.to_string()).await;
    }
    socket.sees_message("3").await;
    socket.posts_to("ada", "I have seen nothing").await;
    assert_eq!(read(&socket, "ada").await, (0, 3));
    socket.acknowledges("1").await;
    socket.posts_to("ada", "I have seen one").await;
    reads(&socket, "ada", (1, 2)).await;
    // What comes after the message on the wire does not count for it.
    let answer = socket.sends("privateMessage", json!({ "receiver": "ada", "content": "before the others" }));
    socket.acknowledges_all();
    crate::harness::succeeded(answer.await);
    socket.sees_nothing("nothing", A_WHILE).await;
    assert_eq!(read(&socket, "ada").await, (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_offline_reads_nothing_that_comes_with_the_reconnect() {
    let server =
        Server::with(|config| (config.limits.events_per_second, config.limits.events_burst) = (20, 20)).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let before = bob.connect().await;
    let first: Json = ada.posts_to("bob", "1").await;
    before.sees_message("1").await;
    before.leaves();
    until("him to be gone", || async { server.chat().gauges().connections == 1 }).await;
    for number in 2..=4 {
        ada.posts_to("bob", &number.to_string()).await;
    }
    // As the stock client does: everything at once, and then the acknowledgements of what has come meanwhile.
    // Most of these events wait, and are handled after the acknowledgements.
    let room = first["roomId"].as_str().unwrap();
    let back = bob.connecting().with(json!({ "since": { room: 1 } })).without_acknowledging().open().await;
    back.sees_message("4").await;
    let answers: Vec<_> = (0..25)
        .map(|number| {
            let content = format!("offline {number}");
            back.sends("privateMessage", json!({ "receiver": "ada", "content": content }))
        })
        .collect();
    back.acknowledges_all();
    for answer in answers {
        crate::harness::succeeded(answer.await);
    }
    back.sees_nothing("nothing", A_WHILE).await;
    assert_eq!(read(&back, "ada").await, (1, 3), "he had the first");
    back.posts_to("ada", "now I have seen them").await;
    until("the answer to count as reading", || async { read(&back, "ada").await.1 == 0 }).await;
    assert!(read(&back, "ada").await.0 >= 4);
}
