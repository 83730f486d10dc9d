//! Rights are asked for at the time of every event: whoever loses them neither says nor hears anything
//! more, by no door, with sockets open.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};

use crate::harness::{Frames, Person, Plain, Server, Socket, Transport, until};

const ROOM: &str = "friends";
const PASSWORD: &str = "open sesame";

/// What bob has open: one of every kind of door, all in one login.
struct Doors {
    native: Socket,
    polling: Socket,
    rooms: Socket,
    lobby: Socket,
    /// `/ws`.
    plain: Plain,
    /// `/chat/{userId}`.
    encrypted: Frames,
    /// Whom he writes to by that.
    ada: String,
}

impl Doors {
    async fn open(bob: &Person, ada: &Person) -> Self {
        let path = format!("/chat/{}?token={}", bob.id(), bob.token);
        let doors = Self {
            plain: bob.connect_plain().await,
            encrypted: Frames::open(bob.door.address, &path).await,
            ada: ada.id().to_owned(),
            native: bob.connect().await,
            polling: bob.connect_by(Transport::Polling).await,
            rooms: bob.connecting().at_root().open().await,
            lobby: bob.connecting().at_root().open().await,
        };
        let door = json!({ "roomName": ROOM, "roomPwd": PASSWORD });
        assert_eq!(doors.rooms.emit("joinIfExists:room", door).await["name"], ROOM);
        // What a socket of `/` says first tells which front end it is.
        doors.lobby.emit("chat message", json!("hello")).await;
        doors
    }

    fn sockets(&self) -> [(&'static str, &Socket); 4] {
        [
            ("/chat", &self.native),
            ("/chat by polling", &self.polling),
            ("rooms", &self.rooms),
            ("lobby", &self.lobby),
        ]
    }

    /// Says something in every way that each door has for it, waiting for no answer.
    fn say(&self, group: &str, content: &str) {
        for socket in [&self.native, &self.polling] {
            socket.sends_only("groupMessage", json!({ "receiver": group, "content": content }));
            socket.sends_only("privateMessage", json!({ "receiver": "ada", "content": content }));
            socket.sends_only("lobbyMessage", json!({ "content": content }));
        }
        self.rooms.sends_only("create:message", json!({ "roomId": group, "content": content }));
        self.lobby.sends_only("chat message", json!(content));
        for (event, data) in [
            ("groupMessage", json!({ "receiver": group, "content": content })),
            ("privateMessage", json!({ "receiver": "ada", "content": content })),
            ("lobbyMessage", json!({ "content": content })),
        ] {
            self.plain.frames.says(json!({ "event": event, "data": data }).to_string());
        }
        self.encrypted.says(json!({ "receiverid": self.ada, "message": content }).to_string());
    }

    /// The doors by which this was heard.
    fn that_heard(&self, content: &str) -> Vec<&'static str> {
        let hears = |socket: &Socket| {
            let told = ["response", "lobby", "updateRoomClients", "chat message"];
            told.iter().any(|event| json!(socket.all(event)).to_string().contains(content))
        };
        let sockets = self.sockets().into_iter().filter(|(_, socket)| hears(socket)).map(|(name, _)| name);
        let frames = [("/ws", &self.plain.frames), ("/chat/{userId}", &self.encrypted)].into_iter();
        let frames = frames.filter(|(_, frames)| frames.texts().iter().any(|text| text.contains(content)));
        sockets.chain(frames.map(|(name, _)| name)).collect()
    }

    async fn end(&self) {
        for (_, socket) in self.sockets() {
            socket.ends().await;
        }
        self.plain.ends().await;
        self.encrypted.ends().await;
    }
}

struct Scene {
    ada: Socket,
    bob: Person,
    doors: Doors,
    group: String,
    /// The last to be dropped.
    server: Server,
}

