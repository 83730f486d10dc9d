//! What people do: come by any wire, talk, and go in every way there is.

use std::{any::Any, time::Duration};

use serde_json::{Value as Json, json};

use crate::{
    chance::Chance,
    harness::{Frames, Person, Plain, Raw, Socket, Transport, handshake_of},
    name_of,
};

/// Rooms that stay; visits make others and take them away again.
const GROUPS: usize = 6;

pub struct Place {
    people: Vec<Person>,
    groups: Vec<String>,
}

impl Place {
    pub async fn furnish(people: Vec<Person>) -> Self {
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            // Everybody is in half of them.
            let members: Vec<String> = people
                .iter()
                .enumerate()
                .filter(|(at, _)| at % 2 == number % 2)
                .map(|(_, who)| name_of(who))
                .collect();
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            groups.push(people[number].makes_group(&format!("group {number}"), &members).await);
        }
        Self { people, groups }
    }
}

/// The words of a panic.
pub fn told_by(panic: &(dyn Any + Send)) -> String {
    let told = panic.downcast_ref::<String>().cloned();
    told.or_else(|| panic.downcast_ref::<&str>().map(|told| (*told).to_owned())).unwrap_or_default()
}

/// `patient`: whether there is time for the server to find out by itself that a client is gone.
pub async fn pay_one(place: &Place, mut chance: Chance, patient: bool) {
    let who = chance.one_of(&place.people).clone();
    match chance.below(20) {
        0..6 => talk(place, &mut chance, &who, Transport::WebSocket, true).await,
        6..8 => talk(place, &mut chance, &who, Transport::Polling, patient).await,
        8..10 => talk(place, &mut chance, &who, Transport::Upgraded, true).await,
        10..12 => talk_plainly(place, &mut chance, &who).await,
        12 => talk_encrypted(place, &mut chance, &who).await,
        13 => use_the_rooms_app(&mut chance, &who).await,
        14 => sit_in_the_lobby(&mut chance, &who).await,
        15 => abandon(&mut chance, &who).await,
        16 => hear_and_say_nothing(place, &mut chance, &who).await,
        17 => ask_over_http(place, &mut chance, &who).await,
        18 => log_in_and_out(&mut chance, &who).await,
        _ => make_a_group_and_take_it_away(place, &mut chance, &who).await,
    }
}

/// In one of the ways in which clients go.
async fn go(socket: Socket, chance: &mut Chance, may_vanish: bool) {
    if may_vanish && chance.once_in(3) {
        socket.vanishes();
    } else if chance.once_in(3) {
        socket.send_packet("41/chat,");
        chance.pause(50).await;
        socket.leaves();
    } else {
        socket.leaves();
    }
}

async fn talk(place: &Place, chance: &mut Chance, who: &Person, by: Transport, may_vanish: bool) {
    let auth = match chance.below(4) {
        0 => json!({ "receipts": "batched" }),
        1 => json!({ "catchUp": false }),
        2 => json!({ "since": { chance.one_of(&place.groups).clone(): 1_000_000 } }),
        _ => json!({}),
    };
    let socket = who.connecting().by(by).with(auth).open().await;
    for _ in 0..chance.below(12) {
        let group = chance.one_of(&place.groups).clone();
        let other = name_of(chance.one_of(&place.people));
        match chance.below(8) {
            0 | 1 => {
                socket.posts_to(&other, &words(chance)).await;
            }
            2 => {
                // One may be in it or not.
                let _ =
                    socket.emit("groupMessage", json!({ "receiver": group, "content": words(chance) })).await;
            }
            3 => socket.sends_only("privateMessage", json!({ "receiver": other, "content": words(chance) })),
            4 => {
                let _ =
                    socket.emit("history", json!({ "receiver": group, "group": true, "limit": 20 })).await;
            }
            5 => {
                let _ = socket.emit("joinGroup", json!({ "groupId": group })).await;
                let marked = json!({ "receiver": group, "group": true, "seq": 1_000_000 });
                let _ = socket.emit("markRead", marked).await;
            }
            6 => {
                let _ = socket.emit("leaveGroup", json!({ "groupId": group })).await;
                let _ = socket.emit("joinGroup", json!({ "groupId": group })).await;
            }
            _ => socket.sends_only("typing", json!({ "receiver": other, "group": false, "typing": true })),
        }
        chance.pause(120).await;
    }
    go(socket, chance, may_vanish).await;
}

fn words(chance: &mut Chance) -> String {
    "word ".repeat(1 + chance.below(100))
}

async fn talk_plainly(place: &Place, chance: &mut Chance, who: &Person) {
    let socket = if chance.once_in(3) {
        Plain::connects_without_acknowledging(who, "").await
    } else {
        who.connect_plain().await
    };
    for _ in 0..chance.below(10) {
        let other = name_of(chance.one_of(&place.people));
        socket.posts_to(&other, &words(chance)).await;
        chance.pause(120).await;
    }
    if chance.once_in(2) { socket.frames.vanishes() } else { socket.frames.leaves() }
}

