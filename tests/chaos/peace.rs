//! What is asked of the server while all is quiet: accounts and groups before the storm, histories and counts after it.

use std::{collections::BTreeMap, net::SocketAddr, sync::atomic::AtomicUsize};

use entity::RoomId;
use serde_json::{Value as Json, json};

use crate::{
    history::{Counted, Place},
    plan::Plan,
    stored,
    version::Line,
    world::{Person, World, seq_of},
};

async fn post(client: &reqwest::Client, address: SocketAddr, path: &str, token: &str, body: Json) -> Json {
    let request = client.post(format!("http://{address}{path}")).json(&body);
    let request = if token.is_empty() { request } else { request.bearer_auth(token) };
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(crate::wire::no_tls()).build().unwrap()
}

/// So many people with accounts and logins.
pub async fn sign_up(name: &str, people: usize, address: SocketAddr) -> Vec<Person> {
    let client = http();
    let mut known = Vec::new();
    for number in 0..people {
        let login = json!({ "username": format!("{name}-{number}"), "password": "a long enough password" });
        post(&client, address, "/api/users", "", login.clone()).await;
        let login = post(&client, address, "/api/auth/login", "", login).await;
        known.push(Person {
            username: format!("{name}-{number}"),
            id: login["user"]["id"].as_str().unwrap().parse().unwrap(),
            token: login["token"].as_str().unwrap().to_owned(),
        });
    }
    known
}

/// People sign up and groups are made while all is quiet.
pub async fn settle(plan: &Plan, people: usize, address: SocketAddr) -> World {
    let client = http();
    let known = sign_up("person", people, address).await;
    let mut groups = Vec::new();
    for (number, members) in plan.groups.iter().enumerate() {
        let users: Vec<&str> = members[1..].iter().map(|member| &*known[*member].username).collect();
        let body = json!({ "groupName": format!("group-{number}"), "users": users });
        let group = post(&client, address, "/api/rooms", &known[members[0]].token, body).await;
        groups.push(group["groupId"].as_str().unwrap().parse().unwrap());
    }
    let owners = plan.groups.iter().map(|members| members[0]).collect();
    World { people: known, groups, owners, steps: AtomicUsize::new(0) }
}

/// Reads every room from its beginning, as a member who asks the server. Returns also how many replies each message with a
/// thread has.
pub async fn read_all(
    world: &World,
    groups: &[Vec<usize>],
    address: SocketAddr,
    url: &str,
) -> (BTreeMap<RoomId, Vec<Line>>, BTreeMap<(RoomId, i64), i64>) {
    let client = http();
    let mut all = BTreeMap::new();
    let mut replies = BTreeMap::new();
    for (id, room) in stored::read(url, world).await.unwrap() {
        let reader = match room.place {
            Some(Place::Direct(one, _)) => one,
            Some(Place::Group(group)) => groups[group][0],
            Some(Place::Lobby) | None => 0,
        };
        let mut lines: Vec<Line> = Vec::new();
        loop {
            let after = lines.last().map_or(0, |line| line.seq);
            let path = format!("/api/rooms/{id}/messages?limit=200&changes=true&after={after}");
            let request = client.get(format!("http://{address}{path}"));
            let answer = request.bearer_auth(&world.people[reader].token).send().await.unwrap();
            let page: Json = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            let Some(messages) = page["messages"].as_array() else { panic!("{path}: {page}") };
            lines.extend(messages.iter().map(|message| world.line_of(message)));
            let of_thread =
                |message: &Json| Some(((id, seq_of(message)), message["replies"]["count"].as_i64()?));
            replies.extend(messages.iter().filter_map(of_thread));
            if messages.is_empty() || page["hasMore"] == false {
                break;
            }
        }
        all.insert(id, lines);
    }
    (all, replies)
}

/// Asks for everybody how much of their rooms is unread.
pub async fn ask_all(world: &World, address: SocketAddr) -> Vec<Counted> {
    let client = http();
    let mut all = Vec::new();
    for (person, Person { token, .. }) in world.people.iter().enumerate() {
        let request = client.get(format!("http://{address}/api/rooms/mine")).bearer_auth(token);
        let answer = request.send().await.unwrap().text().await.unwrap();
        let rooms: Json = serde_json::from_str(&answer).unwrap();
        let Some(rooms) = rooms.as_array() else { panic!("rooms of {person}: {rooms}") };
        let counted = |room: &Json| Counted {
            person,
            room: room["roomId"].as_str().unwrap().parse().unwrap(),
            read: room["read"].as_i64().unwrap(),
            unread: room["unread"].as_i64().unwrap(),
            mentions: room["unreadMentions"].as_i64().unwrap_or(0),
        };
        all.extend(rooms.iter().map(counted));
    }
    all
}
