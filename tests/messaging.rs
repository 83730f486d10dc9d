//! One message: what its sender is told, what its receiver sees, what is stored.

use chrono::DateTime;
use serde_json::{Value as Json, json};

use crate::harness::{ANSWER, Server, Transport};

/// Every field that a message always has, and no other.
fn is_a_message(message: &Json) {
    let mut names: Vec<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
    names.retain(|name| !["clientMessageId", "replyTo"].contains(name));
    names.sort_unstable();
    let expected = [
        "content",
        "deliveredToAll",
        "group",
        "kind",
        "messageId",
        "readByAll",
        "receiver",
        "roomId",
        "sender",
        "seq",
        "timestamp",
    ];
    assert_eq!(names, expected, "{message}");
    let id: uuid::Uuid = message["messageId"].as_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
    let time = message["timestamp"].as_str().unwrap();
    DateTime::parse_from_rfc3339(time).unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "milliseconds in UTC: {time}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_its_receiver_and_its_sender() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;

    let stored = ada.posts_to("bob", "hi").await;

    is_a_message(&stored);
    assert_eq!(stored["sender"], "ada");
    assert_eq!(stored["receiver"], "bob");
    assert_eq!(stored["group"], false);
    assert_eq!(stored["kind"], "text");
    assert_eq!(stored["content"], "hi");
    assert_eq!(stored["seq"], 1);
    assert_eq!(stored["deliveredToAll"], false);
    assert_eq!(stored["readByAll"], false);
    for socket in [&ada, &bob] {
        let seen = socket.sees_message("hi").await;
        is_a_message(&seen);
        assert_eq!(seen, stored);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_are_one_room() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let first = ada.posts_to("bob", "ping").await;
    bob.sees_message("ping").await;
    let second = bob.posts_to("ada", "pong").await;
    assert_eq!(ada.sees_message("pong").await, second);
    assert_eq!(first["roomId"], second["roomId"]);
    assert_eq!((&first["seq"], &second["seq"]), (&json!(1), &json!(2)));
    assert_eq!((&second["sender"], &second["receiver"]), (&json!("bob"), &json!("ada")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_own_response_comes_before_the_acknowledgement() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.online("bob").await;
    for number in 1..=20 {
        ada.posts_to("bob", &number.to_string()).await;
        // No waiting: it is there when the answer is.
        assert_eq!(ada.all("response").len(), number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn response_then_acknowledgement_then_delivery_is_the_order_of_things() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.sees_online("bob", true).await;
    for number in 1..=20 {
        ada.posts_to("bob", &number.to_string()).await;
        ada.sees_any("updateDeliveryStatusOnConnection").await;
    }
    let mut story = ada.story();
    story.retain(|event| event != "onlineStatus");
    for three in story.chunks(3) {
        assert_eq!(three, ["response", ANSWER, "updateDeliveryStatusOnConnection"]);
    }
    assert_eq!(bob.all("response").len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_callback_has_the_same_effect() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.sends_only("privateMessage", json!({ "receiver": "bob", "content": "no answer, please" }));
    bob.sees_message("no answer, please").await;
    ada.sees_message("no answer, please").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_socket_of_every_member_gets_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let adas_phone = ada.connect_by(Transport::Polling).await;
    let bob = server.online("bob").await;
    let bobs_phone = bob.connect_by(Transport::Upgraded).await;
    let carl = server.online("carl").await;

    let stored = ada.posts_to("bob", "to all of yours").await;

    for socket in [&ada, &adas_phone, &bob, &bobs_phone] {
        assert_eq!(socket.sees_message("to all of yours").await, stored);
    }
    carl.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_can_write_to_oneself() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let note = ada.posts_to("ada", "do not forget").await;
    assert_eq!((&note["sender"], &note["receiver"]), (&json!("ada"), &json!("ada")));
    assert_eq!(ada.sees_message("do not forget").await, note);
    ada.sees_delivered(&note).await;
    assert_eq!(ada.all("response").len(), 1, "one socket gets it once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_nobody_is_refused() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    ada.is_refused("privateMessage", json!({ "receiver": "nobody", "content": "hi" }), "not_found").await;
    assert_eq!(ada.get("/api/rooms/mine").await.is(200), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_a_payload_says_it_is_from_it_is_from_who_is_connected() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let _carl = server.person("carl").await;
    let forged = json!({ "receiver": "bob", "content": "trust me", "sender": "carl", "userId": "carl" });
    let stored = ada.asks("privateMessage", forged).await;
    assert_eq!(stored["sender"], "ada");
    assert_eq!(bob.sees_message("trust me").await["sender"], "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_string_comes_back_unchanged() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let texts = [
        "\u{0}",
        "a\u{0}b",
        "\u{1e}\u{1f}\u{7f}",
        "\"\\\n\r\t",
        "héllo wörld",
        "日本語 👩‍👩‍👧‍👦 𝒳",
        "\u{202e}rtl\u{2028}\u{2029}\u{feff}",
        "<script>alert(1)</script>",
        "'; DROP TABLE message; --",
        "${jndi:ldap://x}",
        "42/chat,[\"response\"]",
        "null",
    ];
    for text in texts {
        let stored = ada.posts_to("bob", text).await;
        assert_eq!(stored["content"], text);
        assert_eq!(bob.sees_message(text).await["content"], text);
    }
    let room = ada.posts_to("bob", "the last").await["roomId"].as_str().unwrap().to_owned();
    let history = bob.history(&room).await;
    let contents: Vec<&str> = history.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents[..texts.len()], texts);
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_content_is_passed_on_as_it_is() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    for content in [
        json!({ "iv": "AAAA", "body": ["\u{0}", 1.5, null, { "deep": [true] }], "n": 12345678901234567890u64 }),
        json!("a string"),
        json!([1, 2, 3]),
        json!(null),
        json!(false),
        json!(7),
    ] {
        let sent = json!({ "receiver": "bob", "content": content, "kind": "encrypted" });
        let stored = ada.asks("privateMessage", sent).await;
        assert_eq!(stored["kind"], "encrypted");
        assert_eq!(stored["content"], content);
        let seen = bob.sees("response", |payload| payload["response"]["seq"] == stored["seq"]).await;
        assert_eq!(seen["response"], stored);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_speak_for_the_system() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.person("bob").await;
    for kind in ["system", "TEXT", "", "image"] {
        let sent = json!({ "receiver": "bob", "content": "hi", "kind": kind });
        ada.is_refused("privateMessage", sent, "bad_request").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_may_answer_another() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let question = ada.posts_to("bob", "why?").await;
    let reply = json!({ "receiver": "ada", "content": "because", "replyTo": question["messageId"] });
    let answer = bob.asks("privateMessage", reply).await;
    assert_eq!(answer["replyTo"], question["messageId"]);
    assert_eq!(ada.sees_message("because").await["replyTo"], question["messageId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cannot_answer_what_is_not_in_its_room() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.person("bob").await;
    let _carl = server.person("carl").await;
    let elsewhere = ada.posts_to("carl", "elsewhere").await["messageId"].clone();
    let reply = |id: &Json| json!({ "receiver": "bob", "content": "hi", "replyTo": id });
    ada.is_refused("privateMessage", reply(&elsewhere), "not_found").await;
    ada.is_refused("privateMessage", reply(&json!(uuid::Uuid::now_v7())), "not_found").await;
    ada.is_refused("privateMessage", reply(&json!("no id")), "bad_request").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_pages_from_the_newest_to_the_oldest_and_back() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    ada.posts_many_to("bob", 1..=90).await;
    let page = async |more: Json| {
        let mut wanted = json!({ "receiver": "ada", "group": false });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let page = bob.asks("history", wanted).await;
        let seqs: Vec<i64> = page["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|message| message["seq"].as_i64().unwrap())
            .collect();
        (seqs, page["hasMore"].as_bool().unwrap())
    };
    let range = |range: std::ops::RangeInclusive<i64>| range.collect::<Vec<_>>();
    assert_eq!(page(json!({ "limit": 20 })).await, (range(71..=90), true));
    assert_eq!(page(json!({ "limit": 20, "before": 71 })).await, (range(51..=70), true));
    assert_eq!(page(json!({ "limit": 20, "before": 21 })).await, (range(1..=20), false));
    assert_eq!(page(json!({ "limit": 20, "before": 1 })).await, (vec![], false));
    assert_eq!(page(json!({ "limit": 20, "after": 0 })).await, (range(1..=20), true));
    assert_eq!(page(json!({ "limit": 20, "after": 70 })).await, (range(71..=90), false));
    assert_eq!(page(json!({ "limit": 20, "after": 90 })).await, (vec![], false));
    assert_eq!(page(json!({ "limit": 200 })).await, (range(1..=90), false));
    assert_eq!(page(json!({ "limit": 20, "after": 10, "before": 15 })).await.0, range(11..=14));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_two_who_never_wrote_is_empty() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let _bob = server.person("bob").await;
    let empty = json!({ "messages": [], "hasMore": false });
    assert_eq!(ada.asks("history", json!({ "receiver": "bob", "group": false })).await, empty);
    ada.is_refused("history", json!({ "receiver": "nobody", "group": false }), "not_found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_reaches_the_others_only() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let adas_phone = ada.connect().await;
    let bob = server.online("bob").await;
    let carl = server.online("carl").await;
    ada.posts_to("bob", "hi").await;
    for typing in [true, false] {
        let answer = ada.emit("typing", json!({ "receiver": "bob", "group": false, "typing": typing })).await;
        assert_eq!(answer["success"], true);
        let seen = bob.sees_any("typing").await;
        assert_eq!(seen, json!({ "sender": "ada", "receiver": "bob", "group": false, "typing": typing }));
    }
    carl.sees_nothing("typing", crate::harness::A_WHILE).await;
    assert!(ada.all("typing").is_empty() && adas_phone.all("typing").is_empty());
}
