//! What a workload works with: a server that is running, the people of its scene, and how they do what clients do.

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

/// Connections that are opened at the same time.
const OPENING: usize = 32;
/// What messages are filled up with, to be about as long as what people write.
pub const FILLER: &str = " is when this was sent, and the rest is about as long as what people write";

/// What was measured, by name.
pub type Figures = BTreeMap<&'static str, f64>;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// To see that it works.
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

/// To whom a message goes.
#[derive(Clone)]
pub struct Address {
    event: &'static str,
    receiver: Arc<str>,
}

/// Clients that are connected, and what they have been sent.
pub struct Crowd {
    pub clients: Vec<Client>,
    pub tally: Arc<Tally>,
    /// Whether senders are told when everyone has a message.
    pub told: bool,
}

impl Stage {
    /// Lets some of the scene's users connect, who belong to one room each.
    pub async fn connect(&self, users: Range<usize>, options: Options) -> Result<Crowd> {
        let mut options = options;
        if self.server.contender == Contender::Floor {
            options.receipts = Receipts::Silent;
        }
        let told = options.receipts != Receipts::Silent;
        let tally = Arc::new(Tally::default());
        let clients = self.connect_identities(self.identities(users)?, &options, &tally).await?;
        Ok(Crowd { clients, tally, told })
    }

    /// Some users with their tokens, so that nothing has to be signed while connecting is measured.
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

    /// Waits until the setup has been digested, and begins to measure.
    pub async fn begin(&self) -> Result<Span> {
        self.server.settles().await?;
        self.server.begin().await
    }

    pub async fn end(&self, span: Span) -> Result<Cost> {
        self.server.end(span).await
    }
}

impl Crowd {
    /// Announces messages that will reach so many each.
    pub fn expect(&self, messages: u64, listeners: u64) {
        self.tally.deliveries.expect(messages * listeners);
        if self.told {
            self.tally.statuses.expect(messages);
        }
    }

    /// Hangs up all; everyone must have got everything up to the same seq. From sending to delivery.
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

/// Sends messages with so many unanswered at a time; how long each answer took.
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

/// Sends messages at a fixed rate, by these clients in turn, whether answers come or not; how long each answer took.
pub async fn offer(
    clients: &[Client],
    to: &Address,
    per_second: u64,
    messages: u64,
    filler: &str,
) -> Result<Latencies> {
    let mut acks = Latencies::default();
    let mut flying = FuturesUnordered::new();
    let mut ticks = interval_at(Instant::now(), Duration::from_micros(1_000_000 / per_second));
    // A tick that comes late does not take a message off the offer.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut senders = clients.iter().cycle();
    let mut sent = 0;
    while sent < messages || !flying.is_empty() {
        tokio::select! {
            _ = ticks.tick(), if sent < messages => {
                let sender = senders.next().context("nobody to send")?;
                flying.push(send(sender, to, filler));
                sent += 1;
            }
            Some(took) = flying.next() => acks.add(took?),
        }
    }
    Ok(acks)
}

/// Sends one message now; resolves to how long its acknowledgement took.
pub fn send(client: &Client, to: &Address, filler: &str) -> impl Future<Output = Result<Duration>> + use<> {
    let Address { event, receiver } = to;
    let payload = format!(r#"{{"receiver":"{receiver}","content":"{}{filler}"}}"#, latency::now());
    let answer = client.send(event, payload);
    async move { Ok(answer.await.context("a message was not answered")?.took) }
}

/// The percentiles that are reported of both ways of a message.
pub fn latencies(figures: &mut Figures, mut acks: Latencies, mut deliveries: Latencies) {
    figures.insert("ack p50", acks.percentile(0.5));
    figures.insert("ack p99", acks.percentile(0.99));
    figures.insert("delivery p50", deliveries.percentile(0.5));
    figures.insert("delivery p99", deliveries.percentile(0.99));
}

/// What every workload reports of its cost besides its own figures.
pub fn shares(figures: &mut Figures, cost: &Cost, deliveries: u64) {
    figures.insert("wall rate", deliveries as f64 / cost.wall.as_secs_f64());
    figures
        .insert("load share", cost.load.as_secs_f64() / (cost.app + cost.database + cost.load).as_secs_f64());
}
