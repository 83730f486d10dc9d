//! Forwards a message: sends a copy of it to another room.

use std::sync::Arc;

use entity::{MessageId, message};

use super::Extras;
use crate::{
    chat::{Chat, Core, Draft, Place, connections::connection::Connection, room::Reply},
    error::{Entity, Error, Result},
    identity::Caller,
    message_extras::ForwardedFrom,
    values::{Body, ClientMessageId, Data, json_text},
};

/// Which message to forward, and how.
#[derive(Clone, Debug)]
pub struct Forward {
    pub message: MessageId,
    /// A text of the caller's that is sent before the copy.
    pub comment: Option<String>,
    pub client_message_id: Option<ClientMessageId>,
}

impl Chat {
    /// Sends a copy of a message to a place: its content and data, without its mentions and its thread. Returns when it
    /// is queued. `reply` is called once, with the copy: when it is committed and published, or refused. A comment is a
    /// message of its own, which is stored first.
    pub async fn forward(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        place: Place,
        forward: Forward,
        reply: Reply,
    ) {
        let core = &self.core;
        let found = async {
            let comment = match &forward.comment {
                Some(text) => Some(core.comment(text, forward.client_message_id.as_ref())?),
                None => None,
            };
            let copy = core.copy_of(caller, &forward).await?;
            if let Some(comment) = comment {
                let (said, stored) = tokio::sync::oneshot::channel();
                let said: Reply = Box::new(move |stored| drop(said.send(stored.map(drop))));
                self.send(caller, origin, place.clone(), comment, said).await;
                // The writer answers everything that is queued.
                stored.await.map_err(Error::internal)??;
            }
            Ok::<_, Error>(copy)
        };
        match found.await {
            Ok(copy) => self.send(caller, origin, place, copy, reply).await,
            Err(err) => reply(Err(err)),
        }
    }
}

impl Core {
    /// The message that is sent before a copy. A repeated request repeats its id, too.
    fn comment(&self, text: &str, id: Option<&ClientMessageId>) -> Result<Draft> {
        let limit = self.settings.limits.content_bytes;
        let body = Body::parse(message::Kind::Text, &json_text(text), limit)?;
        Ok(Draft { client_message_id: id.map(ClientMessageId::of_comment), ..Draft::of(body) })
    }

    async fn copy_of(self: &Arc<Self>, caller: &Caller, forward: &Forward) -> Result<Draft> {
        let (row, room) = self.message_of(caller, forward.message).await?;
        // Memory may not know yet that another process has removed the caller.
        self.check_membership(caller, room.id).await?;
        let sent = row.created_at;
        let models = self.to_messages(&room, vec![row]).await?;
        let original = models.first().ok_or(Error::NotFound(Entity::Message))?;
        if original.row.deleted_at.is_some() {
            return Err(Error::NotFound(Entity::Message));
        }
        if original.row.kind != message::Kind::Text {
            return Err(Error::invalid("messageId", "must be a text: only texts can be forwarded"));
        }
        let extras = original.extras.as_deref();
        let from = extras.and_then(|extras| extras.forwarded_from.clone());
        let from = from.unwrap_or_else(|| ForwardedFrom {
            sender: original.sender.username.to_string(),
            at: sent.timestamp_millis(),
        });
        let data = extras.and_then(|extras| extras.data.clone()).map(Data::parse).transpose()?;
        let limit = self.settings.limits.content_bytes;
        let body = Body::parse(message::Kind::Text, &original.row.content, limit)?;
        let extras = Extras {
            // Mentions are not copied, also not those in the text.
            mentions: Some(Vec::new()),
            data,
            forwarded_from: Some(from),
            ..Extras::default()
        };
        Ok(Draft {
            client_message_id: forward.client_message_id.clone(),
            extras: Some(Box::new(extras)),
            ..Draft::of(body)
        })
    }
}
