//! Coming back: everything past the receipt, or past what the client says it has, oldest first, in
//! pages, and without a hole where live messages begin.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, ANSWER, Server, Socket, Transport, at_full_speed, succeeded, until};

fn range(range: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    range.collect()
}

/// The room of two who have written.
async fn room_of(socket: &Socket) -> Json {
    socket.asks("listRooms", json!({})).await[0]["roomId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_away_is_sent_on_connect() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=3).await;
    for transport in [Transport::WebSocket, Transport::Polling, Transport::Upgraded] {
        let socket = bob.connecting().by(transport).without_acknowledging().open().await;
        assert_eq!(socket.sees_seqs(&room_of(&socket).await, 3).await, [1, 2, 3], "{transport:?}");
    }
    let socket = bob.connect().await;
    let last = socket.sees_message("3").await;
    ada.sees_delivered(&last).await;
    // What was acknowledged is not sent again.
    let again = bob.connect().await;
    again.sees_no_message().await;
}

/// What the first one was sent serves those who follow, but for what has changed since.
#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_later_is_told_how_things_stand_then() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=3).await;
    let deaf = bob.connecting().without_acknowledging().open().await;
    assert_eq!(deaf.sees_message("3").await["deliveredToAll"], false);
    let device = bob.connect().await;
    let last = device.sees_message("3").await;
    assert_eq!(last["deliveredToAll"], false);
    ada.sees_delivered(&last).await;
    let room = room_of(&device).await;
    let from_the_start = json!({ "since": { room.as_str().unwrap(): 0 } });
    let late = bob.connect_with(from_the_start).await;
    assert_eq!(late.sees_message("3").await["deliveredToAll"], true);
    // What comes afterwards joins what was kept.
    ada.posts_to("bob", "4").await;
    let later = bob.connect_with(json!({ "since": { room.as_str().unwrap(): 1 } })).await;
    assert_eq!(later.sees_seqs(&room, 3).await, [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_is_sent_again() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let deaf = bob.connecting().without_acknowledging().open().await;
    ada.posts_many_to("bob", 1..=3).await;
    deaf.acknowledges("1").await;
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 1).await;
    deaf.leaves();
    let socket = bob.connect().await;
    let room = room_of(&socket).await;
    assert_eq!(socket.sees_seqs(&room, 2).await, [2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_survive_a_restart_and_are_caught_up_with_after_it() {
    let mut server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=5).await;
    server.restart().await;
    let socket = bob.connect().await;
    let room = room_of(&socket).await;
    assert_eq!(socket.sees_seqs(&room, 5).await, range(1..=5));
}

#[tokio::test(flavor = "multi_thread")]
async fn since_says_what_a_device_has() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let group = json!(ada.makes_group("friends", &["bob"]).await);
    ada.posts_many_to("bob", 1..=5).await;
    let in_group = ada.posts_in(group.as_str().unwrap(), "in the group").await;
    let direct = bob.sees_message("5").await["roomId"].clone();
    ada.sees_delivered(&in_group).await;
    let other_device = |since: Json| bob.connect_with(json!({ "since": since }));

    let device = other_device(json!({ direct.as_str().unwrap(): 2 })).await;
    assert_eq!(device.sees_seqs(&direct, 3).await, [3, 4, 5]);
    device.sees_nothing("nothing", A_WHILE / 2).await;
    assert!(device.seqs(&group).is_empty(), "rooms not named use the receipt");

    let device = other_device(json!({ direct.as_str().unwrap(): 0, group.as_str().unwrap(): 0 })).await;
    assert_eq!(device.sees_seqs(&direct, 5).await, range(1..=5));
    assert_eq!(device.sees_seqs(&group, 1).await, [1]);

    let device = other_device(json!({ direct.as_str().unwrap(): 5 })).await;
    device.sees_no_message().await;
    ada.posts_to("bob", "6").await;
    device.sees_message("6").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn since_also_says_that_everything_up_to_there_has_arrived() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=5).await;
    let room = room_of(&ada).await;
    let device = bob
        .connecting()
        .with(json!({ "since": { room.as_str().unwrap(): 3 } }))
        .without_acknowledging()
        .open()
        .await;
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 3).await;
    assert_eq!(device.sees_seqs(&room, 2).await, [4, 5]);
    assert_eq!(bob.conversation(room.as_str().unwrap()).await["delivered"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strange_since_does_no_harm() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=3).await;
    let room = room_of(&ada).await;
    let room = room.as_str().unwrap();
    let elsewhere = ada.makes_group("not for bob", &[]).await;
    ada.posts_in(&elsewhere, "secret").await;
    for since in [
        json!({ "no id": 1 }),
        json!({ uuid::Uuid::now_v7().to_string(): 1 }),
        json!({ elsewhere: 0 }),
        json!({}),
        json!(null),
    ] {
        let device = bob.connecting().with(json!({ "since": since })).without_acknowledging().open().await;
        assert_eq!(device.sees_seqs(&json!(room), 3).await, [1, 2, 3], "{since}");
        assert_eq!(device.all("response").len(), 3, "{since}");
    }
    // From the future: it has everything, and no more than that.
    for seq in [4, 1_000_000, i64::MAX] {
        let device = bob.connect_with(json!({ "since": { room: seq } })).await;
        device.sees_no_message().await;
        assert_eq!(device.conversation(room).await["delivered"], 3);
    }
    let negative = bob.connect_with(json!({ "since": { room: -5 } })).await;
    assert_eq!(negative.sees_seqs(&json!(room), 3).await, [1, 2, 3]);
    for bad in [json!({ room: "3" }), json!({ room: 1.5 }), json!([1]), json!("x"), json!({ room: null })] {
        let told = bob.connecting().with(json!({ "since": bad })).fails().await;
        assert!(told.starts_with("bad_request: "), "{bad}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_catching_up_nothing_old_is_sent_and_live_messages_start_at_once() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=3).await;
    let socket = bob.connect_with(json!({ "catchUp": false })).await;
    socket.sees_no_message().await;
    ada.posts_to("bob", "live").await;
    assert_eq!(socket.sees_message("live").await["seq"], 4);
    assert_eq!(socket.all("response").len(), 1);
    // It has not got what it was not sent.
    let room = room_of(&ada).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(
        bob.conversation(room.as_str().unwrap()).await["delivered"],
        0,
        "a hole waits for what is in it"
    );
    let whole = bob.connect().await;
    assert_eq!(whole.sees_seqs(&room, 4).await, range(1..=4));
}

#[tokio::test(flavor = "multi_thread")]
async fn six_hundred_messages_come_in_two_pages_and_the_second_waits_for_the_first() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=600).await;
    let room = room_of(&ada).await;

    let socket = bob.connecting().without_acknowledging().open().await;
    socket.sees_seqs(&room, 500).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(socket.seqs(&room), range(1..=500), "the next page follows when this one was acknowledged");
    socket.acknowledges_all();
    assert_eq!(socket.sees_seqs(&room, 600).await, range(1..=600));
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_acknowledged_is_followed_after_five_seconds() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=510).await;
    let room = room_of(&ada).await;
    let began = std::time::Instant::now();
    let socket = bob.connecting().without_acknowledging().open().await;
    assert_eq!(socket.sees_seqs(&room, 510).await, range(1..=510));
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn seventeen_hundred_messages_arrive_whole_by_every_transport() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=1700).await;
    let room = room_of(&ada).await;
    let since = json!({ "since": { room.as_str().unwrap(): 0 } });
    for transport in [Transport::WebSocket, Transport::Polling] {
        let socket = bob.connecting().by(transport).with(since.clone()).open().await;
        assert_eq!(socket.sees_seqs(&room, 1700).await, range(1..=1700), "{transport:?}");
    }
    ada.sees("updateDeliveryStatusOnConnection", |told| told["response"]["seq"] == 1700).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batched_client_pages_by_its_own_reports() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=600).await;
    let room = room_of(&ada).await;
    let socket = bob.connect_with(json!({ "receipts": "batched" })).await;
    socket.sees_seqs(&room, 500).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(socket.seqs(&room), range(1..=500));
    socket.asks("delivered", json!({ "roomId": room, "seq": 500 })).await;
    assert_eq!(socket.sees_seqs(&room, 600).await, range(1..=600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_message_waits_its_turn_during_catch_up() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=600).await;
    let room = room_of(&ada).await;
    let socket = bob.connecting().without_acknowledging().open().await;
    socket.sees_seqs(&room, 500).await;

    ada.posts_many_to("bob", 601..=605).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(socket.seqs(&room), range(1..=500));
    socket.acknowledges_all();
    assert_eq!(socket.sees_seqs(&room, 605).await, range(1..=605));
}

