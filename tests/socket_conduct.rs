//! Conduct after the Socket.IO protocol, revision 5: namespaces, events, acknowledgements, and packets
//! that are none.

use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Frame, Raw, Server, Transport};

const LIST: &str = "42/chat,7[\"listRooms\",{}]";
const LISTED: &str = "43/chat,7[{\"success\":true,\"response\":[]}]";

#[tokio::test(flavor = "multi_thread")]
async fn connect_is_answered_with_a_sid() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let (mut line, _) = Raw::websocket(server.address).await;
    let answer = line.joins(&ada.token).await;
    let answer: Json = serde_json::from_str(answer.strip_prefix("40/chat,").unwrap()).unwrap();
    assert!(answer["sid"].as_str().is_some_and(|sid| !sid.is_empty()), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_namespace_is_refused_by_name() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for (connect, refusal) in [
        ("40/nowhere,", "44/nowhere,{\"message\":\"Invalid namespace\"}"),
        ("40/nowhere,{\"token\":\"x\"}", "44/nowhere,{\"message\":\"Invalid namespace\"}"),
        ("40/chat/more,", "44/chat/more,{\"message\":\"Invalid namespace\"}"),
        ("40/Chat,", "44/Chat,{\"message\":\"Invalid namespace\"}"),
    ] {
        let (mut line, _) = Raw::websocket(server.address).await;
        line.says(connect).await;
        assert_eq!(line.text().await, refusal);
        line.joins(&ada.token).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_twice_is_connected_once() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let mut line = Raw::in_chat(server.address, &ada.token).await;
    line.says(&format!("40/chat,{{\"token\":\"{}\"}}", ada.token)).await;
    line.says(LIST).await;
    assert_eq!(line.hears("43").await, LISTED);
    assert_eq!(server.chat().gauges().connections, 2);
    bob.posts_to("ada", "once").await;
    let once = line.hears("42/chat,").await;
    assert!(once.contains("[\"response\""), "{once}");
    line.says("42/chat,8[\"listRooms\",{}]").await;
    assert!(line.text().await.starts_with("43/chat,8"), "and not once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_before_connect_is_not_heard() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    for event in [
        "42/chat,7[\"privateMessage\",{\"receiver\":\"bob\",\"content\":\"too early\"}]",
        "42[\"privateMessage\",{\"receiver\":\"bob\",\"content\":\"too early\"}]",
        "43/chat,0[]",
        "41/chat,",
    ] {
        let (mut line, _) = Raw::websocket(server.address).await;
        line.says(event).await;
        line.says("40/nowhere,").await;
        match line.next().await {
            None | Some(Frame::Close(_)) => {}
            Some(Frame::Text(text)) => assert!(text == "1" || text.starts_with("44/nowhere,"), "{text}"),
            Some(frame) => panic!("{frame:?}"),
        }
    }
    bob.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_packet_leaves_the_namespace_and_one_may_come_back() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut line = Raw::in_chat(server.address, &ada.token).await;
    line.says("41/chat,").await;
    server.is_deserted().await;
    tokio::time::sleep(A_WHILE).await;
    line.joins(&ada.token).await;
    line.says(LIST).await;
    assert_eq!(line.hears("43").await, LISTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_may_leave_a_namespace_and_come_back_at_once() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut line = Raw::in_chat(server.address, &ada.token).await;
    for _ in 0..3 {
        line.says("41/chat,").await;
        line.joins(&ada.token).await;
        line.says(LIST).await;
        assert_eq!(line.hears("43").await, LISTED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_bears_the_id_of_its_event() {
    let server = Server::start().await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    for id in ["0", "1", "42", "999999999", "4294967296", "9007199254740991"] {
        line.says(&format!("42/chat,{id}[\"listRooms\",{{}}]")).await;
        assert_eq!(line.hears("43").await, format!("43/chat,{id}[{{\"success\":true,\"response\":[]}}]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_without_an_id_is_not_answered() {
    let server = Server::start().await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    line.says("42/chat,[\"listRooms\",{}]").await;
    line.says("42/chat,[\"nonsense\",{}]").await;
    line.says(LIST).await;
    assert_eq!(line.text().await, LISTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_may_be_left_out_or_null_or_followed_by_more() {
    let server = Server::start().await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    for arguments in
        ["[\"listRooms\"]", "[\"listRooms\",null]", "[\"listRooms\",{}]", "[\"listRooms\",{},1,\"x\"]"]
    {
        line.says(&format!("42/chat,7{arguments}")).await;
        assert_eq!(line.text().await, LISTED, "{arguments}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_that_nobody_waits_for_are_ignored() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    for ack in ["43/chat,99[]", "43/chat,99[{\"success\":true}]", "43/chat,99[1,2,3]"] {
        line.says(ack).await;
        line.says(LIST).await;
        assert_eq!(line.hears("43").await, LISTED, "{ack}");
    }
    let message = bob.posts_to("ada", "hi").await;
    let response = line.hears("42/chat,").await;
    let id = response["42/chat,".len()..].split('[').next().unwrap().to_owned();
    for _ in 0..2 {
        line.says(&format!("43/chat,{id}[{{\"success\":true,\"receiver\":\"ada\"}}]")).await;
    }
    bob.sees_delivered(&message).await;
    line.says(LIST).await;
    line.hears("43/chat,7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_packets_close_or_are_ignored_and_hurt_nobody_else() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let deep = format!("42/chat,1{}", "[".repeat(20_000));
    let long = format!("42/{},[\"x\"]", "x".repeat(100_000));
    let packets = [
        "4",
        "48",
        "4x",
        "4é",
        "40",
        "40abc",
        "40{",
        "40/chat",
        "40/chat,",
        "40/chat,{",
        "40/chat,\"abc\"",
        "40/chat,[]",
        "42",
        "42/",
        "42/,",
        "42/chat",
        "42/chat,",
        "42/chat,{}",
        "42/chat,[]",
        "42/chat,[1]",
        "42/chat,[null]",
        "42/chat,[[\"x\"]]",
        "42/chat,[\"x\"",
        "42/chat,not json",
        "42/chat,-1[\"x\"]",
        "42/chat,1.5[\"x\"]",
        "42/chat,99999999999999999999999[\"x\"]",
        "42/chat,[\"\"]",
        "42/chat,[\"\\ud800\"]",
        "42/other,[\"x\"]",
        "43",
        "43/chat,",
        "43/chat,0",
        "43/chat,0{}",
        "43/chat,0[",
        "43/chat,[]",
        "43/chat,x[]",
        "43/chat,18446744073709551615[]",
        "44/chat,{}",
        "44",
        "45/chat,[\"x\"]",
        "45-/chat,[\"x\"]",
        "451-/chat,[\"x\"]",
        "459999999999-/chat,[\"x\"]",
        "451-",
        "45",
        "46/chat,0[]",
        "461-/chat,0[]",
        "47",
        "49/chat,",
        "42/chat\u{0},[\"x\"]",
        "4\u{1e}4",
        "42/chat,1💥[\"x\"]",
        &deep,
        &long,
    ];
    for packet in packets {
        let told: String = packet.chars().take(40).collect();
        let mut line = Raw::in_chat(server.address, &ada.token).await;
        line.says(packet).await;
        line.says(LIST).await;
        loop {
            match line.next().await {
                None | Some(Frame::Close(_)) => break,
                Some(Frame::Text(text)) if text == LISTED => break,
                Some(Frame::Text(text)) => assert!(text.len() < 2_000, "{told}: {text}"),
                Some(frame) => panic!("{told}: {frame:?}"),
            }
        }
    }
    bob.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_attachments_are_refused_with_an_acknowledgement() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    for (announcement, attachments) in [
        (r#"451-/chat,5["privateMessage",{"receiver":"bob","content":{"_placeholder":true,"num":0}}]"#, 1),
        (
            r#"452-/chat,5["privateMessage",{"receiver":{"_placeholder":true,"num":0},"content":{"_placeholder":true,"num":1}}]"#,
            2,
        ),
        (r#"451-/chat,5["listRooms",{"_placeholder":true,"num":0}]"#, 1),
    ] {
        line.says(announcement).await;
        for _ in 0..attachments {
            line.frame(0x82, b"bytes").await;
        }
        let answer = line.hears("43/chat,5").await;
        let answer: Json = serde_json::from_str(answer.strip_prefix("43/chat,5").unwrap()).unwrap();
        assert_eq!(answer[0]["success"], false, "{announcement}: {answer}");
        assert_eq!(answer[0]["error"]["code"], "bad_request", "{announcement}: {answer}");
    }
    line.says(LIST).await;
    assert_eq!(line.hears("43").await, LISTED);
    bob.sees_no_message().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_without_an_attachment_is_just_an_object() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    let content = json!({ "_placeholder": true, "num": 0 });
    let sent = json!({ "receiver": "bob", "content": content, "kind": "encrypted" });
    assert_eq!(ada.asks("privateMessage", sent).await["content"], content);
    let seen = bob.sees_any("response").await;
    assert_eq!(seen["response"]["content"], content);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_carries_everything() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let ada = server.person("ada").await;
    for transport in [Transport::WebSocket, Transport::Polling, Transport::Upgraded] {
        let socket = ada.connect_by(transport).await;
        let there = socket.posts_to("bob", "there").await;
        bob.sees_message("there").await;
        socket.sees_delivered(&there).await;
        let back = bob.posts_to("ada", "back").await;
        socket.sees_message("back").await;
        bob.sees_delivered(&back).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_sent_before_connect_is_answered_are_handled() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let ada = server.person("ada").await;
    let (mut line, _) = Raw::websocket(server.address).await;
    line.says(&format!("40/chat,{{\"token\":\"{}\"}}", ada.token)).await;
    line.hears("40/chat,").await;
    line.says("42/chat,0[\"privateMessage\",{\"receiver\":\"bob\",\"content\":\"at once\"}]").await;
    line.hears("43/chat,0[{\"success\":true").await;
    bob.sees_message("at once").await;
}
