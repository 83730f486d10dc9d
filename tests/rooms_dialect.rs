//! The React rooms app on the namespace `/` (docs/dialects.md). The app itself, with the stock client,
//! is played in `tests/socket-io-client`.

use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value as Json, json};

use crate::harness::{A_WHILE, Database, Ended, Person, Server, Socket, Transport, keys_of, until};

async fn app(person: &Person) -> Socket {
    person.connecting().at_root().open().await
}

async fn makes(socket: &Socket, name: &str) -> Json {
    let room = socket.emit("create:room", json!({ "roomName": name, "roomPwd": "secret" })).await;
    assert!(room["id"].is_string(), "{room}");
    room
}

async fn joins(socket: &Socket, name: &str) -> Json {
    let room = socket.emit("joinIfExists:room", json!({ "roomName": name, "roomPwd": "secret" })).await;
    assert_eq!(room["name"], name, "{room}");
    room
}

async fn says(socket: &Socket, room: &Json, content: &str) -> Json {
    let message = socket.emit("create:message", json!({ "roomId": room["id"], "content": content })).await;
    assert_eq!(message["content"], content, "{message}");
    message
}

async fn hears(socket: &Socket, content: &str) -> Json {
    socket.sees("updateRoomClients", |message| message["content"] == content).await
}

