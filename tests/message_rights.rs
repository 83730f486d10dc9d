//! Who may do what to a message, by every door: one table, and each of its cells tried by Socket.IO, `/ws` and HTTP.

use entity::room::Kind;
use serde_json::{Value as Json, json};

use crate::harness::{Answer, Person, Plain, Server, Socket, at_full_speed};

/// What somebody is to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Sender,
    /// The owner of the group.
    Owner,
    /// An admin of the group.
    Admin,
    /// Somebody else in the room.
    Member,
    Outsider,
    /// An administrator of the server. Not a member of the room.
    Administrator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Edit,
    Delete,
    React,
    Unreact,
    Pin,
    Unpin,
    ReadEdits,
    ReadReactions,
    Follow,
}

#[derive(Clone, Copy, Debug)]
enum Door {
    SocketIo,
    WebSocket,
    Http,
}

/// The table. A refusal is its code and its `reason`.
fn expected(kind: Kind, who: Who, deed: Deed) -> Result<(), (&'static str, Json)> {
    use {Deed::*, Who::*};
    // Everyone is in the lobby, and its moderators are the administrators.
    let is_in = kind == Kind::Lobby || !matches!(who, Outsider | Administrator);
    let moderates = match kind {
        Kind::Group => matches!(who, Owner | Admin),
        Kind::Direct => false,
        Kind::Lobby => who == Administrator,
    };
    if !is_in {
        return Err(match kind {
            Kind::Group => ("not_a_member", Json::Null),
            _ => ("not_found", Json::Null),
        });
    }
    let refused = |reason: &str| Err(("forbidden", json!(reason)));
    match deed {
        Edit if who != Sender => refused("not_yours"),
        Delete if who != Sender && !moderates => refused("not_yours"),
        Pin | Unpin if kind != Kind::Direct && !moderates => refused("role"),
        ReadEdits if who != Sender && !moderates => refused("role"),
        _ => Ok(()),
    }
}

