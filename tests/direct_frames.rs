//! Events that go past the library to a websocket (`gateway::socketio::route`), and acknowledgements that are taken
//! out of what a websocket's client sends (`gateway::tcp::client_frames`).

use serde_json::{Value as Json, json};

use crate::harness::{Person, Raw, Server, at_full_speed, until};

/// A `response` of a text, with the id under which it is to be acknowledged.
fn response(text: &str) -> Option<(u64, Json)> {
    let (id, arguments) = text.strip_prefix("42/chat,")?.split_once('[')?;
    let (_, event) =
        arguments.strip_prefix("\"response\",")?.rsplit_once(']').map(|(event, end)| (end, event))?;
    Some((id.parse().unwrap_or(0), serde_json::from_str(event).ok()?))
}

async fn websocket(server: &Server, person: &Person, auth: Json) -> Raw {
    let (mut raw, open) = Raw::websocket(server.address).await;
    assert!(open.starts_with('0'), "{open}");
    raw.says(&join(person, auth)).await;
    raw
}

fn join(person: &Person, mut auth: Json) -> String {
    auth["token"] = json!(person.token);
    format!("40/chat,{auth}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_gets_after_it_has_joined_again_is_one_stream_without_a_hole() {
    const MESSAGES: i64 = 400;
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let floods = async {
        for number in 1..=MESSAGES {
            ada.posts_in(&group, &format!("{number}")).await;
        }
    };
    let reads = async {
        let since = |seq: i64| json!({ "since": { group.clone(): seq } });
        let mut raw = websocket(&server, &bob, since(0)).await;
        // What the client asked for when it joined, how often it has joined, and what it has of this socket.
        let (mut asked, mut joined, mut last) = (0, 0, None);
        while last != Some(MESSAGES) {
            let text = raw.text().await;
            if text.starts_with("40/chat,") {
                joined += 1;
                last = None;
                continue;
            }
            let Some((_, event)) = response(&text) else { continue };
            let seq = event["response"]["seq"].as_i64().unwrap();
            assert_eq!(seq, last.unwrap_or(asked) + 1, "after it has joined {joined} times");
            last = Some(seq);
            // It leaves and comes back at once, in the middle of the stream.
            // More often than ten times would be over the limit of attempts.
            if seq % 50 == 0 && seq < MESSAGES && seq > asked {
                asked = seq;
                raw.says("41/chat,").await;
                raw.says(&join(&bob, since(seq))).await;
                // What was on its way to the socket that it has left goes on without a hole.
                let before = joined;
                while joined == before {
                    let text = raw.text().await;
                    if text.starts_with("40/chat,") {
                        joined += 1;
                    } else if let Some((_, event)) = response(&text) {
                        let seq = event["response"]["seq"].as_i64().unwrap();
                        assert_eq!(Some(seq), last.map(|last| last + 1));
                        last = Some(seq);
                    }
                }
                last = None;
            }
        }
        joined
    };
    let ((), joined) = tokio::join!(floods, reads);
    assert!(joined > 1, "it never came back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_counts_in_one_frame_or_in_several_and_whatever_stands_between() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut raw = websocket(&server, &bob, json!({})).await;
    let delivered = async || bob.get("/api/rooms/mine").await.is(200)[0]["delivered"].as_i64().unwrap();
    for number in 1..=6 {
        ada.posts_in(&group, &format!("{number}")).await;
        let (id, event) = loop {
            if let Some(response) = response(&raw.text().await) {
                break response;
            }
        };
        let seq = event["response"]["seq"].as_i64().unwrap();
        let text = format!("43/chat,{id}[{{\"success\":true,\"receiver\":\"bob\"}}]");
        let (begin, end) = text.split_at(text.len() / 2);
        match number % 3 {
            0 => raw.says(&text).await,
            1 => {
                raw.frame(0x01, begin.as_bytes()).await;
                raw.frame(0x8a, b"a pong between two frames").await;
                raw.frame(0x80, end.as_bytes()).await;
            }
            _ => {
                // What follows it is handled.
                raw.says(&text).await;
                raw.says(r#"42/chat,7["getGroups",{}]"#).await;
                while !raw.text().await.starts_with("43/chat,7[") {}
            }
        }
        until("the receipt to move", || async { delivered().await == seq }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_after_a_message_in_the_same_packet_does_not_count_for_it() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let mut raw = websocket(&server, &bob, json!({})).await;
    let masked = |text: &str| {
        let length = u16::try_from(text.len()).unwrap();
        let header = if length < 126 {
            vec![0x80 | length as u8]
        } else {
            [&[0xfe], &length.to_be_bytes()[..]].concat()
        };
        [&[0x81][..], &header, &[0; 4], text.as_bytes()].concat()
    };
    // First the message and then the acknowledgement; in another group the other way round.
    for (message_is_first, expected) in [(true, 0), (false, 1)] {
        let group = ada.makes_group(&format!("friends {expected}"), &["bob"]).await;
        ada.posts_in(&group, "seen?").await;
        let (id, _) = loop {
            if let Some(response) = response(&raw.text().await) {
                break response;
            }
        };
        let ack = masked(&format!("43/chat,{id}[{{\"success\":true}}]"));
        let payload = json!({ "receiver": group, "content": "yes" });
        let message = masked(&format!("42/chat,5[\"groupMessage\",{payload}]"));
        let packets = if message_is_first { [message, ack] } else { [ack, message] };
        raw.send(&packets.concat()).await;
        while !raw.text().await.starts_with("43/chat,5[") {}
        let marks = async || {
            let rooms = bob.get("/api/rooms/mine").await.is(200);
            let room = rooms.as_array().unwrap().iter().find(|room| room["roomId"] == json!(group)).unwrap();
            (room["delivered"].as_i64().unwrap(), room["read"].as_i64().unwrap())
        };
        until("the acknowledgement to count", || async { marks().await.0 >= 1 }).await;
        assert_eq!(marks().await.1, expected, "the message first: {message_is_first}");
    }
}
