//! A client that knows only the first contract (edits, reactions, threads and the rest came later) gets byte for byte
//! what it got then, in rooms where nothing of that was used.

use serde_json::{Value as Json, json};

use crate::harness::{Plain, Server, at_full_speed, keys_of};

/// The answer to an event, as it came.
async fn answer(client: &Plain, event: &str, data: Json) -> String {
    client.asks(event, data).await;
    let mut answers = client.frames.texts().into_iter().filter(|text| text.starts_with("{\"reply\":"));
    let text = answers.next_back().unwrap();
    let at = text.find("\"data\":").unwrap();
    text[at..].to_owned()
}

fn ids(message: &Json) -> [&str; 3] {
    ["messageId", "roomId", "timestamp"].map(|field| message[field].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_only_the_first_contract_gets_byte_for_byte_what_it_got() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (from, to) = (ada.connect_plain().await, bob.connect_plain().await);
    let sent = json!({ "receiver": "bob", "content": "h\u{0}i", "clientMessageId": "c-1" });
    let answered = answer(&from, "privateMessage", sent).await;
    let seen = to.sees("response", |_| true).await["response"].clone();
    let [id, room, at] = ids(&seen);
    let hi = |receipts: &str| {
        format!(
            r#"{{"messageId":"{id}","roomId":"{room}","seq":1,"sender":"ada","receiver":"bob","group":false,"content":"h\u0000i","kind":"text","timestamp":"{at}",{receipts},"clientMessageId":"c-1"}}"#
        )
    };
    let new = r#""deliveredToAll":false,"readByAll":false"#;
    assert_eq!(answered, format!(r#""data":{{"success":true,"response":{}}}}}"#, hi(new)));
    let came =
        to.frames.texts().into_iter().find(|text| text.starts_with("{\"event\":\"response\"")).unwrap();
    let expected = format!(r#"{{"event":"response","data":{{"response":{}}},"id":"#, hi(new));
    assert!(came.starts_with(&expected), "{came}\n{expected}");
    from.sees_delivered(&seen).await;
    to.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 1 })).await;
    from.sees("messageRead", |_| true).await;
    let read = r#""deliveredToAll":true,"readByAll":true"#;
    let page = answer(&to, "history", json!({ "receiver": "ada", "group": false })).await;
    let expected =
        format!(r#""data":{{"success":true,"response":{{"messages":[{}],"hasMore":false}}}}}}"#, hi(read));
    assert_eq!(page, expected);
    let rooms = to.asks("listRooms", json!({})).await;
    assert_eq!(
        keys_of(&rooms[0]),
        ["delivered", "kind", "lastMessage", "lastSeq", "peer", "read", "roomId", "unread"]
    );
    let group = from.asks("createGroup", json!({ "groupName": "Tea", "users": ["bob"] })).await;
    assert_eq!(
        keys_of(&group),
        ["createdAt", "groupId", "groupName", "hasPassword", "lastSeq", "memberCount", "owner", "users"]
    );
    // No event came that this client does not know.
    let events: Vec<Json> =
        from.frames.all().into_iter().chain(to.frames.all()).map(|frame| frame["event"].clone()).collect();
    for event in ["messageChanged", "synced", "memberChanged", "roomChanged"] {
        assert!(!events.contains(&json!(event)), "{event}");
    }
}
