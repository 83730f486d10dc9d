//! The end-to-end encrypted app (docs/dialects.md): `GET /chat/{userId}`, and the two addresses that the
//! app requests before it. Only the app's users can read the content of the messages.
//!
//! The dialect can be *open*. Then everyone can act as any user by giving an id or a name, and credentials
//! are ignored. Otherwise it requires a credential, like every other gateway.

mod events;
mod frame;
mod people;

use std::sync::Arc;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, State},
    response::Response,
    routing::get,
};
use entity::{UserId, user::is_same_name};
use http::{HeaderMap, Uri, request::Parts};

use self::events::{Encrypted, EncryptedFrames, EncryptedOutlet};
use crate::{
    auth::Device,
    chat::connections::connection::ConnectOptions,
    error::{Error, Forbidden, Result},
    gateway::{
        http::{
            Http,
            extract::{Client, PathParameter},
            refusal::Rejection,
            wrong_method,
        },
        websocket::{WebSockets, upgrade::Upgrade},
    },
    identity::Caller,
};

/// What the handlers use. Cheap to clone.
#[derive(Clone)]
struct EncryptedApp {
    sockets: WebSockets,
    is_open: bool,
    /// The app's pictures for users without one.
    pictures: Arc<[String]>,
}

impl FromRef<EncryptedApp> for WebSockets {
    fn from_ref(app: &EncryptedApp) -> Self {
        app.sockets.clone()
    }
}

impl FromRef<EncryptedApp> for Http {
    fn from_ref(app: &EncryptedApp) -> Self {
        app.sockets.http.clone()
    }
}

/// `is_open` accepts clients without a token. `pictures` are those that the app has for users without one.
pub fn routes(sockets: WebSockets, is_open: bool, pictures: Vec<String>) -> Router {
    Router::new()
        .route("/chat/{userId}", get(open))
        .route("/api/users/login/{name}", get(people::login))
        .route("/api/users/{id}/{role}", get(people::others))
        .method_not_allowed_fallback(wrong_method)
        .with_state(EncryptedApp { sockets, is_open, pictures: pictures.into() })
}

/// The sender of an HTTP request: a visitor if the dialect is open, otherwise the owner of the token.
struct Asker(Caller);

impl FromRequestParts<EncryptedApp> for Asker {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &EncryptedApp) -> Result<Self> {
        if app.is_open {
            let client = Client::from_request_parts(parts, app).await?;
            return Ok(Self(Caller::visitor(client.address)));
        }
        Caller::from_request_parts(parts, app).await.map(Self)
    }
}

/// Whether this id or name refers to the user.
fn is_named(user: UserId, username: &str, id_or_username: &str) -> bool {
    match id_or_username.parse::<UserId>() {
        Ok(id) => id == user,
        Err(_) => is_same_name(username, id_or_username),
    }
}

async fn open(
    upgrade: Upgrade,
    client: Client,
    State(app): State<EncryptedApp>,
    PathParameter(user): PathParameter<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let sockets = &app.sockets;
    let caller = if app.is_open {
        app.anybody(&user, &client.device(&headers)).await?
    } else {
        let caller = sockets.caller(&uri, &headers, client).await?;
        if !is_named(caller.user, &caller.username, &user) {
            return Err(Error::Forbidden(Forbidden::NotYours).into());
        }
        caller
    };
    let outgoing = upgrade.outgoing(sockets);
    let outlet = EncryptedOutlet(outgoing.clone());
    let inbox = sockets.connect(caller, outlet, ConnectOptions::live_only(), Encrypted::default()).await?;
    Ok(upgrade.accept(sockets, outgoing.clone(), EncryptedFrames { inbox, outgoing }))
}

impl EncryptedApp {
    /// The user with the id or name that the client gives.
    async fn anybody(&self, id_or_username: &str, device: &Device) -> Result<Caller> {
        let Http { chat, auth, .. } = &self.sockets.http;
        let user = chat.user(&Caller::visitor(device.address), id_or_username).await?;
        if user.row.is_admin {
            // An admin may change every account, so an admin needs a credential.
            return Err(Error::Forbidden(Forbidden::Role));
        }
        auth.open(&user.row, device).await
    }
}
