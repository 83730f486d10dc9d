//! A client: Engine.IO and Socket.IO packets over one [`Line`], in its own task. It checks everything with
//! as little work as possible: it looks for the few fields that it needs instead of decoding JSON. It answers
//! everything that has arrived together in one write, as a browser does.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::FutureExt;
use memchr::memmem;
use tokio::{
    sync::{mpsc, oneshot},
    time::Sleep,
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    latency::{self, Latencies},
    line::Line,
    tally::Tally,
};

/// How often a client with batched receipts reports its position.
const REPORTS: Duration = Duration::from_secs(1);
/// Maximum number of packets read before the answers to them are sent.
const AT_ONCE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipts {
    /// Acknowledges every delivery.
    Each,
    /// Reports its position once a second.
    Batched,
    /// Sends no receipts: the floor accepts none but acknowledgements.
    Silent,
}

/// How a client connects.
#[derive(Clone)]
pub struct Options {
    pub receipts: Receipts,
    /// The seq up to which it has the room's messages when it connects. The first delivery has the next seq.
    pub has: i64,
    /// Whether it asks for the messages after that.
    pub catches_up: bool,
    /// The newest change of the room that it has, if it asks for later ones.
    pub changes: Option<i64>,
    /// Whether it uses HTTP long polling instead of a WebSocket.
    pub polling: bool,
}

/// The user, and the only room that this client receives messages of.
#[derive(Clone)]
pub struct Identity {
    pub username: Arc<str>,
    pub room: Arc<str>,
    pub token: Arc<str>,
}

/// A connected client. Dropping it closes the connection.
pub struct Client {
    commands: mpsc::UnboundedSender<Command>,
}

enum Command {
    Send {
        event: &'static str,
        payload: String,
        answer: oneshot::Sender<Answer>,
    },
    /// Stops reading, and keeps the connection.
    Stall,
    Take(oneshot::Sender<Latencies>),
    Finish(oneshot::Sender<Story>),
}

/// An acknowledgement.
pub struct Answer {
    pub packet: Utf8Bytes,
    pub took: Duration,
}

/// What a client has received.
#[derive(Default)]
pub struct Story {
    /// The seq of the last delivery.
    pub has: i64,
    /// The number of the last change.
    pub change: i64,
    /// The times from sending to delivery.
    pub deliveries: Latencies,
}

impl Client {
    pub async fn connect(
        address: SocketAddr,
        identity: Identity,
        options: &Options,
        tally: Arc<Tally>,
    ) -> Result<Self> {
        let mut line = match options.polling {
            true => Line::over_polling(address).await?,
            false => Line::over_websocket(address).await?,
        };
        let open = line.next().await?;
        ensure!(open.starts_with("0{"), "not an open packet: {open}");
        line.feed(format!("40/chat,{}", auth(&identity, options))).await?;
        line.flush().await?;
        let answer = loop {
            let packet = line.next().await?;
            // The engine's ping may arrive this early.
            if &*packet != "2" {
                break packet;
            }
            line.feed("3".to_owned()).await?;
            line.flush().await?;
        };
        ensure!(answer.starts_with("40/chat,"), "refused: {answer}");
        let (commands, orders) = mpsc::unbounded_channel();
        let talk = Talk {
            line,
            identity,
            receipts: options.receipts,
            reported: options.has,
            report: None,
            tally,
            story: Story {
                has: options.has,
                change: options.changes.unwrap_or_default(),
                ..Story::default()
            },
            waiting: HashMap::new(),
            next_id: 0,
            stalled: false,
        };
        tokio::spawn(talk.run(orders));
        Ok(Self { commands })
    }

    /// Sends an event. Its acknowledgement arrives in the returned channel.
    pub fn send(&self, event: &'static str, payload: String) -> oneshot::Receiver<Answer> {
        let (answer, answered) = oneshot::channel();
        // If the client has ended, it has told the tally why.
        let _ = self.commands.send(Command::Send { event, payload, answer });
        answered
    }

