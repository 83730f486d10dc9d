//! Receipts: cumulative, forward only, told once; and never of a room one is not in.

use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Server, Socket, Transport, at_full_speed, until};

const TOLD: &str = "updateDeliveryStatusOnConnection";

/// Seqs that were told as delivered to all, in the order told.
fn told(socket: &Socket) -> Vec<i64> {
    socket.all(TOLD).iter().map(|told| told["response"]["seq"].as_i64().unwrap()).collect()
}

async fn delivered(socket: &Socket, room: &Json) -> Json {
    socket.conversation(room.as_str().unwrap()).await["delivered"].clone()
}

async fn is_delivered_up_to(socket: &Socket, room: &Json, seq: i64) {
    until(&format!("a receipt of {seq}"), || async { delivered(socket, room).await == seq }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_acknowledgement_of_a_user_is_what_counts() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let deaf = bob.connecting().without_acknowledging().open().await;
    let first = ada.posts_to("bob", "first").await;
    deaf.sees_message("first").await;
    ada.sees_nothing(TOLD, A_WHILE).await;
    let tab = bob.connect_by(Transport::Polling).await;
    let told = ada.sees_delivered(&first).await;
    assert_eq!(told["content"], "first");
    assert_eq!(told["deliveredToAll"], true);
    deaf.acknowledges_all();
    tab.sees_message("first").await;
    ada.sees_nothing(TOLD, A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sockets_of_the_sender_are_told_and_nobody_else() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let adas_phone = ada.connect().await;
    let bob = server.online("bob").await;
    let message = ada.posts_to("bob", "hi").await;
    ada.sees_delivered(&message).await;
    adas_phone.sees_delivered(&message).await;
    bob.sees_nothing(TOLD, A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_waits_for_the_hole_to_be_filled() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await.connecting().without_acknowledging().open().await;
    ada.posts_many_to("bob", 1..=5).await;
    let room = bob.sees_message("5").await["roomId"].clone();

    bob.acknowledges("2").await;
    bob.acknowledges("4").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(delivered(&bob, &room).await, 0);
    assert!(told(&ada).is_empty());
    bob.acknowledges("1").await;
    is_delivered_up_to(&bob, &room, 2).await;
    bob.acknowledges("5").await;
    bob.acknowledges("3").await;
    is_delivered_up_to(&bob, &room, 5).await;
    ada.sees(TOLD, |told| told["response"]["seq"] == 5).await;
    assert_eq!(told(&ada), [1, 2, 3, 4, 5], "each once and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_fills_the_hole_moves_the_receipt_over_what_lies_behind_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await.connecting().without_acknowledging().open().await;
    ada.posts_many_to("bob", 1..=5).await;
    let room = bob.sees_message("5").await["roomId"].clone();
    bob.acknowledges("4").await;
    bob.acknowledges("5").await;
    // Answers arrive before what is sent after them, but move receipts in tasks of their own.
    tokio::time::sleep(A_WHILE).await;
    let stands = bob.asks("delivered", json!({ "roomId": room, "seq": 2 })).await;
    assert_eq!(stands["seq"], 2, "3 is still a hole");
    until("the receipt of 5", || async {
        let stands = bob.asks("delivered", json!({ "roomId": room, "seq": 3 })).await;
        stands["seq"] == 5
    })
    .await;
    is_delivered_up_to(&bob, &room, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_never_acknowledged_holds_up_no_other_room() {
    let server = Server::start().await;
    let (ada, cyd) = (server.online("ada").await, server.online("cyd").await);
    let bob = server.person("bob").await.connecting().without_acknowledging().open().await;
    ada.posts_to("bob", "never").await;
    bob.sees_message("never").await;
    for content in ["soon", "later"] {
        let message = cyd.posts_to("bob", content).await;
        bob.acknowledges(content).await;
        cyd.sees_delivered(&message).await;
    }
    ada.sees_nothing(TOLD, A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_answer_to_response_counts_but_a_failure() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let mut line = crate::harness::Raw::in_chat(server.address, &bob.token).await;
    for answer in ["[]", "[null]", "[{}]", "[\"ok\"]", "[{\"success\":true,\"receiver\":\"bob\"}]"] {
        let message = ada.posts_to("bob", answer).await;
        let packet = loop {
            let packet = line.hears("42/chat,").await;
            if packet.contains("[\"response\"") {
                break packet;
            }
        };
        let id = packet["42/chat,".len()..].split('[').next().unwrap();
        assert!(!id.is_empty(), "it asks for an acknowledgement: {packet}");
        line.says(&format!("43/chat,{id}{answer}")).await;
        ada.sees_delivered(&message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batched_client_is_not_asked_and_reports_when_it_likes() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let mut line = crate::harness::Raw::websocket(server.address).await.0;
    line.says(&format!("40/chat,{{\"token\":\"{}\",\"receipts\":\"batched\"}}", bob.token)).await;
    line.hears("40/chat,").await;
    for number in 1..=3 {
        ada.posts_to("bob", &number.to_string()).await;
        line.hears("42/chat,[\"response\"").await;
    }
    let room = ada.all("response")[0]["response"]["roomId"].clone();
    ada.sees_nothing(TOLD, A_WHILE).await;
    line.says(&format!("42/chat,0[\"delivered\",{{\"roomId\":{room},\"seq\":2}}]")).await;
    assert_eq!(line.hears("43/chat,0").await, "43/chat,0[{\"success\":true,\"response\":{\"seq\":2}}]");
    ada.sees(TOLD, |told| told["response"]["seq"] == 2).await;
    assert_eq!(told(&ada), [1, 2]);
    line.says(&format!("42/chat,1[\"delivered\",{{\"rooms\":{{{room}:3}}}}]")).await;
    let answer = format!("43/chat,1[{{\"success\":true,\"response\":{{\"rooms\":{{{room}:3}}}}}}]");
    assert_eq!(line.hears("43/chat,1").await, answer);
    ada.sees(TOLD, |told| told["response"]["seq"] == 3).await;
    // The other way to pass it is refused.
    for bad in [json!("sometimes"), json!(7), json!({})] {
        let told = bob.connecting().with(json!({ "receipts": bad })).fails().await;
        assert!(told.starts_with("bad_request: "), "{bad}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_never_moves_back_nor_past_the_last_message() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.posts_many_to("bob", 1..=5).await;
    let room = bob.sees_message("5").await["roomId"].clone();
    is_delivered_up_to(&bob, &room, 5).await;
    let report =
        async |seq: i64| bob.asks("delivered", json!({ "roomId": room, "seq": seq })).await["seq"].clone();
    assert_eq!(report(2).await, 5);
    assert_eq!(report(0).await, 5);
    assert_eq!(report(1_000_000).await, 5);
    assert_eq!(report(i64::MAX).await, 5);
    let read = async |seq: i64| {
        bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": seq })).await["seq"].clone()
    };
    assert_eq!(read(4).await, 4);
    assert_eq!(read(2).await, 4);
    assert_eq!(read(i64::MAX).await, 5);
    ada.posts_to("bob", "6").await;
    is_delivered_up_to(&bob, &room, 6).await;
    let mine = bob.conversation(room.as_str().unwrap()).await;
    assert_eq!((&mine["read"], &mine["unread"]), (&json!(5), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_told_when_the_last_member_got_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.person("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let message = ada.posts_in(&group, "hi").await;
    bob.sees_message("hi").await;
    ada.sees_nothing(TOLD, A_WHILE).await;
    let _carl = carl.connect().await;
    ada.sees_delivered(&message).await;
    assert_eq!(ada.history(&group).await[0]["deliveredToAll"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_who_was_away_is_told_once_when_back_and_across_a_restart() {
    let mut server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let socket = ada.connect().await;
    let first = socket.posts_to("bob", "first").await;
    socket.leaves();
    server.is_deserted().await;

    // Bob gets it while ada is away, and the server goes down in between.
    let bobs = bob.connect().await;
    let room = bobs.sees_message("first").await["roomId"].clone();
    is_delivered_up_to(&bobs, &room, 1).await;
    bobs.leaves();
    server.restart().await;
    let back = ada.connect().await;
    back.sees_delivered(&first).await;
    back.sees_nothing(TOLD, A_WHILE).await;
    back.leaves();
    server.restart().await;
    let again = ada.connect().await;
    again.sees_nothing(TOLD, A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_pending_before_a_restart_is_told_after_it() {
    let mut server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let socket = ada.connect().await;
    let message = socket.posts_to("bob", "hi").await;
    socket.leaves();
    server.restart().await;
    let back = ada.connect().await;
    let _bobs = bob.connect().await;
    back.sees_delivered(&message).await;
}

/// More than is kept in memory, and than is looked through or told in one go.
#[tokio::test(flavor = "multi_thread")]
async fn every_sender_is_told_in_order_and_once_however_far_back_it_goes() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.person("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    // Two of ada's far apart, with pages of nothing but bob's between them.
    for often in [1_100, 101] {
        ada.posts_in(&group, "seldom").await;
        let posts =
            (0..often).map(|_| bob.asks("groupMessage", json!({ "receiver": group, "content": "often" })));
        join_all(posts).await;
    }
    let of_ada = [1, 1_102];
    ada.sees_nothing(TOLD, A_WHILE).await;
    // He has got it all, at once and not page by page.
    let carl = carl.connecting().with(json!({ "receipts": "batched" })).open().await;
    carl.asks("delivered", json!({ "roomId": group, "seq": 1_203 })).await;
    let of_bob: Vec<i64> = (1..=1_203).filter(|seq| !of_ada.contains(seq)).collect();
    until("all deliveries to be told", || async {
        told(&bob).len() >= of_bob.len() && told(&ada).len() >= 2
    })
    .await;
    // Nothing that was told before comes once more.
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(told(&ada), of_ada);
    assert_eq!(told(&bob), of_bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_is_not_waited_for() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.online("bob").await;
    let carl = server.person("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let message = ada.posts_in(&group, "hi").await;
    ada.sees_nothing(TOLD, A_WHILE).await;
    carl.post(&format!("/api/rooms/{group}/leave"), json!({})).await.is(200);
    ada.sees_delivered(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_or_deleted_is_not_waited_for() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let carl = server.person("carl").await;
    server.person("dora").await;
    let group = ada.makes_group("friends", &["carl", "dora"]).await;
    let message = ada.posts_in(&group, "hi").await;
    ada.asks("removeMember", json!({ "groupId": group, "username": "dora" })).await;
    ada.sees_nothing(TOLD, A_WHILE).await;
    carl.deletes_the_account().await;
    ada.sees_delivered(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joined_later_is_not_waited_for() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let carl = server.person("carl").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let before = ada.posts_in(&group, "before").await;
    carl.post(&format!("/api/rooms/{group}/join"), json!({})).await.is(200);
    let after = ada.posts_in(&group, "after").await;
    let _bob = bob.connect().await;
    ada.sees_delivered(&before).await;
    ada.sees_nothing(TOLD, A_WHILE).await;
    let _carl = carl.connect().await;
    ada.sees_delivered(&after).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_is_shown_to_the_other_members() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    for number in 1..=3 {
        ada.posts_in(&group, &number.to_string()).await;
    }
    let answer = bob.asks("markRead", json!({ "receiver": group, "group": true, "seq": 2 })).await;
    assert_eq!(answer, json!({ "seq": 2 }));
    for member in [&ada, &carl] {
        let told = member.sees_any("messageRead").await;
        let expected =
            json!({ "roomId": group, "receiver": group, "group": true, "username": "bob", "seq": 2 });
        assert_eq!(told, expected);
    }
    bob.sees_nothing("messageRead", A_WHILE).await;
    carl.asks("markRead", json!({ "receiver": group, "group": true, "seq": 3 })).await;
    until("it to be read by all", || async { ada.history(&group).await[1]["readByAll"] == true }).await;
    let history = ada.history(&group).await;
    assert_eq!((&history[0]["readByAll"], &history[2]["readByAll"]), (&json!(true), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_in_private_is_shown_to_the_other() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let message = ada.posts_to("bob", "hi").await;
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    let told = ada.sees_any("messageRead").await;
    let expected = json!({ "roomId": message["roomId"], "receiver": "ada", "group": false, "username": "bob", "seq": 1 });
    assert_eq!(told, expected);
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    ada.sees_nothing("messageRead", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_for_a_room_one_is_not_in_is_refused_and_moves_nothing() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let eve = server.online("eve").await;
    let message = ada.posts_to("bob", "hi").await;
    let direct = &message["roomId"];
    let group = ada.makes_group("friends", &["bob"]).await;
    ada.posts_in(&group, "hello").await;

    eve.is_refused("delivered", json!({ "roomId": group, "seq": 1 }), "not_a_member").await;
    eve.is_refused("markRead", json!({ "receiver": group, "group": true, "seq": 1 }), "not_a_member").await;
    for payload in
        [json!({ "roomId": direct, "seq": 1 }), json!({ "rooms": { direct.as_str().unwrap(): 1 } })]
    {
        let answer = eve.emit("delivered", payload).await;
        let code = answer["error"]["code"].as_str().unwrap();
        assert!(["not_found", "not_a_member"].contains(&code), "{answer}");
    }
    // An acknowledgement that was never asked for.
    for id in 0..10 {
        eve.send_packet(format!("43/chat,{id}[{{\"success\":true,\"receiver\":\"bob\"}}]"));
    }
    eve.sends_only("delivered", json!({ "roomId": group, "seq": 1, "username": "bob", "receiver": "bob" }));
    eve.is_alive().await;
    ada.sees_nothing(TOLD, A_WHILE).await;
    ada.sees_nothing("messageRead", A_WHILE / 10).await;
    assert_eq!(bob.conversation(&group).await["delivered"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_survive_a_restart() {
    let mut server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.posts_many_to("bob", 1..=4).await;
    let room = bob.sees_message("4").await["roomId"].clone();
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 3 })).await;
    server.restart().await;
    let mine = bob.conversation(room.as_str().unwrap()).await;
    assert_eq!((&mine["delivered"], &mine["read"], &mine["unread"]), (&json!(4), &json!(3), &json!(1)));
    bob.connect().await.sees_no_message().await;
}