async fn hears_nothing(socket: &Socket) {
    socket.sees_nothing("updateRoomClients", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_made_found_joined_and_talked_in() {
    let server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (ada, bob) = (app(&ada).await, app(&bob).await);
    let room = makes(&ada, "tea").await;
    assert_eq!(keys_of(&room), ["id", "name", "owner", "ownerId"]);
    assert_eq!(room["owner"], json!({ "id": ada.user["id"], "name": "ada" }));
    assert_eq!(bob.sees_any("updateRoomsDropdowns").await, room);
    let list = bob.sends_text("get:rooms", "").await;
    assert_eq!(list, json!([room]));
    assert_eq!(joins(&bob, "tea").await, room);
    joins(&ada, "tea").await;

    let said = says(&bob, &room, "hi").await;
    assert_eq!(keys_of(&said), ["content", "generatedOn", "id", "roomId", "user", "userId"]);
    assert_eq!(said["user"], json!({ "name": "bob" }));
    assert_eq!(said["userId"], bob.user["id"]);
    assert_eq!(hears(&ada, "hi").await, said);
    assert_eq!(hears(&bob, "hi").await, said);
    assert_eq!(bob.story().last().unwrap(), crate::harness::ANSWER, "one's own comes before the answer");
    let history = ada.emit("getForARoom:messages", json!({ "roomId": room["id"] })).await;
    assert_eq!(history, json!([said]));
    ada.sees_nothing("updateRoomsDropdowns", A_WHILE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_name_and_a_wrong_password_are_told_alike_also_to_members() {
    let server = Server::start().await;
    let ada = app(&server.person("ada").await).await;
    let bob = app(&server.person("bob").await).await;
    makes(&ada, "tea").await;
    joins(&bob, "tea").await;
    let wrong_name = json!({ "roomName": "coffee", "roomPwd": "secret" });
    let wrong_password = json!({ "roomName": "tea", "roomPwd": "guess" });
    for (who, socket) in [("the owner", &ada), ("a member", &bob)] {
        let name = socket.emit("joinIfExists:room", wrong_name.clone()).await;
        let password = socket.emit("joinIfExists:room", wrong_password.clone()).await;
        assert_eq!(name, password, "{who}");
        assert_eq!(keys_of(&name), ["error"], "{who}: {name}");
    }
    for lacking in [json!({ "roomName": "tea" }), json!({ "roomName": "tea", "roomPwd": null })] {
        assert_eq!(bob.emit("joinIfExists:room", lacking.clone()).await["error"]["code"], "bad_request");
        assert_eq!(bob.emit("create:room", lacking).await["error"]["code"], "bad_request");
    }
    let empty = json!({ "roomName": "juice", "roomPwd": "" });
    assert_eq!(bob.emit("create:room", empty).await["error"]["code"], "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_of_names_and_of_passwords_are_counted_together() {
    let server = Server::start().await;
    let ada = app(&server.person("ada").await).await;
    makes(&ada, "tea").await;
    let mut codes = Vec::new();
    for number in 0..6 {
        let name = if number % 2 == 0 { "tea" } else { "coffee" };
        let door = json!({ "roomName": name, "roomPwd": "guess" });
        codes.push(ada.emit("joinIfExists:room", door).await["error"]["code"].clone());
    }
    assert_eq!(codes[..5], vec!["wrong_password"; 5]);
    assert_eq!(codes[5], "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_sockets_that_have_joined_hear_and_nothing_is_replayed() {
    let server = Server::start().await;
    let ada = app(&server.person("ada").await).await;
    let room = makes(&ada, "tea").await;
    joins(&ada, "tea").await;
    says(&ada, &room, "before").await;
    let tab = app(&ada).await;
    let native = ada.connect().await;
    says(&ada, &room, "after").await;
    native.sees_message("after").await;
    hears(&ada, "after").await;
    hears_nothing(&tab).await;
    joins(&tab, "tea").await;
    native.posts_in(room["id"].as_str().unwrap(), "from elsewhere").await;
    let heard = hears(&tab, "from elsewhere").await;
    assert_eq!(heard["user"]["name"], "ada");
    hears_nothing(&tab).await;
}

/// Connects as the client that had this private id.
async fn returns(person: &Person, pid: &str, transport: Transport) -> Socket {
    let back = person.connecting().at_root().by(transport).with(json!({ "pid": pid, "offset": "ignored" }));
    back.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_returns_gets_its_own_rooms_back_over_every_transport() {
    let server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let socket = app(&ada).await;
    let (tea, coffee) = (makes(&socket, "tea").await, makes(&socket, "coffee").await);
    for transport in [Transport::WebSocket, Transport::Polling, Transport::Upgraded] {
        // Two tabs in two rooms, and a socket that its page has left behind.
        let open = || async { bob.connecting().at_root().by(transport).open().await };
        let (one, other, left_behind) = (open().await, open().await, open().await);
        joins(&one, "tea").await;
        joins(&other, "coffee").await;
        let (mut pids, mut lost_sids) = (Vec::new(), Vec::new());
        for lost in [one, other, left_behind] {
            pids.push(lost.pid.clone().expect("a private id"));
            lost_sids.push(lost.sid.clone());
            lost.vanishes();
        }
        // The last comes first. The server need not have noticed the loss.
        let nothing = returns(&bob, &pids[2], transport).await;
        let second = returns(&bob, &pids[1], transport).await;
        let first = returns(&bob, &pids[0], transport).await;
        says(&socket, &tea, "in tea").await;
        says(&socket, &coffee, "in coffee").await;
        hears(&first, "in tea").await;
        hears(&second, "in coffee").await;
        let stranger = app(&bob).await;
        says(&socket, &tea, "the last").await;
        hears(&first, "the last").await;
        for (who, heard) in [(&first, 2), (&second, 1), (&nothing, 0), (&stranger, 0)] {
            assert_eq!(who.seen("updateRoomClients").len(), heard, "{transport:?}");
        }
        // It returns once more with the newest id, and with the one before, whose successor may have been lost.
        let newest = first.pid.clone().unwrap();
        assert_ne!(newest, pids[0], "a client that is given the same id takes its session for recovered");
        lost_sids.push(first.sid.clone());
        first.vanishes();
        for pid in [&newest, &pids[0]] {
            let back = returns(&bob, pid, transport).await;
            says(&socket, &tea, pid).await;
            hears(&back, pid).await;
        }
        // The server does not notice a client that goes between two polls, until it answers no ping.
        for sid in lost_sids {
            let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
            drop(bob.door.http.request(http::Method::POST, &path).body("1").send().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_id_is_of_use_to_its_user_only() {
    let server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let socket = app(&ada).await;
    let room = makes(&socket, "tea").await;
    let listener = app(&bob).await;
    joins(&listener, "tea").await;
    let pid = listener.pid.clone().unwrap();
    let thief = returns(&ada, &pid, Transport::WebSocket).await;
    let invented = returns(&bob, &format!("{}-00000000", "0".repeat(32)), Transport::WebSocket).await;
    says(&socket, &room, "who hears?").await;
    hears(&listener, "who hears?").await;
    for who in [&thief, &invented] {
        hears_nothing(who).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_that_shows_a_token_gets_a_private_id() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    assert!(app(&ada).await.pid.is_some());
    assert!(ada.connect().await.pid.is_none(), "not in another namespace");
    let cookie = format!("chatToken={}", ada.token);
    let page = ada.connecting().at_root().with_only(json!({})).header("cookie", &cookie).open().await;
    assert!(page.pid.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_by_themselves_joins_again_by_themselves() {
    let server = Server::start().await;
    let ada = app(&server.person("ada").await).await;
    let bob = server.person("bob").await;
    let room = makes(&ada, "tea").await;
    let first = app(&bob).await;
    joins(&first, "tea").await;
    let pid = first.pid.clone().unwrap();
    // It returns before the database has forgotten its rooms.
    let inside = server.database.as_ref().unwrap().look_inside().await;
    let slow = inside.begin().await.unwrap();
    slow.execute_unprepared("UPDATE joined_rooms SET noted_at = noted_at").await.unwrap();
    first.send_packet("41");
    first.leaves();
    until("the connection to end", || async { server.chat().gauges().connections == 1 }).await;
    let database = async {
        tokio::time::sleep(A_WHILE).await;
        slow.rollback().await.unwrap();
    };
    let (second, ()) = tokio::join!(returns(&bob, &pid, Transport::WebSocket), database);
    says(&ada, &room, "gone").await;
    hears_nothing(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(with_postgres), ignore = "PARLOR_TEST_POSTGRES_URL is not set")]
async fn a_client_finds_the_rooms_that_it_has_joined_at_another_node() {
    let one = Server::on(Database::postgres().await, |_| {}).await;
    let other = one.beside().await;
    let (ada, bob) = (app(&one.person("ada").await).await, one.person("bob").await);
    let tea = makes(&ada, "tea").await;
    joins(&ada, "tea").await;
    let tab = app(&bob).await;
    joins(&tab, "tea").await;
    let pid = tab.pid.clone().unwrap();
    tab.vanishes();
    let elsewhere = Person::shows(&other, &bob.token).await;
    let back = returns(&elsewhere, &pid, Transport::WebSocket).await;
    says(&ada, &tea, "welcome back").await;
    hears(&back, "welcome back").await;
    drop((ada, back));
    drop((other, one));
}

#[tokio::test(flavor = "multi_thread")]
async fn joined_rooms_outlive_a_restart_of_the_server() {
    let mut server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let socket = app(&ada).await;
    let room = makes(&socket, "tea").await;
    let other = makes(&socket, "coffee").await;
    let listener = app(&bob).await;
    joins(&listener, "tea").await;
    joins(&listener, "coffee").await;
    let tab = app(&bob).await;
    joins(&tab, "coffee").await;
    server.restart().await;
    assert_eq!(listener.ends().await, Ended::Transport, "so that the client comes back");
    let tab = returns(&bob, tab.pid.as_ref().unwrap(), Transport::WebSocket).await;
    let back = returns(&bob, listener.pid.as_ref().unwrap(), Transport::WebSocket).await;
    let socket = app(&ada).await;
    says(&socket, &room, "welcome back").await;
    hears(&back, "welcome back").await;
    says(&socket, &other, "also here").await;
    hears(&tab, "also here").await;
    assert_eq!(tab.seen("updateRoomClients").len(), 1);
    // What one has been put out of is not among them the next time.
    let native = ada.connect().await;
    native.asks("removeMember", json!({ "groupId": other["id"], "username": "bob" })).await;
    server.clock.advance(chrono::TimeDelta::days(2));
    let (ada, bob) = (ada.logs_in_again().await, bob.logs_in_again().await);
    let socket = app(&ada).await;
    let again = returns(&bob, back.pid.as_ref().unwrap(), Transport::WebSocket).await;
    says(&socket, &other, "without bob").await;
    says(&socket, &room, "two days later").await;
    hears(&again, "two days later").await;
    assert_eq!(again.seen("updateRoomClients").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_put_out_hears_and_says_nothing_more() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let (native, root) = (ada.connect().await, app(&ada).await);
    let bob = app(&server.person("bob").await).await;
    let room = makes(&root, "tea").await;
    joins(&bob, "tea").await;
    native.asks("removeMember", json!({ "groupId": room["id"], "username": "bob" })).await;
    says(&root, &room, "without bob").await;
    hears_nothing(&bob).await;
    for (event, payload) in [
        ("create:message", json!({ "roomId": room["id"], "content": "hello?" })),
        ("getForARoom:messages", json!({ "roomId": room["id"] })),
    ] {
        let refused = bob.emit(event, payload).await;
        assert_eq!(refused["error"]["code"], "not_a_member", "{event}: {refused}");
    }
    for nonsense in ["", "nonsense", "0190a000-0000-7000-8000-000000000000"] {
        let refused = bob.emit("create:message", json!({ "roomId": nonsense, "content": "hi" })).await;
        assert_eq!(refused["error"]["code"], "not_found", "{nonsense}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_from_the_app_where_none_is_known() {
    let mut server = Server::start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    ada.patch("/api/users/ada", json!({ "firstName": "Augusta" })).await.is(200);
    let (first, second) = (app(&ada).await, app(&bob).await);
    let introduction = json!({ "name": " Bobby ", "email": "bob@example.com", "id": ada.user["id"] });
    let user = second.emit("createIfNotExists:user", introduction.clone()).await;
    assert_eq!(keys_of(&user), ["email", "id", "joinedOn", "name"]);
    assert_eq!(user["id"], bob.user["id"]);
    assert_eq!((&user["name"], &user["email"]), (&json!("Bobby"), &json!("bob@example.com")));
    // The app does not send the password that it takes to change an e-mail address.
    assert!(bob.get("/api/users/bob").await.is(200).get("email").is_none());
    let user = second.emit("createIfNotExists:user", json!({ "name": "Robert" })).await;
    assert_eq!(user["name"], "Bobby", "it exists");
    let own = first.emit("createIfNotExists:user", introduction).await;
    assert_eq!(own["name"], "Augusta");

    let room = makes(&second, "tea").await;
    assert_eq!(room["owner"]["name"], "Bobby");
    assert_eq!(first.sees_any("updateRoomsDropdowns").await["owner"]["name"], "Bobby");
    joins(&first, "tea").await;
    assert_eq!(says(&second, &room, "hi").await["user"]["name"], "Bobby");
    assert_eq!(hears(&first, "hi").await["user"]["name"], "Bobby");
    // A new name is shown at once, in rooms that are in memory and in what was said.
    bob.patch("/api/users/bob", json!({ "firstName": "Rob" })).await.is(200);
    assert_eq!(says(&second, &room, "it is me").await["user"]["name"], "Rob");
    let read = json!({ "roomId": room["id"] });
    let history = first.emit("getForARoom:messages", read).await;
    assert_eq!(history[0]["user"]["name"], "Rob");
    server.restart().await;
    let back = app(&ada).await;
    let history = back.emit("getForARoom:messages", json!({ "roomId": room["id"] })).await;
    let names: Vec<&Json> =
        history.as_array().unwrap().iter().map(|message| &message["user"]["name"]).collect();
    assert_eq!(names, ["Rob", "Rob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_socket_is_told_not_authorized_and_no_more() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for auth in
        [json!({}), json!({ "token": "" }), json!({ "token": "nonsense" }), json!({ "token": 5 }), Json::Null]
    {
        let told = ada.connecting().at_root().with_only(auth.clone()).fails().await;
        assert_eq!(told, "Not Authorized", "{auth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_socket_makes_room_at_the_limit() {
    let server = Server::with(|config| config.limits.connections_per_user = 3).await;
    let ada = server.person("ada").await;
    let (first, second) = (app(&ada).await, app(&ada).await);
    let third = app(&ada).await;
    let fourth = app(&ada).await;
    assert_eq!(first.ends().await, Ended::Namespace, "so that it does not come back");
    let native = ada.connect().await;
    assert_eq!(second.ends().await, Ended::Namespace);
    for socket in [&third, &fourth] {
        assert!(socket.sends_text("get:rooms", "").await.is_array());
    }
    native.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_token_the_transport_goes_and_whoever_comes_back_is_refused() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for transport in [Transport::WebSocket, Transport::Polling] {
        let person = ada.logs_in_again().await;
        let socket = person.connecting().at_root().by(transport).open().await;
        person.logs_out().await;
        assert_eq!(socket.ends().await, Ended::Transport, "{transport:?}");
        assert_eq!(person.connecting().at_root().fails().await, "Not Authorized");
    }
    let socket = app(&ada).await;
    server.clock.advance(chrono::TimeDelta::seconds(3_600));
    assert_eq!(socket.ends().await, Ended::Transport);
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_not_there() {
    let server = Server::with(|config| {
        config.dialects.rooms = false;
        config.dialects.lobby = false;
    })
    .await;
    let ada = server.person("ada").await;
    assert!(ada.connecting().at_root().fails().await.contains("Invalid namespace"));
    ada.connect().await.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_of_the_two_dialects_may_be_off() {
    let server = Server::with(|config| config.dialects.rooms = false).await;
    let ada = app(&server.person("ada").await).await;
    let refused = ada.sends_text("get:rooms", "").await;
    assert_eq!(refused["error"]["code"], "not_found");
    assert!(ada.emit("chat message", json!("hi")).await["messageId"].is_string());
}
