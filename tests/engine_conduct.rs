//! Conduct after the Engine.IO protocol, revision 4: sessions, transports, the upgrade, the end.

use std::time::{Duration, Instant};

use crate::harness::{Answer, Door, Frame, PATIENCE, Person, Raw, Server, Transport, handshake_of};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// A polling session, one request at a time.
struct Polling {
    door: Door,
    sid: String,
    path: String,
}

impl Polling {
    async fn open(door: &Door) -> Self {
        let answer = door.http.get("/socket.io/?EIO=4&transport=polling").await;
        Self::of(door, handshake_of(&answer.text)["sid"].as_str().unwrap())
    }

    fn of(door: &Door, sid: &str) -> Self {
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        Self { door: door.clone(), path, sid: sid.to_owned() }
    }

    /// In `/chat`, as this person.
    async fn in_chat(person: &Person) -> Self {
        let session = Self::open(&person.door).await;
        session.says(&format!("40/chat,{{\"token\":\"{}\"}}", person.token)).await;
        session.hears("40/chat,").await;
        session
    }

    async fn get(&self) -> Answer {
        self.door.http.get(&self.path).await
    }

    async fn post(&self, payload: impl Into<reqwest::Body>) -> Answer {
        Answer::to(self.door.http.request(http::Method::POST, &self.path).body(payload)).await
    }

    async fn says(&self, payload: &str) {
        let answer = self.post(payload.to_owned()).await;
        assert_eq!((answer.status, &*answer.text), (200, "ok"));
    }

    /// Polls until a packet begins like this.
    async fn hears(&self, beginning: &str) -> String {
        loop {
            let answer = self.get().await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            if let Some(packet) = answer.text.split('\u{1e}').find(|packet| packet.starts_with(beginning)) {
                return packet.to_owned();
            }
        }
    }

    async fn is_over(&self) {
        crate::harness::until("the session to be over", || async { self.get().await.status == 400 }).await;
        assert_eq!(self.post("40/chat,{}").await.status, 400);
    }

    async fn websocket(&self) -> Raw {
        let mut line = Raw::connect(self.door.address).await;
        let head = line.upgrades(&format!("{WEBSOCKET}&sid={}", self.sid), &[]).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        line
    }
}

const LIST: &str = "42/chat,7[\"listRooms\",{}]";
const LISTED: &str = "43/chat,7[{\"success\":true,\"response\":[]}]";

