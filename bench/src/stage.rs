//! What a workload uses: a running server, the users of its scene, and what clients do.

use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream, stream::FuturesUnordered};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    client::{Client, Identity, Options, Receipts, Story},
    latency::{self, Latencies},
    scene::Scene,
    server::{Contender, Cost, Server, Span},
    tally::Tally,
    token,
};

/// Maximum number of connections that are being opened at the same time.
const OPENING: usize = 32;
/// Padding, so that messages are about as long as what people write.
pub const FILLER: &str = " is when this was sent, and the rest is about as long as what people write";

/// Measured figures by name.
pub type Figures = BTreeMap<&'static str, f64>;

/// The size of the workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Only checks that the workloads run.
    Tiny,
    Quick,
    Full,
}

impl Scale {
    pub fn of<T>(self, tiny: T, quick: T, full: T) -> T {
        match self {
            Self::Tiny => tiny,
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// See the module.
pub struct Stage {
    pub server: Server,
    pub scene: Scene,
    pub scale: Scale,
}

/// The receiver of a message.
#[derive(Clone)]
pub struct Address {
    event: &'static str,
    receiver: Arc<str>,
}

/// Connected clients, and what they have received.
pub struct Crowd {
    pub clients: Vec<Client>,
    pub tally: Arc<Tally>,
    /// Whether senders are notified when everyone has a message.
    pub told: bool,
}

impl Stage {
    /// Connects some of the scene's users, who belong to one room each.
    pub async fn connect(&self, users: Range<usize>, options: Options) -> Result<Crowd> {
        let mut options = options;
        if self.server.contender == Contender::Floor && options.receipts == Receipts::Batched {
            options.receipts = Receipts::Silent;
        }
        let told = options.receipts != Receipts::Silent;
        let tally = Arc::new(Tally::default());
        let clients = self.connect_identities(self.identities(users)?, &options, &tally).await?;
        Ok(Crowd { clients, tally, told })
    }

    /// Some users with their tokens, so that no token has to be signed while connecting is measured.
    pub fn identities(&self, users: Range<usize>) -> Result<Vec<Identity>> {
        let mut rooms = vec![None; self.scene.users.len()];
        for room in &self.scene.rooms {
            let id: Arc<str> = room.id.to_string().into();
            for member in &room.members {
                rooms[*member] = Some(id.clone());
            }
        }
        let identity = |at: usize| {
            let user = &self.scene.users[at];
            Ok(Identity {
                username: user.username.as_str().into(),
                room: rooms[at].clone().context("a user without a room")?,
                token: token::of(user)?.into(),
            })
        };
        users.map(identity).collect()
    }

    pub async fn connect_identities(
        &self,
        identities: Vec<Identity>,
        options: &Options,
        tally: &Arc<Tally>,
    ) -> Result<Vec<Client>> {
        let connecting = identities
            .into_iter()
            .map(|identity| Client::connect(self.server.address, identity, options, tally.clone()));
        stream::iter(connecting).buffered(OPENING).try_collect().await
    }

    pub fn room(&self, at: usize) -> Address {
        Address { event: "groupMessage", receiver: self.scene.rooms[at].id.to_string().into() }
    }

    pub fn user(&self, at: usize) -> Address {
        Address { event: "privateMessage", receiver: self.scene.users[at].username.as_str().into() }
    }

    /// Waits until the server has processed the setup, and starts to measure.
    pub async fn begin(&self) -> Result<Span> {
        self.server.settles().await?;
        self.server.begin().await
    }

    pub async fn end(&self, span: Span) -> Result<Cost> {
        self.server.end(span).await
    }
}

impl Crowd {
    /// Announces messages, and how many clients each will reach.
    pub fn expect(&self, messages: u64, listeners: u64) {
        self.tally.deliveries.expect(messages * listeners);
        if self.told {
            self.tally.statuses.expect(messages);
        }
    }

    /// Closes all connections, and returns the times from sending to delivery. Fails unless each client has
    /// received everything up to its last seq.
    pub async fn finish(self, last: impl Fn(usize) -> i64) -> Result<Latencies> {
        self.tally.check()?;
        let stories: Vec<Story> =
            stream::iter(self.clients.into_iter().map(Client::finish)).buffered(64).try_collect().await?;
        let mut deliveries = Latencies::default();
        for (at, story) in stories.into_iter().enumerate() {
            ensure!(story.has == last(at), "client {at} has got as far as {} of {}", story.has, last(at));
            deliveries.merge(story.deliveries);
        }
        Ok(deliveries)
    }
}

/// Sends messages with `in_flight` unanswered ones at a time. Returns how long each answer took.
pub async fn pump(client: &Client, to: &Address, messages: u64, in_flight: usize) -> Result<Latencies> {
    let mut took = Latencies::default();
    let mut flying = FuturesUnordered::new();
    for _ in 0..messages {
        if flying.len() == in_flight {
            took.add(next(&mut flying).await?);
        }
        flying.push(send(client, to, FILLER));
    }
    while !flying.is_empty() {
        took.add(next(&mut flying).await?);
    }
    Ok(took)
}

async fn next(flying: &mut FuturesUnordered<impl Future<Output = Result<Duration>>>) -> Result<Duration> {
    flying.next().await.context("nothing is under way")?
}

/// Clients that write into one room, for [`offer`].
pub fn writers<'a>(clients: &'a [Client], room: &Address) -> Vec<(&'a Client, Address)> {
    clients.iter().map(|client| (client, room.clone())).collect()
}

/// Sends messages at a fixed rate, from these clients in turn, even if answers are late. Returns how long
/// each answer took.
pub async fn offer(
    writers: &[(&Client, Address)],
    per_second: u64,
    messages: u64,
    filler: &str,
) -> Result<Latencies> {
    let mut acks = Latencies::default();
    let mut flying = FuturesUnordered::new();
    let mut ticks = interval_at(Instant::now(), Duration::from_micros(1_000_000 / per_second));
    // A late tick does not reduce the number of messages.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut turns = writers.iter().cycle();
    let mut sent = 0;
    while sent < messages || !flying.is_empty() {
        tokio::select! {
            _ = ticks.tick(), if sent < messages => {
                let (client, to) = turns.next().context("nobody to send")?;
                flying.push(send(client, to, filler));
                sent += 1;
            }
            Some(took) = flying.next() => acks.add(took?),
        }
    }
    Ok(acks)
}

/// Sends one message now. Resolves to the time until its acknowledgement.
pub fn send(client: &Client, to: &Address, filler: &str) -> impl Future<Output = Result<Duration>> + use<> {
    let Address { event, receiver } = to;
    let payload = format!(r#"{{"receiver":"{receiver}","content":"{}{filler}"}}"#, latency::now());
    let answer = client.send(event, payload);
    async move { Ok(answer.await.context("a message was not answered")?.took) }
}

/// Reports the percentiles of acknowledgements and of deliveries.
pub fn latencies(figures: &mut Figures, mut acks: Latencies, mut deliveries: Latencies) {
    figures.insert("ack p50", acks.percentile(0.5));
    figures.insert("ack p99", acks.percentile(0.99));
    figures.insert("delivery p50", deliveries.percentile(0.5));
    figures.insert("delivery p99", deliveries.percentile(0.99));
}

/// The cost figures that every workload reports besides its own figures.
pub fn shares(figures: &mut Figures, cost: &Cost, deliveries: u64) {
    figures.insert("wall rate", deliveries as f64 / cost.wall.as_secs_f64());
    figures
        .insert("load share", cost.load.as_secs_f64() / (cost.app + cost.database + cost.load).as_secs_f64());
}
