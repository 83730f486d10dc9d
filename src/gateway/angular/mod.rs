//! The Angular front end's HTTP, under `/web`: which routes there are. Its sockets are plain `/chat`
//! ones and left to `gateway::socketio`, who may do what to the core.
//!
//! The dialect is *open*: `/web/login` asks for no password. Both ways in ignore the credential that
//! comes along, because the page that calls them is where a browser with a dead cookie ends up.

mod conversations;
mod people;
mod sign_in;

use axum::{
    Router,
    routing::{get, post},
};

use super::http::{Http, wrong_method};

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
