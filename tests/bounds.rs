//! What one client, or nobody at all, may make the server keep: bytes that wait for a slow reader, answers to
//! pings that are never read, sessions that nobody joins, acknowledgements that never come.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::harness::{
    Frame, PATIENCE, Person, Plain, Raw, Server, Transport, at_full_speed, handshake_of, succeeded, until,
};

/// The least that can be configured.
pub const OUTGOING: usize = 4_200_000;
/// The end of a page, in bytes.
pub const PAGE: usize = 512_000;
/// Content of which not many fit into a page.
pub const LONG: usize = 16_000;

pub fn tight(config: &mut parlor::config::Config) {
    at_full_speed(config);
    config.limits.outgoing_bytes = OUTGOING;
    // These clients read late, and on a busy machine they may read nothing for long.
    config.server.unread_timeout = Duration::from_secs(600);
}

pub fn waiting(server: &Server) -> usize {
    server.chat().counts().outgoing_bytes.now()
}

/// Somebody who has said this many long things to somebody, and has gone.
pub async fn talkative(server: &Server, name: &str, receiver: &str, messages: u32) -> Person {
    let socket = server.online(name).await;
    for start in (1..=messages).step_by(20) {
        let answers: Vec<_> = (start..start + 20)
            .map(|number| {
                let content = format!("{number} {}", "x".repeat(LONG));
                socket.sends("privateMessage", json!({ "receiver": receiver, "content": content }))
            })
            .collect();
        for answer in answers {
            succeeded(answer.await);
        }
    }
    let person = socket.person.clone();
    socket.leaves();
    server.is_deserted().await;
    person
}

/// A client that reads only when it is told to, on one of the wires.
enum Slow {
    SocketIo(Raw),
    Plain(Raw),
}

impl Slow {
    async fn socketio(server: &Server, person: &Person) -> Self {
        let mut raw = Raw::connect_narrowly(server.address).await;
        raw.upgrades("/socket.io/?EIO=4&transport=websocket", &[]).await;
        raw.text().await;
        raw.says(&format!("40/chat,{{\"token\":\"{}\",\"catchUp\":false}}", person.token)).await;
        raw.hears("40/chat,").await;
        Self::SocketIo(raw)
    }

    async fn plain(server: &Server, person: &Person) -> Self {
        let mut raw = Raw::connect_narrowly(server.address).await;
        let head = raw.upgrades(&format!("/ws?token={}&catchUp=false", person.token), &[]).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self::Plain(raw)
    }

    async fn asks(&mut self, id: usize, event: &str, data: Json) {
        match self {
            Self::SocketIo(raw) => raw.says(&format!("42/chat,{id}{}", json!([event, data]))).await,
            Self::Plain(raw) => {
                raw.says(&json!({ "event": event, "id": id, "data": data }).to_string()).await
            }
        }
    }

    /// Reads up to the answer with this id, however long that takes; the answer's bytes.
    async fn reads_answer(&mut self, id: usize) -> usize {
        let (Self::SocketIo(raw) | Self::Plain(raw)) = self;
        let (engine, plain) = (format!("43/chat,{id}["), format!("{{\"reply\":{id},"));
        loop {
            match raw.next().await {
                Some(Frame::Text(text)) if text.starts_with(&engine) || text.starts_with(&plain) => {
                    return text.len();
                }
                Some(Frame::Text(_)) => {}
                other => panic!("instead of answer {id}: {other:?}"),
            }
        }
    }
}