#[tokio::test(flavor = "multi_thread")]
async fn live_messages_of_other_rooms_do_not_wait() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let carl = server.online("carl").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=600).await;
    let room = room_of(&ada).await;
    carl.posts_to("bob", "first").await;
    let socket = bob.connecting().without_acknowledging().open().await;
    socket.sees_seqs(&room, 500).await;
    carl.posts_to("bob", "second").await;
    socket.sees_message("first").await;
    socket.sees_message("second").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_sent_while_somebody_connects_are_neither_lost_nor_doubled() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_to("bob", "1").await;
    let room = room_of(&ada).await;
    let since = json!({ "since": { room.as_str().unwrap(): 0 } });
    let posting = ada.posts_many_to("bob", 2..=400);
    let connecting = async {
        let mut sockets = Vec::new();
        for transport in [Transport::WebSocket, Transport::Polling].into_iter().cycle().take(12) {
            sockets.push(bob.connecting().by(transport).with(since.clone()).open().await);
        }
        sockets
    };
    let ((), sockets) = tokio::join!(posting, connecting);
    for socket in &sockets {
        assert_eq!(socket.sees_seqs(&room, 400).await, range(1..=400));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acknowledgement_of_ones_own_message_comes_after_its_response_even_then() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    ada.posts_many_to("bob", 1..=600).await;
    let room = room_of(&ada).await;
    let socket = bob.connecting().without_acknowledging().open().await;
    socket.sees_seqs(&room, 500).await;

    // Its own message waits behind a hundred others, and so does the answer.
    let answer = socket.sends("privateMessage", json!({ "receiver": "ada", "content": "me too" }));
    ada.sees_message("me too").await;
    socket.acknowledges_all();
    let stored = succeeded(answer.await);

    assert_eq!(stored["seq"], 601);
    let seen = socket.seqs(&room);
    assert!(seen.contains(&601), "its response was there before the answer: {} of 601", seen.len());
    let story = socket.story();
    let answered = story.iter().rposition(|event| event == ANSWER).unwrap();
    assert!(story[..answered].iter().filter(|event| *event == "response").count() >= 601);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_while_connecting_hears_the_room_and_who_leaves_does_not() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    for round in 0..8 {
        let group = ada.makes_group(&format!("group {round}"), &[]).await;
        let adding = ada.asks("addMembers", json!({ "groupId": group, "users": ["bob"] }));
        let (socket, _) = tokio::join!(bob.connect(), adding);
        ada.posts_in(&group, "are you in?").await;
        let message = socket.sees("response", |told| told["response"]["roomId"] == group).await;
        assert_eq!(message["response"]["content"], "are you in?");

        let removing = ada.asks("removeMember", json!({ "groupId": group, "username": "bob" }));
        let (later, _) = tokio::join!(bob.connect(), removing);
        later.forgets();
        ada.posts_in(&group, "not for bob").await;
        later.is_alive().await;
        let heard = later.all("response");
        assert!(!heard.iter().any(|told| told["response"]["content"] == "not for bob"), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_added_while_away_gets_what_was_said_since() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let group = ada.makes_group("friends", &[]).await;
    ada.posts_in(&group, "before").await;
    ada.asks("addMembers", json!({ "groupId": group, "users": ["bob"] })).await;
    ada.posts_in(&group, "after").await;
    let socket = bob.connect().await;
    assert_eq!(socket.sees_any("response").await["response"]["content"], "after");
    socket.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn since_counts_whoever_else_uses_the_room_while_a_device_comes_in() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let laptop = bob.connecting().without_acknowledging().open().await;
    for last in 1..=30 {
        let message = ada.posts_to("bob", "again").await;
        // Each of these finds all of Bob's connections and has them listen, those that are just coming in too.
        let asked: Vec<_> =
            (0..40).map(|_| laptop.sends("history", json!({ "receiver": "ada", "group": false }))).collect();
        let room = message["roomId"].as_str().unwrap().to_owned();
        let phone = bob.connecting().with(json!({ "since": { room.clone(): last } }));
        let phone = phone.without_acknowledging().open().await;
        for answer in asked {
            succeeded(answer.await);
        }
        phone.is_alive().await;
        assert_eq!(phone.seqs(&json!(room)), Vec::<i64>::new(), "it said that it has {last}");
        phone.leaves();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_acknowledges_nothing_is_sent_no_more_than_it_reads() {
    let server = Server::with(|config| {
        at_full_speed(config);
        (config.limits.outgoing_packets, config.limits.unacknowledged) = (64, 64);
    })
    .await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let mut rooms = Vec::new();
    for name in ["one", "two", "three", "four", "five"] {
        let group = ada.makes_group(name, &["bob"]).await;
        for number in 0..60 {
            ada.posts_in(&group, &number.to_string()).await;
        }
        rooms.push(json!(group));
    }
    // What it is sent waits for its next poll. After these, so many acknowledgements are pending that no more are
    // asked for, and in the other rooms nothing says when a page has arrived.
    let socket = bob.connecting().by(Transport::Polling).without_acknowledging().open().await;
    until("two pages", || async { socket.all("response").len() >= 64 }).await;
    socket.stops_reading();
    tokio::time::sleep(Duration::from_secs(6)).await;
    socket.reads_again();
    for room in &rooms {
        assert_eq!(socket.sees_seqs(room, 60).await, range(1..=60));
    }
    assert!(!socket.has_ended());
}
