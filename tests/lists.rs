//! Lists: what they leave out, how one goes on in them, and that none is larger than a packet.

use std::time::Duration;

use parlor::{chat::NewUser, values::Username};
use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Person, Server, Socket, at_full_speed, until};

const PACKET: usize = 1_000_000;

/// A JSON object of so many bytes, with a picture and a role in it.
fn profile(bytes: usize) -> Json {
    let empty = json!({ "img": "/ada.png", "role": "admin", "x": "" }).to_string().len();
    json!({ "img": "/ada.png", "role": "admin", "x": "x".repeat(bytes - empty) })
}

/// An account with a profile that nobody can log in to.
async fn registers(server: &Server, username: &str, profile: &Json) {
    let new = NewUser {
        username: Username::parse(username).unwrap(),
        password: None,
        first_name: None,
        last_name: None,
        email: None,
        phone: None,
        profile: Some(profile.to_string()),
        is_admin: false,
    };
    server.chat().register(new).await.unwrap();
}

fn find<'a>(users: &'a Json, username: &str) -> &'a Json {
    let users = users.as_array().unwrap_or_else(|| panic!("not a list: {users}"));
    users.iter().find(|user| user["username"] == username).unwrap_or_else(|| panic!("no {username}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_leave_out_profiles_over_one_kib_and_say_so() {
    let server = Server::with(|config| config.dialects.angular = true).await;
    let ada = server.online("ada").await;
    let bob = server.online("bob").await;
    for (username, bytes) in [("small", 1_024), ("large", 1_025), ("largest", 16_384)] {
        registers(&server, username, &profile(bytes)).await;
    }
    bob.patch("/api/users/bob", json!({ "profile": profile(16_384) })).await.is(200);
    ada.posts_to("bob", "hi").await;
    let everyone = ["bob", "small", "large", "largest"];
    let group = ada.asks("createGroup", json!({ "groupName": "friends", "users": everyone })).await;
    let id = group["groupId"].as_str().unwrap().to_owned();
    let told = bob.sees_any("newgrp").await;
    let announced = ada.asks("createGroup", json!({ "groupId": id })).await;
    let read = async |path: &str| ada.get(path).await.is(200);
    let again = ada.post(&format!("/api/rooms/{id}/join"), json!({})).await.is(200);
    for (list, users) in [
        ("createGroup", &group["users"]),
        ("newgrp", &told["response"]["users"]),
        ("announced", &announced["users"]),
        ("joinGroup", &again["users"]),
        ("listUsers", &ada.asks("listUsers", json!({})).await),
        ("GET /api/users", &read("/api/users").await["users"]),
        ("a search", &read("/api/users?search=l").await["users"]),
        ("members", &read(&format!("/api/rooms/{id}/members")).await["members"]),
        ("/web/users", &read("/web/users").await["users"]),
        ("/web/all", &read("/web/all/ada").await["users"]),
    ] {
        assert_eq!(find(users, "small")["profile"], profile(1_024), "{list}");
        assert!(find(users, "small").get("profileLeftOut").is_none(), "{list}");
        for username in ["large", "largest"] {
            let user = find(users, username);
            assert_eq!((&user["profile"], &user["profileLeftOut"]), (&json!({}), &json!(true)), "{list}");
        }
    }
    for rooms in [ada.asks("listRooms", json!({})).await, read("/api/rooms/mine").await] {
        let peer = &rooms.as_array().unwrap().iter().find(|room| room["kind"] == "direct").unwrap()["peer"];
        assert_eq!((&peer["profile"], &peer["profileLeftOut"]), (&json!({}), &json!(true)));
    }
    // The user alone is shown whole, and the stored profile is as it was.
    let whole = read("/api/users/largest").await;
    assert_eq!(whole["profile"], profile(16_384));
    assert!(whole.get("profileLeftOut").is_none());
    assert_eq!(bob.get("/api/auth/session").await.is(200)["user"]["profile"], profile(16_384));
    // The encrypted app shows a picture and a role, whatever the size of the profile.
    let contacts = read(&format!("/api/users/{}/user", ada.id())).await;
    let contact = contacts["data"].as_array().unwrap().iter().find(|contact| contact["name"] == "largest");
    let contact = contact.expect("a contact");
    assert_eq!((&contact["img"], &contact["role"]), (&json!("/ada.png"), &json!("admin")));
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_have_small_pictures_in_lists_and_never_none() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let (fits, large) = ("x".repeat(2_048), "x".repeat(2_049));
    registers(&server, "fits", &json!({ "img": fits, "role": "r".repeat(256) })).await;
    registers(&server, "large", &json!({ "img": large, "role": "r".repeat(257) })).await;
    let contacts = ada.get(&format!("/api/users/{}/nobody", ada.id())).await.is(200);
    let of =
        |name: &str| contacts["data"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!(of("fits")["img"], fits);
    assert_eq!(of("fits")["role"], "r".repeat(256));
    assert!(of("large")["img"].as_str().unwrap().starts_with("user"));
    assert_eq!(of("large")["role"], "user");
    assert_eq!(ada.get("/api/users/login/large").await.is(200)["img"], large);
}

/// Asks for part after part until nothing comes; the ids in the order in which they came.
async fn walks(socket: &Socket, event: &str, id: &str, limit: Option<usize>) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let mut wanted = json!({});
        if let Some(limit) = limit {
            wanted["limit"] = json!(limit);
        }
        if let Some(last) = ids.last() {
            wanted["after"] = json!(last);
        }
        let answer = socket.emit(event, wanted).await;
        assert!(answer.to_string().len() <= PACKET, "{event}: {} bytes", answer.to_string().len());
        let part = if answer.is_array() { &answer } else { &answer["response"] };
        let part = part.as_array().unwrap_or_else(|| panic!("{event}: {answer}"));
        if part.is_empty() {
            return ids;
        }
        assert!(limit.is_none_or(|limit| part.len() <= limit), "{event}");
        ids.extend(part.iter().map(|entry| entry[id].as_str().unwrap().to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arrays_take_a_limit_and_go_on_behind_an_entry() {
    let server = Server::with(|config| config.dialects.open = Vec::new()).await;
    let ada = server.online("ada").await;
    let app = ada.connecting().at_root().open().await;
    for number in 0..7 {
        let name = format!("friend-{number}");
        server.acquaintance(&name).await;
        ada.posts_to(&name, "hi").await;
        ada.makes_group(&format!("group {number}"), &[]).await;
    }
    for (socket, event, id, count) in [
        (&ada, "listUsers", "id", 8),
        (&ada, "listGroups", "groupId", 7),
        (&ada, "listRooms", "roomId", 14),
        (&app, "get:rooms", "id", 7),
    ] {
        let whole = walks(socket, event, id, None).await;
        assert_eq!(whole.len(), count, "{event}");
        for limit in [1, 3, 1_000_000] {
            assert_eq!(walks(socket, event, id, Some(limit)).await, whole, "{event} by {limit}");
        }
    }
    for event in ["listUsers", "listGroups", "listRooms"] {
        let nothing = "0190a000-0000-7000-8000-000000000000";
        ada.is_refused(event, json!({ "after": nothing }), "bad_request").await;
        ada.is_refused(event, json!({ "after": "no id" }), "bad_request").await;
        ada.is_refused(event, json!({ "limit": -1 }), "bad_request").await;
        assert_eq!(ada.asks(event, json!({ "limit": 0 })).await.as_array().unwrap().len(), 1);
    }
    // A place in the list stays a place when its group is gone.
    let groups = walks(&ada, "listGroups", "groupId", None).await;
    ada.delete(&format!("/api/rooms/{}", groups[2])).await.is(204);
    let rest = ada.asks("listGroups", json!({ "after": groups[2] })).await;
    assert_eq!(rest[0]["groupId"], groups[3]);
    // Over HTTP: the conversations by id, the other lists by their cursor.
    let mine = walks(&ada, "listRooms", "roomId", None).await;
    let part = ada.get(&format!("/api/rooms/mine?limit=2&after={}", mine[3])).await.is(200);
    assert_eq!((&part[0]["roomId"], &part[1]["roomId"]), (&json!(mine[4]), &json!(mine[5])));
    assert_eq!(part.as_array().unwrap().len(), 2);
    ada.get("/api/rooms/mine?after=nothing").await.is_refused(400, "bad_request");
    let page = ada.get("/api/users?limit=3").await.is(200);
    let next = page["next"].as_str().unwrap();
    let page = ada.get(&format!("/api/users?limit=3&after={next}")).await.is(200);
    assert_eq!(page["users"][0]["username"], "friend-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_larger_than_a_packet() {
    const PEOPLE: usize = 900;
    const FRIENDS: usize = 70;
    let server = Server::with(|config| {
        at_full_speed(config);
        config.dialects.angular = true;
    })
    .await;
    let ada = server.online("ada").await;
    let app = ada.connecting().at_root().open().await;
    for number in 0..PEOPLE {
        registers(&server, &format!("someone-{number}"), &json!({ "img": "x".repeat(1_000) })).await;
    }
    // Escapes are bytes, too.
    let words = "\"".repeat(16_384);
    for number in 0..FRIENDS {
        ada.posts_to(&format!("someone-{number}"), &words).await;
    }
    let users = walks(&ada, "listUsers", "id", None).await;
    assert_eq!(users.len(), PEOPLE + 1);
    assert_eq!(walks(&ada, "listRooms", "roomId", None).await.len(), FRIENDS);
    assert_eq!(walks(&ada, "listGroups", "groupId", None).await.len(), 0);
    assert_eq!(walks(&app, "get:rooms", "id", None).await.len(), 0);
    let everyone: Vec<String> = (0..PEOPLE).map(|number| format!("someone-{number}")).collect();
    let group = ada.asks("createGroup", json!({ "groupName": "all", "users": everyone })).await;
    let id = group["groupId"].as_str().unwrap();
    let told = ada.sees_any("newgrp").await;
    for group in [&group, &told["response"]] {
        assert_eq!((&group["memberCount"], group["users"].as_array().unwrap().len()), (&json!(901), 200));
        assert!(group.to_string().len() <= PACKET);
    }
    for path in [
        "/web/users",
        "/web/all/ada",
        "/api/users?limit=200",
        "/api/rooms/mine",
        &format!("/api/rooms/{id}/members?limit=200"),
        &format!("/api/users/{}/nobody", ada.id()),
    ] {
        let answer = ada.get(path).await;
        assert!(answer.text.len() <= PACKET, "{path}: {} bytes", answer.text.len());
        answer.is(200);
    }
    // Those whom she wrote to last come first where not everyone has room.
    let all = ada.get("/web/all/ada").await.is(200);
    assert_eq!(all["users"][0]["username"], format!("someone-{}", FRIENDS - 1));
    assert_eq!(all["groups"][0]["groupId"], id);
    assert_eq!(all["groups"][0]["users"].as_array().unwrap().len(), 200);
    let names: Vec<&str> =
        all["users"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
    let once: std::collections::HashSet<&&str> = names.iter().collect();
    assert_eq!(once.len(), names.len(), "everybody is in it once");
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_counts_messages_of_others_past_the_receipt() {
    let server = Server::with(at_full_speed).await;
    // They acknowledge nothing: an answer would count as reading what was acknowledged.
    let silent = async |name| server.person(name).await.connecting().without_acknowledging().open().await;
    let (ada, bob) = (silent("ada").await, silent("bob").await);
    let unread = async |who: &Person, room: &Json| {
        let room = who.conversation(room.as_str().unwrap()).await;
        (room["unread"].as_i64().unwrap(), room["lastSeq"].as_i64().unwrap())
    };
    let first = ada.posts_to("bob", "1").await;
    let room = &first["roomId"];
    ada.posts_many_to("bob", 2..=30).await;
    bob.posts_many_to("ada", 31..=40).await;
    ada.posts_many_to("bob", 41..=45).await;
    assert_eq!((unread(&ada, room).await, unread(&bob, room).await), ((10, 45), (35, 45)));
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 20 })).await;
    assert_eq!(unread(&bob, room).await, (15, 45));
    ada.asks("markRead", json!({ "receiver": "bob", "group": false, "seq": 33 })).await;
    assert_eq!(unread(&ada, room).await, (7, 45));
    bob.asks("markRead", json!({ "receiver": "ada", "group": false, "seq": 45 })).await;
    assert_eq!(unread(&bob, room).await, (0, 45));
    // More than are looked at one by one.
    ada.posts_many_to("bob", 46..=1_545).await;
    assert_eq!((unread(&ada, room).await, unread(&bob, room).await), ((7, 1_545), (1_500, 1_545)));
    bob.posts_many_to("ada", 1_546..=1_550).await;
    assert_eq!((unread(&ada, room).await, unread(&bob, room).await), ((12, 1_550), (1_500, 1_550)));
    // A message with an id of its client's is one's own, too.
    let named = json!({ "receiver": "bob", "content": "named", "clientMessageId": "one" });
    ada.asks("privateMessage", named).await;
    assert_eq!(unread(&ada, room).await, (12, 1_551));
    assert_eq!(unread(&bob, room).await, (1_501, 1_551));
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_reaches_who_is_addressed_and_nobody_in_the_lobby() {
    let server = Server::start().await;
    let ada = server.online("ada").await;
    let (bob, app) =
        (server.online("bob").await, server.person("cyd").await.connecting().at_root().open().await);
    let plain = server.person("dan").await.connect_plain().await;
    let lobby = ada.asks("lobbyMessage", json!({ "content": "hi" })).await["roomId"].clone();
    let answer = ada.emit("typing", json!({ "receiver": lobby, "group": true, "typing": true })).await;
    assert_eq!(answer["success"], true, "{answer}");
    ada.is_refused("typing", json!({ "receiver": "nobody", "group": false, "typing": true }), "not_found")
        .await;
    ada.asks("lobbyMessage", json!({ "content": "the next thing" })).await;
    bob.sees("lobby", |told| told["response"]["content"] == "the next thing").await;
    plain.sees("lobby", |told| told["response"]["content"] == "the next thing").await;
    assert!(bob.all("typing").is_empty() && app.all("typing").is_empty());
    // The first message of two users is typed before they share a room.
    ada.asks("typing", json!({ "receiver": "bob", "group": false, "typing": true })).await;
    assert_eq!(bob.sees_any("typing").await["sender"], "ada");
    plain.sees_no_event("typing").await;
    ada.posts_to("bob", "hi").await;
    ada.asks("typing", json!({ "receiver": "bob", "group": false, "typing": true })).await;
    assert_eq!(bob.sees_any("typing").await["sender"], "ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_renamed_again_and_again_is_told_at_a_pace_and_in_its_last_state() {
    const PACE: Duration = Duration::from_millis(400);
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.list_interval = PACE;
    })
    .await;
    let (ada, anyone) = (server.online("ada").await, server.online("anyone").await);
    let began = std::time::Instant::now();
    let group = ada.makes_group("first", &[]).await;
    let other = ada.makes_group("other", &[]).await;
    for number in 0..60 {
        ada.asks("updateGroup", json!({ "groupId": group, "groupName": format!("name {number}") })).await;
    }
    ada.delete(&format!("/api/rooms/{other}")).await.is(204);
    ada.asks("updateGroup", json!({ "groupId": group, "groupName": "last" })).await;
    anyone.sees("roomsChanged", |told| told["response"]["groupName"] == "last").await;
    anyone.sees("roomsChanged", |told| told["change"] == "deleted").await;
    let told = anyone.all("roomsChanged");
    let told: Vec<&Json> = told.iter().filter(|told| told["response"]["groupId"] == *group).collect();
    let most = began.elapsed().as_millis() / PACE.as_millis() + 2;
    assert!(told.len() as u128 <= most, "{} events, at most {most}", told.len());
    assert_eq!(told[0]["change"], "created");
    assert!(told[1..].iter().all(|told| told["change"] == "updated"));
    let number = |told: &&Json| {
        told["response"]["groupName"]
            .as_str()
            .unwrap()
            .replace("name ", "")
            .parse()
            .unwrap_or(if told["change"] == "created" { -1 } else { 1_000 })
    };
    let numbers: Vec<i32> = told.iter().map(number).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    anyone.sees_nothing("nothing", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_new_members_are_told_to_all_members_in_one_order() {
    const NEW: usize = 300;
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.online("ada").await, server.online("bob").await);
    let late = server.online("late").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let mut names = vec!["late".to_owned()];
    for number in 0..NEW {
        names.push(format!("someone-{number}"));
        server.acquaintance(&names[number + 1]).await;
    }
    ada.asks("addMembers", json!({ "groupId": group, "users": names })).await;
    late.sees_any("newgrp").await;
    ada.posts_in(&group, "welcome").await;
    let mut orders = Vec::new();
    for socket in [&ada, &bob, &late] {
        until("everybody to be told", || async { socket.all("memberJoined").len() == NEW + 1 }).await;
        socket.sees_message("welcome").await;
        let told = socket.all("memberJoined");
        let order: Vec<String> =
            told.iter().map(|told| told["username"].as_str().unwrap().to_owned()).collect();
        orders.push(order);
    }
    assert!(orders[0] == orders[1] && orders[1] == orders[2]);
    names.sort();
    orders[0].sort();
    assert_eq!(orders[0], names);
}
