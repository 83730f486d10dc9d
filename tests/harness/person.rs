//! A user with an account and a login.

use std::{ops::Deref, sync::Arc};

use serde_json::{Value as Json, json};

use super::{Answer, Connecting, Door, Http, Plain, Socket, Transport};

/// Cheap to clone. It can do everything that an [`Http`] can, with the person's token.
#[derive(Clone)]
pub struct Person {
    pub username: Arc<str>,
    pub token: Arc<str>,
    /// The `user` in the answer to the login.
    pub user: Arc<Json>,
    pub door: Door,
    http: Http,
}

impl Deref for Person {
    type Target = Http;

    fn deref(&self) -> &Http {
        &self.http
    }
}

impl Person {
    pub fn password_of(username: &str) -> String {
        format!("the secret of {username}")
    }

    pub async fn signs_up(door: &Door, username: &str) -> Self {
        let password = Self::password_of(username);
        door.http.post("/api/users", json!({ "username": username, "password": password })).await.is(201);
        Self::logs_in(door, username).await
    }

    /// A new login of an account that [`Person::signs_up`] has created.
    pub async fn logs_in(door: &Door, username: &str) -> Self {
        let answer = Self::tries_to_log_in(door, username, &Self::password_of(username)).await;
        Self::from_login(door, &answer.is(200))
    }

    pub fn from_login(door: &Door, login: &Json) -> Self {
        let token = login["token"].as_str().expect("a token");
        let door = door.of_next_login();
        Self {
            username: login["user"]["username"].as_str().unwrap().into(),
            token: token.into(),
            user: Arc::new(login["user"].clone()),
            http: door.http.with_token(token),
            door,
        }
    }

    /// A person with any token.
    pub async fn shows(door: &Door, token: &str) -> Self {
        let session = door.http.with_token(token).get("/api/auth/session").await.is(200);
        Self::from_login(door, &json!({ "token": token, "user": session["user"] }))
    }

    pub async fn tries_to_log_in(door: &Door, username: &str, password: &str) -> Answer {
        door.http.post("/api/auth/login", json!({ "username": username, "password": password })).await
    }

    /// Another login of the same account, as on another device.
    pub async fn logs_in_again(&self) -> Self {
        Self::logs_in(&self.door, &self.username).await
    }

    pub async fn logs_out(&self) {
        self.post("/api/auth/logout", json!({})).await.is(204);
    }

    pub async fn deletes_the_account(&self) {
        let body = json!({ "currentPassword": Self::password_of(&self.username) });
        self.delete_with(&format!("/api/users/{}", self.username), body).await.is(204);
    }

    pub async fn buys_a_ticket(&self) -> String {
        let bought = self.post("/api/auth/tickets", json!({})).await.is(201);
        bought["ticket"].as_str().unwrap().to_owned()
    }

    /// A new token of the same login.
    pub async fn refreshes(&self) -> Self {
        Self::from_login(&self.door, &self.post("/api/auth/refresh", json!({})).await.is(200))
    }

    pub fn id(&self) -> &str {
        self.user["id"].as_str().unwrap()
    }

    /// A connection that is not open yet, to be configured first.
    pub fn connecting(&self) -> Connecting {
        Connecting::of(self)
    }

    pub async fn connect(&self) -> Socket {
        self.connecting().open().await
    }

    pub async fn connect_by(&self, transport: Transport) -> Socket {
        self.connecting().by(transport).open().await
    }

    /// Connects with additional fields in `auth`.
    pub async fn connect_with(&self, auth: Json) -> Socket {
        self.connecting().with(auth).open().await
    }

    /// Opens a plain WebSocket on `/ws`.
    pub async fn connect_plain(&self) -> Plain {
        Plain::connects(self, "").await
    }

    /// Creates a group over HTTP, and returns its id.
    pub async fn makes_group(&self, name: &str, users: &[&str]) -> String {
        let group = self.post("/api/rooms", json!({ "groupName": name, "users": users })).await.is(201);
        group["groupId"].as_str().unwrap().to_owned()
    }

    pub async fn makes_secret_group(&self, name: &str, password: &str) -> String {
        let group = self.post("/api/rooms", json!({ "groupName": name, "password": password })).await.is(201);
        group["groupId"].as_str().unwrap().to_owned()
    }

    /// The entry for this room in `GET /api/rooms/mine`.
    pub async fn conversation(&self, room: &str) -> Json {
        let mine = self.get("/api/rooms/mine").await.is(200);
        let found = mine.as_array().unwrap().iter().find(|conversation| conversation["roomId"] == room);
        found.unwrap_or_else(|| panic!("{room} is not among {mine}")).clone()
    }
}
