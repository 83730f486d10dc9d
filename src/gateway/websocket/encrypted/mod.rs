//! The end-to-end encrypted app (protocol.md part 4.4, seed 1): `GET /chat/{userId}` and the two
//! addresses that the app asks before it. What its messages say is for its users alone.
//!
//! The form may be *open*: then whoever says an id or a name is that user, and a credential that comes
//! along is not looked at. Else it takes one, like every other.

mod frame;
mod people;
mod talk;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, State},
    response::Response,
    routing::get,
};
use entity::{UserId, user::username_key};
use http::{HeaderMap, Uri, request::Parts};

use self::talk::{Ear, Encrypted, EncryptedOutlet};
use super::{WebSockets, upgrade::Upgrade};
use crate::{
    chat::{caller::Caller, connection::ConnectOptions},
    error::{Denial, Error, Result},
    gateway::http::{
        Http,
        extract::{At, Client},
        refusal::Rejection,
        wrong_method,
    },
};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
struct EncryptedApp {
    sockets: WebSockets,
    is_open: bool,
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

/// `is_open` lets people in without a token.
pub fn routes(sockets: WebSockets, is_open: bool) -> Router {
    Router::new()
        .route("/chat/{userId}", get(open))
        .route("/api/users/login/{name}", get(people::login))
        .route("/api/users/{id}/{role}", get(people::others))
        .method_not_allowed_fallback(wrong_method)
        .with_state(EncryptedApp { sockets, is_open })
}

/// Who asks over HTTP: anybody where the form is open, else whose token it is.
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

/// Whether a user is meant by this id or name.
fn is_named(user: UserId, username: &str, id_or_username: &str) -> bool {
    match id_or_username.parse::<UserId>() {
        Ok(id) => id == user,
        Err(_) => username_key(username) == username_key(id_or_username),
    }
}

async fn open(
    upgrade: Upgrade,
    client: Client,
    State(app): State<EncryptedApp>,
    At(user): At<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let sockets = &app.sockets;
    let caller = if app.is_open {
        app.anybody(&user, client).await?
    } else {
        let caller = sockets.caller(&uri, &headers, client).await?;
        if !is_named(caller.user, &caller.username, &user) {
            return Err(Error::Forbidden(Denial::NotYours).into());
        }
        caller
    };
    let outgoing = upgrade.outgoing(sockets);
    let outlet = EncryptedOutlet(outgoing.clone());
    let inbox = sockets.connect(caller, outlet, ConnectOptions::live_only(), Encrypted::default()).await?;
    Ok(upgrade.accept(sockets, outgoing.clone(), Ear { inbox, outgoing }))
}

impl EncryptedApp {
    /// The user that somebody says they are.
    async fn anybody(&self, id_or_username: &str, client: Client) -> Result<Caller> {
        let Http { chat, auth, .. } = &self.sockets.http;
        let user = chat.user(&Caller::visitor(client.address), id_or_username).await?;
        if user.row.is_admin {
            // Who may change everybody's account shows a credential, here or nowhere.
            return Err(Error::Forbidden(Denial::Role));
        }
        auth.open(&user.row, client.address).await
    }
}
