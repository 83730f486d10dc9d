//! What is done to messages after they were sent: an edit reaches every socket, and a device that was away gets each
//! changed message once, as it stands now.

use std::time::Duration;

use chrono::TimeDelta;
use parlor::config::EditHistory;
use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, ANSWER, Person, Plain, Server, Socket, Store, at_full_speed, until};

/// A group of these, with one message of the first one.
async fn group_with_a_message(ada: &Socket, users: &[&str]) -> (String, Json) {
    let group = ada.makes_group("friends", users).await;
    let message = ada.posts_in(&group, "helo").await;
    (group, message)
}

fn edit(message: &Json, content: &str) -> Json {
    json!({ "messageId": message["messageId"], "content": content })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_reaches_every_socket_of_every_member_and_its_own_before_the_answer() {
    let server = Server::start().await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let (tab, plain) = (bob.connect().await, Plain::connects(&bob, "").await);
    let (group, message) = group_with_a_message(&ada, &["bob"]).await;
    assert_eq!((&message["change"], &message["edits"]), (&Json::Null, &Json::Null), "left out");
    // Who gets it only now gets it as it stands.
    for socket in [&bob, &tab] {
        socket.sees_message("helo").await;
    }
    plain.sees_message("helo").await;
    let edited = ada.asks("editMessage", edit(&message, "hello")).await;
    let story = ada.story();
    let told = story.iter().rposition(|name| name == "messageChanged");
    assert!(told.is_some() && told < story.iter().rposition(|name| name == ANSWER), "{story:?}");
    let seen = [
        ada.sees_any("messageChanged").await,
        bob.sees_any("messageChanged").await,
        tab.sees_any("messageChanged").await,
        plain.sees("messageChanged", |_| true).await,
    ];
    for changed in seen {
        for (field, expected) in [
            ("roomId", json!(group)),
            ("receiver", json!(group)),
            ("group", json!(true)),
            ("messageId", message["messageId"].clone()),
            ("seq", json!(1)),
            ("change", json!(1)),
            ("by", json!("ada")),
            ("what", json!(["edited"])),
            ("at", edited["editedAt"].clone()),
            ("set", json!({ "content": "hello", "editedAt": edited["editedAt"], "edits": 1 })),
        ] {
            assert_eq!(changed[field], expected, "{field}");
        }
    }
    let [stored] = &bob.history(&group).await[..] else { panic!("one message") };
    assert_eq!(
        (&stored["content"], &stored["change"], &stored["edits"]),
        (&json!("hello"), &json!(1), &json!(1))
    );
    assert_eq!((&edited["content"], &edited["messageId"]), (&json!("hello"), &message["messageId"]));
    assert_eq!(bob.conversation(&group).await["lastChange"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_edit_again_changes_nothing() {
    let mut server = Server::start().await;
    let ada = server.online("ada").await;
    let (group, message) = group_with_a_message(&ada, &[]).await;
    let path = format!("/api/messages/{}", message["messageId"].as_str().unwrap());
    let first = ada.asks("editMessage", edit(&message, "hello")).await;
    let again = ada.asks("editMessage", edit(&message, "hello")).await;
    assert_eq!((&first["change"], &again["change"]), (&json!(1), &json!(1)));
    assert_eq!(ada.patch(&path, json!({ "content": "hello" })).await.is(200)["change"], 1);
    server.restart().await;
    let ada = Person::logs_in(&server, "ada").await.connect().await;
    assert_eq!(ada.asks("editMessage", edit(&message, "hello")).await["change"], 1, "after a restart");
    assert_eq!(ada.asks("editMessage", edit(&message, "hello!")).await["change"], 2, "numbers go on");
    assert_eq!(ada.history(&group).await[0]["edits"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_edit_is_refused_and_told_why() {
    let server = Server::with(|config| config.messages.edit_window = Duration::from_secs(60)).await;
    let (ada, bob, eve) =
        (server.online("ada").await, server.online("bob").await, server.online("eve").await);
    let (group, message) = group_with_a_message(&ada, &["bob"]).await;
    let refused = bob.is_refused("editMessage", edit(&message, "mine"), "forbidden").await;
    assert_eq!(refused["reason"], "not_yours");
    eve.is_refused("editMessage", edit(&message, "mine"), "not_a_member").await;
    for nothing in [json!("no id"), json!(uuid::Uuid::now_v7())] {
        ada.is_refused("editMessage", edit(&json!({ "messageId": nothing }), "x"), "not_found").await;
    }
    for (content, code) in
        [(json!("  "), "bad_request"), (json!(5), "bad_request"), (json!("x".repeat(16_385)), "too_large")]
    {
        let wanted = json!({ "messageId": message["messageId"], "content": content });
        ada.is_refused("editMessage", wanted, code).await;
    }
    let path = format!("/api/messages/{}", message["messageId"].as_str().unwrap());
    let refused = bob.patch(&path, json!({ "content": "mine" })).await.is_refused(403, "forbidden");
    assert_eq!(refused["reason"], "not_yours");
    server.clock.advance(TimeDelta::seconds(61));
    let refused = ada.is_refused("editMessage", edit(&message, "hello"), "forbidden").await;
    assert_eq!(refused["reason"], "window_over");
    ada.emit("leaveGroup", json!({ "groupId": group })).await;
    ada.is_refused("editMessage", edit(&message, "hello"), "not_a_member").await;
    assert_eq!(bob.history(&group).await[0]["content"], "helo");
    assert!(bob.all("messageChanged").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_gets_each_changed_message_once_as_it_stands_now() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut messages = Vec::new();
    for number in 1..=4 {
        messages.push(ada.posts_in(&group, &number.to_string()).await);
    }
    let mut store = Store::default();
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!(synced, json!({ "seq": 4, "change": 0 }));
    store.take(&phone, &group);
    phone.leaves();

    for (message, content) in [(2, "2b"), (0, "1b"), (2, "2c"), (0, "1c"), (3, "4b")] {
        ada.asks("editMessage", edit(&messages[message], content)).await;
    }
    let fifth = ada.posts_in(&group, "5").await;
    ada.asks("editMessage", edit(&fifth, "5b")).await;
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!(synced, json!({ "seq": 5, "change": 6 }));
    let told = phone.all("messageChanged");
    let brief = |changed: &Json| (changed["seq"].clone(), changed["change"].clone(), changed["what"].clone());
    let what = json!(["caught-up"]);
    let expected = [(3, 3), (1, 4), (4, 5)].map(|(seq, change)| (json!(seq), json!(change), what.clone()));
    assert_eq!(told.iter().map(brief).collect::<Vec<_>>(), expected, "the fifth came as it stands");
    store.take(&phone, &group);
    assert_eq!(store.contents(), ["1c", "2", "2c", "4b", "5b"]);
    // What it has is not told again.
    phone.leaves();
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!(synced, json!({ "seq": 5, "change": 6 }));
    assert!(phone.all("messageChanged").is_empty());
    // And it hears what comes now.
    ada.asks("editMessage", edit(&messages[1], "2b")).await;
    assert_eq!(phone.sees_any("messageChanged").await["change"], 7);
}

/// `PARLOR_CHANGES=10000,300` takes other numbers: how many changes, and of how many messages.
#[tokio::test(flavor = "multi_thread")]
async fn however_much_was_changed_each_message_is_told_once_as_it_stands_now() {
    let numbers = std::env::var("PARLOR_CHANGES").unwrap_or_else(|_| "900,60".into());
    let (changes, messages) = numbers.split_once(',').expect("two numbers");
    let (changes, messages): (usize, usize) = (changes.parse().unwrap(), messages.parse().unwrap());
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.changes_replayed = messages;
    })
    .await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut all = Vec::new();
    for number in 0..messages {
        all.push(ada.posts_in(&group, &format!("message {number}")).await);
    }
    let mut store = Store::default();
    let (phone, _) = store.reconnects(&bob, &group).await;
    phone.sees_seqs(&json!(group), messages).await;
    store.take(&phone, &group);
    phone.leaves();
    // Each edit waits for the answer to the one before, so each has a commit and a number of its own.
    for number in 0..changes {
        ada.asks("editMessage", edit(&all[number % messages], &format!("{number}"))).await;
    }
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!(synced, json!({ "seq": messages, "change": changes }));
    assert_eq!(phone.all("messageChanged").len(), messages);
    store.take(&phone, &group);
    phone.leaves();
    let page = ada.asks("changes", json!({ "roomId": group, "after": 0, "limit": 200 })).await;
    assert_eq!(page["changes"].as_array().unwrap().len(), messages.min(200));
    let last = |seq: usize| (changes - 1 - seq) / messages * messages + seq;
    for (seq, content) in store.contents().iter().enumerate() {
        assert_eq!(*content, last(seq).to_string());
    }
    // One more message than may differ: the room is read again, and then it is right, too.
    let more = ada.posts_in(&group, "more").await;
    let (phone, _) = store.reconnects(&bob, &group).await;
    phone.sees_seqs(&json!(group), 1).await;
    store.take(&phone, &group);
    phone.leaves();
    for message in all.iter().chain([&more]) {
        ada.asks("editMessage", edit(message, "new")).await;
    }
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!(synced["reset"], true);
    let history = phone.history(&group).await;
    let contents: Vec<_> = history.iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(contents, vec!["new"; messages + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_device_begins_depends_on_what_it_names() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut messages = Vec::new();
    for number in 1..=3 {
        messages.push(ada.posts_in(&group, &number.to_string()).await);
    }
    for message in &messages {
        ada.asks("editMessage", edit(message, "edited")).await;
    }
    let told = |socket: &Socket| -> Vec<i64> {
        socket.all("messageChanged").iter().map(|changed| changed["change"].as_i64().unwrap()).collect()
    };
    for (auth, expected) in [
        // A first start: nothing old.
        (json!({ "changes": {} }), vec![]),
        // It has messages, and has never heard of a change.
        (json!({ "since": { &group: 3 }, "changes": {} }), vec![1, 2, 3]),
        (json!({ "since": { &group: 2 }, "changes": {} }), vec![1, 2]),
        (json!({ "since": { &group: 3 }, "changes": { &group: 2 } }), vec![3]),
        // Only of messages that it holds.
        (json!({ "since": { &group: 3 }, "changes": { &group: { "change": 0, "from": 2 } } }), vec![2, 3]),
    ] {
        let socket = bob.connect_with(auth.clone()).await;
        let synced = socket.sees_any("synced").await;
        assert_eq!(synced["rooms"][&group], json!({ "seq": 3, "change": 3 }), "{auth}");
        assert_eq!(told(&socket), expected, "{auth}");
    }
    // A client of yesterday hears what happens now, and nothing else.
    let old = bob.connect_with(json!({ "since": { &group: 3 } })).await;
    ada.asks("editMessage", edit(&messages[0], "edited again")).await;
    old.sees("messageChanged", |changed| changed["change"] == 4).await;
    assert_eq!(told(&old), [4]);
    assert!(old.all("synced").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_missed_too_much_or_comes_from_elsewhere_reads_the_room_again() {
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.changes_replayed = 2;
    })
    .await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut messages = Vec::new();
    for number in 1..=3 {
        messages.push(ada.posts_in(&group, &number.to_string()).await);
    }
    for content in ["a", "b", "c"] {
        ada.asks("editMessage", edit(&messages[0], content)).await;
    }
    ada.asks("editMessage", edit(&messages[1], "d")).await;
    // Four changes of two messages.
    let store = Store { messages: [(3, json!({}))].into(), change: 0 };
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!((synced, phone.all("messageChanged").len()), (json!({ "seq": 3, "change": 4 }), 2));
    ada.asks("editMessage", edit(&messages[2], "e")).await;
    let reset = json!({ "seq": 3, "change": 5, "reset": true });
    for auth in [
        json!({ "since": { &group: 3 }, "changes": { &group: 0 } }),
        json!({ "since": { &group: 3 }, "changes": { &group: 6 } }),
        json!({ "since": { &group: 4 }, "changes": { &group: 5 } }),
    ] {
        let phone = bob.connect_with(auth.clone()).await;
        assert_eq!(phone.sees_any("synced").await["rooms"][&group], reset, "{auth}");
        assert!(phone.all("messageChanged").is_empty(), "{auth}");
        let wanted = json!({ "receiver": group, "group": true });
        assert_eq!(phone.asks("history", wanted).await["change"], 5, "{auth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_to_be_read_again_is_told_before_later_changes_of_it_though_other_rooms_are_slow() {
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.changes_replayed = 2;
        config.limits.unacknowledged = 8;
    })
    .await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let (group, message) = group_with_a_message(&ada, &["bob"]).await;
    for content in ["a", "b", "c"] {
        let other = ada.posts_in(&group, content).await;
        ada.asks("editMessage", edit(&other, &content.repeat(2))).await;
    }
    // These take a while: each page of them waits for acknowledgements that do not come.
    let slow = ada.makes_group("slow", &["bob"]).await;
    for number in 0..40 {
        ada.posts_in(&slow, &number.to_string()).await;
    }
    let auth = json!({ "since": { &group: 4, &slow: 0 }, "changes": { &group: 0 } });
    let phone = bob.connecting().with(auth).without_acknowledging().open().await;
    let reset = phone.sees_any("synced").await;
    assert_eq!(reset["rooms"], json!({ &group: { "seq": 4, "change": 3, "reset": true } }));
    ada.asks("editMessage", edit(&message, "hello")).await;
    assert_eq!(phone.sees_any("messageChanged").await["change"], 4);
    // A connection that ends now has told the device everything.
    phone.vanishes();
    let auth = json!({ "since": { &group: 4, &slow: 0 }, "changes": { &group: 4 } });
    let phone = bob.connect_with(auth).await;
    let synced = phone.sees("synced", |synced| synced["rooms"][&slow]["seq"] == 40).await;
    assert_eq!(synced["rooms"][&group], json!({ "seq": 4, "change": 4 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_into_a_group_reads_it_again() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let (group, message) = group_with_a_message(&ada, &["bob"]).await;
    let mut store = Store::default();
    let (tab, _) = store.reconnects(&bob, &group).await;
    store.take(&tab, &group);
    let reset = |synced: &Json| synced["rooms"][&group]["reset"] == true;
    let member = format!("/api/rooms/{group}/members/bob");
    for (round, was_there) in [(1, true), (2, false)] {
        let away = if was_there { None } else { Some(&store) };
        ada.delete(&member).await.is(200);
        // The second time, a device connects while its user is not a member.
        let phone = match away {
            Some(store) => bob.connect_with(store.auth(&group)).await,
            None => bob.connect_with(json!({ "changes": {} })).await,
        };
        phone.sees_any("synced").await;
        let edited = ada.asks("editMessage", edit(&message, &format!("round {round}"))).await;
        ada.post(&format!("/api/rooms/{group}/members"), json!({ "users": ["bob"] })).await.is(200);
        let synced = tab.sees("synced", reset).await;
        assert_eq!(synced["rooms"][&group]["change"], edited["change"]);
        if away.is_some() {
            phone.sees("synced", reset).await;
        } else {
            phone.sees("synced", |synced| synced["rooms"][&group]["seq"] == 1).await;
            assert!(!phone.all("synced").iter().any(reset), "it holds nothing");
        }
        tab.forgets();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_read_on_request_too_a_page_at_a_time() {
    let server = Server::with(at_full_speed).await;
    let (ada, eve) = (server.online("ada").await, server.online("eve").await);
    let group = ada.makes_group("friends", &[]).await;
    for number in 1..=5 {
        let message = ada.posts_in(&group, &number.to_string()).await;
        ada.asks("editMessage", edit(&message, &format!("{number}b"))).await;
        ada.asks("editMessage", edit(&message, &format!("{number}c"))).await;
    }
    let plain = Plain::connects(&ada, "").await;
    let path = format!("/api/rooms/{group}/changes");
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let wanted = json!({ "roomId": group, "after": after, "limit": 2 });
        let page = ada.asks("changes", wanted.clone()).await;
        assert_eq!(page, plain.asks("changes", wanted).await);
        assert_eq!(page, ada.get(&format!("{path}?after={after}&limit=2")).await.is(200));
        let changes = page["changes"].as_array().unwrap();
        seen.extend(
            changes.iter().map(|changed| (changed["seq"].clone(), changed["set"]["content"].clone())),
        );
        after = page["change"].as_i64().unwrap();
        if page["more"] == false {
            break;
        }
        assert_eq!(changes.len(), 2);
    }
    let expected: Vec<_> = (1..=5).map(|number| (json!(number), json!(format!("{number}c")))).collect();
    assert_eq!((seen, after), (expected, 10));
    assert_eq!(ada.get(&format!("{path}?from=4")).await.is(200)["changes"].as_array().unwrap().len(), 2);
    eve.is_refused("changes", json!({ "roomId": group, "after": 0 }), "not_a_member").await;
    eve.get(&path).await.is_refused(403, "not_a_member");
    let page = ada.asks("history", json!({ "receiver": group, "group": true, "changes": true })).await;
    assert_eq!(page["change"], 10);
    let page = ada.asks("history", json!({ "receiver": group, "group": true })).await;
    assert_eq!(page["change"], Json::Null, "only who asks");
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_contents_are_shown_to_whom_the_setting_says() {
    for (setting, bob_may, ada_may) in [
        (EditHistory::Moderators, true, true),
        (EditHistory::Members, true, true),
        (EditHistory::Off, false, false),
    ] {
        let server = Server::with(|config| {
            at_full_speed(config);
            config.messages.edit_history = setting;
        })
        .await;
        let (bob, ada, cyd) =
            (server.online("bob").await, server.online("ada").await, server.online("cyd").await);
        // Bob is the owner, ada the sender, cyd a member.
        let group = bob.makes_group("friends", &["ada", "cyd"]).await;
        let message = ada.posts_in(&group, "1").await;
        for content in ["2", "3"] {
            ada.asks("editMessage", edit(&message, content)).await;
        }
        let asked = json!({ "messageId": message["messageId"] });
        let path = format!("/api/messages/{}/edits", message["messageId"].as_str().unwrap());
        let cyd_may = setting == EditHistory::Members;
        for (person, may) in [(&bob, bob_may), (&ada, ada_may), (&cyd, cyd_may)] {
            if !may {
                let refused = person.is_refused("edits", asked.clone(), "forbidden").await;
                assert_eq!(refused["reason"], "role");
                continue;
            }
            let edits = person.asks("edits", asked.clone()).await;
            let contents: Vec<_> =
                edits["versions"].as_array().unwrap().iter().map(|it| &it["content"]).collect();
            assert_eq!(contents, ["1", "2"]);
            assert_eq!(edits["versions"][0]["at"], message["timestamp"]);
            assert_eq!(person.get(&path).await.is(200), edits);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_versions_go_when_there_are_more_than_fifty() {
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    let (_, message) = group_with_a_message(&ada, &[]).await;
    for number in 1..=55 {
        ada.asks("editMessage", edit(&message, &number.to_string())).await;
    }
    let edits = ada.asks("edits", json!({ "messageId": message["messageId"] })).await;
    let contents: Vec<_> =
        edits["versions"].as_array().unwrap().iter().map(|it| it["content"].clone()).collect();
    let expected: Vec<_> = (5..55).map(|number: i32| json!(number.to_string())).collect();
    assert_eq!(contents, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_of_many_at_once_are_numbered_without_a_hole_and_seen_in_that_order() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob, cyd) =
        (server.online("ada").await, server.online("bob").await, server.person("cyd").await);
    let group = ada.makes_group("friends", &["bob", "cyd"]).await;
    let mut own = Vec::new();
    for sender in [&ada, &bob] {
        for number in 0..5 {
            own.push((sender, sender.posts_in(&group, &format!("{number}")).await));
        }
    }
    let listener = cyd.connect().await;
    let mut answers = Vec::new();
    for round in 0..10 {
        for (sender, message) in &own {
            answers.push(sender.sends("editMessage", edit(message, &format!("round {round}"))));
        }
        // Messages in between, which do not disturb the numbers.
        answers.push(ada.sends("groupMessage", json!({ "receiver": group, "content": "more" })));
    }
    for answer in answers {
        assert_eq!(answer.await["success"], true);
    }
    let last =
        ada.get(&format!("/api/rooms/{group}/changes?limit=1&after=100")).await.is(200)["change"].clone();
    let last = last.as_i64().unwrap();
    let numbers = || -> Vec<i64> {
        listener.all("messageChanged").iter().map(|changed| changed["change"].as_i64().unwrap()).collect()
    };
    until("all changes", || async { numbers().last() == Some(&last) }).await;
    assert_eq!(numbers(), (1..=last).collect::<Vec<_>>());
    assert!(last <= 100, "what one commit does to one message is one change: {last}");
    for message in ada.history(&group).await.iter().filter(|message| message["content"] != "more") {
        assert_eq!((&message["content"], &message["edits"]), (&json!("round 9"), &json!(10)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_is_what_history_says_though_devices_come_and_go_while_messages_change() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut messages: Vec<Json> = Vec::new();
    let mut store = Store::default();
    for round in 0..40 {
        let (phone, synced) = store.reconnects(&bob, &group).await;
        assert_eq!(synced["reset"], Json::Null);
        let mut answers = Vec::new();
        for number in 0..4 {
            let content = format!("{round}.{number}");
            answers.push(ada.sends("groupMessage", json!({ "receiver": group, "content": content })));
        }
        for message in messages.iter().rev().step_by(3).take(6) {
            answers.push(ada.sends("editMessage", edit(message, &format!("edited in {round}"))));
            let reaction = json!({ "messageId": message["messageId"], "key": format!("{}", round % 3), "on": round % 5 != 0 });
            answers.push(ada.sends("react", reaction));
        }
        // One that nobody edits any more: four are sent in each round, and the last 18 are edited.
        if let Some(message) = messages.get(usize::try_from(round).unwrap()).filter(|_| round > 6) {
            answers.push(ada.sends("deleteMessage", json!({ "messageId": message["messageId"] })));
        }
        if round % 3 == 0 {
            tokio::time::sleep(Duration::from_millis(round % 7)).await;
        }
        store.take(&phone, &group);
        phone.leaves();
        for answer in answers {
            let answer = answer.await;
            assert_eq!(answer["success"], true, "{answer}");
            let is_new = !messages.iter().any(|it| it["messageId"] == answer["response"]["messageId"]);
            if is_new {
                messages.push(answer["response"].clone());
            }
        }
    }
    let (phone, _) = store.reconnects(&bob, &group).await;
    store.take(&phone, &group);
    assert_eq!(store.messages.len(), 160);
    store.is_as(&ada.history(&group).await);
}

/// Why only `messageChanged` and `synced` may move a device's cursor: an answer tells of one message alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_moves_by_an_answer_misses_what_was_changed_before() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let (group, first) = group_with_a_message(&ada, &["bob"]).await;
    let second = bob.connect().await.posts_in(&group, "second").await;
    let (mut right, mut wrong) = (Store::default(), Store::default());
    for store in [&mut right, &mut wrong] {
        let (phone, _) = store.reconnects(&bob, &group).await;
        store.take(&phone, &group);
        phone.leaves();
    }
    ada.asks("editMessage", edit(&first, "edited")).await;
    let path = format!("/api/messages/{}", second["messageId"].as_str().unwrap());
    let answer = bob.patch(&path, json!({ "content": "second, edited" })).await.is(200);
    // Both show what they were answered; one also takes it for everything up to there.
    for store in [&mut right, &mut wrong] {
        store.messages.insert(2, answer.clone());
    }
    wrong.change = answer["change"].as_i64().unwrap();
    for store in [&mut right, &mut wrong] {
        let (phone, _) = store.reconnects(&bob, &group).await;
        store.take(&phone, &group);
        phone.leaves();
    }
    let history = ada.history(&group).await;
    right.is_as(&history);
    assert_eq!(
        (&history[0]["content"], &wrong.messages[&1]["content"]),
        (&json!("edited"), &first["content"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_websocket_replays_by_a_query_parameter() {
    let server = Server::start().await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let (group, message) = group_with_a_message(&ada, &["bob"]).await;
    ada.asks("editMessage", edit(&message, "hello")).await;
    let query = format!("&since={{\"{group}\":1}}&changes={{\"{group}\":{{\"change\":0,\"from\":1}}}}");
    let plain =
        Plain::connects(&bob, &query.replace('"', "%22").replace('{', "%7B").replace('}', "%7D")).await;
    let changed = plain.sees("messageChanged", |_| true).await;
    assert_eq!(changed["set"]["content"], "hello");
    let synced = plain.sees("synced", |_| true).await;
    assert_eq!(synced["rooms"][&group], json!({ "seq": 1, "change": 1 }));
    Plain::is_refused_connection(&bob, "&changes=5").await.is(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lobby_is_told_at_once_and_direct_rooms_and_groups_over_http_too() {
    let server = Server::start().await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let said = ada.asks("lobbyMessage", json!({ "content": "helo" })).await;
    bob.sees("lobby", |told| told["response"]["content"] == "helo").await;
    ada.asks("editMessage", edit(&said, "hello")).await;
    let changed = bob.sees_any("messageChanged").await;
    assert_eq!((&changed["set"]["content"], &changed["roomId"]), (&json!("hello"), &said["roomId"]));
    // The server replays nothing of the lobby. A device that comes back asks for the changes.
    let missed = bob.asks("changes", json!({ "roomId": said["roomId"], "after": 0 })).await;
    assert_eq!((&missed["change"], &missed["changes"][0]["set"]["content"]), (&json!(1), &json!("hello")));
    let path = format!("/api/rooms/{}/changes?after=0", said["roomId"].as_str().unwrap());
    assert_eq!(bob.get(&path).await.is(200), missed);
    let direct = ada.posts_to("bob", "helo").await;
    bob.sees_message("helo").await;
    let path = format!("/api/messages/{}", direct["messageId"].as_str().unwrap());
    let edited = ada.patch(&path, json!({ "content": "hello" })).await.is(200);
    let changed = bob.sees_any("messageChanged").await;
    assert_eq!((&changed["receiver"], &changed["group"]), (&json!("bob"), &json!(false)));
    assert_eq!(
        (&changed["change"], &edited["change"]),
        (&json!(1), &json!(1)),
        "each room has its own numbers"
    );
    bob.sees_nothing("synced", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_content_is_replaced_by_any_json_and_stays_encrypted() {
    let server = Server::start().await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let sent = json!({ "receiver": "bob", "content": { "a": [1] }, "kind": "encrypted" });
    let message = ada.asks("privateMessage", sent).await;
    bob.sees("response", |told| told["response"]["content"] == json!({ "a": [1] })).await;
    let wanted = json!({ "messageId": message["messageId"], "content": [2] });
    let edited = ada.asks("editMessage", wanted).await;
    assert_eq!((&edited["kind"], &edited["content"]), (&json!("encrypted"), &json!([2])));
    assert_eq!(bob.sees_any("messageChanged").await["set"]["content"], json!([2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_did_not_read_gets_what_is_missing_with_the_next_connection() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.person("bob").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let message = ada.posts_in(&group, "0").await;
    let mut store = Store::default();
    let (slow, _) = store.reconnects(&bob, &group).await;
    store.take(&slow, &group);
    slow.stops_reading();
    let mut last = Json::Null;
    for number in 1..=60 {
        last = ada.asks("editMessage", edit(&message, &format!("{number} {}", "x".repeat(4_000)))).await;
    }
    slow.vanishes();
    let (phone, synced) = store.reconnects(&bob, &group).await;
    assert_eq!(synced, json!({ "seq": 1, "change": 60 }));
    assert_eq!(phone.all("messageChanged").len(), 1);
    store.take(&phone, &group);
    assert_eq!(store.messages[&1]["content"], last["content"]);
}
