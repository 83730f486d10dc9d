//! The three wires of the native form, all alike to who uses them: Socket.IO by websocket, Socket.IO by
//! polling, and the plain WebSocket. Nothing here panics or remembers: a wire works until it does not.

use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet, time::timeout};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// How long a server that does not answer is waited for before it is asked anew.
const PATIENCE: Duration = Duration::from_secs(4);
/// What separates packets in a polling payload.
const SEPARATOR: char = '\u{1e}';
/// What of the wire's own news may wait. Whoever does not listen makes the wire stop reading.
const NEWS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    WebSocket,
    Polling,
    Plain,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Polling => "polling",
            Self::Plain => "plain",
        }
    }
}

/// What came over a wire.
#[derive(Debug)]
pub enum Heard {
    Event {
        name: String,
        payload: Json,
        asks: Option<u64>,
    },
    Answer {
        id: u64,
        payload: Json,
    },
    /// It is over.
    End,
}

/// What is said on it.
enum Say {
    Text(String),
    Goodbye,
}

/// An open connection. Dropping it drops the line without a word.
pub struct Wire {
    kind: Kind,
    say: mpsc::UnboundedSender<Say>,
    news: mpsc::Receiver<String>,
    tasks: JoinSet<()>,
}

/// What a client says of itself when it connects.
pub struct Introduction<'a> {
    pub token: &'a str,
    pub since: Option<Json>,
    pub changes: Option<Json>,
    pub batched: bool,
    pub catch_up: bool,
}

impl Introduction<'_> {
    fn auth(&self) -> Json {
        let mut auth = json!({ "token": self.token, "catchUp": self.catch_up });
        if let Some(since) = &self.since {
            auth["since"] = since.clone();
        }
        if let Some(changes) = &self.changes {
            auth["changes"] = changes.clone();
        }
        if self.batched {
            auth["receipts"] = json!("batched");
        }
        auth
    }

    fn query(&self) -> String {
        let mut query = format!("token={}&catchUp={}", self.token, self.catch_up);
        for (name, value) in [("since", &self.since), ("changes", &self.changes)] {
            let Some(value) = value else { continue };
            let value = value.to_string();
            let value = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            query.push_str(&format!("&{name}={value}"));
        }
        if self.batched {
            query.push_str("&receipts=batched");
        }
        query
    }
}

impl Wire {
    /// Connects; none where the server is away, does not answer or refuses.
    pub async fn open(kind: Kind, address: SocketAddr, introduction: &Introduction<'_>) -> Option<Self> {
        timeout(PATIENCE, Self::try_open(kind, address, introduction)).await.ok()?
    }

    async fn try_open(kind: Kind, address: SocketAddr, introduction: &Introduction<'_>) -> Option<Self> {
        let (say, said) = mpsc::unbounded_channel();
        let (tell, news) = mpsc::channel(NEWS);
        let mut tasks = JoinSet::new();
        match kind {
            Kind::Plain => {
                let stream = websocket(address, &format!("/ws?{}", introduction.query())).await?;
                tasks.spawn(talk(stream, said, tell));
                return Some(Self { kind, say, news, tasks });
            }
            Kind::WebSocket => {
                let mut stream = websocket(address, "/socket.io/?EIO=4&transport=websocket").await?;
                // The handshake of the engine; nothing in it is needed.
                stream.next().await?.ok()?;
                tasks.spawn(talk(stream, said, tell));
            }
            Kind::Polling => {
                let polls = Polls::open(address).await?;
                let pongs = say.clone();
                tasks.spawn(async move {
                    // A request that fails in either direction ends the session.
                    tokio::select! {
                        () = polls.polls(pongs, tell) => {}
                        () = polls.posts(said) => {}
                    }
                });
            }
        }
        let mut wire = Self { kind, say, news, tasks };
        wire.says(format!("40/chat,{}", introduction.auth()));
        loop {
            let packet = wire.news.recv().await?;
            if packet.starts_with("40/chat,") {
                return Some(wire);
            }
            if packet.starts_with("44") {
                return None;
            }
        }
    }

    fn says(&self, text: String) {
        // Where it is over, its end is heard of.
        let _ = self.say.send(Say::Text(text));
    }

    /// Says an event that is answered under this id.
    pub fn event(&self, name: &str, payload: &Json, id: u64) {
        self.says(match self.kind {
            Kind::Plain => json!({ "event": name, "data": payload, "id": id }).to_string(),
            _ => format!("42/chat,{id}{}", json!([name, payload])),
        });
    }

    /// Acknowledges an event that asked for it.
    pub fn acknowledges(&self, id: u64) {
        let answer = json!({ "success": true });
        self.says(match self.kind {
            Kind::Plain => json!({ "reply": id, "data": answer }).to_string(),
            _ => format!("43/chat,{id}{}", json!([answer])),
        });
    }

    /// The next event or answer, or the end. Safe to be dropped while it waits.
    pub async fn hears(&mut self) -> Heard {
        while let Some(packet) = self.news.recv().await {
            let heard = match self.kind {
                Kind::Plain => frame(&packet),
                _ => packet_of_socketio(&packet),
            };
            if let Some(heard) = heard {
                return heard;
            }
        }
        Heard::End
    }

