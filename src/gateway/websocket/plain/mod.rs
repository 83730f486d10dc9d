//! `GET /ws`: the native events (docs/events.md) as JSON frames on a plain WebSocket. `gateway::native`
//! defines what an event means.

mod frame;
mod outlet;

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use http::{HeaderMap, Uri};
use serde::Deserialize;
use serde_json::{Value as Json, json, value::RawValue};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use self::{frame::IncomingFrame, outlet::PlainOutlet};
use super::{WebSockets, outgoing::Outgoing, pump::FrameHandler, upgrade::Upgrade};
use crate::{
    error::{Error, Result},
    gateway::{
        events::{Ack, Inbox, Incoming, Write},
        http::{
            extract::{Client, QueryParameters},
            refusal::Rejection,
            wrong_method,
        },
        native::{AckIds, Acknowledgement, ConnectParameters, Native, PendingAcks},
    },
};

pub fn routes(sockets: WebSockets) -> Router {
    Router::new().route("/ws", get(open)).method_not_allowed_fallback(wrong_method).with_state(sockets)
}

/// The query parameters of a connection, except its credential.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConnectQuery {
    /// A JSON object.
    since: Option<String>,
    /// A JSON object.
    changes: Option<String>,
    catch_up: Option<bool>,
    receipts: Option<String>,
}

impl ConnectQuery {
    fn parameters(self) -> Result<ConnectParameters> {
        let wrong_since = |_| Error::invalid("since", "must be a JSON object with a seq for each roomId");
        let wrong_changes = |_| {
            Error::invalid(
                "changes",
                "must be a JSON object with a change, or { change, from }, for each roomId",
            )
        };
        let parse = |text: Option<String>| text.as_deref().map(serde_json::from_str::<Json>).transpose();
        let (since, changes) =
            (parse(self.since).map_err(wrong_since)?, parse(self.changes).map_err(wrong_changes)?);
        let parameters = |since, changes| -> serde_json::Result<ConnectParameters> {
            let parameters = json!({ "since": since, "changes": changes, "catchUp": self.catch_up, "receipts": self.receipts });
            serde_json::from_value(parameters)
        };
        // One after the other, so that the error names the wrong one.
        parameters(since.clone(), None).map_err(wrong_since)?;
        parameters(since, changes).map_err(wrong_changes)
    }
}

/// Every refusal happens here, with an HTTP status. After the upgrade, the client is connected.
async fn open(
    upgrade: Upgrade,
    QueryParameters(asked): QueryParameters<ConnectQuery>,
    client: Client,
    State(sockets): State<WebSockets>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Rejection> {
    let parameters = asked.parameters()?;
    let (options, receipts) = (parameters.options(), parameters.receipts()?);
    let caller = sockets.caller(&uri, &headers, client).await?;

    let limits = &sockets.limits;
    let outgoing = upgrade.outgoing(&sockets);
    let count = sockets.http.chat.counts().acknowledgements.clone();
    let pending = PendingAcks::new(limits.unacknowledged, count);
    let ack_ids = AckIds::new(pending, limits.ack_timeout, &sockets.late_acks);
    let outlet = PlainOutlet { outgoing: outgoing.clone(), ack_ids: ack_ids.clone(), receipts };
    let inbox = sockets.connect(caller, outlet, options, Native).await?;
    let frames = NativeFrames { inbox, outgoing: outgoing.clone(), ack_ids };
    Ok(upgrade.accept(&sockets, outgoing, frames))
}

/// The frame handler of a native client.
struct NativeFrames {
    inbox: Arc<Inbox<frame::Read, Native>>,
    outgoing: Arc<Outgoing>,
    ack_ids: Arc<AckIds>,
}

impl NativeFrames {
    fn take(&self, packet: frame::Read, write: Option<Write>) {
        let ack = Ack::new(write, self.inbox.socket.connection.clone());
        self.inbox.receive(Incoming { packet, ack });
    }

    /// Returns a function that writes an answer in the form of `frame`.
    fn writes(&self, frame: impl FnOnce(&RawValue) -> Utf8Bytes + Send + Sync + 'static) -> Write {
        let outgoing = self.outgoing.clone();
        Box::new(move |answer| outgoing.push(frame(answer)))
    }
}

impl FrameHandler for NativeFrames {
    fn opened(&self) {
        self.inbox.open();
    }

    fn receives(&self, text: Utf8Bytes) {
        match frame::read(&text) {
            Ok(IncomingFrame::Event { event, id }) => {
                let write = id.map(|id| self.writes(move |answer| frame::reply(&id, answer)));
                self.take(Ok(event), write);
            }
            Ok(IncomingFrame::Reply { id, data }) => {
                let message = id.and_then(|id| self.ack_ids.answered(id));
                if let Some(message) = message.filter(|_| Acknowledgement::of(data).says_arrived()) {
                    let socket = &self.inbox.socket;
                    socket.chat.acknowledge(&socket.connection, &[message]);
                }
            }
            // It is queued with the events and counts in their budget.
            Err(unreadable) => self.take(Err(unreadable), Some(self.writes(frame::error))),
        }
    }

    fn left(&self) {
        self.inbox.leave();
    }
}
