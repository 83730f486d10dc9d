//! Puts the parts together, serves, and takes them apart again in the right order. The only module
//! that names all of them. `routes` assembles the gateways.

mod metrics;
mod routes;
mod signers;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;

use self::routes::Gateways;
use crate::{
    auth::{Auth, AuthSettings, PasswordCheck},
    backlog::{self, Backlogs},
    chat::{Chat, ChatSettings},
    clock::Clock,
    config::{self, Config},
    counts::Counts,
    db::Db,
    descriptors,
    gateway::{
        http, rest, socketio,
        tcp::{OpenConnections, TcpAcceptor},
    },
    jobs,
    limits::{GuessLimits, Guesses, SharedGuesses},
    password::Passwords,
    shutdown::Shutdown,
};

/// The name and the licence notice of the browser client in this program, if there is one.
pub use crate::gateway::client_script::built_in::notice as client_notice;
/// Whether pages can load the Socket.IO client from this program, or from the folder of its package.
pub use crate::gateway::client_script::is_there as has_client_script;
/// The contract with front ends, as documents.
pub use crate::gateway::contract;

/// How long connections get to close by themselves once everything is stored.
const CLOSING: Duration = Duration::from_secs(2);

/// How many TCP connections the metrics' own address has besides those of clients.
const FOR_METRICS: usize = 8;

/// A server that is ready to be served.
pub struct App {
    pub db: Db,
    pub chat: Chat,
    pub auth: Auth,
    shutdown: Shutdown,
    io: socketio::SocketIo,
    router: Router,
    backlogs: Backlogs,
    open_connections: OpenConnections,
    /// Metrics that have an address of their own.
    metrics: Option<(SocketAddr, rest::RenderMetrics)>,
    /// Where they are served.
    metrics_listener: Option<TcpListener>,
    times: http::ConnectionTimes,
    drain_timeout: Duration,
    unread_timeout: Duration,
}

impl App {
    /// Connects, migrates where that is allowed, and wires everything.
    pub async fn build(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let db = connect(config).await?;
        db.migrate_at_start().await.context("the database could not be migrated")?;
        let shutdown = Shutdown::new();
        let passwords = Passwords::new(config.auth.hashing_at_once, config.auth.hashing_queue);
        let chat = start_chat(config, &db, &clock, &shutdown, &passwords).await?;
        let auth = open_auth(config, &db, &clock, &shutdown, passwords, &chat)?;
        let backlogs = Backlogs::new(backlog_limits(config), chat.counts().outgoing_bytes.clone());
        let gateways = Gateways {
            config,
            clock: &clock,
            chat: &chat,
            auth: &auth,
            shutdown: &shutdown,
            backlogs: &backlogs,
        };
        let socketio = gateways.socketio();
        let metrics = metrics::render(&chat, socketio.sessions);
        let (metrics_for_clients, metrics) = match config.telemetry.metrics {
            config::Metrics::Same => (Some(metrics), None),
            config::Metrics::Off => (None, None),
            config::Metrics::Own(address) => (None, Some((address, metrics))),
        };
        let router = gateways.router(socketio.router, metrics_for_clients);
        let open_connections = OpenConnections::new(config.server.silence());
        jobs::start(&shutdown, &db, &clock, &chat, &auth);
        open_connections.watch(&shutdown);
        backlogs.watch(&shutdown);
        Ok(Self {
            db,
            chat,
            auth,
            shutdown,
            io: socketio.io,
            router,
            backlogs,
            open_connections,
            metrics,
            metrics_listener: None,
            times: http::ConnectionTimes {
                head: config.server.head_timeout,
                idle: config.server.keep_alive_timeout,
            },
            drain_timeout: config.server.drain_timeout,
            unread_timeout: config.server.unread_timeout,
        })
    }

