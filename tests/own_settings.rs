//! Each user's own settings of a room, on all devices of the user: `setRoom` and `roomChanged`.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::harness::{ANSWER, Person, Plain, Server, Socket, at_full_speed};

const CHANGED: &str = "roomChanged";

fn in_group(group: &str, more: Json) -> Json {
    let mut payload = json!({ "receiver": group, "group": true });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    payload
}

fn with(receiver: &str, more: Json) -> Json {
    let mut payload = in_group(receiver, more);
    payload["group"] = false.into();
    payload
}

fn path(room: &str) -> String {
    format!("/api/rooms/{room}/settings")
}

/// What the next `roomChanged` says of this room.
async fn set(socket: &Socket, room: &str) -> Json {
    let told = socket.sees_any(CHANGED).await;
    assert_eq!(told["roomId"], room);
    told["set"].clone()
}

/// Checks that no `roomChanged` has arrived so far: what was written before has arrived with this answer.
async fn was_told_nothing(socket: &Socket) {
    socket.asks("listRooms", json!({})).await;
    assert_eq!(socket.all(CHANGED), Vec::<Json>::new());
}

/// The fields that are left out at their defaults.
fn settings(conversation: &Json) -> Json {
    let mut found = json!({});
    for field in ["notify", "mutedUntil", "archived", "markedUnread", "draft"] {
        if let Some(value) = conversation.get(field) {
            found[field] = value.clone();
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_by_every_door_is_on_all_devices_and_stays() {
    let mut server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let plain = Plain::connects(&ada, "").await;
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let hi = bob.posts_to("ada", "hi").await;
    let direct = hi["roomId"].as_str().unwrap();
    assert_eq!(settings(&ada.conversation(&group).await), json!({}));

    let room = phone.asks("setRoom", in_group(&group, json!({ "notify": "mentions" }))).await;
    assert_eq!(room, ada.conversation(&group).await, "the answer is the room as the list has it");
    assert_eq!(settings(&room), json!({ "notify": "mentions" }));
    assert_eq!(set(&laptop, &group).await, json!({ "notify": "mentions" }));
    let told = plain.sees(CHANGED, |_| true).await;
    assert_eq!(told, json!({ "roomId": group, "set": { "notify": "mentions" } }));
    was_told_nothing(&phone).await;

    let room = plain.asks("setRoom", with("bob", json!({ "archived": true }))).await;
    assert_eq!((&room["peer"]["username"], &room["archived"]), (&json!("bob"), &json!(true)));
    for socket in [&phone, &laptop] {
        assert_eq!(set(socket, direct).await, json!({ "archived": true }));
    }
    // Over HTTP, a direct room is named by its id, too. No socket has asked, so all are told.
    let draft = json!({ "content": "well \u{1f600} \"so\"", "replyTo": hi["messageId"] });
    let wanted = json!({ "mutedUntil": "2031-01-01T01:00:00+01:00", "draft": draft });
    let room = ada.patch(&path(direct), wanted).await.is(200);
    let now = json!({ "mutedUntil": "2031-01-01T00:00:00.000Z", "draft": draft });
    assert_eq!((&room["archived"], &room["draft"]), (&json!(true), &draft));
    for socket in [&phone, &laptop] {
        assert_eq!(set(socket, direct).await, now);
    }
    assert_eq!(plain.sees(CHANGED, |told| told["roomId"] == direct).await["set"], now);
    // What is so already, and nothing at all, change nothing.
    for again in [json!({ "archived": true, "draft": draft }), json!({})] {
        assert_eq!(laptop.asks("setRoom", with("bob", again)).await, room);
    }
    // A new message changes none of it.
    bob.posts_to("ada", "hello?").await;
    let all = json!({
        "mutedUntil": "2031-01-01T00:00:00.000Z", "archived": true, "draft": draft,
    });
    assert_eq!(settings(&ada.conversation(direct).await), all);
    let list = ada.connect().await.asks("listRooms", json!({})).await;
    let listed = list.as_array().unwrap().iter().find(|room| room["roomId"] == direct).unwrap();
    assert_eq!(settings(listed), all);

    server.restart().await;
    let ada = Person::logs_in(&server, "ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    assert_eq!(settings(&ada.conversation(direct).await), all);
    assert_eq!(settings(&ada.conversation(&group).await), json!({ "notify": "mentions" }));
    let back = json!({ "archived": false, "draft": null, "mutedUntil": null, "notify": "all" });
    let room = phone.asks("setRoom", with("bob", back)).await;
    assert_eq!(settings(&room), json!({}));
    assert_eq!(set(&laptop, direct).await, json!({ "archived": null, "draft": null, "mutedUntil": null }));
    assert_eq!(bob.all(CHANGED), Vec::<Json>::new(), "nobody else is told");
    let bob = Person::logs_in(&server, "bob").await;
    assert_eq!(settings(&bob.conversation(direct).await), json!({}));
}

/// The draft of the only room, if the client takes over each answer and each event in the order in which they came.
fn kept_draft(socket: &Socket) -> Json {
    let (mut answers, mut told) = (socket.all(ANSWER).into_iter(), socket.all(CHANGED).into_iter());
    let drafts = socket.story().into_iter().map(|name| match name.as_str() {
        ANSWER => answers.next().unwrap()["response"]["draft"].clone(),
        CHANGED => told.next().unwrap()["set"]["draft"].clone(),
        _ => Json::Null,
    });
    drafts.filter(|draft| draft.is_object()).last().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_set_the_same_at_the_same_moment_end_with_the_same() {
    let server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await;
    let group = ada.makes_group("friends", &[]).await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let set = |socket: &Socket, content: String| {
        socket.sends("setRoom", in_group(&group, json!({ "draft": { "content": content } })))
    };
    for round in 1..=60 {
        let answers = [set(&phone, format!("phone {round}")), set(&laptop, format!("laptop {round}"))];
        for answer in answers {
            assert_eq!(answer.await["success"], true);
        }
        for socket in [&phone, &laptop] {
            // What was told before has arrived with this answer.
            let stored = socket.asks("listRooms", json!({})).await[0]["draft"].clone();
            assert_eq!(kept_draft(socket), stored);
            assert_eq!(socket.seen(CHANGED).len(), round);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_device_has_read_is_told_the_others() {
    let server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let (bob, carl) = (server.online("bob").await, server.online("carl").await);
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    for content in ["one", "two", "three"] {
        bob.posts_in(&group, content).await;
    }
    // Over HTTP, nobody has seen what is above it.
    ada.post("/api/messages", in_group(&group, json!({ "content": "four" }))).await.is(201);
    let read = |seq: i64| in_group(&group, json!({ "seq": seq }));
    assert_eq!(phone.asks("markRead", read(1)).await["seq"], 1);
    assert_eq!(set(&laptop, &group).await, json!({ "read": 1, "unread": 2, "unreadMentions": null }));
    assert_eq!(laptop.asks("markRead", read(3)).await["seq"], 3);
    assert_eq!(
        set(&phone, &group).await,
        json!({ "read": 3, "unread": 0, "unreadMentions": null }),
        "one's own does not count"
    );
    assert_eq!(ada.conversation(&group).await["unread"], 0);
    // Back is not possible, and is not told.
    assert_eq!(laptop.asks("markRead", read(2)).await["seq"], 3);
    phone.asks("markRead", read(4)).await;
    assert_eq!(set(&laptop, &group).await, json!({ "read": 4, "unread": 0, "unreadMentions": null }));
    // An answer reads what is above it, as far as its socket had received it.
    bob.posts_in(&group, "five").await;
    laptop.sees_message("five").await;
    // It comes after the socket's acknowledgement.
    laptop.posts_in(&group, "six").await;
    assert_eq!(set(&phone, &group).await, json!({ "read": 5, "unread": 0, "unreadMentions": null }));
    assert_eq!((phone.seen(CHANGED).len(), laptop.seen(CHANGED).len()), (2, 2));
    for other in [&bob, &carl] {
        was_told_nothing(other).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_stays_marked_as_unread_until_it_is_read() {
    let mut server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let bob = server.online("bob").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    bob.posts_in(&group, "one").await;
    let mark = in_group(&group, json!({ "markedUnread": true }));
    let read = |seq: i64| in_group(&group, json!({ "seq": seq }));
    let cleared = json!({ "markedUnread": null });
    phone.asks("markRead", read(1)).await;
    assert_eq!(set(&laptop, &group).await, json!({ "read": 1, "unread": 0, "unreadMentions": null }));

    assert_eq!(settings(&phone.asks("setRoom", mark.clone()).await), json!({ "markedUnread": true }));
    assert_eq!(set(&laptop, &group).await, json!({ "markedUnread": true }));
    assert_eq!(laptop.asks("listRooms", json!({})).await[0]["markedUnread"], true);
    // The `read` mark cannot move, and the mark goes all the same.
    laptop.asks("markRead", read(1)).await;
    assert_eq!(settings(&ada.conversation(&group).await), json!({}), "at once");
    assert_eq!(set(&phone, &group).await, cleared);
    // Marked again, and taken back by hand.
    phone.asks("setRoom", mark.clone()).await;
    assert_eq!(set(&laptop, &group).await, json!({ "markedUnread": true }));
    phone.asks("setRoom", in_group(&group, json!({ "markedUnread": false }))).await;
    assert_eq!(set(&laptop, &group).await, cleared);
    // With the `read` mark, it goes in one event.
    bob.posts_in(&group, "two").await;
    phone.asks("setRoom", mark.clone()).await;
    assert_eq!(set(&laptop, &group).await, json!({ "markedUnread": true }));
    phone.asks("markRead", read(2)).await;
    assert_eq!(
        set(&laptop, &group).await,
        json!({ "read": 2, "unread": 0, "unreadMentions": null, "markedUnread": null })
    );
    // Whoever writes has read, by whatever door.
    for door in ["socket", "http"] {
        phone.asks("setRoom", mark.clone()).await;
        assert_eq!(set(&laptop, &group).await, json!({ "markedUnread": true }));
        laptop.sees_message("two").await;
        match door {
            "socket" => drop(phone.posts_in(&group, "mine").await),
            _ => {
                let body = in_group(&group, json!({ "content": "mine, too" }));
                drop(ada.post("/api/messages", body).await.is(201));
            }
        }
        assert_eq!(settings(&ada.conversation(&group).await), json!({}));
        assert_eq!(set(&laptop, &group).await, cleared);
        bob.posts_in(&group, "two").await;
    }
    phone.asks("setRoom", mark.clone()).await;
    server.restart().await;
    let ada = Person::logs_in(&server, "ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let room = ada.conversation(&group).await;
    assert_eq!(settings(&room), json!({ "markedUnread": true }));
    // The mark of a room that nobody has listed since the start goes, too.
    server.restart().await;
    drop((phone, laptop));
    let ada = Person::logs_in(&server, "ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    phone.asks("markRead", read(room["read"].as_i64().unwrap())).await;
    assert_eq!(set(&laptop, &group).await, cleared);
    server.restart().await;
    let ada = Person::logs_in(&server, "ada").await;
    assert_eq!(settings(&ada.conversation(&group).await), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_corrects_the_count_of_those_who_have_not_read_the_message() {
    let server = Server::with(at_full_speed).await;
    let ada = server.person("ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let bob = server.person("bob").await;
    let (bobs, tablet) = (bob.connect().await, bob.connect().await);
    let carl = server.online("carl").await;
    let group = ada.makes_group("friends", &["bob", "carl"]).await;
    let mut messages = Vec::new();
    for content in ["one", "two", "three"] {
        messages.push(bobs.posts_in(&group, content).await);
    }
    phone.asks("markRead", in_group(&group, json!({ "seq": 1 }))).await;
    assert_eq!(set(&laptop, &group).await, json!({ "read": 1, "unread": 2, "unreadMentions": null }));
    // Ada has read the first message, and Carl has not.
    let delete = |message: &Json| json!({ "messageId": message["messageId"] });
    bobs.asks("deleteMessage", delete(&messages[0])).await;
    assert_eq!(set(&carl, &group).await, json!({ "unread": 2, "unreadMentions": null }));
    bobs.asks("deleteMessage", delete(&messages[2])).await;
    assert_eq!(set(&carl, &group).await, json!({ "unread": 1, "unreadMentions": null }));
    // Every socket is told: none of them has asked for it.
    for socket in [&phone, &laptop] {
        assert_eq!(set(socket, &group).await, json!({ "unread": 1, "unreadMentions": null }));
    }
    // To delete it again changes nothing; an edit and a reaction change no count.
    bobs.asks("deleteMessage", delete(&messages[2])).await;
    bobs.asks("editMessage", json!({ "messageId": messages[1]["messageId"], "content": "2" })).await;
    phone.asks("react", json!({ "messageId": messages[1]["messageId"], "key": "+1", "on": true })).await;
    // Who deletes their own message has nothing to correct.
    for socket in [&bobs, &tablet] {
        was_told_nothing(socket).await;
    }
    bobs.asks("deleteMessage", delete(&messages[1])).await;
    assert_eq!(set(&phone, &group).await, json!({ "unread": 0, "unreadMentions": null }));
    assert_eq!(phone.seen(CHANGED).len(), 2);
    assert_eq!(ada.conversation(&group).await["unread"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_set_is_refused_and_changes_nothing() {
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.content_bytes = 20;
    })
    .await;
    let (ada, bob, eve) =
        (server.online("ada").await, server.online("bob").await, server.online("eve").await);
    let group = ada.makes_group("friends", &["bob"]).await;
    let direct = ada.posts_to("bob", "hi").await["roomId"].as_str().unwrap().to_owned();
    let archived = json!({ "archived": true });
    eve.is_refused("setRoom", in_group(&group, archived.clone()), "not_a_member").await;
    eve.patch(&path(&group), archived.clone()).await.is_refused(403, "not_a_member");
    eve.patch(&path(&direct), archived.clone()).await.is_refused(404, "not_found");
    eve.is_refused("setRoom", with("bob", archived.clone()), "not_found").await;
    ada.is_refused("setRoom", with("nobody", archived.clone()), "not_found").await;
    ada.is_refused("setRoom", in_group("no-id", archived.clone()), "not_found").await;
    let lobby = ada.asks("lobbyMessage", json!({ "content": "hello" })).await;
    let lobby = lobby["roomId"].as_str().unwrap();
    ada.is_refused("setRoom", in_group(lobby, archived.clone()), "not_found").await;
    ada.patch(&path(lobby), archived.clone()).await.is_refused(404, "not_found");
    for (bad, code) in [
        (json!({ "notify": "some" }), "bad_request"),
        (json!({ "archived": "yes" }), "bad_request"),
        (json!({ "markedUnread": 1 }), "bad_request"),
        (json!({ "mutedUntil": "tomorrow" }), "bad_request"),
        (json!({ "mutedUntil": 1_900_000_000 }), "bad_request"),
        (json!({ "draft": "text" }), "bad_request"),
        (json!({ "draft": { "content": 5 } }), "bad_request"),
        (json!({ "draft": { "content": " " } }), "bad_request"),
        (json!({ "draft": { "replyTo": group } }), "bad_request"),
        (json!({ "draft": { "content": "well", "replyTo": "the first" } }), "bad_request"),
        (json!({ "draft": { "content": "x".repeat(21) } }), "too_large"),
    ] {
        let mut wanted = bad.clone();
        wanted["archived"] = bad.get("archived").cloned().unwrap_or(true.into());
        ada.is_refused("setRoom", in_group(&group, wanted.clone()), code).await;
        let status = if code == "too_large" { 413 } else { 400 };
        ada.patch(&path(&group), wanted).await.is_refused(status, code);
    }
    for person in [&ada, &bob] {
        assert_eq!(settings(&person.conversation(&group).await), json!({}));
    }
    let draft = json!({ "content": "x".repeat(20) });
    assert_eq!(ada.asks("setRoom", in_group(&group, json!({ "draft": draft }))).await["draft"], draft);
    // Who leaves, and comes back, begins anew.
    bob.asks("setRoom", in_group(&group, archived.clone())).await;
    bob.asks("leaveGroup", json!({ "groupId": group })).await;
    bob.is_refused("setRoom", in_group(&group, archived), "not_a_member").await;
    ada.asks("addMembers", json!({ "groupId": group, "users": ["bob"] })).await;
    assert_eq!(settings(&bob.conversation(&group).await), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reading_makes_few_events() {
    const TICK: Duration = Duration::from_millis(200);
    const MESSAGES: u32 = 500;
    let server = Server::with(|config| {
        at_full_speed(config);
        config.writer.receipts_tick = TICK;
    })
    .await;
    let ada = server.person("ada").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let bob = server.online("bob").await;
    bob.posts_many_to("ada", 1..=MESSAGES).await;
    let begun = Instant::now();
    let answers: Vec<_> =
        (1..=MESSAGES).map(|seq| phone.sends("markRead", with("bob", json!({ "seq": seq })))).collect();
    for answer in answers {
        assert_eq!(answer.await["success"], true);
    }
    let last = laptop.sees(CHANGED, |told| told["set"]["read"] == MESSAGES).await;
    assert_eq!(last["set"], json!({ "read": MESSAGES, "unread": 0, "unreadMentions": null }));
    // Each round waits for a tick, however fast the machine is.
    let rounds = begun.elapsed().as_millis() / TICK.as_millis() + 1;
    let told = laptop.seen(CHANGED);
    assert!(told.len() as u128 <= rounds, "{} events in {rounds} rounds", told.len());
    for (one, next) in told.iter().zip(told.iter().skip(1)) {
        assert!(one["set"]["read"].as_i64() < next["set"]["read"].as_i64(), "{one} before {next}");
    }
    was_told_nothing(&phone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_has_set_is_in_the_list() {
    // This server does not look at what the other one notes: it would tell the laptop what was set there.
    let server = Server::with(|config| {
        config.cluster.bus = parlor::config::Bus::Off;
        config.cluster.look_every = Duration::from_secs(3_600);
        config.cluster.lease = Duration::from_secs(4 * 3_600);
    })
    .await;
    let other = server.beside().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let (phone, laptop) = (ada.connect().await, ada.connect().await);
    let group = ada.makes_group("friends", &["bob"]).await;
    bob.posts_in(&group, "one").await;
    let read = in_group(&group, json!({ "seq": 1 }));
    phone.asks("markRead", read.clone()).await;
    assert_eq!(set(&laptop, &group).await, json!({ "read": 1, "unread": 0, "unreadMentions": null }));
    let there = Person::shows(&other, &ada.token).await;
    there.patch(&path(&group), json!({ "markedUnread": true, "notify": "none" })).await.is(200);
    let expected = json!({ "markedUnread": true, "notify": "none" });
    assert_eq!(settings(&ada.conversation(&group).await), expected);
    // Since the list has shown the mark, reading here takes it away for both.
    phone.asks("markRead", read).await;
    assert_eq!(set(&laptop, &group).await, json!({ "markedUnread": null }));
    assert_eq!(settings(&there.conversation(&group).await), json!({ "notify": "none" }));
    drop((phone, laptop, bob));
    drop((other, server));
}
