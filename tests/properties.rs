//! Whatever anybody sends, by whichever door: it is answered or its connection is closed, nothing of it is
//! a fault of the server's, and whoever else is there notices nothing.
//!
//! A normal run tries a few dozen inputs each; `PROPTEST_CASES=100000` tries that many.

use std::{cell::RefCell, fmt::Debug};

use proptest::{
    collection::{hash_map, vec},
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use crate::harness::{Frame, Frames, Person, Raw, Server, Socket, at_full_speed, handshake_of, in_time};

const LIST: &str = "42/chat,7[\"listRooms\",{}]";

/// That it holds for so many inputs, or for as many as `PROPTEST_CASES` says. An input for which it does
/// not is made as small as can be, and shown.
fn holds<S: Strategy<Value: Debug>>(cases: u32, inputs: S, check: impl AsyncFn(S::Value)) {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: asked.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_time: 60_000,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let runtime = tokio::runtime::Handle::current();
    let tried = tokio::task::block_in_place(|| {
        TestRunner::new(config).run(&inputs, |input| {
            runtime.block_on(check(input));
            Ok(())
        })
    });
    if let Err(failed) = tried {
        panic!("{failed}");
    }
}

/// A server on which nothing is refused for coming too often.
async fn patient_server() -> Server {
    Server::with(|config| {
        at_full_speed(config);
        config.limits.connections_per_user = 10_000;
        config.limits.failed_attempts_per_address = 1_000_000;
    })
    .await
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(any::<char>(), 0..24).prop_map(String::from_iter),
        vec(select(&b"0123456789/,-[]{}\":\\u \x1eb"[..]), 0..24)
            .prop_map(|bytes| String::from_utf8(bytes).unwrap()),
    ]
}

/// What somebody would write who knows the protocol.
const WORDS: [&str; 24] = [
    "ada",
    "bob",
    "nobody",
    "text",
    "encrypted",
    "system",
    "token",
    "yes",
    "",
    " ",
    "*",
    "%",
    "null",
    "0195f0c2-7d3a-7000-8000-000000000001",
    "batched",
    "../..",
    "\u{0}",
    "\u{202e}",
    "ﷺ",
    "e\u{301}",
    "-1",
    "9223372036854775807",
    "[object Object]",
    "'; --",
];

const FIELDS: [&str; 30] = [
    "receiver",
    "content",
    "kind",
    "clientMessageId",
    "replyTo",
    "groupId",
    "groupName",
    "users",
    "password",
    "username",
    "before",
    "after",
    "limit",
    "lobby",
    "group",
    "seq",
    "roomId",
    "rooms",
    "typing",
    "token",
    "ticket",
    "since",
    "catchUp",
    "receipts",
    "name",
    "email",
    "roomName",
    "roomPwd",
    "sender",
    "__proto__",
];

/// Of `/chat` and of the dialects in `/`.
const EVENTS: [&str; 28] = [
    "privateMessage",
    "groupMessage",
    "createGroup",
    "joinGroup",
    "leaveGroup",
    "updateGroup",
    "deleteGroup",
    "addMembers",
    "removeMember",
    "listGroups",
    "listUsers",
    "listRooms",
    "lobbyMessage",
    "history",
    "markRead",
    "delivered",
    "typing",
    "refreshToken",
    "createIfNotExists:user",
    "get:rooms",
    "create:room",
    "joinIfExists:room",
    "getForARoom:messages",
    "create:message",
    "chat message",
    "new user",
    "connect",
    "disconnect",
];

fn json_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (0..5i64).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        text().prop_map(Json::from),
        select(&WORDS[..]).prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let name = prop_oneof![text(), select(&FIELDS[..]).prop_map(str::to_owned)];
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Json::from),
            hash_map(name, inner, 0..5).prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

/// A payload that has a chance to be taken.
fn payload() -> impl Strategy<Value = Json> {
    let named = hash_map(select(&FIELDS[..]).prop_map(str::to_owned), json_value(), 0..6);
    prop_oneof![
        4 => named.prop_map(|fields| Json::Object(fields.into_iter().collect())),
        1 => json_value(),
    ]
}

/// The library ends a connection that says an event whose name needs escapes; as a packet, that is tried
/// above.
fn event() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&EVENTS[..]).prop_map(str::to_owned), 1 => text()]
        .prop_filter("needs escapes", |name| !json!(name).to_string().contains('\\'))
}