    /// The address of the metrics, if they have one of their own.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(address, _)| *address)
    }

    /// Metrics that have an address of their own are served here.
    pub fn serve_metrics_on(&mut self, listener: TcpListener) {
        self.metrics_listener = Some(listener);
    }

    /// Serves until `stop`, and then goes down without losing anything.
    pub async fn serve(
        mut self,
        listeners: Vec<TcpListener>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let most = descriptors::connections(self.db.descriptors());
        if let (Some((_, render)), Some(listener)) = (self.metrics.take(), self.metrics_listener.take()) {
            self.spawn_server(listener, rest::metrics(render), most.saturating_add(FOR_METRICS));
        }
        for listener in listeners {
            self.spawn_server(listener, self.router.clone(), most);
        }
        stop.await;
        self.chat.hand_over().await;
        self.drain().await;
        Ok(())
    }

    fn spawn_server(&self, listener: TcpListener, router: Router, most: usize) {
        self.shutdown.spawn(http::serve(
            TcpAcceptor {
                listener,
                open: self.chat.counts().tcp_connections.clone(),
                most,
                backlogs: self.backlogs.clone(),
                open_connections: self.open_connections.clone(),
                unread_timeout: self.unread_timeout,
            },
            router,
            self.times,
            self.shutdown.clone(),
        ));
    }

    /// The order of the end: no new connections and commands; running commands finish; the writer
    /// empties its queues, and what it stores is still delivered and acknowledged; receipts and last
    /// sightings are saved; only then connections are closed, in a way that clients come back.
    async fn drain(self) {
        tracing::info!("shutting down");
        self.shutdown.begin();
        let store = async {
            self.shutdown.commands_finished().await;
            self.shutdown.settle();
            if let Err(err) = self.chat.drain().await {
                tracing::error!(error = ?err, "the last receipts could not be saved");
            }
        };
        if tokio::time::timeout(self.drain_timeout, store).await.is_err() {
            tracing::warn!("not everything was finished in time");
            self.shutdown.settle();
        }
        let close = async {
            self.chat.remove_all();
            self.shutdown.close();
            self.io.close().await;
            self.shutdown.finished().await;
        };
        if tokio::time::timeout(CLOSING, close).await.is_err() {
            tracing::debug!(
                running = self.shutdown.running(),
                "some connections did not close by themselves"
            );
        }
        self.db.close().await;
        tracing::info!("shut down");
    }
}

/// Opens the database of a configuration.
pub async fn connect(config: &Config) -> anyhow::Result<Db> {
    Db::connect(&config.database)
        .await
        .with_context(|| format!("cannot open the database {}", config.database.url))
}

async fn start_chat(
    config: &Config,
    db: &Db,
    clock: &Clock,
    shutdown: &Shutdown,
    passwords: &Passwords,
) -> anyhow::Result<Chat> {
    let room_passwords = guesses(config, db, clock, "rooms");
    let chat = Chat::start(
        db.clone(),
        clock.clone(),
        shutdown.clone(),
        passwords.clone(),
        room_passwords,
        Counts::default(),
        ChatSettings::of(config),
    );
    Ok(chat.await?)
}

fn open_auth(
    config: &Config,
    db: &Db,
    clock: &Clock,
    shutdown: &Shutdown,
    passwords: Passwords,
    chat: &Chat,
) -> anyhow::Result<Auth> {
    let login_passwords = guesses(config, db, clock, "logins");
    Ok(Auth::new(
        db.clone(),
        clock.clone(),
        shutdown,
        PasswordCheck { passwords, guesses: login_passwords },
        signers::of(config, clock, shutdown)?,
        AuthSettings { token_ttl: config.auth.token_ttl, session_ttl: config.auth.session_ttl },
        Arc::new(chat.clone()),
    ))
}

/// Counts wrong passwords of logins, or of rooms.
fn guesses(config: &Config, db: &Db, clock: &Clock, kind: &str) -> Guesses {
    let (limits, secret) = (guess_limits(config), &config.auth.jwt_secret);
    Guesses::new(clock.clone(), &limits, kind, secret, SharedGuesses::of(db))
}

fn guess_limits(config: &Config) -> GuessLimits {
    let limits = &config.limits;
    GuessLimits {
        per_account_and_address: limits.failed_attempts,
        per_address: limits.failed_attempts_per_address,
        window: limits.failed_window,
        per_account: limits.failed_attempts_per_account,
        per_account_recovery: limits.failed_account_recovery,
        known_for: config.auth.session_ttl,
    }
}

fn backlog_limits(config: &Config) -> backlog::Limits {
    backlog::Limits { one: config.limits.outgoing_bytes, all: config.limits.outgoing_bytes_total }
}