    pub fn stall(&self) {
        let _ = self.commands.send(Command::Stall);
    }

    /// The delivery times up to now. Each is returned only once.
    pub async fn take(&self) -> Result<Latencies> {
        let (tell, told) = oneshot::channel();
        let _ = self.commands.send(Command::Take(tell));
        told.await.context("a client had ended before")
    }

    /// Closes the connection, and returns what the client has received.
    pub async fn finish(self) -> Result<Story> {
        let (tell, told) = oneshot::channel();
        let _ = self.commands.send(Command::Finish(tell));
        told.await.context("a client had ended before")
    }
}

fn auth(identity: &Identity, options: &Options) -> serde_json::Value {
    let mut auth = serde_json::json!({ "token": &*identity.token, "catchUp": options.catches_up });
    if options.receipts != Receipts::Each {
        auth["receipts"] = "batched".into();
    }
    if options.catches_up {
        auth["since"] = serde_json::json!({ &*identity.room: options.has });
    }
    if let Some(change) = options.changes {
        auth["changes"] = serde_json::json!({ &*identity.room: change });
    }
    auth
}

/// The task of a client.
struct Talk {
    line: Line,
    identity: Identity,
    receipts: Receipts,
    /// The last seq that was reported.
    reported: i64,
    /// When the next report is due.
    report: Option<std::pin::Pin<Box<Sleep>>>,
    tally: Arc<Tally>,
    story: Story,
    waiting: HashMap<u64, (Instant, oneshot::Sender<Answer>)>,
    next_id: u64,
    stalled: bool,
}

