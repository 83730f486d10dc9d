//! `GET /ws`: the native events (protocol.md part 3) as JSON frames on a plain WebSocket. What an event
//! means is left to `gateway::native`.

mod frame;
mod outlet;
mod unanswered;

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::{Value as Json, json, value::RawValue};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use self::{frame::Said, outlet::PlainOutlet, unanswered::Unanswered};
use super::{WebSockets, outgoing::Outgoing, pump::Listener, upgrade::Upgrade};
use crate::{
    error::{Error, Result},
    gateway::{
        events::{Ack, Inbox, Incoming, Write},
        http::{
            extract::{Client, Wanted},
            refusal::Rejection,
            wrong_method,
        },
        native::{Acknowledgement, Native, Wishes},
    },
};

pub fn routes(sockets: WebSockets) -> Router {
    Router::new().route("/ws", get(open)).method_not_allowed_fallback(wrong_method).with_state(sockets)
}

/// What a client may ask for in the query, besides showing who it is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    /// A JSON object.
    since: Option<String>,
    catch_up: Option<bool>,
    receipts: Option<String>,
}

impl Asked {
    fn wishes(self) -> Result<Wishes> {
        let wrong = |_| Error::invalid("since", "must be a JSON object with a seq for each roomId");
        let since: Option<Json> =
            self.since.as_deref().map(serde_json::from_str).transpose().map_err(wrong)?;
        let wishes = json!({ "since": since, "catchUp": self.catch_up, "receipts": self.receipts });
        serde_json::from_value(wishes).map_err(wrong)
    }
}

/// Everything that can be refused is refused here, with a status: who is in is in.
async fn open(
    upgrade: Upgrade,
    Wanted(asked): Wanted<Asked>,
    client: Client,
    State(sockets): State<WebSockets>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let wishes = asked.wishes()?;
    let (options, receipts) = (wishes.options(), wishes.receipts()?);
    let caller = sockets.caller(&uri, &headers, client).await?;

    let settings = &sockets.settings;
    let outgoing = upgrade.outgoing(&sockets);
    let count = sockets.http.chat.counts().acknowledgements.clone();
    let unanswered = Arc::new(Unanswered::new(settings.unacknowledged, settings.ack_timeout, count));
    let outlet = PlainOutlet { outgoing: outgoing.clone(), unanswered: unanswered.clone(), receipts };
    let inbox = sockets.connect(caller, outlet, options, Native).await?;
    let ear = Ear { inbox, outgoing: outgoing.clone(), unanswered };
    Ok(upgrade.accept(&sockets, outgoing, ear))
}

/// Hears a native client.
struct Ear {
    inbox: Arc<Inbox<frame::Read, Native>>,
    outgoing: Arc<Outgoing>,
    unanswered: Arc<Unanswered>,
}

impl Ear {
    fn take(&self, packet: frame::Read, write: Option<Write>) {
        let ack = Ack::new(write, self.inbox.socket.connection.clone());
        self.inbox.receive(Incoming { packet, ack });
    }

    /// Writes an answer as `frame` has it.
    fn writes(&self, frame: impl FnOnce(&RawValue) -> Utf8Bytes + Send + Sync + 'static) -> Write {
        let outgoing = self.outgoing.clone();
        Box::new(move |answer| outgoing.push(frame(answer)))
    }
}

impl Listener for Ear {
    fn opened(&self) {
        self.inbox.open();
    }

    fn hears(&self, text: Utf8Bytes) {
        match frame::read(&text) {
            Ok(Said::Event { event, id }) => {
                let write = id.map(|id| self.writes(move |answer| frame::reply(&id, answer)));
                self.take(Ok(event), write);
            }
            Ok(Said::Reply { id, data }) => {
                let message = id.and_then(|id| self.unanswered.answered(id));
                if let Some(message) = message.filter(|_| Acknowledgement::of(data).says_arrived()) {
                    let socket = &self.inbox.socket;
                    socket.chat.acknowledge(&socket.connection, &[message]);
                }
            }
            // It takes its turn among the events, and of their budget.
            Err(unreadable) => self.take(Err(unreadable), Some(self.writes(frame::error))),
        }
    }

    fn left(&self) {
        self.inbox.leave();
    }
}