impl Scene {
    /// Everybody can say and hear everything.
    async fn new() -> Self {
        // With `/chat/{userId}` only for those who show a token.
        let server = Server::with(|config| config.dialects.open = vec!["angular".into()]).await;
        let bob = server.person("bob").await;
        // So that his login ends before hers.
        server.clock.advance(TimeDelta::minutes(30));
        let ada = server.online("ada").await;
        let group = ada.makes_secret_group(ROOM, PASSWORD).await;
        bob.post(&format!("/api/rooms/{group}/join"), json!({ "password": PASSWORD })).await.is(200);
        let scene = Self { doors: Doors::open(&bob, &ada).await, ada, bob, group, server };
        scene.ada_says("at first").await;
        let doors = &scene.doors;
        until("everybody to hear", || async { doors.that_heard("at first").len() == 6 }).await;
        doors.say(&scene.group, "me too");
        let ada = &scene.ada;
        until("everybody to be heard", || async {
            json!([ada.all("response"), ada.all("lobby")]).to_string().matches("\"me too\"").count() == 12
        })
        .await;
        scene
    }

    /// By every way that reaches bob. What does not go any more is let be.
    async fn ada_says(&self, content: &str) {
        self.ada.emit("groupMessage", json!({ "receiver": self.group, "content": content })).await;
        self.ada.emit("privateMessage", json!({ "receiver": "bob", "content": content })).await;
        self.ada.asks("lobbyMessage", json!({ "content": content })).await;
    }

    /// All that was ever stored, as ada may read it.
    async fn stored(&self) -> String {
        let history = |payload: Json| async move { self.ada.emit("history", payload).await.to_string() };
        [
            history(json!({ "receiver": self.group, "group": true })).await,
            history(json!({ "receiver": "bob", "group": false })).await,
            history(json!({ "lobby": true })).await,
        ]
        .concat()
    }

    /// The statuses of what bob asks over HTTP.
    async fn over_http(&self) -> Vec<u16> {
        let group = &self.group;
        vec![
            self.bob.get(&format!("/api/rooms/{group}/messages")).await.status,
            self.bob.get(&format!("/api/rooms/{group}/members")).await.status,
            self.bob.post(&format!("/api/rooms/{group}/members"), json!({ "users": ["ada"] })).await.status,
            self.bob.patch(&format!("/api/rooms/{group}"), json!({ "groupName": "mine" })).await.status,
            self.bob.get(&format!("/web/messages/bob/{group}?group=yes")).await.status,
        ]
    }

    /// Nothing that is said from now on, by him or to him, comes through; his doors close.
    async fn bob_is_out(self) {
        self.doors.say(&self.group, "too late");
        self.ada_says("behind his back").await;
        assert!(self.over_http().await.iter().all(|status| *status == 401), "{:?}", self.over_http().await);
        self.bob.get("/api/auth/session").await.is(401);
        self.doors.end().await;
        assert_eq!(self.doors.that_heard("behind his back"), Vec::<&str>::new());
        assert!(!self.stored().await.contains("too late"), "{}", self.stored().await);
        for connecting in [self.bob.connecting(), self.bob.connecting().at_root()] {
            connecting.fails().await;
        }
        Plain::is_refused_connection(&self.bob, "").await;
        let path = format!("/chat/{}?token={}", self.bob.id(), self.bob.token);
        assert_eq!(Frames::try_open(self.server.address, &path, &[], true).await.err().unwrap().status, 401);
        self.ada.is_alive().await;
    }

