//! The server under test, in this process. It is built and served as in the program, with a clock that a test
//! can move.

use std::{
    net::SocketAddr,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parlor::{
    app::App,
    auth::Auth,
    chat::{Chat, NewUser},
    clock::Clock,
    config::{Bus, Config},
    values::Username,
};
use secrecy::SecretString;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{Database, Http, PATIENCE, Person, Socket, faulty_bus, until};

/// The address of a server, and everything that works through it, whatever runs there.
#[derive(Clone)]
pub struct Door {
    pub address: SocketAddr,
    pub http: Http,
    /// With two nodes: those that people go to, by turns.
    nodes: Option<Arc<Nodes>>,
}

struct Nodes {
    addresses: [SocketAddr; 2],
    people: AtomicUsize,
}

impl Door {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, http: Http::new(address), nodes: None }
    }

    fn of_two(addresses: [SocketAddr; 2]) -> Self {
        let nodes = Nodes { addresses, people: AtomicUsize::new(0) };
        Self { nodes: Some(Arc::new(nodes)), ..Self::new(addresses[0]) }
    }

    /// The door that the next login uses.
    pub fn of_next_login(&self) -> Self {
        let Some(nodes) = &self.nodes else { return self.clone() };
        let address = nodes.addresses[nodes.people.fetch_add(1, Ordering::Relaxed) % 2];
        Self { address, http: self.http.at(address), nodes: Some(nodes.clone()) }
    }

    /// A user who has signed up and logged in.
    pub async fn person(&self, username: &str) -> Person {
        Person::signs_up(self, username).await
    }

    /// The same, with a socket in `/chat`.
    pub async fn online(&self, username: &str) -> Socket {
        self.person(username).await.connect().await
    }
}

/// See the module. It can do everything that a [`Door`] can.
pub struct Server {
    pub config: Config,
    pub clock: Clock,
    pub database: Option<Database>,
    door: Door,
    running: Option<Running>,
    /// The other one of two nodes.
    other: Option<Box<Self>>,
}

/// A server between start and stop.
struct Running {
    chat: Chat,
    auth: Auth,
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Deref for Server {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a server with changed settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(Database::fresh().await, change).await
    }

    /// Starts a server with changed settings on this database.
    pub async fn on(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        if Database::is_of_two_nodes() {
            return Self::of_two_nodes(database, change).await;
        }
        Self::alone_on(database, change).await
    }

    /// Two nodes that know of each other over a bus that loses, repeats and swaps frames. Logins are divided between them.
    async fn of_two_nodes(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        let bus = faulty_bus().await;
        let mut one = Self::alone_on(database, |config| {
            config.cluster.bus = Bus::Nats;
            config.cluster.url = bus.into();
            config.database.max_connections = 3;
            change(config);
        })
        .await;
        let other = one.beside().await;
        for node in [&one, &other] {
            until("the nodes to know each other", || async { node.chat().gauges().other_nodes == 1 }).await;
        }
        one.door = Door::of_two([one.address, other.address]);
        one.other = Some(Box::new(other));
        one
    }

    async fn alone_on(database: Database, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::development();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        config.database.url = database.url.clone().into();
        config.database.auto_migrate = true;
        config.database.max_connections = 6;
        config.cluster.drain_delay = Duration::ZERO;
        super::without_quotas(&mut config);
        change(&mut config);
        let mistakes = config.check();
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let clock = Clock::movable();
        let (address, running) = Running::start(&config, &clock).await;
        // The next start uses the same port, so that all clients can reconnect.
        config.server.listen = vec![address];
        Self {
            config,
            clock,
            database: Some(database),
            door: Door::new(address),
            running: Some(running),
            other: None,
        }
    }

    /// Another server on the same database, with its own port. Drop it before this one.
    pub async fn beside(&self) -> Self {
        self.beside_with(self.clock.clone(), |_| {}).await
    }

