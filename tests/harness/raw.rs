//! A bare TCP connection, for what no correct client sends. It sends and receives bytes, and builds WebSocket
//! frames by hand.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::in_time;

const MASK: [u8; 4] = [0x1f, 0x2e, 0x3d, 0x4c];
/// The opcodes of a websocket's own pings and pongs.
const PING: u8 = 9;
const PONG: u8 = 10;

#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// The code of a close frame, if it has one.
    Close(Option<u16>),
    Other(u8),
}

pub struct Raw {
    line: TcpStream,
    /// Bytes that were read but not parsed yet.
    rest: Vec<u8>,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { line: TcpStream::connect(address).await.unwrap(), rest: Vec::new() }
    }

    /// A client whose receive buffer is very small.
    pub async fn connect_narrowly(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // With a much smaller buffer the sender waits for its timers, up to seconds for each segment.
        socket.set_recv_buffer_size(16_384).unwrap();
        Self { line: socket.connect(address).await.unwrap(), rest: Vec::new() }
    }

    /// Opens a WebSocket session, and returns it with its open packet.
    pub async fn websocket(address: SocketAddr) -> (Self, String) {
        let mut raw = Self::connect(address).await;
        let status = raw.upgrades("/socket.io/?EIO=4&transport=websocket", &[]).await;
        assert!(status.starts_with("HTTP/1.1 101 "), "{status}");
        let open = raw.text().await;
        (raw, open)
    }

    /// Requests a WebSocket, and returns the head of the answer.
    pub async fn upgrades(&mut self, path: &str, headers: &[&str]) -> String {
        let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        );
        self.send(request.as_bytes()).await;
        self.head().await
    }

    /// Sends without reading, until all is sent or the other side accepts nothing for `patience`. Returns the
    /// number of bytes that were sent.
    pub async fn presses(&mut self, bytes: &[u8], patience: Duration) -> usize {
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match tokio::time::timeout(patience, self.line.write(rest)).await {
                Ok(Ok(length)) => sent += length,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        sent
    }

    /// Reads at most `most` bytes, and waits for them at most `patience`. None at the end of the TCP
    /// connection.
    pub async fn sips(&mut self, most: usize, patience: Duration) -> Option<usize> {
        let mut buffer = vec![0; most];
        match tokio::time::timeout(patience, self.line.read(&mut buffer)).await {
            Err(_) => Some(0),
            Ok(Ok(length)) if length > 0 => Some(length),
            Ok(_) => None,
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        // The other side may have disconnected already. The test finds that out.
        let _ = self.line.write_all(bytes).await;
    }

    /// Closes the sending direction.
    pub async fn hangs_up(&mut self) {
        let _ = self.line.shutdown().await;
    }

    /// Reads until the other side closes the connection, and returns everything.
    pub async fn everything(&mut self) -> String {
        in_time("the end of the line", async { while self.more().await {} }).await;
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }

    /// Reads up to the empty line.
    pub async fn head(&mut self) -> String {
        in_time("the head of an answer", async {
            loop {
                if let Some(end) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                    let head: Vec<u8> = self.rest.drain(..end + 4).collect();
                    return String::from_utf8(head).unwrap();
                }
                assert!(self.more().await, "hung up instead of an answer");
            }
        })
        .await
    }

    /// Reads an answer with a content length: its head and its body.
    pub async fn answer(&mut self) -> (String, String) {
        let head = self.head().await;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.unwrap_or_else(|| panic!("no length: {head}")).parse().unwrap();
        let body = in_time("the body of an answer", self.exactly(length)).await.expect("the whole body");
        (head, String::from_utf8(body).unwrap())
    }

    async fn more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.line.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.rest.extend_from_slice(&buffer[..length]);
                true
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.rest.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.rest.drain(..length).collect())
    }

    /// Sends one websocket frame; `head` is its first byte.
    pub async fn frame(&mut self, head: u8, payload: &[u8]) {
        let mut frame = vec![head];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length @ 126..65536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.send(&frame).await;
    }

    pub async fn says(&mut self, packet: &str) {
        self.frame(0x81, packet.as_bytes()).await;
    }

    /// The next frame that is not a ping. Pings, of the engine and of the websocket, are answered: a client
    /// that reads for longer than the ping timeout would otherwise be disconnected. None at the end of the
    /// TCP connection.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.any().await {
                Some(Frame::Text(text)) if text == "2" => self.says("3").await,
                Some(Frame::Other(PING)) => self.frame(0x80 | PONG, b"").await,
                frame => return frame,
            }
        }
    }

    /// The next frame, pings included. They are not answered.
    pub async fn any(&mut self) -> Option<Frame> {
        in_time("a frame", async {
            let head = self.exactly(2).await?;
            assert_eq!(head[1] & 0x80, 0, "a server does not mask");
            let length = match head[1] & 0x7f {
                126 => u16::from_be_bytes(self.exactly(2).await?.try_into().ok()?) as usize,
                127 => u64::from_be_bytes(self.exactly(8).await?.try_into().ok()?) as usize,
                length => length as usize,
            };
            let payload = self.exactly(length).await?;
            Some(match head[0] & 0xf {
                1 => Frame::Text(String::from_utf8(payload).unwrap()),
                2 => Frame::Binary(payload),
                8 => Frame::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
                other => Frame::Other(other),
            })
        })
        .await
    }

    /// The next frame, which must be a text frame.
    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Frame::Text(text)) => text,
            other => panic!("not a text frame: {other:?}"),
        }
    }

    /// Reads packets until one starts with this text.
    pub async fn hears(&mut self, beginning: &str) -> String {
        loop {
            let packet = self.text().await;
            if packet.starts_with(beginning) {
                return packet;
            }
        }
    }

    /// A session that has joined `/chat` with this token.
    pub async fn in_chat(address: SocketAddr, token: &str) -> Self {
        let (mut raw, _) = Self::websocket(address).await;
        raw.joins(token).await;
        raw
    }

    pub async fn joins(&mut self, token: &str) -> String {
        self.says(&format!("40/chat,{{\"token\":\"{token}\"}}")).await;
        self.hears("40/chat,").await
    }

    /// Waits until the other side has disconnected. Returns all frames before that.
    pub async fn closes(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}
