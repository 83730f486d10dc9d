//! How a device edits its own messages, and reacts to them: over the socket, where it asks again until it is answered, and over HTTP, where
//! it may hang up and never know.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use entity::{MessageId, RoomId};
use serde_json::{Value as Json, json};
use tokio::time::sleep;

use crate::{
    history::{Digest, Edit, Pen, React, What},
    membership::request,
};

/// How often an edit over HTTP is asked for at most.
const ATTEMPTS: usize = 4;
/// How long to wait before one that was not answered is asked for again.
const PAUSE: Duration = Duration::from_millis(300);
/// Among so many of its newest messages a device chooses every second time, so that some are edited often.
const NEWEST: usize = 4;

pub struct Editor {
    number: usize,
    token: String,
    pen: Pen,
    /// Messages that were acknowledged.
    own: Vec<(RoomId, i64, MessageId)>,
    intended: usize,
    /// Messages with a reaction of this device.
    reacted: HashSet<MessageId>,
    /// Edits over HTTP that are under way.
    requests: Arc<AtomicUsize>,
}

impl Editor {
    pub fn new(number: usize, token: String, pen: Pen) -> Self {
        Self {
            number,
            token,
            pen,
            own: Vec::new(),
            intended: 0,
            reacted: HashSet::new(),
            requests: Arc::default(),
        }
    }

    pub fn has_stored(&mut self, room: RoomId, seq: i64, id: MessageId) {
        self.own.push((room, seq, id));
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Takes note of an edit with a content of its own, of the message that this number chooses. Returns its number and
    /// the payload.
    pub fn intends(&mut self, which: usize, bytes: usize, is_over_http: bool) -> Option<(usize, Json)> {
        let (room, seq, id) = self.message(which)?;
        let content = format!("{}-e{} {}", self.number, self.intended, "y".repeat(bytes));
        self.intended += 1;
        let edit = self.pen.means(Edit { room, seq, id, content: Digest::of(&content), is_over_http });
        Some((edit, json!({ "messageId": id, "content": content })))
    }

    fn message(&self, which: usize) -> Option<(RoomId, i64, MessageId)> {
        let count = self.own.len();
        let place = which / 2;
        let place = match which % 2 {
            0 => place.checked_rem(count)?,
            _ => count.checked_sub(1)? - place % count.min(NEWEST),
        };
        self.own.get(place).copied()
    }

    /// Takes note of a reaction, or of its withdrawal. Returns its number and the payload.
    pub fn feels(&mut self, which: usize) -> Option<(usize, Json)> {
        let (room, seq, id) = self.message(which)?;
        let on = !self.reacted.remove(&id);
        if on {
            self.reacted.insert(id);
        }
        let react = self.pen.feels(React { room, seq, on });
        Some((react, json!({ "messageId": id, "key": key_of(self.number), "on": on })))
    }

    /// Asks over HTTP, on a line of its own.
    pub fn asks(
        &self,
        connection: u32,
        address: SocketAddr,
        edit: usize,
        payload: &Json,
        hangs_up: Option<Duration>,
    ) {
        let (pen, token, requests) = (self.pen.clone(), self.token.clone(), self.requests.clone());
        let path = format!("/api/messages/{}", payload["messageId"].as_str().unwrap());
        let body = json!({ "content": payload["content"] });
        requests.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            for _ in 0..ATTEMPTS {
                pen.writes(connection, What::EditAsked { edit });
                let answer = request(address, &token, "PATCH", &path, Some(&body), hangs_up).await;
                match &answer {
                    Some((200, message)) => pen.writes(connection, answered(edit, message)),
                    Some((_, problem)) => {
                        let code = problem["code"].as_str().unwrap_or("none").to_owned();
                        pen.writes(connection, What::EditRefused { edit, code });
                    }
                    None => {}
                }
                if hangs_up.is_some() || matches!(answer, Some((200, _))) {
                    break;
                }
                sleep(PAUSE).await;
            }
            requests.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Each device has a key of its own.
pub fn key_of(device: usize) -> String {
    format!("k{device}")
}

/// The acknowledgement of an edit.
pub fn answered(edit: usize, message: &Json) -> What {
    What::EditAnswered {
        edit,
        change: message["change"].as_i64().unwrap_or(0),
        content: Digest::of(message["content"].as_str().unwrap_or_default()),
    }
}