    /// The same, with another clock and changed settings.
    pub async fn beside_with(&self, clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let url = &self.database.as_ref().expect("a database").url;
        let mut config = self.config.clone();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        change(&mut config);
        let (address, running) = Running::start(&config, &clock).await;
        config.server.listen = vec![address];
        Self {
            config,
            clock,
            database: Some(Database::elsewhere(url.clone())),
            door: Door::new(address),
            running: Some(running),
            other: None,
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("a server that was not stopped")
    }

    /// The core itself, for what would take too long over the network.
    pub fn chat(&self) -> &Chat {
        &self.running().chat
    }

    /// The logins themselves, for what a job does now and then.
    pub fn auth(&self) -> &Auth {
        &self.running().auth
    }

    /// A user with all rights. No request can create one.
    pub async fn admin(&self, username: &str) -> Person {
        self.registers(username, Some(Person::password_of(username).into()), true).await;
        Person::logs_in(self, username).await
    }

    /// An account that nobody can log in to; it is much faster to create.
    pub async fn acquaintance(&self, username: &str) {
        self.registers(username, None, false).await;
    }

    async fn registers(&self, username: &str, password: Option<SecretString>, is_admin: bool) {
        let new = NewUser {
            username: Username::parse(username).unwrap(),
            password,
            first_name: None,
            last_name: None,
            email: None,
            phone: None,
            profile: None,
            is_admin,
        };
        self.chat().register(new).await.unwrap();
    }

    /// Begins to shut down as after SIGTERM. Stop it later, too.
    pub fn begins_to_stop(&mut self) {
        let running = self.running.as_mut().expect("a server that was not stopped");
        drop(std::mem::replace(&mut running.stop, oneshot::channel().0));
    }

    /// Shuts down as after SIGTERM, and checks that nothing is left.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Shuts down gracefully and starts again, on the same port and with the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.starts_again().await;
    }

    pub async fn starts_again(&mut self) {
        let (_, running) = Running::start(&self.config, &self.clock).await;
        self.running = Some(running);
    }

    /// Waits until the core has removed every connection.
    pub async fn is_deserted(&self) {
        let chat = self.chat();
        until("all connections to be forgotten", || async { chat.gauges().connections == 0 }).await;
    }

    async fn finish(&mut self) {
        if let Some(mut other) = self.other.take() {
            Box::pin(other.finish()).await;
        }
        if self.running.is_some() {
            self.is_deserted().await;
        }
        self.stop().await;
        if let Some(database) = self.database.take() {
            database.remove().await;
        }
    }
}

impl Running {
    async fn start(config: &Config, clock: &Clock) -> (SocketAddr, Self) {
        let app = App::build(config, clock.clone()).await.expect("a server that can be built");
        let listener = TcpListener::bind(config.server.listen[0]).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (chat, auth) = (app.chat.clone(), app.auth.clone());
        let served = tokio::spawn(app.serve(vec![listener], async move {
            let _ = stopped.await;
        }));
        (address, Self { chat, auth, stop, served })
    }

    async fn stop(self) {
        let _ = self.stop.send(());
        let served = tokio::time::timeout(PATIENCE, self.served).await;
        served.expect("a server that goes down in time").unwrap().unwrap();
        let gauges = self.chat.gauges();
        assert_eq!(gauges.drafts_waiting, 0, "messages were left unstored: {gauges:?}");
        // The server waits two seconds for connections to close, and then returns. Their tasks notice that
        // their TCP connections are closed, but on a busy machine it takes them longer than that.
        until("every task to end", || async { self.chat.gauges().tasks == 0 }).await;
    }
}

/// Clients that were opened after the server are dropped before it. So all of them have disconnected, or will
/// soon.
impl Drop for Server {
    fn drop(&mut self) {
        if self.running.is_none() && self.database.is_none() {
            return;
        }
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                if std::thread::panicking() {
                    if let Some(running) = self.other.take().and_then(|mut other| other.running.take()) {
                        running.served.abort();
                    }
                    if let Some(running) = self.running.take() {
                        running.served.abort();
                    }
                    if let Some(database) = self.database.take() {
                        database.remove().await;
                    }
                } else {
                    self.finish().await;
                }
            });
        });
    }
}