#[tokio::test(flavor = "multi_thread")]
async fn polling_says_and_hears() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    session.says(LIST).await;
    assert_eq!(session.hears("43").await, LISTED);
    session.says("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_poll_is_text_and_never_cached() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    let posted = session.post(LIST).await;
    assert_eq!((posted.text.as_str(), posted.header("cache-control")), ("ok", "no-store"));
    let polled = session.get().await;
    assert_eq!(polled.header("content-type"), "text/plain; charset=UTF-8");
    assert_eq!(polled.header("cache-control"), "no-store");
    session.says("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payload_may_hold_many_packets() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    let packets: Vec<String> = (0..5).map(|id| format!("42/chat,{id}[\"listRooms\",{{}}]")).collect();
    session.says(&packets.join("\u{1e}")).await;
    for id in 0..5 {
        session.says(&format!("42/chat,1{id}[\"listRooms\",{{}}]")).await;
    }
    let mut heard = Vec::new();
    while heard.len() < 10 {
        let payload = session.get().await.text;
        heard.extend(payload.split('\u{1e}').filter(|packet| packet.starts_with("43")).map(str::to_owned));
    }
    let ids: Vec<&str> =
        heard.iter().map(|packet| &packet["43/chat,".len()..packet.find('[').unwrap()]).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "10", "11", "12", "13", "14"]);
    session.says("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_waits_until_there_is_something_to_say() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    let (heard, ()) = tokio::join!(session.get(), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        session.says(LIST).await;
    });
    assert_eq!(heard.text, LISTED);
    session.says("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_the_client_aborts_ends_the_session_at_once() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let session = Polling::in_chat(&ada).await;
    // A poll that is answered in this time was not aborted.
    while tokio::time::timeout(Duration::from_millis(100), session.get()).await.is_ok() {}
    server.is_deserted().await;
    session.is_over().await;
    // The same while the client tries a websocket.
    for probes in [false, true] {
        let session = Polling::in_chat(&ada).await;
        let mut line = session.websocket().await;
        if probes {
            line.says("2probe").await;
            assert_eq!(line.text().await, "3probe");
        }
        // A poll in this time ends by itself after a tenth of a second.
        while tokio::time::timeout(Duration::from_millis(50), session.get()).await.is_ok() {}
        server.is_deserted().await;
        session.is_over().await;
    }
    // An upgraded session has no poll any more that may end it.
    let upgraded = ada.connecting().by(Transport::Upgraded).open().await;
    drop(tokio::time::timeout(Duration::from_millis(100), Polling::of(&ada.door, &upgraded.sid).get()).await);
    upgraded.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_polls_at_once_end_the_session() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    let (first, second) = tokio::join!(session.get(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        session.get().await
    });
    assert_eq!(second.status, 400, "{}", second.text);
    assert!(first.status == 400 || first.text == "1", "{} {}", first.status, first.text);
    session.is_over().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_packet_by_polling_ends_the_session_and_its_poll() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    bob.sees_online("ada", true).await;
    let (polled, ()) = tokio::join!(session.get(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        session.says("1").await;
    });
    assert!(polled.text == "6" || polled.text == "1" || polled.status == 400, "{}", polled.text);
    session.is_over().await;
    assert_eq!(server.chat().gauges().connections, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_packet_by_websocket_ends_the_session() {
    let server = Server::start().await;
    let mut ada = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    ada.says("1").await;
    ada.closes().await;
    server.is_deserted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_line_ends_the_session() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut polite = Raw::in_chat(server.address, &ada.token).await;
    polite.frame(0x88, &1000u16.to_be_bytes()).await;
    polite.closes().await;
    drop(Raw::in_chat(server.address, &ada.token).await);
    server.is_deserted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_upgraded_with_messages_before_and_after() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    session.says("42/chat,1[\"listRooms\",{}]").await;
    session.hears("43/chat,1").await;

    let mut line = session.websocket().await;
    line.says("2probe").await;
    assert_eq!(line.text().await, "3probe");
    // Said while upgrading, on the old transport; the answer may come on the new one.
    session.says("42/chat,2[\"listRooms\",{}]").await;
    let released = session.get().await;
    assert_eq!(released.status, 200, "{}", released.text);
    line.says("5").await;
    if !released.text.contains("43/chat,2") {
        assert_eq!(released.text, "6", "a poll that waits is let go by a noop");
        line.hears("43/chat,2").await;
    }
    line.says("42/chat,3[\"listRooms\",{}]").await;
    assert_eq!(line.hears("43").await, "43/chat,3[{\"success\":true,\"response\":[]}]");

    let polled = session.get().await;
    assert_eq!(polled.status, 400, "{}", polled.text);
    session.is_over().await;
    line.says(LIST).await;
    assert_eq!(line.hears("43").await, LISTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_upgrading() {
    let server = Server::start().await;
    let bob = server.online("bob").await;
    let ada = server.person("ada").await;
    let session = Polling::in_chat(&ada).await;
    let mut line = session.websocket().await;
    line.says("2probe").await;
    assert_eq!(line.text().await, "3probe");
    // Nobody polls: these wait in the session.
    bob.posts_many_to("ada", 1..=30).await;
    line.says("5").await;
    for number in 1..=30 {
        let packet = line.hears("42/chat,").await;
        let packet = if packet.contains("onlineStatus") { line.hears("42/chat,").await } else { packet };
        assert!(packet.contains(&format!("\"seq\":{number},")), "{number}: {packet}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_none_does_not_take_the_session_over() {
    let server = Server::start().await;
    let session = Polling::in_chat(&server.person("ada").await).await;
    let mut line = session.websocket().await;
    line.says(LIST).await;
    line.says("5").await;
    let heard = line.closes().await;
    assert!(heard.iter().all(|frame| matches!(frame, Frame::Close(_))), "{heard:?}");
    session.says(LIST).await;
    assert_eq!(session.hears("43").await, LISTED);
    session.says("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn polls_at_any_moment_of_an_upgrade_never_end_the_session() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for _ in 0..40 {
        let session = Polling::in_chat(&ada).await;
        let mut line = session.websocket().await;
        let polling = async {
            // A client that breaks the protocol: it polls on.
            while session.get().await.status == 200 {}
        };
        let upgrading = async {
            line.says("2probe").await;
            assert_eq!(line.text().await, "3probe");
            line.says("5").await;
            line.says(LIST).await;
            assert_eq!(line.hears("43").await, LISTED);
        };
        tokio::join!(polling, upgrading);
        line.says(LIST).await;
        assert_eq!(line.hears("43").await, LISTED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_before_the_answer_to_its_handshake_is_heard() {
    let server = Server::start().await;
    let mut line = Raw::connect(server.address).await;
    let key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket";
    let request = format!("GET {WEBSOCKET} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n{key}\r\n\r\n");
    // A frame without the mask's effect, and the beginning of another.
    let frames = b"\x81\x88\0\0\0\x0040/none,\x81\x88\0";
    line.send(&[request.as_bytes(), frames].concat()).await;
    assert!(line.head().await.starts_with("HTTP/1.1 101 "));
    assert!(line.text().await.starts_with('0'));
    assert_eq!(line.text().await, "44/none,{\"message\":\"Invalid namespace\"}");
    line.send(b"\0\0\x0040/nine,").await;
    assert_eq!(line.text().await, "44/nine,{\"message\":\"Invalid namespace\"}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_cannot_be_taken_over_by_a_second_websocket() {
    let server = Server::start().await;
    let (mut first, open) = Raw::websocket(server.address).await;
    first.joins(&server.person("ada").await.token).await;
    let sid = handshake_of(&open)["sid"].as_str().unwrap().to_owned();
    let mut second = Raw::connect(server.address).await;
    let head = second.upgrades(&format!("{WEBSOCKET}&sid={sid}"), &[]).await;
    if head.starts_with("HTTP/1.1 101 ") {
        second.says("2probe").await;
        let heard = second.closes().await;
        assert!(!heard.contains(&Frame::Text("3probe".to_owned())), "{heard:?}");
    } else {
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    }
    first.says(LIST).await;
    assert_eq!(first.hears("43").await, LISTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_for_an_unknown_session_is_refused() {
    let server = Server::start().await;
    let mut line = Raw::connect(server.address).await;
    let head = line.upgrades(&format!("{WEBSOCKET}&sid=AAAAAAAAAAAAAAAA"), &[]).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_a_websocket_is_not_polled() {
    let server = Server::start().await;
    let (mut line, open) = Raw::websocket(server.address).await;
    line.joins(&server.person("ada").await.token).await;
    let sid = handshake_of(&open)["sid"].as_str().unwrap().to_owned();
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    assert_eq!(server.http.get(&path).await.status, 400);
    let post = server.http.request(http::Method::POST, &path).body(LIST);
    assert_eq!(Answer::to(post).await.status, 400);
    line.says(LIST).await;
    line.hears("43").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_packet_is_refused_or_ends_the_session_and_nothing_else() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    for packet in ["abc", "", "7", "9", "\u{1e}", "é", "💥", "0{}", "b", "b!!!", "-1", " 4"] {
        let mut line = Raw::in_chat(server.address, &ada.token).await;
        line.says(packet).await;
        line.says(LIST).await;
        closed_or_alive(&mut line, packet).await;

        let session = Polling::in_chat(&ada).await;
        let answer = session.post(packet.to_owned()).await;
        assert!(matches!(answer.status, 200 | 400), "{packet:?}: {} {}", answer.status, answer.text);
        let _ = session.post("1").await;
    }
    bob.is_alive().await;
}

/// Sent a question before: either it was answered, or the line was closed.
async fn closed_or_alive(line: &mut Raw, told: &str) {
    loop {
        match line.next().await {
            None | Some(Frame::Close(_)) => return,
            Some(Frame::Text(text)) if text.starts_with("43/chat,7[") => return,
            Some(Frame::Text(_) | Frame::Other(_)) => {}
            Some(frame) => panic!("{told:?}: {frame:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_frame_that_nobody_announced_ends_the_session_or_is_ignored() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    for payload in [&b""[..], b"\0", b"4", &[0xff; 1000]] {
        let mut line = Raw::in_chat(server.address, &ada.token).await;
        line.frame(0x82, payload).await;
        line.says(LIST).await;
        closed_or_alive(&mut line, "a binary frame").await;
    }
    let session = Polling::in_chat(&ada).await;
    let answer = session.post("bAQIDBA==").await;
    assert!(matches!(answer.status, 200 | 400));
    let _ = session.post("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf_8_ends_the_session() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let mut line = Raw::in_chat(server.address, &ada.token).await;
    line.frame(0x81, b"42/chat,7[\"listRooms\",\"\xff\xfe\"]").await;
    let heard = line.closes().await;
    assert!(
        !heard.iter().any(|frame| matches!(frame, Frame::Text(text) if text.starts_with("43"))),
        "{heard:?}"
    );

    let session = Polling::in_chat(&ada).await;
    let answer = session.post(&b"42/chat,7[\"listRooms\",\"\xff\xfe\"]"[..]).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let _ = session.post("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmasked_frame_ends_the_session() {
    let server = Server::start().await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    let mut frame = vec![0x81, LIST.len() as u8];
    frame.extend(LIST.as_bytes());
    line.send(&frame).await;
    let heard = line.closes().await;
    assert!(
        !heard.iter().any(|frame| matches!(frame, Frame::Text(text) if text.starts_with("43"))),
        "{heard:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_against_the_websocket_protocol_end_the_session() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let reserved_bit = 0xc1;
    let reserved_opcode = 0x83;
    let continuation_of_nothing = 0x80;
    let fragmented_ping = 0x09;
    for head in [reserved_bit, reserved_opcode, continuation_of_nothing, fragmented_ping] {
        let mut line = Raw::in_chat(server.address, &ada.token).await;
        line.frame(head, b"2").await;
        line.closes().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fragmented_message_is_one_message() {
    let server = Server::start().await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    let (first, rest) = LIST.as_bytes().split_at(5);
    line.frame(0x01, first).await;
    line.frame(0x00, b"").await;
    line.frame(0x89, b"are you there?").await;
    line.frame(0x80, rest).await;
    assert_eq!(line.next().await, Some(Frame::Other(10)), "a pong");
    assert_eq!(line.hears("43").await, LISTED);
}

/// A listRooms whose packet has so many bytes.
fn of_size(bytes: usize) -> String {
    let (start, end) = ("42/chat,7[\"listRooms\",{\"x\":\"", "\"}]");
    format!("{start}{}{end}", "x".repeat(bytes - start.len() - end.len() - 1) + "y")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_of_one_megabyte_passes_by_websocket_and_a_byte_more_does_not() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.online("bob").await;
    let mut line = Raw::in_chat(server.address, &ada.token).await;
    line.says(&of_size(1_000_000)).await;
    assert_eq!(line.hears("43").await, LISTED);

    line.says(&of_size(1_000_001)).await;
    let heard = line.closes().await;
    assert!(
        !heard.iter().any(|frame| matches!(frame, Frame::Text(text) if text.starts_with("43"))),
        "{heard:?}"
    );

    let mut line = Raw::in_chat(server.address, &ada.token).await;
    let packet = of_size(1_200_000);
    let mut parts = packet.as_bytes().chunks(300_000).enumerate().peekable();
    while let Some((number, part)) = parts.next() {
        let opcode = if number == 0 { 0x01 } else { 0x00 };
        let last = if parts.peek().is_none() { 0x80 } else { 0x00 };
        line.frame(opcode | last, part).await;
    }
    let heard = line.closes().await;
    assert!(
        !heard.iter().any(|frame| matches!(frame, Frame::Text(text) if text.starts_with("43"))),
        "{heard:?}"
    );
    bob.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_only_says_it_is_huge_is_not_waited_for() {
    let server = Server::start().await;
    let mut line = Raw::in_chat(server.address, &server.person("ada").await.token).await;
    let mut head = vec![0x81, 0xff];
    head.extend(u64::MAX.wrapping_shr(1).to_be_bytes());
    head.extend([0; 4]);
    line.send(&head).await;
    line.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_one_megabyte_passes_by_polling_and_a_byte_more_does_not() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let session = Polling::in_chat(&ada).await;
    session.says(&of_size(1_000_000)).await;
    assert_eq!(session.hears("43").await, LISTED);

    let answer = session.post(of_size(1_000_001)).await;
    assert!(matches!(answer.status, 400 | 413), "{} {}", answer.status, answer.text);
    let _ = session.post("1").await;

    // Without saying how long it is.
    let session = Polling::in_chat(&ada).await;
    let chunks = (0..12).map(|_| {
        let chunk = bytes::Bytes::from("x".repeat(100_000));
        Ok::<_, std::io::Error>(hyper::body::Frame::data(chunk))
    });
    let body = http_body_util::StreamBody::new(futures_util::stream::iter(chunks));
    let body = reqwest::Body::wrap(body);
    let answer = session.post(body).await;
    assert!(matches!(answer.status, 400 | 413), "{} {}", answer.status, answer.text);
    let _ = session.post("1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_joins_nothing_is_closed_in_time() {
    let server = Server::with(|config| config.limits.connect_timeout = Duration::from_secs(1)).await;
    let began = Instant::now();
    let (mut line, _) = Raw::websocket(server.address).await;
    let session = Polling::open(&server).await;
    let ada = server.online("ada").await;
    line.closes().await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    session.is_over().await;
    ada.is_alive().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_attempts_to_join_do_not_keep_a_connection_open() {
    let server = Server::with(|config| config.limits.connect_timeout = Duration::from_secs(1)).await;
    let (mut line, _) = Raw::websocket(server.address).await;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        line.says("40/chat,{\"token\":\"wrong\"}").await;
        match line.next().await {
            None | Some(Frame::Close(_)) => return,
            Some(Frame::Text(text)) if text == "1" => return,
            Some(Frame::Text(text)) => {
                assert!(text.starts_with("44/chat,{\"message\":\"token_invalid: "), "{text}")
            }
            Some(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it may guess for ever");
}
