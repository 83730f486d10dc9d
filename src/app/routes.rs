//! The routes of all gateways, with what each of them uses.

use std::sync::Arc;

use axum::{Router, middleware};

use crate::{
    auth::Auth,
    backlog::Backlogs,
    chat::Chat,
    clock::Clock,
    config::Config,
    gateway::{
        client_script, contract,
        dialects::{
            angular, encrypted,
            lobby::{self, Lobby, LobbyPage, events::LobbyEvents},
            rooms_app::events::RoomsApp,
        },
        http::{self, Guard, Http, HttpSettings},
        native::LateAcks,
        rest::{self, Rest},
        socketio::{self, SocketIoSettings, root::RootDialect},
        web::{self, Web},
        websocket::{self, WebSockets, pump::Heartbeat},
    },
    limits::SignUps,
    rates::RequestRate,
    shutdown::Shutdown,
};

/// What the gateways are built from.
pub(super) struct Gateways<'a> {
    pub config: &'a Config,
    pub clock: &'a Clock,
    pub chat: &'a Chat,
    pub auth: &'a Auth,
    pub shutdown: &'a Shutdown,
    pub backlogs: &'a Backlogs,
}

impl Gateways<'_> {
    pub fn socketio(&self) -> socketio::Built {
        let Self { config, chat, auth, shutdown, backlogs, .. } = *self;
        socketio::routes(
            chat.clone(),
            auth.clone(),
            shutdown.clone(),
            backlogs.clone(),
            SocketIoSettings { limits: config.limits.clone(), server: config.server.clone() },
            root_dialects(config),
        )
    }

    /// The routes of all gateways, with the `sockets` of Socket.IO. `metrics` are rendered under `/metrics`.
    pub fn router(&self, sockets: Router, metrics: Option<rest::RenderMetrics>) -> Router {
        let config = self.config;
        let settings = Arc::new(HttpSettings::of(config));
        let guard = Guard::new(&settings);
        let http = self.http(settings.clone(), guard.clone());
        let mut routes = rest::router(self.rest(http.clone()), metrics)
            .merge(contract::routes().layer(guard.clone()))
            .merge(client_script::routes(config.server.client_folder.as_path()))
            .merge(self.dialects(&http).layer(guard.clone()))
            .fallback(http::nothing_here);
        if let Some(web) = Web::of(config) {
            routes = web.serve(routes);
        }
        let sockets = sockets
            .layer(guard.clone())
            .layer(http::cors(&settings.cors, &guard))
            .layer(middleware::from_fn_with_state(guard.clone(), http::refuse_preflight))
            // Answers to polls contain messages.
            .layer(middleware::from_fn(http::headers::add));
        http::wrap(routes, &settings, &guard, self.shutdown)
            .merge(sockets)
            .layer(middleware::from_fn(web::pages))
    }

    /// What all HTTP handlers share.
    fn http(&self, settings: Arc<HttpSettings>, guard: Guard) -> Http {
        let limits = &self.config.limits;
        Http {
            chat: self.chat.clone(),
            auth: self.auth.clone(),
            shutdown: self.shutdown.clone(),
            guard,
            requests: RequestRate::new(self.clock.clone(), limits.requests_per_second, limits.requests_burst),
            settings,
        }
    }

    fn rest(&self, http: Http) -> Rest {
        let sign_ups = SignUps::new(self.clock.clone(), self.config.limits.signups_per_address);
        Rest { http, signup: self.config.auth.signup, sign_ups }
    }

    /// The routes of the dialects that are switched on, and of the native events on a plain WebSocket.
    fn dialects(&self, http: &Http) -> Router {
        let dialects = &self.config.dialects;
        let mut routes = Router::new();
        if dialects.angular {
            routes = routes.merge(angular::routes(http.clone()));
        }
        if dialects.lobby {
            let page = LobbyPage::of(dialects.lobby_page.clone());
            routes =
                routes.merge(lobby::routes(Lobby { http: http.clone(), clock: self.clock.clone(), page }));
        }
        let websockets = self.websockets(http.clone());
        if dialects.websocket {
            routes = routes.merge(websocket::plain::routes(websockets.clone()));
        }
        if dialects.encrypted {
            let pictures = dialects.encrypted_pictures.clone();
            routes = routes.merge(encrypted::routes(websockets, dialects.encrypted_is_open(), pictures));
        }
        routes
    }

    fn websockets(&self, http: Http) -> WebSockets {
        let Self { config, shutdown, backlogs, .. } = *self;
        let late_acks = LateAcks::default();
        late_acks.watch(shutdown);
        WebSockets {
            http,
            shutdown: shutdown.clone(),
            backlogs: backlogs.clone(),
            limits: Arc::new(config.limits.clone()),
            heartbeat: Heartbeat {
                interval: config.server.ping_interval,
                timeout: config.server.ping_timeout,
            },
            late_acks,
        }
    }
}

/// The dialects that share the namespace `/`.
fn root_dialects(config: &Config) -> Vec<Arc<dyn RootDialect>> {
    let mut dialects: Vec<Arc<dyn RootDialect>> = Vec::new();
    if config.dialects.rooms {
        dialects.push(Arc::new(RoomsApp));
    }
    if config.dialects.lobby {
        dialects.push(Arc::new(LobbyEvents));
    }
    dialects
}