/// The people of one room, each with a connection of each kind.
struct Room {
    kind: Kind,
    people: Vec<(Who, Socket, Plain)>,
    /// Where the sender's messages go.
    draft: (&'static str, Json),
}

impl Room {
    async fn of(server: &Server, kind: Kind, people: &[(Who, &str)], draft: (&'static str, Json)) -> Self {
        let mut connected = Vec::new();
        for (who, name) in people {
            let person = Person::logs_in(server, name).await;
            connected.push((*who, person.connect().await, Plain::connects(&person, "").await));
        }
        Self { kind, people: connected, draft }
    }

    /// A new message; everyone has reacted to it if a reaction is to be withdrawn, and it is pinned if a pin is to go.
    async fn message(&self, deed: Deed) -> Json {
        let by = |who: Who| &self.people.iter().find(|(each, ..)| *each == who).unwrap().1;
        let (event, draft) = &self.draft;
        let message = by(Who::Sender).asks(event, draft.clone()).await;
        let id = &message["messageId"];
        match deed {
            Deed::Unreact => {
                for (who, socket, _) in &self.people {
                    if expected(self.kind, *who, Deed::React).is_ok() {
                        socket.asks("react", json!({ "messageId": id, "key": "x", "on": true })).await;
                    }
                }
            }
            Deed::Unpin => {
                let may = self.people.iter().find(|(who, ..)| expected(self.kind, *who, Deed::Pin).is_ok());
                may.unwrap().1.asks("pinMessage", json!({ "messageId": id, "on": true })).await;
            }
            _ => {}
        }
        message
    }
}

fn event_of(deed: Deed, id: &Json) -> (&'static str, Json) {
    match deed {
        Deed::Edit => ("editMessage", json!({ "messageId": id, "content": "edited" })),
        Deed::Delete => ("deleteMessage", json!({ "messageId": id })),
        Deed::React => ("react", json!({ "messageId": id, "key": "x", "on": true })),
        Deed::Unreact => ("react", json!({ "messageId": id, "key": "x", "on": false })),
        Deed::Pin => ("pinMessage", json!({ "messageId": id, "on": true })),
        Deed::Unpin => ("pinMessage", json!({ "messageId": id, "on": false })),
        Deed::ReadEdits => ("edits", json!({ "messageId": id })),
        Deed::ReadReactions => ("reactions", json!({ "messageId": id })),
        Deed::Follow => ("followThread", json!({ "messageId": id, "on": true })),
    }
}

async fn request(person: &Person, deed: Deed, id: &Json) -> Answer {
    let path = |rest: &str| format!("/api/messages/{}{rest}", id.as_str().unwrap());
    match deed {
        Deed::Edit => person.patch(&path(""), json!({ "content": "edited" })).await,
        Deed::Delete => person.delete(&path("")).await,
        Deed::React => person.put(&path("/reactions/x"), json!({})).await,
        Deed::Unreact => person.delete(&path("/reactions/x")).await,
        Deed::Pin => person.put(&path("/pin"), json!({})).await,
        Deed::Unpin => person.delete(&path("/pin")).await,
        Deed::ReadEdits => person.get(&path("/edits")).await,
        Deed::ReadReactions => person.get(&path("/reactions")).await,
        Deed::Follow => person.put(&path("/follow"), json!({})).await,
    }
}

/// What a door answers to a deed: the error, or `null`.
async fn refusal(door: Door, (socket, plain): (&Socket, &Plain), deed: Deed, id: &Json) -> Json {
    let (event, payload) = event_of(deed, id);
    let answer = match door {
        Door::SocketIo => socket.emit(event, payload).await,
        Door::WebSocket => plain.sends(event, payload).await,
        Door::Http => {
            let answer = request(&socket.person, deed, id).await;
            return if answer.status < 300 { Json::Null } else { answer.json() };
        }
    };
    assert_eq!(answer["success"] == true, answer["error"].is_null(), "{answer}");
    answer["error"].clone()
}

/// What a message shows of a deed that was done.
fn is_done(deed: Deed, message: &Json) -> Option<bool> {
    match deed {
        Deed::Edit => Some(message["content"] == "edited"),
        Deed::Delete => Some(!message["deletedAt"].is_null()),
        Deed::React => Some(!message["reactions"].is_null()),
        Deed::Pin => Some(!message["pinnedAt"].is_null()),
        Deed::Unpin => Some(message["pinnedAt"].is_null()),
        Deed::Unreact | Deed::ReadEdits | Deed::ReadReactions | Deed::Follow => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_does_by_every_door_what_the_table_says_and_nothing_else() {
    use {Deed::*, Who::*};
    let server = Server::with(at_full_speed).await;
    let ada = server.online("ada").await;
    for name in ["bob", "cyd", "dan", "eve"] {
        server.person(name).await;
    }
    server.admin("root").await;
    let group = ada.makes_group("friends", &["bob", "cyd", "dan"]).await;
    ada.asks("setRole", json!({ "groupId": group, "username": "bob", "role": "admin" })).await;
    let in_group = [
        (Sender, "cyd"),
        (Owner, "ada"),
        (Admin, "bob"),
        (Member, "dan"),
        (Outsider, "eve"),
        (Administrator, "root"),
    ];
    let in_direct = [(Sender, "cyd"), (Member, "dan"), (Outsider, "eve"), (Administrator, "root")];
    let in_lobby = [(Sender, "cyd"), (Member, "dan"), (Administrator, "root")];
    let text = |receiver: &str| json!({ "receiver": receiver, "content": "said" });
    let rooms = [
        Room::of(&server, Kind::Group, &in_group, ("groupMessage", text(&group))).await,
        Room::of(&server, Kind::Direct, &in_direct, ("privateMessage", text("dan"))).await,
        Room::of(&server, Kind::Lobby, &in_lobby, ("lobbyMessage", json!({ "content": "said" }))).await,
    ];
    let mut tried = 0;
    for room in &rooms {
        for deed in [Edit, Delete, React, Unreact, Pin, Unpin, ReadEdits, ReadReactions, Follow] {
            // The lobby has no threads.
            if room.kind == Kind::Lobby && deed == Follow {
                continue;
            }
            for (who, socket, plain) in &room.people {
                for door in [Door::SocketIo, Door::WebSocket, Door::Http] {
                    let message = room.message(deed).await;
                    let id = &message["messageId"];
                    let error = refusal(door, (socket, plain), deed, id).await;
                    let what = format!("{:?}: {who:?} {deed:?} by {door:?}: {error}", room.kind);
                    let outcome = match error.is_null() {
                        true => Ok(()),
                        false => Err((error["code"].as_str().unwrap(), error["reason"].clone())),
                    };
                    assert_eq!(outcome, expected(room.kind, *who, deed), "{what}");
                    // What was refused is not done, whatever was answered.
                    let sender = &room.people[0].1;
                    let now = sender.asks("getMessages", json!({ "messageIds": [id] })).await;
                    if let Some(is_done) = is_done(deed, &now[0]) {
                        assert_eq!(is_done, outcome.is_ok(), "{what}: {now}");
                    }
                    tried += 1;
                }
            }
        }
    }
    // Nothing was left out: six, four and three people, nine deeds (the lobby has eight), three doors.
    assert_eq!(tried, (6 * 9 + 4 * 9 + 3 * 8) * 3);
}