/// One of these, a bit off: cut short, a character changed, or something put in.
fn spoilt(whole: Vec<String>) -> impl Strategy<Value = String> {
    (select(whole), 0..4u8, any::<usize>(), any::<char>(), text()).prop_map(
        |(whole, how, at, other, more)| {
            let mut characters: Vec<char> = whole.chars().collect();
            let at = at % (characters.len() + 1);
            match how {
                0 => characters.truncate(at),
                1 if at < characters.len() => characters[at] = other,
                2 => characters.splice(at..at, more.chars()).for_each(drop),
                _ => {}
            }
            characters.into_iter().collect()
        },
    )
}

fn packet(auth: &str) -> impl Strategy<Value = String> + use<> {
    let whole = [
        LIST,
        "2",
        "3",
        "2probe",
        "5",
        "6",
        "1",
        "40/chat,",
        &format!("40/chat,{auth}"),
        &format!("40{auth}"),
        "41/chat,",
        "42/chat,[\"privateMessage\",{\"receiver\":\"bob\",\"content\":\"hi\"}]",
        "42[\"chat message\",\"hi\"]",
        "43/chat,0[{\"success\":true}]",
        "44/chat,{\"message\":\"no\"}",
        "451-/chat,5[\"listRooms\",{\"_placeholder\":true,\"num\":0}]",
        "461-/chat,0[{\"_placeholder\":true,\"num\":0}]",
        "bAQIDBA==",
    ];
    let pieces = (0..10u8, 0..10u8, text(), any::<u64>(), payload())
        .prop_map(|(engine, kind, space, id, payload)| format!("{engine}{kind}/{space},{id}{payload}"));
    prop_oneof![2 => spoilt(whole.map(str::to_owned).to_vec()), 1 => pieces, 1 => text()]
}

/// A line that is opened again whenever what was said on it has closed it.
struct Reopened<'a> {
    person: &'a Person,
    line: Mutex<Option<Raw>>,
}

impl<'a> Reopened<'a> {
    fn new(person: &'a Person) -> Self {
        Self { person, line: Mutex::default() }
    }

    /// Says something, and then a question: either that is answered, or the line is closed.
    async fn answers_or_closes(&self, say: impl AsyncFnOnce(&mut Raw)) {
        let mut kept = self.line.lock().await;
        let mut line = match kept.take() {
            Some(line) => line,
            None => Raw::in_chat(self.person.door.address, &self.person.token).await,
        };
        say(&mut line).await;
        line.says(LIST).await;
        loop {
            match line.next().await {
                None | Some(Frame::Close(_)) => return,
                Some(Frame::Text(text)) if text.starts_with("43/chat,7[{\"success\":") => break,
                // It left the namespace, or the engine: a session like any other.
                Some(Frame::Text(text)) if matches!(&*text, "1" | "41/chat,") => return,
                Some(Frame::Text(text)) => assert!(!text.contains("\"internal\""), "{text}"),
                Some(_) => {}
            }
        }
        *kept = Some(line);
    }
}

/// Somebody who is there all the time, and notices nothing.
struct Bystander(Socket);

impl Bystander {
    async fn at(server: &Server) -> Self {
        Self(server.online("bob").await)
    }

