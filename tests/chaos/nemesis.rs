//! What is done to the server and to its database, blow after blow, while the devices go on.

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep},
};

#[path = "../harness/line.rs"]
mod cable;

use self::cable::{Carries, Line as Cable};
use crate::{
    bus::Bus,
    history::Saved,
    line::{Fault, Line},
    plan::{Blow, What},
    postgres::{Cluster, url_at},
    server::{Nodes, Server},
    stored,
    world::{World, crowd},
};

/// How often which blow has fallen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blows {
    pub kills: usize,
    terminations: usize,
    freezes: usize,
    database_stops: usize,
    database_kills: usize,
    crowds: usize,
    cuts: usize,
    bus_kills: usize,
    database_cuts: usize,
    bus_cuts: usize,
}

impl fmt::Display for Blows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, terminations, freezes, database_stops, database_kills, crowds, cuts, .. } = self;
        let Self { bus_kills, database_cuts, bus_cuts, .. } = self;
        write!(
            f,
            "server killed {kills}, terminated {terminations}, frozen {freezes}; database stopped \
             {database_stops}, killed {database_kills}; bus killed {bus_kills}; a node cut from the database \
             {database_cuts}, from the bus {bus_cuts}; crowds {crowds}, all lines cut {cuts}"
        )
    }
}

/// See the module.
pub struct Nemesis {
    pub blows: Blows,
    pub bus: Bus,
    /// The receipts that were stored whenever the server was dead.
    pub saved: Vec<Saved>,
    stamp: Arc<AtomicU64>,
    /// The nodes; none only while it is away.
    servers: Vec<Option<Server>>,
    /// How each of several nodes reaches the database and the bus; none for one that is alone.
    lines: Vec<NodeLines>,
    /// The node that the next blow falls on.
    next: usize,
    cluster: Option<Arc<Cluster>>,
    database: String,
    logs: PathBuf,
    addresses: watch::Sender<Vec<SocketAddr>>,
}

/// What a node reaches the others by. It stays when the node is started anew.
struct NodeLines {
    database: Cable,
    bus: Cable,
}

impl NodeLines {
    async fn new(cluster: &Cluster, bus: &Bus) -> Self {
        let database = Cable::to(cluster.address()).await;
        Self { database, bus: Cable::to(bus.address().unwrap_or(cluster.address())).await }
    }
}

impl Nemesis {
    /// Begins with starting the servers.
    pub async fn new(
        nodes: usize,
        database: String,
        cluster: Option<Cluster>,
        bus: Bus,
        logs: PathBuf,
        stamp: Arc<AtomicU64>,
    ) -> Self {
        let mut lines = Vec::new();
        if let Some(cluster) = cluster.as_ref().filter(|_| nodes > 1) {
            for _ in 0..nodes {
                lines.push(NodeLines::new(cluster, &bus).await);
            }
        }
        let mut nemesis = Self {
            blows: Blows::default(),
            bus,
            saved: Vec::new(),
            stamp,
            servers: Vec::new(),
            lines,
            next: 0,
            cluster: cluster.map(Arc::new),
            database,
            logs,
            addresses: watch::Sender::default(),
        };
        for node in 0..nodes {
            let server = nemesis.start(node).await;
            nemesis.addresses.send_modify(|addresses| addresses.push(server.address));
            nemesis.servers.push(Some(server));
        }
        nemesis
    }

    async fn start(&self, node: usize) -> Server {
        let Some(lines) = self.lines.get(node) else {
            return Server::start(&self.database, &[("PARLOR__CLUSTER__BUS", "off".to_owned())], &self.logs)
                .await;
        };
        let settings = self.bus.settings(lines.bus.address);
        Server::start(&url_at(lines.database.address), &settings, &self.logs).await
    }

    /// From now on no node reaches the bus; `silently`: each of them thinks that it does.
    pub fn takes_bus_away(&self, silently: bool) {
        let carries = if silently { Carries::Nothing } else { Carries::Closed };
        self.lines.iter().for_each(|lines| lines.bus.now(carries));
    }

    pub fn gives_bus_back(&self) {
        self.lines.iter().for_each(|lines| lines.bus.now(Carries::Everything));
    }

    /// Kills a node that does not come back.
    pub async fn kills_for_good(&mut self, node: usize) {
        self.next = node;
        self.kills().await;
    }

    /// Where the servers are at the time.
    pub fn nodes(&self) -> Nodes {
        self.addresses.subscribe()
    }

