//! Puts the parts together, serves, and takes them apart again in the right order. The only file
//! that names all of them.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{Router, middleware};
use jsonwebtoken::Algorithm;
use tokio::net::TcpListener;

use crate::{
    auth::{Auth, AuthSettings, IssuerSettings, Issuers, Keys, PasswordCheck, Signers},
    backlog::{self, Backlogs},
    chat::{Chat, ChatSettings},
    clock::Clock,
    config::{self, Config, IssuerAlgorithm, Mode},
    counts::Counts,
    db::Db,
    gateway::{
        client_script,
        dialects::{
            angular, encrypted,
            lobby::{self, Lobby, LobbyPage, events::LobbyEvents},
            rooms_app::events::RoomsApp,
        },
        http::{self, Guard, Http, HttpSettings},
        rest::{self, Rest},
        socketio::{self, SocketIoSettings, root::RootDialect},
        tcp::{OpenConnections, TcpAcceptor},
        websocket::{self, WebSockets},
    },
    jobs,
    limits::Failures,
    password::Passwords,
    rates::RequestRate,
    shutdown::Shutdown,
    telemetry,
};

/// How long connections get to close by themselves once everything is stored.
const CLOSING: Duration = Duration::from_secs(2);

/// A server that is ready to be served.
pub struct App {
    pub db: Db,
    pub chat: Chat,
    pub auth: Auth,
    shutdown: Shutdown,
    io: socketio::SocketIo,
    router: Router,
    backlogs: Backlogs,
    lines: OpenConnections,
    metrics: Option<rest::RenderMetrics>,
    metrics_listener: Option<std::net::SocketAddr>,
    head_timeout: Duration,
    drain_timeout: Duration,
}

impl App {
    /// Connects, migrates where that is allowed, and wires everything.
    pub async fn build(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        let db = connect(config).await?;
        db.migrate_at_start().await.context("the database could not be migrated")?;
        let shutdown = Shutdown::new();
        let limits = &config.limits;
        let passwords = Passwords::new(config.auth.hashing_at_once, config.auth.hashing_queue);
        let failures = Failures::new(
            clock.clone(),
            limits.failed_attempts,
            limits.failed_attempts_per_address,
            limits.failed_window,
        );
        let chat = Chat::start(
            db.clone(),
            clock.clone(),
            shutdown.clone(),
            passwords.clone(),
            failures.clone(),
            Counts::default(),
            ChatSettings::of(config),
        )
        .await?;
        let auth = Auth::new(
            db.clone(),
            clock.clone(),
            &shutdown,
            PasswordCheck { passwords, failures },
            Signers { keys: keys(config), issuers: issuers(config, &clock, &shutdown)? },
            AuthSettings { token_ttl: config.auth.token_ttl },
            Arc::new(chat.clone()),
        );
        let most = backlog::Limits { one: limits.outgoing_bytes, all: limits.outgoing_bytes_total };
        let backlogs = Backlogs::new(most, chat.counts().outgoing_bytes.clone());
        let gateway = socketio::routes(
            chat.clone(),
            auth.clone(),
            shutdown.clone(),
            backlogs.clone(),
            SocketIoSettings { limits: limits.clone(), server: config.server.clone() },
            front_ends(config, &chat),
        );
        let (io, sockets) = (gateway.io, gateway.router);
        let metrics = render_metrics(&chat, gateway.sessions);
        let (same, metrics_listener) = match config.telemetry.metrics {
            config::Metrics::Same => (metrics.clone(), None),
            config::Metrics::Off => (None, None),
            config::Metrics::Own(address) => (None, Some(address)),
        };
        let settings = Arc::new(HttpSettings::of(config));
        let guard = Guard::new(&settings.cors);
        let requests = RequestRate::new(clock.clone(), limits.requests_per_second, limits.requests_burst);
        let http = Http {
            chat: chat.clone(),
            auth: auth.clone(),
            shutdown: shutdown.clone(),
            requests,
            settings: settings.clone(),
        };
        let mut routes = rest::router(Rest { http: http.clone(), signup: config.auth.signup }, same)
            .merge(client_script::routes(config.server.client_folder.as_path()));
        if config.dialects.angular {
            routes = routes.merge(angular::routes(http.clone()).layer(guard.clone()));
        }
        if config.dialects.lobby {
            let page = LobbyPage::of(config.dialects.lobby_page.clone());
            let lobby = Lobby { http: http.clone(), clock: clock.clone(), page };
            routes = routes.merge(lobby::routes(lobby).layer(guard.clone()));
        }
        let plain = WebSockets {
            http,
            shutdown: shutdown.clone(),
            backlogs: backlogs.clone(),
            limits: Arc::new(limits.clone()),
        };
        if config.dialects.websocket {
            routes = routes.merge(websocket::plain::routes(plain.clone()).layer(guard.clone()));
        }
        if config.dialects.encrypted {
            let is_open = config.dialects.encrypted_is_open();
            routes = routes.merge(encrypted::routes(plain, is_open).layer(guard.clone()));
        }
        let sockets = sockets
            .layer(guard)
            .layer(http::cors(&settings.cors))
            // What people say stands in the answers to polls.
            .layer(middleware::from_fn(http::headers::add));
        let router = http::wrap(routes, &settings, &shutdown).merge(sockets);
        jobs::start(&shutdown, &db, &clock, &chat, &auth);
        let lines = OpenConnections::new(socketio::SILENCE);
        lines.watch(&shutdown);
        backlogs.watch(&shutdown);
        Ok(Self {
            db,
            chat,
            auth,
            shutdown,
            io,
            router,
            backlogs,
            lines,
            metrics,
            metrics_listener,
            head_timeout: config.server.head_timeout,
            drain_timeout: config.server.drain_timeout,
        })
    }