/// Asks for much and reads nothing; afterwards everything is there, in order.
async fn asks_for_much(server: &Server, mut slow: Slow, name: &str, witness: &crate::harness::Socket) {
    const ASKED: usize = 12;
    for id in 1..=ASKED {
        slow.asks(id, "history", json!({ "receiver": name, "group": false, "limit": 200 })).await;
    }
    slow.asks(ASKED + 1, "privateMessage", json!({ "receiver": "witness", "content": "behind" })).await;
    until("more than half to wait", || async { waiting(server) > OUTGOING / 2 }).await;
    // Whatever the machine does: what comes behind is not handled while nothing is read.
    witness.sees_nothing("response", Duration::from_millis(500)).await;
    assert!(waiting(server) <= OUTGOING, "{}", waiting(server));
    for id in 1..=ASKED {
        let bytes = slow.reads_answer(id).await;
        assert!((PAGE * 3 / 4..PAGE + 1_000).contains(&bytes), "{bytes}");
        assert!(waiting(server) <= OUTGOING, "{}", waiting(server));
    }
    slow.reads_answer(ASKED + 1).await;
    witness.sees_message("behind").await;
    // To the byte: a wire that counts otherwise than it writes would drift.
    until("everything to be taken", || async { waiting(server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_socket_io_client_that_does_not_read_are_bounded_and_none_is_lost() {
    let server = Server::with(tight).await;
    talkative(&server, "ada", "ada", 60).await;
    let ada = Person::logs_in(&server, "ada").await;
    let witness = server.online("witness").await;
    asks_for_much(&server, Slow::socketio(&server, &ada).await, "ada", &witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_plain_client_that_does_not_read_are_bounded_and_none_is_lost() {
    let server = Server::with(tight).await;
    talkative(&server, "ada", "ada", 60).await;
    let ada = Person::logs_in(&server, "ada").await;
    let witness = server.online("witness").await;
    asks_for_much(&server, Slow::plain(&server, &ada).await, "ada", &witness).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_a_poller_that_does_not_poll_are_bounded_and_none_is_lost() {
    let server = Server::with(tight).await;
    let ada = talkative(&server, "ada", "ada", 60).await;
    let open = server.http.get("/socket.io/?EIO=4&transport=polling").await;
    let sid = handshake_of(&open.text)["sid"].as_str().unwrap().to_owned();
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let says = async |packets: String| {
        let post = server.http.request(http::Method::POST, &path).body(packets).send().await;
        assert_eq!(post.unwrap().status(), 200);
    };
    says(format!("40/chat,{{\"token\":\"{}\",\"catchUp\":false}}", ada.token)).await;
    // The packets of one poll.
    let polls = async || {
        let polled = server.http.get(&path).await;
        assert_eq!(polled.status, 200, "{}", polled.text);
        let packets: Vec<_> = polled.text.split('\u{1e}').map(str::to_owned).collect();
        if packets.iter().any(|packet| packet == "2") {
            says("3".to_owned()).await;
        }
        packets
    };
    while !polls().await.iter().any(|packet| packet.starts_with("40/chat,{")) {}
    let ask =
        |id| format!("42/chat,{id}[\"history\",{{\"receiver\":\"ada\",\"group\":false,\"limit\":200}}]");
    says((1..=12).map(ask).collect::<Vec<_>>().join("\u{1e}")).await;
    until("more than half to wait", || async { waiting(&server) > OUTGOING / 2 }).await;
    // Time for answers that must not be made yet; on a slow machine there are none either way.
    tokio::time::sleep(Duration::from_millis(500)).await;
    // A poll may bring several answers, so each is looked for in all of them.
    let mut answered = Vec::new();
    while answered.len() < 12 {
        assert!(waiting(&server) <= OUTGOING, "{}", waiting(&server));
        for packet in polls().await {
            if let Some(answer) = packet.strip_prefix("43/chat,") {
                let id: usize = answer.split('[').next().unwrap().parse().unwrap();
                answered.push(id);
            }
        }
    }
    assert_eq!(answered, (1..=12).collect::<Vec<_>>());
    until("everything to be taken", || async { waiting(&server) == 0 }).await;
    // The session ends here; the server of a test waits for all connections when it stops.
    says("1".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_session_is_counted_to_the_byte() {
    let server = Server::with(tight).await;
    let ada = talkative(&server, "ada", "ada", 60).await;
    let socket = ada.connect_by(Transport::Upgraded).await;
    for _ in 0..20 {
        socket.asks("history", json!({ "receiver": "ada", "group": false })).await;
    }
    until("everything to be taken", || async { waiting(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_all_connections_the_one_with_the_most_bytes_is_closed_and_the_others_stay() {
    let server = Server::with(|config| {
        tight(config);
        config.limits.outgoing_bytes_total = OUTGOING;
    })
    .await;
    let ada = talkative(&server, "ada", "ada", 60).await;
    // Three times nearly two megabytes do not fit.
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut one = Slow::socketio(&server, &ada).await;
        for id in 1..=4 {
            one.asks(id, "history", json!({ "receiver": "ada", "group": false, "limit": 200 })).await;
        }
        slow.push(one);
    }
    let is_cut = || async { server.chat().gauges().connections < 3 };
    until("one to be closed", is_cut).await;
    until("the rest to fit", || async { waiting(&server) <= OUTGOING }).await;
    let mut answered = 0;
    for mut one in slow {
        let Slow::SocketIo(raw) = &mut one else { unreachable!() };
        while let Some(frame) = raw.next().await {
            if matches!(frame, Frame::Text(text) if text.starts_with("43/chat,4[")) {
                answered += 1;
                break;
            }
        }
    }
    assert!((1..=2).contains(&answered), "{answered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn much_that_was_missed_arrives_on_a_slow_link_without_a_disconnect() {
    const MISSED: i64 = 600;
    for is_plain in [false, true] {
        let server = Server::with(tight).await;
        let bob = server.person("bob").await;
        talkative(&server, "ada", "bob", MISSED as u32).await;
        let mut raw = Raw::connect_narrowly(server.address).await;
        if is_plain {
            raw.upgrades(&format!("/ws?token={}", bob.token), &[]).await;
        } else {
            raw.upgrades("/socket.io/?EIO=4&transport=websocket", &[]).await;
            raw.text().await;
            raw.joins(&bob.token).await;
        }
        // It takes a message at a time, and acknowledges none: nine times what may wait for it.
        let mut expected = 1;
        while expected <= MISSED {
            let text = raw.text().await;
            let Some(at) = text.find("\"seq\":") else { continue };
            let digits: String = text[at + 6..].chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(digits.parse::<i64>().unwrap(), expected, "{}", &text[..200.min(text.len())]);
            expected += 1;
            // Two pages at once, beside one that waits.
            assert!(waiting(&server) <= 3 * PAGE, "{}", waiting(&server));
        }
        until("everything to be taken", || async { waiting(&server) == 0 }).await;
    }
}

/// A masked ping of 125 bytes, many times.
fn pings(count: usize) -> Vec<u8> {
    let mut one = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    one.extend([b'a'; 125]);
    one.repeat(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_pong_is_not_read_either() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let paths = [
        "/socket.io/?EIO=4&transport=websocket".to_owned(),
        format!("/ws?token={}", ada.token),
        format!("/chat/{}?token={}", ada.id(), ada.token),
    ];
    for path in paths {
        let mut raw = Raw::connect_narrowly(server.address).await;
        raw.upgrades(&path, &[]).await;
        if path.starts_with("/socket.io") {
            raw.text().await;
        }
        // More than the kernels on both sides take together; a slow machine only makes it less.
        let flood = pings(400_000);
        let sent = raw.presses(&flood, Duration::from_secs(2)).await;
        assert!(sent < flood.len(), "{path}: all of it was taken");
        // Every ping that went out whole is answered when the client reads.
        let whole = sent / 131;
        for _ in 0..whole.min(1_000) {
            let frame = loop {
                match raw.any().await {
                    // It is not answered: an answer would come amid a ping that did not go out whole.
                    Some(Frame::Text(ping)) if ping == "2" => {}
                    frame => break frame,
                }
            };
            assert_eq!(frame, Some(Frame::Other(10)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_nobody_joins_are_bounded_for_an_address_and_over_all() {
    let server = Server::with(|config| {
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.limits.pending_connections = 5;
        config.limits.pending_connections_per_address = 2;
        config.limits.connect_timeout = Duration::from_secs(3);
    })
    .await;
    let opens = async |from: &str| {
        let request = server.http.request(http::Method::GET, "/socket.io/?EIO=4&transport=polling");
        let request = if from.is_empty() { request } else { request.header("x-forwarded-for", from) };
        let answer = request.send().await.unwrap();
        if answer.status() == 503 {
            assert_eq!(answer.headers()["retry-after"], "5");
        }
        answer.status().as_u16()
    };
    let pending = || server.chat().counts().pending_connections.now();
    assert_eq!([opens("2001:db8::1").await, opens("2001:db8::2").await], [200, 200]);
    assert_eq!(opens("2001:db8::3").await, 503, "one /64 is one address");
    let mut raw = Raw::connect(server.address).await;
    let path = "/socket.io/?EIO=4&transport=websocket";
    let head = raw.upgrades(path, &["X-Forwarded-For: 2001:db8::4"]).await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 5"), "{head}");
    // A proxy that names nobody may speak for anybody.
    assert_eq!([opens("").await, opens("").await, opens("").await], [200, 200, 200]);
    assert_eq!((opens("").await, opens("192.0.2.1").await), (503, 503));
    assert_eq!(pending(), 5);
    // They are given up in time, and then there is room again.
    until("the strangers to be given up", || async { pending() == 0 }).await;
    // Who has joined counts no more.
    for name in ["ada", "bob", "carl"] {
        let _socket =
            server.person(name).await.connecting().header("x-forwarded-for", "192.0.2.7").open().await;
        assert_eq!(pending(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledgements_that_do_not_come_take_no_tasks_and_late_ones_count() {
    let server = Server::with(|config| {
        at_full_speed(config);
        config.limits.unacknowledged = 500;
    })
    .await;
    let ada = server.online("ada").await;
    let bob = server.person("bob").await;
    let silent = bob.connecting().without_acknowledging().open().await;
    let other = Plain::connects_without_acknowledging(&bob, "").await;
    let before = server.chat().gauges().tasks;
    let mut last = Json::Null;
    for number in 1..=220 {
        last = ada.posts_to("bob", &format!("number {number}")).await;
    }
    silent.sees_message("number 220").await;
    other.sees_message("number 220").await;
    let gauges = server.chat().gauges();
    assert!(gauges.acknowledgements >= 440, "{gauges:?}");
    assert!(gauges.tasks <= before + 10, "{before} before, then {gauges:?}");
    // Later than anyone waits for it in turn, and still a receipt.
    tokio::time::sleep(Duration::from_millis(300)).await;
    silent.acknowledges_all();
    ada.sees_delivered(&last).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_trickles_is_disconnected() {
    let server = Server::start().await;
    let ada = talkative(&server, "ada", "ada", 60).await;
    // It reads a little now and then, so the kernel has no reason to give it up, and answers no ping.
    let mut raw = Raw::in_chat(server.address, &ada.token).await;
    for id in 1..=100 {
        let asked = json!(["history", { "receiver": "ada", "group": false, "limit": 200 }]);
        raw.says(&format!("42/chat,{id}{asked}")).await;
    }
    let ends = async {
        // Parts of a frame that is never complete.
        raw.send(&[0x81, 0xfe, 0x7f, 0xff, 0, 0, 0, 0]).await;
        while raw.sips(20_000, Duration::from_millis(500)).await.is_some() {
            raw.send(b"x").await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    };
    // 25 and 20 seconds.
    tokio::time::timeout(PATIENCE * 2, ends).await.expect("the end of the line");
    until("nothing to wait", || async { waiting(&server) == 0 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_for_a_front_end_that_does_not_page_ends_within_an_answer() {
    const SENT: u32 = 100;
    let server = Server::with(|config| {
        tight(config);
        config.dialects.angular = true;
    })
    .await;
    let bob = server.person("bob").await;
    talkative(&server, "ada", "bob", SENT).await;
    let answer = bob.get("/web/messages/ada/bob?group=no").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    // As many as fit: one more would exceed the bound.
    let bytes = answer.text.len();
    assert!((990_000 - 2 * LONG..=990_002).contains(&bytes), "{bytes}");
    let messages: Vec<Json> = serde_json::from_str(&answer.text).unwrap();
    let begins = |message: &Json, number: usize| message.to_string().contains(&format!("\"{number} xxx"));
    let oldest = SENT as usize - messages.len() + 1;
    assert!(begins(&messages[0], oldest), "the newest ones, oldest first");
    assert!(begins(&messages[messages.len() - 1], SENT as usize));
}
