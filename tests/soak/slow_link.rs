//! The slow-link part: 2,000 missed messages of 16 KiB over 200 KB/s, which takes nearly three minutes. Were all of it
//! handed over at once, no ping would be answered in time.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Database, Frame, Process, Raw};

/// Bytes a second that the link carries.
const LINK: f64 = 200_000.0;
const MISSED: i64 = 2_000;

/// Runs it over a Socket.IO and over a plain websocket. Panics where one of them is disconnected.
pub async fn run() {
    let database = Database::fresh().await;
    let full_speed = [
        ("PARLOR__LIMITS__EVENTS_BURST", "1000000"),
        ("PARLOR__LIMITS__EVENTS_PER_SECOND", "1000000"),
        ("RUST_LOG", "error,parlor::cli=info,parlor::app=info"),
    ];
    let process = Process::with(&database, &full_speed).await;
    let (ada, bob) = (process.person("ada").await, process.person("bob").await);
    let socket = ada.connect().await;
    for _ in 0..MISSED {
        socket.asks("privateMessage", json!({ "receiver": "bob", "content": "x".repeat(16_000) })).await;
    }
    socket.leaves();
    let mut engine = Raw::connect_narrowly(process.address).await;
    engine.upgrades("/socket.io/?EIO=4&transport=websocket", &[]).await;
    engine.text().await;
    engine.says(&format!("40/chat,{}", json!({ "token": bob.token, "since": {} }))).await;
    let mut plain = Raw::connect_narrowly(process.address).await;
    plain.upgrades(&format!("/ws?token={}", bob.token), &[]).await;
    tokio::join!(read_slowly("Socket.IO", engine), read_slowly("plain", plain));
    println!("slow link: {MISSED} messages by each of two websockets, no disconnect");
    drop(process);
    database.remove().await;
}

/// Reads all messages in order.
async fn read_slowly(wire: &str, mut raw: Raw) {
    let began = Instant::now();
    let (mut expected, mut bytes) = (1, 0);
    while expected <= MISSED {
        match raw.next().await {
            Some(Frame::Text(text)) => {
                bytes += text.len();
                if let Some(at) = text.find("\"seq\":") {
                    let digits: String = text[at + 6..].chars().take_while(char::is_ascii_digit).collect();
                    assert_eq!(digits.parse::<i64>().unwrap(), expected, "{}", &text[..200.min(text.len())]);
                    expected += 1;
                }
            }
            other => panic!("{wire}, instead of message {expected}: {other:?}"),
        }
        tokio::time::sleep_until(began + Duration::from_secs_f64(bytes as f64 / LINK)).await;
    }
}