impl Talk {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Command>) {
        if let Err(err) = self.talk(&mut orders).await {
            self.tally.fail(format!("{}: {err:#}", self.identity.username));
        }
    }

    async fn talk(&mut self, orders: &mut mpsc::UnboundedReceiver<Command>) -> Result<()> {
        loop {
            let due = async {
                match &mut self.report {
                    Some(at) => at.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    None => return Ok(()),
                    Some(Command::Finish(tell)) => {
                        let _ = tell.send(std::mem::take(&mut self.story));
                        return Ok(());
                    }
                    Some(order) => self.obey(order).await?,
                },
                heard = self.line.next(), if !self.stalled => self.hear(heard?).await?,
                () = due => self.report().await?,
            }
            for _ in 0..AT_ONCE {
                match orders.try_recv() {
                    Ok(Command::Finish(tell)) => {
                        let _ = tell.send(std::mem::take(&mut self.story));
                        return Ok(());
                    }
                    Ok(order) => self.obey(order).await?,
                    Err(_) => break,
                }
            }
            for _ in 0..AT_ONCE {
                // Only what has already arrived. The waker of this poll is replaced by the next one.
                match if self.stalled { None } else { self.line.next().now_or_never() } {
                    Some(heard) => self.hear(heard?).await?,
                    None => break,
                }
            }
            self.line.flush().await?;
        }
    }

    async fn say(&mut self, packet: String) -> Result<()> {
        self.line.feed(packet).await
    }

    async fn obey(&mut self, order: Command) -> Result<()> {
        match order {
            Command::Send { event, payload, answer } => {
                let id = self.next_id;
                self.next_id += 1;
                self.waiting.insert(id, (Instant::now(), answer));
                self.say(format!("42/chat,{id}[\"{event}\",{payload}]")).await
            }
            Command::Stall => {
                self.stalled = true;
                Ok(())
            }
            Command::Take(tell) => {
                let _ = tell.send(std::mem::take(&mut self.story.deliveries));
                Ok(())
            }
            Command::Finish(_) => Ok(()),
        }
    }

    async fn hear(&mut self, packet: Utf8Bytes) -> Result<()> {
        if &*packet == "2" {
            return self.say("3".to_owned()).await;
        }
        if let Some(event) = packet.strip_prefix("42/chat,") {
            return self.event(event).await;
        }
        let Some(answer) = packet.strip_prefix("43/chat,") else { bail!("a strange packet: {packet}") };
        let (id, answer) = split_id(answer);
        ensure!(answer.starts_with("[{\"success\":true"), "a refusal: {packet}");
        let waiting = id.parse().ok().and_then(|id: u64| self.waiting.remove(&id));
        let (sent, tell) = waiting.with_context(|| format!("nobody asked for {packet}"))?;
        let _ = tell.send(Answer { took: sent.elapsed(), packet });
        Ok(())
    }

    async fn event(&mut self, event: &str) -> Result<()> {
        let (id, event) = split_id(event);
        if event.starts_with("[\"response\",") {
            self.delivery(event)?;
            return self.acknowledge(id).await;
        }
        if event.starts_with("[\"messageChanged\",") {
            return self.change(event);
        }
        if event.starts_with("[\"updateDeliveryStatusOnConnection\",") {
            ensure!(has(event, "\"deliveredToAll\":true"), "a status that says nothing: {event}");
            self.tally.statuses.one_more();
        }
        // Presence events and the like. They are part of the work, but there is nothing to check.
        Ok(())
    }

    /// Checks that it is the next message of the room, and that it is complete.
    fn delivery(&mut self, event: &str) -> Result<()> {
        let seq = field(event, "\"seq\":").and_then(leading_number).context("no seq")?;
        let next = self.story.has + 1;
        ensure!(i64::try_from(seq) == Ok(next), "seq {seq} where {next} should be: {event}");
        ensure!(has(event, &self.identity.room), "a message of another room: {event}");
        let content = field(event, "\"content\":\"").context("no content")?;
        if let Some(sent) = leading_number(content) {
            let took = latency::now().checked_sub(sent).context("a message from the future")?;
            self.story.deliveries.add(Duration::from_nanos(took));
        }
        self.story.has = next;
        self.tally.deliveries.one_more();
        Ok(())
    }

    /// Checks that it is a later change of the room, and that it has reactions.
    fn change(&mut self, event: &str) -> Result<()> {
        let number = field(event, "\"change\":").and_then(leading_number).context("no change")?;
        let number = i64::try_from(number)?;
        ensure!(number > self.story.change, "change {number} after {}: {event}", self.story.change);
        ensure!(has(event, &self.identity.room), "a change in another room: {event}");
        ensure!(has(event, "\"reactions\":[{\"key\":\"+1\""), "a change without a reaction: {event}");
        self.story.change = number;
        self.tally.changes.one_more();
        Ok(())
    }

    async fn acknowledge(&mut self, id: &str) -> Result<()> {
        match self.receipts {
            Receipts::Each => {
                ensure!(!id.is_empty(), "a delivery that asks for no acknowledgement");
                let username = &self.identity.username;
                let answer = format!("43/chat,{id}[{{\"success\":true,\"receiver\":\"{username}\"}}]");
                self.say(answer).await
            }
            Receipts::Batched => {
                ensure!(id.is_empty(), "a delivery that asks for an acknowledgement");
                if self.report.is_none() {
                    self.report = Some(Box::pin(tokio::time::sleep(REPORTS)));
                }
                Ok(())
            }
            Receipts::Silent => Ok(()),
        }
    }

    async fn report(&mut self) -> Result<()> {
        self.report = None;
        if self.story.has > self.reported {
            self.reported = self.story.has;
            let (room, seq) = (&self.identity.room, self.reported);
            self.say(format!("42/chat,[\"delivered\",{{\"roomId\":\"{room}\",\"seq\":{seq}}}]")).await?;
        }
        Ok(())
    }
}

/// Splits `12["event"]` into `12` and the rest.
fn split_id(packet: &str) -> (&str, &str) {
    packet.split_at(packet.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(packet.len()))
}

fn has(text: &str, what: &str) -> bool {
    memmem::find(text.as_bytes(), what.as_bytes()).is_some()
}

/// The text after a field's name.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = memmem::find(text.as_bytes(), name.as_bytes())?;
    text.get(at + name.len()..)
}

fn leading_number(text: &str) -> Option<u64> {
    split_id(text).0.parse().ok()
}
