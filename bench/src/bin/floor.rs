//! The floor: speaks just enough Engine.IO and Socket.IO for the load generator. It writes a ready-made frame
//! to every socket for each message, counts acknowledgements, and stores nothing. So its cost is that of the kernel.
#![expect(clippy::disallowed_methods, reason = "a program of its own, which nobody drains")]

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Everything is under one lock, so that all sockets are written to in the same order.
#[derive(Default)]
struct Room {
    /// Those that acknowledge nothing.
    silent: Vec<Arc<TcpStream>>,
    acknowledging: Vec<Arc<TcpStream>>,
    seq: u64,
}

/// What is not acknowledged by everyone yet, by seq. Its lock is not the room's, which is held while a thousand sockets
/// are written to.
type Unacknowledged = Mutex<HashMap<u64, Waiting>>;

struct Waiting {
    missing: usize,
    sender: Arc<TcpStream>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    let chat = Arc::<(Mutex<Room>, Unacknowledged)>::default();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let chat = chat.clone();
        tokio::spawn(async move { serve(Arc::new(stream), &chat.0, &chat.1).await });
    }
}

async fn serve(stream: Arc<TcpStream>, room: &Mutex<Room>, waiting: &Unacknowledged) -> Result<()> {
    let mut input = Vec::new();
    while !input.ends_with(b"\r\n\r\n") {
        read(&stream, &mut input).await?;
    }
    let head = std::str::from_utf8(&input)?.to_ascii_lowercase();
    let at = head.find("sec-websocket-key:").context("no key")? + "sec-websocket-key:".len();
    let key = std::str::from_utf8(&input)?[at..].lines().next().unwrap_or_default().trim().to_owned();
    let accept = derive_accept_key(key.as_bytes());
    write(&stream, format!("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n\r\n").as_bytes())?;
    write(
        &stream,
        &frame(r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#),
    )?;
    input.clear();
    loop {
        read(&stream, &mut input).await?;
        let (mut to_all, mut to_sender): (Vec<String>, _) = (Vec::new(), Vec::new());
        let mut acknowledged = Vec::new();
        while let Some(packet) = take_frame(&mut input) {
            if packet.starts_with("40/chat,") {
                to_sender.extend(frame(r#"40/chat,{"sid":"s"}"#));
                let mut room = room.lock();
                let batched = packet.contains("\"receipts\":\"batched\"");
                let sockets = if batched { &mut room.silent } else { &mut room.acknowledging };
                sockets.push(stream.clone());
            } else if let Some(seq) = acknowledgement(&packet) {
                acknowledged.push(seq);
            } else if let Some((id, message)) = message(&packet) {
                to_all.push(message.to_owned());
                to_sender.extend(frame(&format!(r#"43/chat,{id}[{{"success":true}}]"#)));
            }
        }
        if !to_all.is_empty() {
            tell(&mut room.lock(), &to_all, &stream, waiting)?;
        }
        if !acknowledged.is_empty() {
            count(&mut waiting.lock(), &acknowledged)?;
        }
        write(&stream, &to_sender)?;
    }
}

fn tell(
    room: &mut Room,
    messages: &[String],
    sender: &Arc<TcpStream>,
    waiting: &Unacknowledged,
) -> Result<()> {
    let (mut silent, mut acknowledging) = (Vec::new(), Vec::new());
    for message in messages {
        room.seq += 1;
        let seq = room.seq;
        let event = format!(r#"["response",{{"response":{{"seq":{seq},"message":{message}}}}}]"#);
        if !room.silent.is_empty() {
            silent.extend(frame(&format!("42/chat,{event}")));
        }
        if !room.acknowledging.is_empty() {
            // A message's seq is the id of its acknowledgements, so that one frame does for all sockets.
            acknowledging.extend(frame(&format!("42/chat,{seq}{event}")));
            let entry = Waiting { missing: room.acknowledging.len(), sender: sender.clone() };
            waiting.lock().insert(seq, entry);
        }
    }
    room.silent.iter().try_for_each(|socket| write(socket, &silent))?;
    room.acknowledging.iter().try_for_each(|socket| write(socket, &acknowledging))
}

/// The sender hears of what has been acknowledged by everyone.
fn count(waiting: &mut HashMap<u64, Waiting>, acknowledged: &[u64]) -> Result<()> {
    for seq in acknowledged {
        let entry = waiting.get_mut(seq).context("an acknowledgement of nothing")?;
        entry.missing -= 1;
        if entry.missing == 0 {
            let told = r#"42/chat,["updateDeliveryStatusOnConnection",{"response":{"deliveredToAll":true}}]"#;
            write(&entry.sender, &frame(told))?;
            waiting.remove(seq);
        }
    }
    Ok(())
}

/// The id of `43/chat,7[{"success":true,…}]`.
fn acknowledgement(packet: &str) -> Option<u64> {
    packet.strip_prefix("43/chat,")?.split_once("[{\"success\":true")?.0.parse().ok()
}

/// The id and the payload of `42/chat,7["groupMessage",{…}]`.
fn message(packet: &str) -> Option<(&str, &str)> {
    let (id, rest) = packet.strip_prefix("42/chat,")?.split_once("[\"groupMessage\",")?;
    Some((id, rest.strip_suffix(']')?))
}

async fn read(stream: &TcpStream, input: &mut Vec<u8>) -> Result<()> {
    loop {
        stream.readable().await?;
        match stream.try_read_buf(input) {
            Ok(0) => bail!("hung up"),
            Ok(_) => return Ok(()),
            Err(err) if err.kind() == ErrorKind::WouldBlock => {}
            Err(err) => return Err(err.into()),
        }
    }
}

/// Writes all bytes or fails: buffering the rest would be more work than a floor does.
fn write(stream: &TcpStream, bytes: &[u8]) -> Result<()> {
    if !bytes.is_empty() && stream.try_write(bytes)? < bytes.len() {
        bail!("a socket is full");
    }
    Ok(())
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..126 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend(text.as_bytes());
    frame
}

/// The next complete frame of a client, unmasked.
fn take_frame(input: &mut Vec<u8>) -> Option<String> {
    let (head, length) = match input.get(1)? & 0x7f {
        126 => (4, u16::from_be_bytes([*input.get(2)?, *input.get(3)?]) as usize),
        length => (2, usize::from(length)),
    };
    let mask: [u8; 4] = input.get(head..head + 4)?.try_into().ok()?;
    let payload = input.get(head + 4..head + 4 + length)?;
    let text = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    input.drain(..head + 4 + length);
    String::from_utf8(text).ok()
}