    /// Closes as a client does, if that works at once.
    pub async fn leaves(mut self) {
        let _ = self.say.send(Say::Goodbye);
        // What still comes is not wanted, and must not hold up the goodbye.
        self.news.close();
        let gone = async { while self.tasks.join_next().await.is_some() {} };
        drop(timeout(Duration::from_millis(200), gone).await);
    }
}

fn frame(text: &str) -> Option<Heard> {
    let mut frame: Json = serde_json::from_str(text).ok()?;
    let payload = frame["data"].take();
    if let Some(id) = frame["reply"].as_u64() {
        return Some(Heard::Answer { id, payload });
    }
    Some(Heard::Event { name: frame["event"].as_str()?.to_owned(), payload, asks: frame["id"].as_u64() })
}

fn packet_of_socketio(packet: &str) -> Option<Heard> {
    let (kind, rest) = packet.split_at_checked(2)?;
    if kind == "41" {
        return Some(Heard::End);
    }
    let rest = rest.strip_prefix("/chat,")?;
    let (id, json) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
    let mut arguments: Vec<Json> = serde_json::from_str(json).ok()?;
    match kind {
        "42" => {
            let payload = if arguments.len() > 1 { arguments.remove(1) } else { Json::Null };
            Some(Heard::Event { name: arguments[0].as_str()?.to_owned(), payload, asks: id.parse().ok() })
        }
        "43" => Some(Heard::Answer { id: id.parse().ok()?, payload: arguments.pop()? }),
        _ => None,
    }
}

async fn websocket(address: SocketAddr, path: &str) -> Option<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let url = format!("ws://{address}{path}");
    tokio_tungstenite::client_async(url, stream).await.ok().map(|(stream, _)| stream)
}

/// Carries texts both ways; the engine's pings are answered here. Reading waits for who listens, writing
/// goes on meanwhile.
async fn talk(
    stream: WebSocketStream<TcpStream>,
    mut said: mpsc::UnboundedReceiver<Say>,
    tell: mpsc::Sender<String>,
) {
    let (mut write, mut read) = stream.split();
    let (pong, mut pongs) = mpsc::channel(NEWS);
    let reading = async move {
        while let Some(Ok(message)) = read.next().await {
            let text = match message {
                Message::Text(text) => text,
                Message::Close(_) => return,
                _ => continue,
            };
            if text == "2" {
                let _ = pong.try_send(());
            } else if tell.send(text.as_str().to_owned()).await.is_err() {
                // Nobody listens any more; the goodbye may still be on its way.
                std::future::pending::<()>().await;
            }
        }
    };
    let writing = async move {
        loop {
            let text = tokio::select! {
                say = said.recv() => match say {
                    Some(Say::Text(text)) => text,
                    Some(Say::Goodbye) | None => {
                        let _ = write.close().await;
                        return;
                    }
                },
                Some(()) = pongs.recv() => "3".to_owned(),
            };
            if write.send(Message::text(text)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

/// A polling session.
struct Polls {
    client: reqwest::Client,
    url: String,
}

impl Polls {
    async fn open(address: SocketAddr) -> Option<Self> {
        // Every request on a line of its own: one that was cut must not be met again.
        let client = reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .tls_backend_preconfigured(no_tls())
            .build()
            .ok()?;
        let url = format!("http://{address}/socket.io/?EIO=4&transport=polling");
        let open = client.get(&url).send().await.ok()?.text().await.ok()?;
        let open: Json = serde_json::from_str(open.strip_prefix('0')?).ok()?;
        let url = format!("{url}&sid={}", open["sid"].as_str()?);
        Some(Self { client, url })
    }

    async fn polls(&self, say: mpsc::UnboundedSender<Say>, tell: mpsc::Sender<String>) {
        loop {
            let Ok(answer) = self.client.get(&self.url).send().await else { return };
            if !answer.status().is_success() {
                return;
            }
            let Ok(payload) = answer.text().await else { return };
            for packet in payload.split(SEPARATOR) {
                match packet {
                    "2" => drop(say.send(Say::Text("3".to_owned()))),
                    "1" => return,
                    _ => {
                        if tell.send(packet.to_owned()).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn posts(&self, mut said: mpsc::UnboundedReceiver<Say>) {
        let mut waiting = Vec::new();
        while said.recv_many(&mut waiting, 50).await > 0 {
            let leaves = waiting.iter().any(|say| matches!(say, Say::Goodbye));
            let packets = waiting.drain(..).map(|say| match say {
                Say::Text(text) => text,
                Say::Goodbye => "1".to_owned(),
            });
            // The longest bursts of the longest messages fit into what one request may hold.
            let payload = packets.collect::<Vec<_>>().join(&SEPARATOR.to_string());
            let Ok(answer) = self.client.post(&self.url).body(payload).send().await else { return };
            if leaves || !answer.status().is_success() {
                return;
            }
        }
    }
}

/// The client wants to know how it would do TLS, though nobody asks it to.
pub fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}