async fn talk_encrypted(place: &Place, chance: &mut Chance, who: &Person) {
    let other = chance.one_of(&place.people);
    let frames = Frames::open(who.door.address, &format!("/chat/{}", who.id())).await;
    for _ in 0..chance.below(6) {
        let message = json!({ "type": 3, "body": words(chance) });
        frames
            .says(json!({ "senderid": who.id(), "receiverid": other.id(), "message": message }).to_string());
        chance.pause(120).await;
    }
    if chance.once_in(2) { frames.vanishes() } else { frames.leaves() }
}

async fn use_the_rooms_app(chance: &mut Chance, who: &Person) {
    let socket = who.connecting().at_root().open().await;
    let name = format!("room {}", chance.below(8));
    let _ = socket.sends_text("get:rooms", "").await;
    let named = json!({ "roomName": name, "roomPwd": "secret" });
    let mut room = socket.emit("joinIfExists:room", named.clone()).await;
    if room["id"].is_null() {
        room = socket.emit("create:room", named.clone()).await;
        let _ = socket.emit("joinIfExists:room", named).await;
    }
    for _ in 0..chance.below(6) {
        let _ =
            socket.emit("create:message", json!({ "roomId": room["id"], "content": words(chance) })).await;
        chance.pause(120).await;
    }
    if chance.once_in(2) { socket.vanishes() } else { socket.leaves() }
}

async fn sit_in_the_lobby(chance: &mut Chance, who: &Person) {
    let socket = who.connecting().at_root().open().await;
    for _ in 0..chance.below(6) {
        socket.sends_only("chat message", Json::String(words(chance)));
        chance.pause(200).await;
    }
    if chance.once_in(2) { socket.vanishes() } else { socket.leaves() }
}

/// Begins, and does not go on.
async fn abandon(chance: &mut Chance, who: &Person) {
    let address = who.door.address;
    let polling = "/socket.io/?EIO=4&transport=polling";
    match chance.below(6) {
        // A session that joins nothing, by either transport.
        0 => {
            let (raw, _) = Raw::websocket(address).await;
            chance.pause(3_000).await;
            drop(raw);
        }
        1 => drop(who.door.http.get(polling).await),
        // Half of an upgrade: the line alone, or the probe alone.
        step @ 2..4 => {
            let open = who.door.http.get(polling).await;
            let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
            let mut raw = Raw::connect(address).await;
            raw.upgrades(&format!("/socket.io/?EIO=4&transport=websocket&sid={sid}"), &[]).await;
            if step == 3 {
                raw.says("2probe").await;
            }
            chance.pause(3_000).await;
        }
        // Half of a request.
        4 => {
            let mut raw = Raw::connect(address).await;
            raw.send(b"GET /healthz HTTP/1.1\r\nHost:").await;
            chance.pause(1_000).await;
        }
        // Refused, and it stays all the same.
        _ => {
            let (mut raw, _) = Raw::websocket(address).await;
            raw.says("40/chat,{\"token\":\"wrong\"}").await;
            chance.pause(1_000).await;
        }
    }
}

/// Keeps none of its promises, and for a while does not even read.
async fn hear_and_say_nothing(place: &Place, chance: &mut Chance, who: &Person) {
    let socket = who.connecting().without_acknowledging().open().await;
    chance.pause(500).await;
    socket.stops_reading();
    let other = chance.one_of(&place.people);
    if let Ok(talker) = other.connecting().attempt().await {
        for _ in 0..20 {
            talker
                .sends_only("privateMessage", json!({ "receiver": name_of(who), "content": words(chance) }));
        }
        talker.is_alive().await;
    }
    chance.pause(2_000).await;
    socket.reads_again();
    go(socket, chance, true).await;
}

async fn ask_over_http(place: &Place, chance: &mut Chance, who: &Person) {
    for _ in 0..1 + chance.below(6) {
        let group = chance.one_of(&place.groups);
        match chance.below(4) {
            0 => drop(who.get("/api/rooms/mine").await.is(200)),
            1 => drop(who.get(&format!("/api/rooms/{group}/messages?limit=50")).await),
            2 => drop(who.get("/api/users?limit=50").await.is(200)),
            _ => {
                // There is a limit to how many one may buy.
                let bought = who.post("/api/auth/tickets", json!({})).await;
                if bought.status == 201 && chance.once_in(2) {
                    let path = format!("/ws?ticket={}", bought.json()["ticket"].as_str().unwrap());
                    let frames = Frames::open(who.door.address, &path).await;
                    chance.pause(300).await;
                    frames.leaves();
                }
            }
        }
        chance.pause(120).await;
    }
}

async fn log_in_and_out(chance: &mut Chance, who: &Person) {
    let device = who.logs_in_again().await;
    let socket = device.connect().await;
    chance.pause(500).await;
    let device = device.refreshes().await;
    socket.asks("refreshToken", json!({ "token": &*device.token })).await;
    device.logs_out().await;
    socket.ends_within(Duration::from_secs(5)).await;
}

async fn make_a_group_and_take_it_away(place: &Place, chance: &mut Chance, who: &Person) {
    let socket = who.connect().await;
    let other = name_of(chance.one_of(&place.people));
    let name = format!("for a moment {}", uuid::Uuid::new_v4().simple());
    let group = who.makes_group(&name, &[&other]).await;
    for _ in 0..chance.below(5) {
        socket.posts_in(&group, &words(chance)).await;
        chance.pause(100).await;
    }
    socket.asks("deleteGroup", json!({ "groupId": group })).await;
    go(socket, chance, true).await;
}
