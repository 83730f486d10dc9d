//! Puts the parts together, serves, and takes them apart again in the right order. The only file
//! that names all of them.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use axum::Router;
use socketioxide::SocketIo;
use tokio::net::TcpListener;

use crate::{
    auth::{Auth, AuthSettings, Keys},
    chat::{self, Chat},
    clock::Clock,
    config::{self, Config},
    db::{Db, DbSettings},
    gateway::{
        angular,
        http::{self, CorsSettings, Guard, Http},
        line::{Line, LineListener},
        rest::{self, Rest},
        socketio,
    },
    jobs,
    limits::Failures,
    password::Passwords,
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
    io: SocketIo,
    router: Router,
    metrics: Option<rest::RenderMetrics>,
    metrics_listener: Option<std::net::SocketAddr>,
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
            core_settings(config),
        )
        .await?;
        let auth = Auth::new(
            db.clone(),
            clock.clone(),
            passwords,
            failures,
            keys(config),
            AuthSettings { token_ttl: config.auth.token_ttl },
            Arc::new(chat.clone()),
        );
        let (sockets, io) =
            socketio::routes(chat.clone(), auth.clone(), shutdown.clone(), socketio_settings(config));
        let metrics = render_metrics(&chat);
        let (same, metrics_listener) = match config.telemetry.metrics {
            config::Metrics::Same => (metrics.clone(), None),
            config::Metrics::Off => (None, None),
            config::Metrics::Own(address) => (None, Some(address)),
        };
        let settings = Arc::new(http_settings(config));
        let guard = Guard::new(&settings.cors);
        let http = Http { chat: chat.clone(), auth: auth.clone(), settings: settings.clone() };
        let mut routes = rest::router(Rest { http: http.clone(), signup: config.auth.signup }, same);
        if config.dialects.angular {
            routes = routes.merge(angular::routes(http).layer(guard.clone()));
        }
        let sockets = sockets.layer(guard).layer(http::cors(&settings.cors));
        let router = http::wrap(routes, &settings).merge(sockets);
        jobs::start(&shutdown, &db, &clock, &chat, &auth);
        Ok(Self {
            db,
            chat,
            auth,
            shutdown,
            io,
            router,
            metrics,
            metrics_listener,
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
        let shutdown = self.shutdown.clone();
        self.shutdown.spawn(async move {
            let service = router.into_make_service_with_connect_info::<Line>();
            let server = axum::serve(LineListener(listener), service)
                .with_graceful_shutdown(async move { shutdown.begun().await });
            if let Err(err) = server.await {
                tracing::error!(error = %err, "a listener ended");
            }
        });
    }

    /// The order of the end: no new connections and commands; running commands finish; the writer
    /// empties its queues, and what it stores is still delivered and acknowledged; receipts and last
    /// sightings are saved; only then connections are closed, in a way that clients come back.
    async fn drain(self) {
        tracing::info!("going down");
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
        tracing::info!("gone down");
    }
}

/// Opens the database of a configuration.
pub async fn connect(config: &Config) -> anyhow::Result<Db> {
    let database = &config.database;
    let settings = DbSettings {
        url: database.url.expose().to_owned(),
        auto_migrate: database.auto_migrate,
        readers: database.readers,
        max_connections: database.max_connections,
        acquire_timeout: database.acquire_timeout,
        busy_timeout: database.busy_timeout,
    };
    Db::connect(&settings).await.with_context(|| format!("cannot open the database {}", database.url))
}

fn keys(config: &Config) -> Keys {
    let auth = &config.auth;
    let previous = auth.previous().map(|(secret, until)| (secret.clone(), until));
    Keys::new(auth.issuer.clone(), auth.jwt_secret.clone(), previous, auth.leeway)
}

fn core_settings(config: &Config) -> chat::Settings {
    chat::Settings {
        content_bytes: config.limits.content_bytes,
        profile_bytes: config.limits.profile_bytes,
        group_members: config.limits.group_members,
        connections_per_user: config.limits.connections_per_user,
        under_way: (config.limits.outgoing_packets.min(config.limits.unacknowledged) / 2).clamp(1, 2_000),
        writer_queue: config.writer.queue,
        writer_batch: config.writer.batch,
        receipts_tick: config.writer.receipts_tick,
        everyone_up_to: config.presence.everyone_up_to,
        presence_grace: config.presence.grace,
        expiring_notice: config.auth.expiring_notice,
    }
}

fn socketio_settings(config: &Config) -> socketio::Settings {
    let limits = &config.limits;
    socketio::Settings {
        packet_bytes: limits.packet_bytes,
        outgoing_packets: limits.outgoing_packets,
        unacknowledged: limits.unacknowledged,
        waiting_events: limits.waiting_events,
        events_per_second: limits.events_per_second,
        events_burst: limits.events_burst,
        connect_timeout: limits.connect_timeout,
        ack_timeout: limits.ack_timeout,
        trusted_proxies: config.server.trusted_proxies.clone(),
    }
}

fn http_settings(config: &Config) -> http::Settings {
    http::Settings {
        cors: CorsSettings {
            origins: config.cors.origins.clone(),
            credentials: config.cors.credentials,
            max_age: config.cors.max_age,
            allow_missing_origin: config.cors.allow_missing_origin,
        },
        request_timeout: config.server.request_timeout,
        body_bytes: config.limits.packet_bytes,
        trusted_proxies: config.server.trusted_proxies.clone(),
        secure_cookie: config.auth.secure_cookie,
        token_ttl: config.auth.token_ttl,
    }
}

/// Renders the metrics; what is counted in the core is asked at that moment.
fn render_metrics(chat: &Chat) -> Option<rest::RenderMetrics> {
    let handle = telemetry::metrics()?;
    let chat = chat.clone();
    Some(Arc::new(move || {
        let gauges = chat.gauges();
        metrics::gauge!("parlor_users_online").set(gauges.users_online as f64);
        metrics::gauge!("parlor_connections").set(gauges.connections as f64);
        metrics::gauge!("parlor_rooms_resident").set(gauges.rooms_resident as f64);
        metrics::gauge!("parlor_drafts_waiting").set(gauges.drafts_waiting as f64);
        metrics::gauge!("parlor_tasks").set(gauges.tasks as f64);
        handle.run_upkeep();
        handle.render()
    }))
}