    async fn noticed_nothing(self) {
        self.0.is_alive().await;
        self.0.posts_to("bob", "all is well").await;
        self.0.sees_message("all is well").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_packet_by_websocket_is_answered_or_ends_its_session() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let line = Reopened::new(&ada);
    // Leaving is legitimate, and ends the session; a session that has left does not answer.
    let packets = packet(&json!({ "token": &*ada.token }).to_string())
        .prop_filter("leaves", |packet| !packet.starts_with("41/chat") && packet != "41");
    holds(150, packets, async |packet| line.answers_or_closes(async |line| line.says(&packet).await).await);
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_frame_is_answered_or_ends_its_session() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let line = Reopened::new(&ada);
    let bytes = || vec(any::<u8>(), 0..40);
    // Frames that are masked and as long as they say, and anything at all, with enough behind it that a
    // length is not waited for.
    let frames = prop_oneof![
        (any::<u8>(), bytes()).prop_map(|(head, payload)| (Some(head), payload)),
        vec(any::<u8>(), 1..40).prop_map(|bytes| (None, bytes)),
    ];
    holds(150, frames, async |(head, bytes)| {
        match head {
            Some(head) => {
                // What begins a message waits for its end.
                line.answers_or_closes(async |line| {
                    line.frame(head, &bytes).await;
                    if head & 0x80 == 0 {
                        line.frame(0x80, b"").await;
                    }
                })
                .await;
            }
            None => {
                let mut line = Raw::in_chat(server.address, &ada.token).await;
                line.send(&bytes).await;
                line.hangs_up().await;
                while line.next().await.is_some() {}
            }
        }
    });
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_payload_by_polling_is_taken_or_refused() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let auth = json!({ "token": &*ada.token }).to_string();
    let payloads = prop_oneof![
        vec(packet(&auth), 1..4).prop_map(|packets| packets.join("\u{1e}").into_bytes()),
        vec(any::<u8>(), 0..60),
    ];
    holds(100, payloads, async |payload| {
        let open = server.http.get("/socket.io/?EIO=4&transport=polling").await;
        let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        for payload in [payload, b"1".to_vec()] {
            let post = server.http.request(http::Method::POST, &path).body(payload);
            let answer = in_time("an answer", crate::harness::Answer::to(post)).await;
            assert!(matches!(answer.status, 200 | 400), "{} {}", answer.status, answer.text);
        }
    });
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_wish_of_a_connect_is_answered() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let wishes = (hash_map(select(&FIELDS[..]).prop_map(str::to_owned), json_value(), 0..5), any::<bool>());
    holds(60, (wishes, any::<bool>()), async |((mut auth, is_good), at_root)| {
        if is_good {
            auth.insert("token".to_owned(), json!(&*ada.token));
        }
        let auth = Json::Object(auth.into_iter().collect());
        let (mut line, _) = Raw::websocket(server.address).await;
        let space = if at_root { "" } else { "/chat," };
        line.says(&format!("40{space}{auth}")).await;
        let answer = line.text().await;
        let refused = format!("44{space}");
        match answer.strip_prefix(&refused) {
            Some(told) => {
                let told: Json = serde_json::from_str(told).unwrap();
                assert!(!told["message"].as_str().unwrap().starts_with("internal"), "{told}");
            }
            None => assert!(answer.starts_with(&format!("40{space}{{\"sid\":")), "{answer}"),
        }
    });
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_event_is_answered_and_its_fault_is_the_senders() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.online("ada").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let events = (event(), payload(), any::<bool>());
    holds(250, events, async |(event, mut payload, is_named)| {
        if is_named && let Some(fields) = payload.as_object_mut() {
            for field in ["groupId", "roomId", "receiver"] {
                fields.entry(field).or_insert_with(|| json!(group));
            }
        }
        let answer = ada.emit(&event, payload).await;
        let code = answer["error"]["code"].as_str().unwrap_or_default();
        match answer["success"].as_bool() {
            Some(true) => assert!(answer.get("error").is_none(), "{answer}"),
            _ => assert!(!["", "internal", "unavailable"].contains(&code), "{answer}"),
        }
    });
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_event_of_the_dialects_is_answered_too() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await.connecting().at_root().open().await;
    holds(200, (event(), payload()), async |(event, payload)| {
        let answer = ada.emit(&event, payload).await;
        assert!(!matches!(answer["error"]["code"].as_str(), Some("internal" | "unavailable")), "{answer}");
    });
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_frame_of_a_plain_websocket_is_answered() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let plain = ada.connect_plain().await;
    let app = Frames::open(server.address, &format!("/chat/{}", ada.id())).await;
    let whole = |text: &str| spoilt(vec![text.to_owned()]);
    let frames = prop_oneof![
        3 => (event(), payload()).prop_map(|(event, data)| json!({ "event": event, "data": data, "id": 1 }).to_string()),
        1 => whole(r#"{"event":"privateMessage","data":{"receiver":"bob","content":"hi"},"id":"x"}"#),
        1 => whole(r#"{"reply":1,"data":{"success":true}}"#),
        1 => whole(r#"{"senderid":"ada","receiverid":"bob","message":{"body":"hi"}}"#),
        1 => payload().prop_map(|payload| payload.to_string()),
        1 => text(),
    ];
    let number = std::cell::Cell::new(0);
    holds(200, frames, async |frame| {
        number.set(number.get() + 1);
        let mark = format!("mark {}", number.get());
        plain.frames.says(&*frame);
        plain.frames.says(json!({ "event": "listRooms", "data": {}, "id": mark }).to_string());
        plain.frames.sees_frame("an answer", |seen| seen["reply"] == *mark).await;
        app.says(&*frame);
        app.says(json!({ "receiverid": ada.id(), "message": mark }).to_string());
        app.sees_frame("the own frame", |seen| seen["message"] == *mark).await;
    });
    for texts in [plain.frames.texts(), app.texts()] {
        assert!(!texts.iter().any(|text| text.contains("\"internal\"")), "{texts:?}");
    }
    bob.noticed_nothing().await;
}

/// Bytes as a request sends them, up to the end of what is answered.
async fn asked(server: &Server, head: &[u8], body: &[u8]) -> String {
    let mut line = Raw::connect(server.address).await;
    let mut request = head.to_vec();
    if !body.is_empty() {
        request.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    request.extend(b"Connection: close\r\n\r\n");
    request.extend(body);
    line.send(&request).await;
    line.everything().await
}

/// That an answer is one, and no fault of the server's.
fn is_no_fault(answer: &str) {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
    assert!(("200".."500").contains(&status), "{answer}");
}

const PATHS: [&str; 24] = [
    "/",
    "/api/users",
    "/api/users/ada",
    "/api/users/bob/x",
    "/api/rooms",
    "/api/rooms/mine",
    "/api/auth/session",
    "/api/auth/login",
    "/api/auth/tickets",
    "/api/rooms/0195f0c2-7d3a-7000-8000-000000000001/messages",
    "/api/rooms/x/join",
    "/socket.io/",
    "/socket.io",
    "/socket.io/socket.io.js",
    "/web/users",
    "/web/all/ada",
    "/web/messages/ada/bob",
    "/auth/login",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/ws",
    "/chat/ada",
];

const PARAMETERS: [&str; 14] = [
    "token",
    "ticket",
    "jwt",
    "EIO",
    "transport",
    "sid",
    "search",
    "limit",
    "after",
    "before",
    "group",
    "since",
    "receipts",
    "catchUp",
];

/// What can stand in a head without ending it.
fn header_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>().prop_filter("ends the line", |byte| !b"\r\n".contains(byte)), 0..40)
}

/// What can stand in the address of a request.
fn address_text() -> impl Strategy<Value = String> {
    vec(prop_oneof![0x21u8..0x7f, select(&b"%&=/?.;+"[..])], 0..24)
        .prop_map(|bytes| String::from_utf8(bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn any_address_query_cookie_and_credential_is_answered() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let values = || {
        prop_oneof![
            address_text(),
            Just((*ada.token).to_owned()),
            select(&WORDS[..17]).prop_map(|word| word.replace(['\u{0}', ' ', '\u{202e}'], "%00"))
        ]
    };
    let path = prop_oneof![
        select(&PATHS[..]).prop_map(str::to_owned),
        address_text().prop_map(|path| format!("/{path}"))
    ];
    let query =
        vec((prop_oneof![select(&PARAMETERS[..]).prop_map(str::to_owned), address_text()], values()), 0..4);
    let header = (
        select(
            &["Cookie", "Authorization", "Origin", "X-Forwarded-For", "X-Request-Id", "Accept", "Range", "X"]
                [..],
        ),
        prop_oneof![
            header_bytes(),
            header_bytes().prop_map(|bytes| [b"chatToken=", &*bytes].concat()),
            header_bytes().prop_map(|bytes| [b"Bearer ", &*bytes].concat()),
            Just(format!("Bearer {}", ada.token).into_bytes()),
            Just(format!("a=b; chatToken={}", ada.token).into_bytes()),
        ],
    );
    let method = select(&["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "BREW"][..]);
    let requests = (method, path, query, vec(header, 0..4));
    holds(150, requests, async |(method, path, query, headers)| {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut head =
            format!("{method} {path}?{} HTTP/1.1\r\nHost: localhost\r\n", query.join("&")).into_bytes();
        for (name, value) in headers {
            head.extend([name.as_bytes(), b": ", &*value, b"\r\n"].concat());
        }
        is_no_fault(&asked(&server, &head, b"").await);
    });
    bob.noticed_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_body_is_answered() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let group = ada.makes_group("friends", &["bob"]).await;
    let member = format!("/api/rooms/{group}/members");
    let one = format!("/api/rooms/{group}");
    let routes = vec![
        ("POST", "/api/users".to_owned()),
        ("POST", "/api/auth/login".to_owned()),
        ("POST", "/auth/login".to_owned()),
        ("POST", "/api/auth/refresh".to_owned()),
        ("POST", "/api/rooms".to_owned()),
        ("PATCH", one.clone()),
        ("POST", member),
        ("POST", format!("{one}/join")),
        ("PUT", "/api/users/ada".to_owned()),
        ("PATCH", "/api/users/ada".to_owned()),
        ("POST", "/web/login".to_owned()),
        ("POST", "/web/group".to_owned()),
    ];
    let bodies = prop_oneof![
        4 => payload().prop_map(|body| body.to_string().into_bytes()),
        1 => spoilt(vec![json!({ "groupName": "new", "users": ["bob"] }).to_string()]).prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
    ];
    let kinds = select(
        &["application/json", "application/json; charset=utf-16", "text/plain", "multipart/form-data", ""][..],
    );
    holds(150, (select(routes), bodies, kinds), async |((method, path), body, kind)| {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n",
            ada.token
        );
        is_no_fault(&asked(&server, head.as_bytes(), &body).await);
    });
    bob.noticed_nothing().await;
}

/// A token signed with our own key, whatever its header says.
fn signed(header: &Json, claims: &Json) -> String {
    let signing = jsonwebtoken::EncodingKey::from_secret(crate::harness::SECRET.as_bytes());
    let part = |json: &Json| base64url(json.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature =
        jsonwebtoken::crypto::sign(signed.as_bytes(), &signing, jsonwebtoken::Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|at| char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize])));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn any_header_or_claim_of_a_token_but_our_own_is_refused() {
    let server = patient_server().await;
    let bob = Bystander::at(&server).await;
    let ada = server.person("ada").await;
    let ours = jsonwebtoken::dangerous::insecure_decode::<Json>(&*ada.token).unwrap().claims;
    let header = serde_json::to_value(jsonwebtoken::decode_header(&*ada.token).unwrap()).unwrap();
    // What is tried is really signed with the key.
    let bearer = |token: &str| server.http.with_token(token);
    bearer(&signed(&header, &ours)).get("/api/auth/session").await.is(200);

    let of_header = (
        select(&["alg", "typ", "kid", "crit", "zip", "enc", "jku", "x5u", "jwk", "x5c", "cty"][..]),
        json_or_algorithm(),
    );
    let of_claims =
        (select(&["iss", "sub", "uid", "sid", "iat", "nbf", "exp", "jti", "aud"][..]), json_value());
    let refused = RefCell::new(0);
    holds(120, (vec(of_header, 0..3), vec(of_claims, 0..2)), async |(in_header, in_claims)| {
        let (mut header, mut claims) = (header.clone(), ours.clone());
        for (name, value) in in_header {
            header[name] = value;
        }
        for (name, value) in in_claims {
            claims[name] = value;
        }
        let token = signed(&header, &claims);
        let answer = bearer(&token).get("/api/auth/session").await;
        // Whoever it lets in is still who it was made for, in its own session.
        if answer.status == 200 {
            assert_eq!(answer.json()["user"]["username"], "ada", "{header} {claims}");
            for pinned in ["alg", "typ"] {
                assert_eq!(header[pinned], header_of(&ada)[pinned], "{header}");
            }
            for pinned in ["iss", "uid", "sid"] {
                assert_eq!(claims[pinned], ours[pinned], "{claims}");
            }
            for needless in ["crit", "jku", "x5u", "jwk", "x5c"] {
                assert!(header.get(needless).is_none_or(Json::is_null), "{header}");
            }
        } else {
            answer.is_refused(401, answer.json()["code"].as_str().unwrap());
            *refused.borrow_mut() += 1;
        }
    });
    assert!(*refused.borrow() > 10);
    holds(60, spoilt(vec![(*ada.token).to_owned()]), async |token| {
        if token == *ada.token || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return;
        }
        bearer(&token)
            .get("/api/auth/session")
            .await
            .is_refused(401, if token.is_empty() { "token_missing" } else { "token_invalid" });
    });
    bob.noticed_nothing().await;
}

fn header_of(person: &Person) -> Json {
    serde_json::to_value(jsonwebtoken::decode_header(&*person.token).unwrap()).unwrap()
}

fn json_or_algorithm() -> impl Strategy<Value = Json> {
    const NAMES: [&str; 11] =
        ["none", "None", "HS256", "hs256", "HS384", "RS256", "ES256", "EdDSA", "JWT", "at+jwt", ""];
    prop_oneof![json_value(), select(&NAMES[..]).prop_map(Json::from)]
}
