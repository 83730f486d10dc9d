//! HTTP long polling, as the stock client does it: on one connection a request for packets always waits, and on another
//! one the client posts what it says, one request at a time.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

const PATH: &str = "/socket.io/?EIO=4&transport=polling";
/// Between the packets of one body.
const SEPARATOR: char = '\u{1e}';

/// See the module. Dropping it closes both connections.
pub struct Polling {
    heard: mpsc::UnboundedReceiver<Result<Utf8Bytes>>,
    bodies: mpsc::UnboundedSender<String>,
    /// What the next flush sends.
    said: String,
}

impl Polling {
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let mut getting = Http::connect(address).await?;
        let open = getting.exchange("GET", PATH, "").await?;
        let (_, sid) = open.split_once("\"sid\":\"").context("no sid")?;
        let (sid, _) = sid.split_once('"').context("no sid")?;
        let path = format!("{PATH}&sid={sid}");
        let (tell, heard) = mpsc::unbounded_channel();
        let (bodies, to_post) = mpsc::unbounded_channel();
        let _ = tell.send(Ok(open.into()));
        tokio::spawn(get(getting, path.clone(), tell.clone()));
        tokio::spawn(post(Http::connect(address).await?, path, to_post, tell));
        Ok(Self { heard, bodies, said: String::new() })
    }

    pub async fn next(&mut self) -> Result<Utf8Bytes> {
        self.heard.recv().await.context("the server hung up")?
    }

    pub fn feed(&mut self, packet: &str) {
        add(&mut self.said, packet);
    }

    pub fn flush(&mut self) -> Result<()> {
        if self.said.is_empty() {
            return Ok(());
        }
        self.bodies.send(std::mem::take(&mut self.said)).context("posting has ended")
    }
}

fn add(body: &mut String, packets: &str) {
    if !body.is_empty() {
        body.push(SEPARATOR);
    }
    body.push_str(packets);
}

type Tell = mpsc::UnboundedSender<Result<Utf8Bytes>>;

async fn get(mut http: Http, path: String, tell: Tell) {
    loop {
        let body = tokio::select! {
            body = http.exchange("GET", &path, "") => body,
            () = tell.closed() => return,
        };
        match body {
            Ok(body) => {
                for packet in body.split(SEPARATOR) {
                    let _ = tell.send(Ok(packet.into()));
                }
            }
            Err(err) => {
                let _ = tell.send(Err(err.context("a poll")));
                return;
            }
        }
    }
}

async fn post(mut http: Http, path: String, mut bodies: mpsc::UnboundedReceiver<String>, tell: Tell) {
    while let Some(mut body) = bodies.recv().await {
        // What has been said during the last request goes together.
        while let Ok(more) = bodies.try_recv() {
            add(&mut body, &more);
        }
        if let Err(err) = http.exchange("POST", &path, &body).await {
            let _ = tell.send(Err(err.context("a post")));
            return;
        }
    }
}

/// One connection, one request at a time.
struct Http {
    stream: TcpStream,
    address: SocketAddr,
    input: Vec<u8>,
}

impl Http {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, address, input: Vec::new() })
    }

    /// Sends a request, and returns the body of the answer.
    async fn exchange(&mut self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\naccept: */*\r\n", self.address);
        if method == "POST" {
            let length = body.len();
            request += &format!("content-type: text/plain;charset=UTF-8\r\ncontent-length: {length}\r\n");
        }
        request += "\r\n";
        request += body;
        self.stream.write_all(request.as_bytes()).await?;
        let head = loop {
            if let Some(at) = memmem::find(&self.input, b"\r\n\r\n") {
                break at + 4;
            }
            self.read().await?;
        };
        let lines = std::str::from_utf8(&self.input[..head])?.to_ascii_lowercase();
        let length = lines.split_once("\r\ncontent-length:").and_then(|(_, rest)| rest.split_once("\r\n"));
        let (length, _) = length.with_context(|| format!("an answer without a length: {lines}"))?;
        let end = head + length.trim().parse::<usize>()?;
        while self.input.len() < end {
            self.read().await?;
        }
        let body = std::str::from_utf8(&self.input[head..end])?.to_owned();
        ensure!(lines.starts_with("http/1.1 200"), "refused: {lines}{body}");
        self.input.drain(..end);
        Ok(body)
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.input).await? == 0 {
            bail!("the server hung up");
        }
        Ok(())
    }
}