    /// Of the group he neither hears nor reads nor says anything; the rest stays as it is.
    async fn bob_is_out_of_the_group(self) {
        for socket in [&self.doors.native, &self.doors.polling] {
            for (event, payload) in [
                ("groupMessage", json!({ "receiver": self.group, "content": "too late" })),
                ("history", json!({ "receiver": self.group, "group": true })),
                ("markRead", json!({ "receiver": self.group, "group": true, "seq": 1 })),
                ("typing", json!({ "receiver": self.group, "group": true, "typing": true })),
                ("updateGroup", json!({ "groupId": self.group, "groupName": "mine" })),
                ("addMembers", json!({ "groupId": self.group, "users": ["bob"] })),
            ] {
                let code = socket.emit(event, payload).await["error"]["code"].clone();
                assert!(code == "not_a_member" || code == "not_found", "{event}: {code}");
            }
        }
        for (event, data) in [
            ("groupMessage", json!({ "receiver": self.group, "content": "too late" })),
            ("history", json!({ "receiver": self.group, "group": true })),
        ] {
            let code = self.doors.plain.sends(event, data).await["error"]["code"].clone();
            assert!(code == "not_a_member" || code == "not_found", "{event}: {code}");
        }
        for (event, payload) in [
            ("create:message", json!({ "roomId": self.group, "content": "too late" })),
            ("getForARoom:messages", json!({ "roomId": self.group })),
        ] {
            let code = self.doors.rooms.emit(event, payload).await["error"]["code"].clone();
            assert!(code == "not_a_member" || code == "not_found", "{event}: {code}");
        }
        let statuses = self.over_http().await;
        assert!(statuses.iter().all(|status| matches!(status, 403 | 404)), "{statuses:?}");

        let behind_his_back = json!({ "receiver": self.group, "content": "behind his back" });
        self.ada.emit("groupMessage", behind_his_back).await;
        // What comes behind it comes, so it would have come, too.
        self.ada.posts_to("bob", "between us").await;
        self.ada.asks("lobbyMessage", json!({ "content": "to all" })).await;
        for socket in [&self.doors.native, &self.doors.polling] {
            socket.sees_message("between us").await;
        }
        self.doors.plain.sees_message("between us").await;
        self.doors.encrypted.sees_frame("a message", |frame| frame["message"] == "between us").await;
        self.doors.lobby.sees("chat message", |line| line == "ada : to all").await;
        self.doors.rooms.sends_text("get:rooms", "").await;
        assert_eq!(self.doors.that_heard("behind his back"), Vec::<&str>::new());
        assert!(!self.stored().await.contains("too late"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_logs_out_is_out_by_every_door() {
    let scene = Scene::new().await;
    scene.bob.logs_out().await;
    scene.bob_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_account_is_deleted_is_out_by_every_door() {
    let scene = Scene::new().await;
    scene.server.admin("root").await.delete("/api/users/bob").await.is(204);
    scene.bob_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_token_expires_is_out_by_every_door_at_that_moment() {
    let scene = Scene::new().await;
    let session = scene.bob.get("/api/auth/session").await.is(200);
    let end: DateTime<Utc> = session["expiresAt"].as_str().unwrap().parse().unwrap();
    // Over HTTP clocks may differ by some seconds.
    scene.server.clock.advance(end - scene.server.clock.now());
    scene.doors.say(&scene.group, "too late");
    scene.ada_says("behind his back").await;
    scene.server.clock.advance(TimeDelta::seconds(10));
    scene.bob_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_password_is_changed_elsewhere_is_out_by_every_door() {
    let scene = Scene::new().await;
    let elsewhere = scene.bob.logs_in_again().await;
    let change = json!({ "password": "another secret", "currentPassword": Person::password_of("bob") });
    elsewhere.patch("/api/users/bob", change).await.is(200);
    scene.bob_is_out().await;
}

/// As the command line does it, and another node would: nobody tells the server.
#[tokio::test(flavor = "multi_thread")]
async fn whose_login_is_ended_in_the_database_is_out_by_every_door_soon() {
    let scene = Scene::new().await;
    let database = scene.server.database.as_ref().unwrap().look_inside().await;
    let ended = "UPDATE sessions SET revoked_at = created_at WHERE user_id = (SELECT id FROM users WHERE username = 'bob')";
    database.execute_unprepared(ended).await.unwrap();
    database.close().await.unwrap();
    // Over HTTP at once, sockets when the job that looks has looked.
    scene.bob.get("/api/auth/session").await.is_refused(401, "token_revoked");
    scene.doors.end().await;
    scene.bob_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_out_of_a_group_is_out_of_it_by_every_door() {
    let scene = Scene::new().await;
    scene.ada.asks("removeMember", json!({ "groupId": scene.group, "username": "bob" })).await;
    scene.bob_is_out_of_the_group().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_group_is_out_of_it_by_every_door() {
    let scene = Scene::new().await;
    scene.doors.native.asks("leaveGroup", json!({ "groupId": scene.group })).await;
    scene.bob_is_out_of_the_group().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_group_is_gone_by_every_door() {
    let scene = Scene::new().await;
    scene.ada.asks("deleteGroup", json!({ "groupId": scene.group })).await;
    scene.bob_is_out_of_the_group().await;
}
