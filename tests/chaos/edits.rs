//! How a device edits, deletes and pins messages, and reacts to them: over the socket, where it asks again until it is
//! answered. Some edits go over HTTP, where it may hang up and never know.

use std::{
    collections::{HashMap, HashSet},
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
    history::{Act, DELETED, Deed, Edit, Pen, Place, What, code_of},
    membership::request,
    version::Digest,
};

/// How often an edit over HTTP is asked for at most.
const ATTEMPTS: usize = 4;
/// How long to wait before one that was not answered is asked for again.
const PAUSE: Duration = Duration::from_millis(300);
/// Among so many of its newest messages a device chooses every second time, so that some are edited often.
const NEWEST: usize = 4;

/// A message that a device knows.
type Known = (RoomId, i64, MessageId);

pub struct Editor {
    number: usize,
    token: String,
    pen: Pen,
    /// Messages that were acknowledged.
    own: Vec<Known>,
    /// Messages that were acknowledged, by where they are.
    roots: HashMap<Place, Vec<MessageId>>,
    /// Messages that it has read and may pin.
    pinnable: Vec<Known>,
    /// Messages that it has read or sent and may delete.
    deletable: Vec<Known>,
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
            roots: HashMap::new(),
            pinnable: Vec::new(),
            deletable: Vec::new(),
            intended: 0,
            reacted: HashSet::new(),
            requests: Arc::default(),
        }
    }

    pub fn has_stored(&mut self, known: Known, place: Place) {
        self.own.push(known);
        self.deletable.push(known);
        // The lobby has no members whom its threads could be counted for.
        if place != Place::Lobby {
            self.roots.entry(place).or_default().push(known.2);
        }
    }

    /// The message whose thread a number chooses.
    pub fn root(&self, place: Place, which: usize) -> Option<MessageId> {
        let roots = self.roots.get(&place)?;
        // A few long threads.
        roots.get(which.checked_rem(roots.len())? / 3).copied()
    }

    /// A message came by. `moderates`: the device's user moderates the room.
    pub fn has_read(&mut self, known: Known, is_direct: bool, moderates: bool) {
        if is_direct || moderates {
            self.pinnable.push(known);
        }
        if moderates {
            self.deletable.push(known);
        }
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Takes note of an edit with a content of its own, of the message that this number chooses. Returns its number and
    /// the payload.
    pub fn intends(&mut self, which: usize, bytes: usize, is_over_http: bool) -> Option<(usize, Json)> {
        let (room, seq, id) = message(&self.own, which)?;
        let content = format!("{}-e{} {}", self.number, self.intended, "y".repeat(bytes));
        self.intended += 1;
        let edit = self.pen.means(Edit { room, seq, id, content: Digest::of(&content), is_over_http });
        Some((edit, json!({ "messageId": id, "content": content })))
    }

    /// Takes note of a reaction, or of its withdrawal. Returns its number and the payload.
    pub fn feels(&mut self, which: usize) -> Option<(usize, Json)> {
        let (room, seq, id) = message(&self.own, which)?;
        let on = !self.reacted.remove(&id);
        if on {
            self.reacted.insert(id);
        }
        let deed = self.pen.will_do(Deed { room, seq, act: Act::React { on } });
        Some((deed, json!({ "messageId": id, "key": key_of(self.number), "on": on })))
    }

    /// Takes note of a deletion. Returns its number and the payload.
    pub fn will_delete(&self, which: usize) -> Option<(usize, Json)> {
        let (room, seq, id) = message(&self.deletable, which)?;
        Some((self.pen.will_do(Deed { room, seq, act: Act::Delete }), json!({ "messageId": id })))
    }

    /// Takes note of a pin, or of its end. Returns its number and the payload.
    pub fn will_pin(&self, which: usize, on: bool) -> Option<(usize, Json)> {
        let (room, seq, id) = message(&self.pinnable, which)?;
        let deed = self.pen.will_do(Deed { room, seq, act: Act::Pin { on } });
        Some((deed, json!({ "messageId": id, "on": on })))
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
                let mut is_over = hangs_up.is_some();
                let answer = request(address, &token, "PATCH", &path, Some(&body), hangs_up).await;
                match &answer {
                    Some((200, message)) => {
                        pen.writes(connection, answered(edit, message));
                        is_over = true;
                    }
                    Some((_, problem)) => {
                        let code = code_of(problem);
                        is_over |= code == DELETED;
                        pen.writes(connection, What::EditRefused { edit, code });
                    }
                    None => {}
                }
                if is_over {
                    break;
                }
                sleep(PAUSE).await;
            }
            requests.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// The message that a number chooses.
fn message(known: &[Known], which: usize) -> Option<Known> {
    let count = known.len();
    let place = which / 2;
    let place = match which % 2 {
        0 => place.checked_rem(count)?,
        _ => count.checked_sub(1)? - place % count.min(NEWEST),
    };
    known.get(place).copied()
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
