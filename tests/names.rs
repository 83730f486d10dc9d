//! Names, passwords and texts, however a keyboard writes them: what is one name, and what is none.

use argon2::{Argon2, password_hash::PasswordHasher};
use migration::Migrator;
use sea_orm::ConnectionTrait;
use sea_orm_migration::MigratorTrait;
use serde_json::{Value as Json, json};

use crate::harness::{Answer, Frames, Issuer, Person, Plain, Process, Server, at_full_speed, succeeded};

const NFD_MANANA: &str = "man\u{303}ana-pa\u{308}sswo\u{308}rd";
const NFC_MANANA: &str = "ma\u{f1}ana-p\u{e4}ssw\u{f6}rd";

async fn signs_up(server: &Server, username: &str) -> Answer {
    server.http.post("/api/users", json!({ "username": username, "password": "correct horse" })).await
}

/// The usernames that a search finds.
async fn finds(person: &Person, search: &str) -> Vec<String> {
    let request = person.request(http::Method::GET, "/api/users").query(&[("search", search)]);
    let page = Answer::to(request).await.is(200);
    page["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["username"].as_str().unwrap().to_owned())
        .collect()
}

async fn shows(person: &Person, username: &str) -> Answer {
    let name: String = username.bytes().map(|byte| format!("%{byte:02x}")).collect();
    person.get(&format!("/api/users/{name}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_found_addressed_and_logged_in_by_every_way_to_type_the_name() {
    let server = Server::with(at_full_speed).await;
    let zoe = server.person("Zoe\u{308} \u{c5}str\u{f6}m").await;
    assert_eq!(&*zoe.username, "Zo\u{eb} \u{c5}str\u{f6}m", "the shown form is composed");
    server.acquaintance("Νίκος").await;
    server.acquaintance("한국어").await;
    server.acquaintance("admin").await;
    let bob = server.online("bob").await;
    let socket = zoe.connect().await;
    for (number, typed) in [
        "Zo\u{eb} \u{c5}str\u{f6}m",
        "Zoe\u{308} A\u{30a}stro\u{308}m",
        "ZO\u{cb} \u{c5}STR\u{d6}M",
        "zo\u{eb} \u{212b}str\u{f6}m ",
        " zo\u{eb}\u{a0}\u{e5}str\u{f6}m\n",
        "zo\u{eb}  \u{e5}str\u{f6}m",
        "\u{feff}zo\u{eb} \u{e5}str\u{200b}\u{f6}m",
    ]
    .into_iter()
    .enumerate()
    {
        let login =
            Person::tries_to_log_in(&server, typed, &Person::password_of("Zoe\u{308} \u{c5}str\u{f6}m"))
                .await;
        assert_eq!(login.is(200)["user"]["id"], zoe.user["id"], "{typed:?}");
        assert_eq!(shows(&bob.person, typed).await.is(200)["id"], zoe.user["id"], "{typed:?}");
        assert_eq!(finds(&bob.person, typed).await, [&*zoe.username], "{typed:?}");
        let message = bob.posts_to(typed, &number.to_string()).await;
        assert_eq!(message["receiver"], &*zoe.username, "{typed:?}");
        assert_eq!(message["seq"], number + 1, "it is one conversation: {typed:?}");
        socket.sees_message(&number.to_string()).await;
        let group = bob.person.makes_group(&format!("group {number}"), &[typed, typed]).await;
        let members = bob.person.get(&format!("/api/rooms/{group}/members")).await.is(200);
        assert_eq!(members["members"].as_array().map(Vec::len), Some(2), "{typed:?}: {members}");
        bob.asks("removeMember", json!({ "groupId": group, "username": typed })).await;
        bob.asks("addMembers", json!({ "groupId": group, "users": [{ "username": typed }] })).await;
        let again = signs_up(&server, typed).await.status;
        assert!(matches!(again, 400 | 409), "{typed:?}: {again}");
    }
    for (typed, username) in [
        ("ΝΊΚΟΣ", "Νίκος"),
        ("νίκοσ", "Νίκος"),
        ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}", "한국어"),
        ("ａｄｍｉｎ", "admin"),
    ] {
        assert_eq!(shows(&bob.person, typed).await.is(200)["username"], username, "{typed:?}");
        signs_up(&server, typed).await.is_refused(409, "conflict");
    }
    zoe.patch(&format!("/api/users/{}", zoe.id()), json!({ "username": "ZOE\u{308} \u{e5}str\u{f6}m" }))
        .await
        .is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_username_that_hides_something_or_looks_like_another_is_refused_in_plain_words() {
    let server = Server::with(at_full_speed).await;
    for username in ["admin", "José", "Ivan", "tom", "Νίκος", "admink"] {
        server.acquaintance(username).await;
    }
    for (username, words) in [
        ("admin\u{200b}", "invisible"),
        ("ad\u{200d}min", "invisible"),
        ("ad\u{ad}min", "invisible"),
        ("\u{feff}admin", "invisible"),
        ("\u{202e}nimda\u{202c}", "invisible"),
        ("\u{3164}\u{3164}\u{3164}", "invisible"),
        ("\u{2800}\u{2800}\u{2800}", "invisible"),
        ("admin\u{e0041}", "invisible"),
        ("admin\u{fe0f}", "invisible"),
        ("admin\u{e000}", "invisible"),
        ("abc\u{ffff}", "U+FFFF"),
        ("ada\u{2028}ada", "blanks"),
        ("ad\u{a0}min", "blanks"),
        ("ada  lovelace", "two spaces"),
        ("eve ", "begin or end"),
        ("ab\u{85}c", "control"),
        ("ad\u{1b}[31mmin", "control"),
        ("ab\0c", "control"),
        ("admin : hello everyone", "colon"),
        ("eve :", "colon"),
        ("𝐚𝐝𝐦𝐢𝐧", "character"),
        ("bo\u{17f}s", "character"),
        ("\u{301}eve", "accent"),
        ("ab", "3 to 64"),
        ("{01a219c0-df68-77b1-9ac8-a1a0010c1479}", "id"),
    ] {
        let refused = signs_up(&server, username).await.is_refused(400, "bad_request");
        assert_eq!(refused["field"], "username", "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{username:?}: {refused}");
    }
    for (username, words) in [
        ("ADMIN", "taken"),
        ("Jose\u{301}", "taken"),
        ("ａｄｍｉｎ", "taken"),
        ("admin\u{212a}", "taken"),
        ("ΝΊΚΟΣ", "taken"),
        ("\u{430}dmin", "looks like"),
        ("\u{410}DMIN", "looks like"),
        ("adm\u{131}n", "looks like"),
        ("J\u{43e}sé", "looks like"),
        ("\u{406}van", "looks like"),
        ("\u{4c0}van", "looks like"),
    ] {
        let refused = signs_up(&server, username).await.is_refused(409, "conflict");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{username:?}: {refused}");
    }
    // Not even two at the same moment.
    let (one, other) = tokio::join!(signs_up(&server, "sc\u{43e}pe"), signs_up(&server, "s\u{441}ope"));
    let statuses = [one.status, other.status];
    assert!(statuses == [201, 409] || statuses == [409, 201], "{statuses:?}");
    for username in ["torn", "lvan", "Анна", "a:b", "[server]", "Ada Lovelace", "山田\u{3000}太郎"] {
        signs_up(&server, username).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ways_to_type_a_name_share_their_guesses() {
    let server = Server::with(at_full_speed).await;
    let account = json!({ "username": "Zoë", "password": Person::password_of("Zoë") });
    server.http.post("/api/users", account).await.is(201);
    for typed in ["Zoë", "zoe\u{308}", "ZOË", " zoë", "zo\u{200b}ë "] {
        Person::tries_to_log_in(&server, typed, "a wrong guess").await.is_refused(401, "unauthorized");
    }
    let right = Person::tries_to_log_in(&server, "zoe\u{308}", &Person::password_of("Zoë")).await;
    right.is_refused(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_name_is_one_name_however_it_is_typed() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let makes = async |name: &str| ada.post("/api/rooms", json!({ "groupName": name })).await;
    let general = makes("General").await.is(201);
    for (name, shown) in [
        ("Über  uns", "Über uns"),
        ("Family \u{2764}\u{fe0f}", "Family \u{2764}\u{fe0f}"),
        ("👩\u{200d}👩\u{200d}👧", "👩\u{200d}👩\u{200d}👧"),
        ("Projet : Paris", "Projet : Paris"),
    ] {
        assert_eq!(makes(name).await.is(201)["groupName"], shown);
    }
    for (name, words) in [
        ("GENERAL", "exists"),
        ("ｇｅｎｅｒａｌ", "exists"),
        ("𝐠𝐞𝐧𝐞𝐫𝐚𝐥", "exists"),
        ("über uns", "exists"),
        ("U\u{308}ber\u{a0}uns", "exists"),
        ("Family \u{2764}", "exists"),
        ("genera\u{4cf}", "looks the same"),
        ("g\u{435}neral", "looks the same"),
    ] {
        let refused = makes(name).await.is_refused(409, "conflict");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{name:?}: {refused}");
    }
    for name in [
        "general\u{200b}",
        "\u{3164}",
        "\u{2800}",
        "gen\u{200d}eral",
        "\u{202e}lareneg",
        " a",
        "a ",
        "a\nb",
        "",
    ] {
        let refused = makes(name).await.is_refused(400, "bad_request");
        assert_eq!(refused["field"], "groupName", "{name:?}: {refused}");
    }
    let socket = bob.connect().await;
    for typed in ["general", " GENERAL\u{a0}", "gen\u{200b}eral"] {
        let joined = socket.asks("joinGroup", json!({ "groupName": typed })).await;
        assert_eq!(joined["groupId"], general["groupId"], "{typed:?}");
    }
    // A name that is given up, by renaming or deleting, is free for all that looked like it.
    let id = general["groupId"].as_str().unwrap();
    ada.patch(&format!("/api/rooms/{id}"), json!({ "groupName": "GENERAL" })).await.is(200);
    makes("g\u{435}neral").await.is_refused(409, "conflict");
    ada.patch(&format!("/api/rooms/{id}"), json!({ "groupName": "Üb\u{435}r uns" }))
        .await
        .is_refused(409, "conflict");
    makes("g\u{435}neral").await.is_refused(409, "conflict");
    ada.patch(&format!("/api/rooms/{id}"), json!({ "groupName": "main" })).await.is(200);
    let look_alike = makes("g\u{435}neral").await.is(201);
    makes("general").await.is_refused(409, "conflict");
    ada.delete(&format!("/api/rooms/{}", look_alike["groupId"].as_str().unwrap())).await;
    makes("general").await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_groups_are_found_in_any_capitals_and_encoding() {
    let server = Server::with(at_full_speed).await;
    let me = server.person("searcher").await;
    let names = |first: &str, last: &str| json!({ "firstName": first, "lastName": last });
    for (username, names) in
        [("ann", names("Özlem", "Ärzte")), ("ben", names("Олег", "")), ("cid", names("Éric", "İnan"))]
    {
        let person = server.person(username).await;
        person.patch(&format!("/api/users/{username}"), names).await.is(200);
    }
    for (search, username) in [
        ("özlem", "ann"),
        ("ÖZLEM", "ann"),
        ("O\u{308}zlem", "ann"),
        ("ärzte", "ann"),
        ("олег", "ben"),
        ("ОЛЕГ", "ben"),
        ("éric", "cid"),
        ("INAN", "cid"),
        ("CID", "cid"),
    ] {
        assert_eq!(finds(&me, search).await, [username], "{search}");
    }
    for nothing in ["eric", "özlem ä", "ann özlem", "%", "_", "\\", "özlem\nä"] {
        assert!(finds(&me, nothing).await.is_empty(), "{nothing:?}");
    }
    for blank in [" ", "\u{200b}", "\u{1}"] {
        assert_eq!(finds(&me, blank).await.len(), 4, "{blank:?} is no search");
    }
    for name in ["Über uns", "Чат"] {
        let group = me.makes_group(name, &[]).await;
        for search in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
            let request = me.request(http::Method::GET, "/api/rooms").query(&[("search", &search)]);
            let page = Answer::to(request).await;
            assert!(page.text.contains(&group), "{search}: {}", page.text);
        }
    }
    // The old name is not found any more.
    Person::logs_in(&server, "ann")
        .await
        .patch("/api/users/ann", json!({ "firstName": "Zara" }))
        .await
        .is(200);
    assert_eq!((finds(&me, "özlem").await.len(), finds(&me, "zara").await.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_right_however_its_accents_are_encoded() {
    let server = Server::with(at_full_speed).await;
    let logs_in =
        async |username: &str, password: &str| Person::tries_to_log_in(&server, username, password).await;
    for (username, set, typed) in [
        ("ada", NFC_MANANA, NFD_MANANA),
        ("bob", NFD_MANANA, NFC_MANANA),
        ("cyd", "한국어 비밀번호", "한국어\u{a0}비밀번호"),
    ] {
        server.http.post("/api/users", json!({ "username": username, "password": set })).await.is(201);
        logs_in(username, typed).await.is(200);
        logs_in(username, set).await.is(200);
    }
    logs_in("ada", &NFC_MANANA.to_uppercase()).await.is_refused(401, "unauthorized");
    let refused = json!({ "username": "dan", "password": "with\u{200b}nothing" });
    let refused = server.http.post("/api/users", refused).await.is_refused(400, "bad_request");
    assert_eq!(refused["field"], "password", "{refused}");

    let ada = Person::from_login(&server, &logs_in("ada", NFC_MANANA).await.is(200));
    let bob = Person::from_login(&server, &logs_in("bob", NFC_MANANA).await.is(200));
    let room = ada.makes_secret_group("tea", NFD_MANANA).await;
    bob.post(&format!("/api/rooms/{room}/join"), json!({ "password": NFC_MANANA })).await.is(200);
}

/// A hash of exactly these bytes, as earlier versions made it.
fn old_hash(password: &str) -> String {
    Argon2::default().hash_password(password.as_bytes()).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_hashed_as_it_was_typed_is_right_once_more_and_hashed_again() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let rooms = [ada.makes_secret_group("tea", "x").await, ada.makes_secret_group("milk", "x").await];
    let inside = server.database.as_ref().unwrap().look_inside().await;
    let hash = old_hash(NFD_MANANA);
    for statement in [
        format!("UPDATE users SET password_hash = '{hash}' WHERE username = 'ada'"),
        format!("UPDATE rooms SET password_hash = '{hash}' WHERE name IS NOT NULL"),
    ] {
        inside.execute_unprepared(&statement).await.unwrap();
    }
    let logs_in = async |typed: &str| Person::tries_to_log_in(&server, "ada", typed).await;
    logs_in(NFC_MANANA).await.is_refused(401, "unauthorized");
    logs_in(NFD_MANANA).await.is(200);
    logs_in(NFC_MANANA).await.is(200);
    logs_in(NFD_MANANA).await.is(200);

    let joins = async |room: &str, typed: &str| {
        bob.post(&format!("/api/rooms/{room}/join"), json!({ "password": typed })).await
    };
    joins(&rooms[0], NFC_MANANA).await.is_refused(403, "wrong_password");
    joins(&rooms[0], NFD_MANANA).await.is(200);
    bob.post(&format!("/api/rooms/{}/leave", rooms[0]), json!({})).await.is(200);
    joins(&rooms[0], NFC_MANANA).await.is(200);
    // By name, as the rooms app joins.
    let app = bob.connecting().at_root().open().await;
    for typed in [NFD_MANANA, NFC_MANANA] {
        let room = app.emit("joinIfExists:room", json!({ "roomName": "Milk ", "roomPwd": typed })).await;
        assert_eq!(room["id"], *rooms[1], "{room}");
    }
    inside.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_an_issuer_is_made_valid_and_never_refused() {
    let issuer = Issuer::start().await;
    let server = Server::with(|config| {
        at_full_speed(config);
        config.auth.issuers = vec![issuer.config()];
    })
    .await;
    server.acquaintance("admin").await;
    for (wanted, username) in [
        ("Jose\u{301}", "José"),
        ("JOSÉ", "JOSÉ-2"),
        ("J\u{43e}sé", "J\u{43e}sé-3"),
        ("\u{430}dmin", "\u{430}dmin-2"),
        ("ad\u{200b}min", "admin-3"),
        ("ada : hello", "ada hello"),
        ("Ada\u{a0} Lovelace ", "Ada Lovelace"),
        ("😀", "user"),
        ("\u{3164}\u{3164}\u{3164}", "user-2"),
    ] {
        let person = Person::shows(&server, &issuer.token(wanted)).await;
        assert_eq!(&*person.username, username, "{wanted:?}");
        assert_eq!(Person::shows(&server, &issuer.token(wanted)).await.id(), person.id(), "{wanted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_nothing_but_blanks_is_refused_at_every_door() {
    let server = Server::with(at_full_speed).await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let native = ada.connect().await;
    let plain = Plain::connects(&ada, "").await;
    let cookie = format!("chatToken={}", ada.token);
    let lobby = ada.connecting().at_root().with_only(json!(null)).header("cookie", &cookie).open().await;
    let app = ada.connecting().at_root().open().await;
    let frames = Frames::open(server.address, &format!("/chat/{}", ada.id())).await;
    let receiver = bob.connect().await;
    let room = app.emit("create:room", json!({ "roomName": "tea", "roomPwd": "secret" })).await;
    for blank in ["", " ", " \n\t", "\u{200b}", "\u{3164}\u{2800}\u{feff}\u{ad}", "\u{202e}\u{202c}"] {
        let message = json!({ "receiver": "bob", "content": blank });
        native.is_refused("privateMessage", message.clone(), "bad_request").await;
        native.is_refused("lobbyMessage", json!({ "content": blank }), "bad_request").await;
        native
            .is_refused("groupMessage", json!({ "receiver": room["id"], "content": blank }), "bad_request")
            .await;
        plain.is_refused("privateMessage", message, "bad_request").await;
        let refused = lobby.emit("chat message", json!(blank)).await;
        assert_eq!(refused["error"]["code"], "bad_request", "{blank:?}: {refused}");
        let refused = app.emit("create:message", json!({ "roomId": room["id"], "content": blank })).await;
        assert_eq!(refused["error"]["code"], "bad_request", "{blank:?}: {refused}");
        let frame = json!({ "senderid": ada.id(), "receiverid": bob.id(), "message": blank, "n": blank });
        frames.says(frame.to_string());
        let refused = frames.sees_frame("an error", |seen| seen["error"].is_object()).await;
        assert_eq!(refused["error"]["code"], "bad_request", "{blank:?}: {refused}");
    }
    // A message that shows something, and one that the server does not read.
    native.posts_to("bob", " . ").await;
    receiver.sees_message(" . ").await;
    let secret = json!({ "receiver": "bob", "content": " ", "kind": "encrypted" });
    succeeded(native.emit("privateMessage", secret).await);
    native.posts_to("bob", "\u{2764}\u{fe0f}").await;
    receiver.sees_message("\u{2764}\u{fe0f}").await;
    assert_eq!(receiver.all("response").len(), 3);
}

/// The number of migrations from the one that folds names to the newest.
fn since_names_are_folded() -> u32 {
    let names: Vec<String> =
        Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let at = names.iter().position(|name| name.ends_with("fold_names")).unwrap();
    u32::try_from(names.len() - at).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_an_older_version_stay_usable() {
    const NFC: &str = "Jos\u{e9}";
    const NFD: &str = "Jose\u{301}";
    const HIDDEN: &str = "ad\u{200b}min";
    const WIDE: &str = "ada  lovelace";
    let mut server = Server::with(at_full_speed).await;
    let first = server.person("person-a").await;
    let second = server.person("person-b").await;
    let hidden = server.person("person-c").await;
    let wide = server.person("person-d").await;
    let ann = server.online("ann").await;
    ann.posts_to("person-b", "before").await;
    let tea = ann.person.makes_group("group a", &["person-b"]).await;
    let small_tea = ann.person.makes_group("group b", &[]).await;
    ann.leaves();
    server.stop().await;
    let database = server.database.as_ref().unwrap();
    let inside = database.look_inside().await;
    Migrator::down(&inside, Some(since_names_are_folded())).await.unwrap();
    for (old, name) in [("person-a", NFC), ("person-b", NFD), ("person-c", HIDDEN), ("person-d", WIDE)] {
        let key = name.to_lowercase();
        let update =
            format!("UPDATE users SET username = '{name}', username_key = '{key}' WHERE username = '{old}'");
        inside.execute_unprepared(&update).await.unwrap();
    }
    for (old, name) in [("group a", "Tea"), ("group b", "tea\u{200b}")] {
        let update = format!("UPDATE rooms SET name = '{name}', name_key = '{name}' WHERE name = '{old}'");
        inside.execute_unprepared(&update).await.unwrap();
    }
    inside.close().await.unwrap();

    let process = Process::with(database, &[("PARLOR__DATABASE__AUTO_MIGRATE", "true")]).await;
    let log = process.written();
    for words in [
        "stays usable",
        "exactly as it is",
        "not valid for new ones: 2; equal to another one: 1",
        "Jose\\u{301}",
        "ad\\u{200b}min",
    ] {
        assert!(log.contains(words) || log.contains(&words.replace('\\', "\\\\")), "{words}: {log}");
    }
    let ann = Person::logs_in(&process, "ann").await;
    let socket = ann.connect().await;
    for (number, (typed, account, old)) in [
        (NFC, &first, "person-a"),
        (NFD, &second, "person-b"),
        ("JOSÉ", &first, "person-a"),
        ("JOSE\u{301}", &second, "person-b"),
        (HIDDEN, &hidden, "person-c"),
        ("admin", &hidden, "person-c"),
        (WIDE, &wide, "person-d"),
        ("Ada Lovelace ", &wide, "person-d"),
    ]
    .into_iter()
    .enumerate()
    {
        let login = Person::tries_to_log_in(&process, typed, &Person::password_of(old)).await.is(200);
        assert_eq!(login["user"]["id"], account.user["id"], "{typed:?}");
        assert_eq!(shows(&ann, typed).await.is(200)["id"], account.user["id"], "{typed:?}");
        // Twice: the second time, the room is in memory.
        for content in [format!("{number} once"), format!("{number} twice")] {
            let message = socket.posts_to(typed, &content).await;
            let peer = &ann.conversation(message["roomId"].as_str().unwrap()).await["peer"];
            assert_eq!(peer["id"], account.user["id"], "{typed:?}");
        }
    }
    // The old token and the old conversations.
    let second = process.http.with_token(&second.token);
    assert!(second.get("/api/rooms/mine").await.text.contains(NFD));
    let history = socket.asks("history", json!({ "receiver": NFD, "group": false })).await;
    assert_eq!(history["messages"][0]["content"], "before");
    assert_eq!(finds(&ann, "josé").await.len(), 2);
    let listed = ann.get("/api/users?limit=200").await.is(200);
    assert_eq!(listed["users"].as_array().unwrap().len(), 5);
    for (typed, group) in [("Tea", &tea), ("TEA", &tea), ("tea", &tea), ("tea\u{200b}", &small_tea)] {
        let joined = socket.asks("joinGroup", json!({ "groupName": typed })).await;
        assert_eq!(joined["groupId"], **group, "{typed:?}");
    }
    let after = format!(
        "/api/rooms?limit=1&after={}",
        ann.get("/api/rooms?limit=1").await.is(200)["next"].as_str().unwrap_or_default()
    );
    assert!(ann.get(&after).await.text.contains(&small_tea));
    // Nobody new gets such a name, or one that looks like it.
    for username in [NFC, NFD, "admin", "ada lovelace"] {
        let new = json!({ "username": username, "password": "correct horse" });
        process.http.post("/api/users", new).await.is_refused(409, "conflict");
    }
    let group: Json = json!({ "groupId": small_tea, "groupName": "Coffee" });
    assert_eq!(socket.asks("updateGroup", group).await["groupName"], "Coffee");
    drop((socket, ann));
}
