//! The HTTP routes of the Angular front end, under `/web`. Its sockets use the namespace `/chat`, which
//! `gateway::socketio` serves. The core checks the permissions.
//!
//! The dialect is *open*: `/web/login` asks for no password. The login page's two routes ignore a credential,
//! because a browser with an invalid cookie is sent to this page.

mod conversations;
mod people;
mod sign_in;

use axum::{
    Router,
    routing::{get, post},
};

use crate::gateway::http::{Http, wrong_method};

pub fn routes(http: Http) -> Router {
    Router::new()
        .route("/web/users", get(sign_in::users))
        .route("/web/login", post(sign_in::login))
        .route("/web/loggedIn", get(sign_in::logged_in))
        .route("/web/all/{username}", get(conversations::all))
        .route("/web/messages/{sender}/{receiver}", get(conversations::messages))
        .route("/web/group", post(conversations::create_group))
        .method_not_allowed_fallback(wrong_method)
        .with_state(http)
}