    /// Serves until `stop`, and then goes down without losing anything.
    pub async fn serve(
        self,
        listeners: Vec<TcpListener>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        if let (Some(address), Some(render)) = (self.metrics_listener, self.metrics.clone()) {
            let listener = TcpListener::bind(address)
                .await
                .with_context(|| format!("cannot listen on {address} for metrics"))?;
            self.spawn_server(listener, rest::metrics(render));
        }
        for listener in listeners {
            self.spawn_server(listener, self.router.clone());
        }
        stop.await;
        self.drain().await;
        Ok(())
    }

    fn spawn_server(&self, listener: TcpListener, router: Router) {
        self.shutdown.spawn(http::serve(
            TcpAcceptor {
                listener,
                open: self.chat.counts().lines.clone(),
                backlogs: self.backlogs.clone(),
                lines: self.lines.clone(),
            },
            router,
            self.head_timeout,
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
            self.chat.disconnect_all();
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

fn keys(config: &Config) -> Keys {
    let auth = &config.auth;
    let previous = auth.previous().map(|(secret, until)| (secret.clone(), until));
    Keys::new(auth.issuer.clone(), auth.jwt_secret.clone(), previous, auth.leeway)
}

fn issuers(config: &Config, clock: &Clock, shutdown: &Shutdown) -> anyhow::Result<Issuers> {
    let settings = config.auth.issuers.iter().map(|issuer| {
        let read =
            |file: &PathBuf| std::fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        Ok(IssuerSettings {
            issuer: issuer.issuer.clone(),
            audience: issuer.audience.clone(),
            jwks_uri: issuer.jwks_uri.clone(),
            ca: issuer.ca_file.as_ref().map(read).transpose()?,
            algorithms: issuer.algorithms.iter().map(|algorithm| algorithm_of(*algorithm)).collect(),
            username_claim: issuer.username_claim.clone(),
            name_claim: issuer.name_claim.clone(),
            email_claim: issuer.email_claim.clone(),
            allow_http: config.mode == Mode::Development,
        })
    });
    let settings = settings.collect::<anyhow::Result<_>>()?;
    Issuers::new(settings, config.auth.leeway, clock, shutdown).context("auth.issuers cannot be used")
}

fn algorithm_of(configured: IssuerAlgorithm) -> Algorithm {
    match configured {
        IssuerAlgorithm::RS256 => Algorithm::RS256,
        IssuerAlgorithm::ES256 => Algorithm::ES256,
        IssuerAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

/// The front ends that share the namespace `/`.
fn front_ends(config: &Config, chat: &Chat) -> Vec<Arc<dyn RootDialect>> {
    let mut front_ends: Vec<Arc<dyn RootDialect>> = Vec::new();
    if config.dialects.rooms {
        front_ends.push(Arc::new(RoomsApp::new(chat)));
    }
    if config.dialects.lobby {
        front_ends.push(Arc::new(LobbyEvents));
    }
    front_ends
}

/// Renders the metrics; what is counted in the core is asked at that moment.
fn render_metrics(chat: &Chat, sessions: socketio::Sessions) -> Option<rest::RenderMetrics> {
    let handle = telemetry::metrics()?;
    let chat = chat.clone();
    Some(Arc::new(move || {
        let gauges = chat.gauges();
        metrics::gauge!("parlor_users_online").set(gauges.users_online as f64);
        metrics::gauge!("parlor_connections").set(gauges.connections as f64);
        metrics::gauge!("parlor_rooms_resident").set(gauges.rooms_resident as f64);
        metrics::gauge!("parlor_drafts_waiting").set(gauges.drafts_waiting as f64);
        metrics::gauge!("parlor_tasks").set(gauges.tasks as f64);
        metrics::gauge!("parlor_listeners").set(gauges.listeners as f64);
        metrics::gauge!("parlor_catch_ups").set(gauges.catch_ups as f64);
        metrics::gauge!("parlor_acknowledgements_awaited").set(gauges.acknowledgements as f64);
        let counts = chat.counts();
        for (gateway, count) in counts.connections() {
            metrics::gauge!("parlor_gateway_connections", "gateway" => gateway).set(count as f64);
        }
        metrics::gauge!("parlor_lines").set(counts.lines.now() as f64);
        metrics::gauge!("parlor_engine_sessions").set(counts.engine_sessions.now() as f64);
        metrics::gauge!("parlor_engine_sessions_upgraded").set(sessions.upgraded() as f64);
        metrics::gauge!("parlor_outgoing_bytes").set(counts.outgoing_bytes.now() as f64);
        metrics::gauge!("parlor_pending_connections").set(counts.pending_connections.now() as f64);
        metrics::gauge!("parlor_last_joined").set(counts.last_joined.now() as f64);
        handle.run_upkeep();
        handle.render()
    }))
}
