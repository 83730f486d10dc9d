//! Engine.IO v4 sessions for correct clients: they send and receive packets and answer the heartbeat, on
//! every transport.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value as Json;
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{Answer, Http};

/// The separator of packets in a polling payload.
const SEPARATOR: char = '\u{1e}';

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    WebSocket,
    Polling,
    /// Starts with polling, and upgrades to a WebSocket before it sends anything.
    Upgraded,
}

/// Commands to the sending half of a session.
pub enum Command {
    Send(String),
    /// Disconnects without a close packet.
    Vanish,
}

/// An open session. Dropping `commands` closes it as a client does.
pub struct Engine {
    pub sid: String,
    pub commands: mpsc::UnboundedSender<Command>,
    pub packets: mpsc::UnboundedReceiver<String>,
    /// Whether packets are read. While they are not, they accumulate on the server's side.
    pub reading: watch::Sender<bool>,
}

type Line = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The JSON of an Engine.IO open packet.
pub fn handshake_of(packet: &str) -> Json {
    let json = packet.strip_prefix('0').unwrap_or_else(|| panic!("not an open packet: {packet:?}"));
    serde_json::from_str(json).unwrap_or_else(|err| panic!("{err} in {packet:?}"))
}

fn sid_of(packet: &str) -> String {
    handshake_of(packet)["sid"].as_str().expect("a sid").to_owned()
}

pub async fn open(
    address: SocketAddr,
    transport: Transport,
    query: &str,
    headers: &[(String, String)],
) -> Engine {
    let path = |transport: &str| format!("/socket.io/?EIO=4&transport={transport}{query}");
    let (commands, orders) = mpsc::unbounded_channel();
    let (arrived, packets) = mpsc::unbounded_channel();
    let (reading, read) = watch::channel(true);
    let sid = match transport {
        Transport::WebSocket => {
            let mut line = websocket(address, &path("websocket"), headers).await;
            let open = next_text(&mut line).await.expect("an open packet");
            talk(line, orders, arrived, read);
            sid_of(&open)
        }
        Transport::Polling => {
            let polls = Polls::open(address, &path("polling"), headers).await;
            let sid = polls.sid.clone();
            polls.talk(orders, arrived, read);
            sid
        }
        Transport::Upgraded => {
            let sid = Polls::open(address, &path("polling"), headers).await.sid;
            let path = format!("/socket.io/?EIO=4&transport=websocket&sid={sid}");
            let mut line = websocket(address, &path, headers).await;
            line.send(Message::text("2probe")).await.unwrap();
            assert_eq!(next_text(&mut line).await.as_deref(), Some("3probe"));
            line.send(Message::text("5")).await.unwrap();
            talk(line, orders, arrived, read);
            sid
        }
    };
    Engine { sid, commands, packets, reading }
}

async fn websocket(address: SocketAddr, path: &str, headers: &[(String, String)]) -> Line {
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    }
    let (line, _) = tokio_tungstenite::connect_async(request).await.expect("a websocket");
    line
}

async fn next_text(line: &mut Line) -> Option<String> {
    loop {
        match line.next().await?.ok()? {
            Message::Text(text) => return Some(text.as_str().to_owned()),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

/// Waits until reading is switched on.
async fn wanted(reading: &mut watch::Receiver<bool>) {
    if reading.wait_for(|reading| *reading).await.is_err() {
        // Nobody can switch reading off any more.
    }
}

fn talk(
    mut line: Line,
    mut orders: mpsc::UnboundedReceiver<Command>,
    arrived: mpsc::UnboundedSender<String>,
    mut reading: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let packet = tokio::select! {
                order = orders.recv() => match order {
                    Some(Command::Send(packet)) => {
                        if line.send(Message::text(packet)).await.is_err() {
                            break;
                        }
                        continue;
                    }
                    Some(Command::Vanish) => return,
                    None => {
                        let _ = line.close(None).await;
                        break;
                    }
                },
                packet = async {
                    wanted(&mut reading).await;
                    next_text(&mut line).await
                } => packet,
            };
            match packet.as_deref() {
                Some("2") => {
                    if line.send(Message::text("3")).await.is_err() {
                        break;
                    }
                }
                Some("6") => {}
                None | Some("1") => break,
                Some(packet) => {
                    let _ = arrived.send(packet.to_owned());
                }
            }
        }
    })
}

/// A polling session.
#[derive(Clone)]
struct Polls {
    http: Http,
    path: String,
    headers: HeaderMap,
    sid: String,
}

impl Polls {
    async fn open(address: SocketAddr, path: &str, headers: &[(String, String)]) -> Self {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        let http = Http::new(address);
        let open = Answer::to(http.request(http::Method::GET, path).headers(headers.clone())).await;
        assert_eq!(open.status, 200, "{}", open.text);
        let sid = sid_of(&open.text);
        let path = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
        Self { http, path, headers, sid }
    }

    /// The packets of one poll. None when the session has ended.
    async fn get(&self) -> Option<Vec<String>> {
        let request = self.http.request(http::Method::GET, &self.path).headers(self.headers.clone());
        let answer = request.send().await.ok()?;
        if answer.status() != http::StatusCode::OK {
            return None;
        }
        let payload = answer.text().await.ok()?;
        Some(payload.split(SEPARATOR).map(str::to_owned).collect())
    }

    async fn post(&self, packets: &[String]) -> bool {
        let payload = packets.join(&SEPARATOR.to_string());
        let request = self.http.request(http::Method::POST, &self.path).headers(self.headers.clone());
        request.body(payload).send().await.is_ok_and(|answer| answer.status() == http::StatusCode::OK)
    }

    fn talk(
        self,
        mut orders: mpsc::UnboundedReceiver<Command>,
        arrived: mpsc::UnboundedSender<String>,
        mut reading: watch::Receiver<bool>,
    ) {
        let polls = self.clone();
        let (pong, mut pongs) = mpsc::unbounded_channel();
        let reader = tokio::spawn(async move {
            'polling: loop {
                wanted(&mut reading).await;
                let Some(packets) = polls.get().await else { break };
                for packet in packets {
                    match &*packet {
                        "2" => {
                            let _ = pong.send(());
                        }
                        "6" => {}
                        "1" => break 'polling,
                        _ => {
                            let _ = arrived.send(packet);
                        }
                    }
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let mut batch = Vec::new();
                let order = tokio::select! {
                    order = orders.recv() => order,
                    Some(()) = pongs.recv() => Some(Command::Send("3".to_owned())),
                };
                match order {
                    Some(Command::Send(packet)) => batch.push(packet),
                    Some(Command::Vanish) => {
                        reader.abort();
                        return;
                    }
                    None => {
                        self.post(&["1".to_owned()]).await;
                        return;
                    }
                }
                let mut size = batch[0].len();
                // Sends all waiting packets in one request, as the real client does.
                while size < 500_000 && batch.len() < 100 {
                    match orders.try_recv() {
                        Ok(Command::Send(packet)) => {
                            size += packet.len();
                            batch.push(packet);
                        }
                        Ok(Command::Vanish) => {
                            reader.abort();
                            return;
                        }
                        Err(_) => break,
                    }
                }
                if !self.post(&batch).await {
                    reader.abort();
                    return;
                }
            }
        });
    }
}