    /// Deals each blow when its time has come. Fails where the devices do not get on for `patience`.
    pub async fn rages(
        &mut self,
        blows: &[Blow],
        world: &World,
        lines: &[Arc<Line>],
        all_steps: usize,
        patience: Duration,
    ) -> Result<(), String> {
        for blow in blows {
            let wanted = (blow.at * all_steps as f64) as usize;
            let mut taken = world.steps.load(Ordering::Relaxed);
            let mut moved = Instant::now();
            while taken < wanted {
                sleep(Duration::from_millis(5)).await;
                let now = world.steps.load(Ordering::Relaxed);
                if now > taken {
                    (taken, moved) = (now, Instant::now());
                } else if moved.elapsed() > patience {
                    return Err(format!("nobody got on for {patience:?} before {blow:?}"));
                }
            }
            self.deals(blow.what, world, lines).await;
        }
        Ok(())
    }

    async fn deals(&mut self, what: What, world: &World, lines: &[Arc<Line>]) {
        self.next = (self.next + 1) % self.servers.len();
        match what {
            What::Kill { down } => {
                self.kills().await;
                self.looks_at_receipts(world).await;
                sleep(down).await;
                self.starts().await;
            }
            What::KillTwice { between } => {
                self.kills().await;
                self.starts().await;
                sleep(between).await;
                self.kills().await;
                self.starts().await;
            }
            What::Terminate => {
                self.blows.terminations += 1;
                self.terminates(self.next).await;
                self.starts().await;
            }
            What::Freeze { during } => {
                self.blows.freezes += 1;
                let server = self.servers[self.next].as_ref().expect("a server");
                server.signal("STOP").await;
                sleep(during).await;
                server.signal("CONT").await;
            }
            What::Crowd { connections } => {
                self.blows.crowds += 1;
                let address = self.addresses.borrow()[self.next];
                crowd(address, &world.people, connections).await;
            }
            What::Database { immediately, during } if self.cluster.is_some() => {
                self.stops_database(immediately).await;
                sleep(during).await;
                self.starts_database().await;
            }
            What::Both => {
                self.stops_database(true).await;
                self.kills().await;
                self.starts_database().await;
                self.starts().await;
            }
            What::Bus { during } if self.bus.dies() => {
                self.blows.bus_kills += 1;
                sleep(during).await;
                self.bus.starts();
            }
            What::CutFromDatabase { during } if !self.lines.is_empty() => {
                self.blows.database_cuts += 1;
                self.lines[self.next].database.now(Carries::Closed);
                sleep(during).await;
                self.lines[self.next].database.now(Carries::Everything);
            }
            What::CutFromBus { silently, during } if !self.lines.is_empty() && !self.bus.is_off() => {
                self.blows.bus_cuts += 1;
                let carries = if silently { Carries::Nothing } else { Carries::Closed };
                self.lines[self.next].bus.now(carries);
                sleep(during).await;
                self.lines[self.next].bus.now(Carries::Everything);
            }
            What::Database { .. }
            | What::Bus { .. }
            | What::CutFromDatabase { .. }
            | What::CutFromBus { .. }
            | What::CutAll => {
                self.blows.cuts += 1;
                for line in lines {
                    line.suffers(Fault::Cut);
                }
            }
        }
    }

    async fn kills(&mut self) {
        self.blows.kills += 1;
        self.servers[self.next].take().expect("a server").dies().await;
    }

    /// Whatever is stored was saved before this stamp; where the only server is dead, nothing moves meanwhile.
    async fn looks_at_receipts(&mut self, world: &World) {
        let before = self.stamp.load(Ordering::SeqCst);
        let found = stored::receipts(&self.database, world).await.unwrap();
        let stamp = if self.servers.len() > 1 { self.stamp.load(Ordering::SeqCst) } else { before };
        self.saved.extend(found.into_iter().map(|(room, person, receipts)| Saved {
            stamp,
            person,
            room,
            receipts,
        }));
    }

    async fn starts(&mut self) {
        let server = self.start(self.next).await;
        self.addresses.send_modify(|addresses| addresses[self.next] = server.address);
        self.servers[self.next] = Some(server);
    }

    /// SIGTERM: it has to go down by itself, and well.
    async fn terminates(&mut self, node: usize) {
        let status = self.servers[node].take().expect("a server").ends().await;
        assert!(status.success(), "the server went down with {status}");
    }

    /// All servers go down.
    pub async fn ends(&mut self) {
        for node in 0..self.servers.len() {
            if self.servers[node].is_some() {
                self.terminates(node).await;
            }
        }
    }

    async fn stops_database(&mut self, immediately: bool) {
        let Some(cluster) = self.cluster.clone() else { return };
        if immediately {
            self.blows.database_kills += 1;
        } else {
            self.blows.database_stops += 1;
        }
        spawn_blocking(move || cluster.stops(immediately)).await.unwrap();
    }

    async fn starts_database(&self) {
        let Some(cluster) = self.cluster.clone() else { return };
        spawn_blocking(move || cluster.starts()).await.unwrap();
    }
}
