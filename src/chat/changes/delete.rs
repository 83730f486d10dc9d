//! Deletes messages. Checks who may delete a message, and until when.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use entity::{MessageId, message};

use super::rights::{Deed, Relation, may};
use crate::{
    chat::{Chat, connections::connection::Connection, room::Reply, writer::Wanted},
    config::MessagesConfig,
    error::{Entity, Error, Forbidden, Result},
    identity::Caller,
};

/// The most messages that one request deletes.
const AT_ONCE: usize = 100;
/// The most bytes of a reason.
const LONGEST_REASON: usize = 500;

/// Which messages to delete, and why.
#[derive(Debug)]
pub struct DeleteMessages {
    /// Of one room.
    pub messages: Vec<MessageId>,
    /// For the log of the server. Nobody else sees it.
    pub reason: Option<String>,
}

impl Chat {
    /// Deletes messages, all of them or none: the caller's own, or as a moderator. Returns when the request is
    /// queued. `reply` is called once, with the last of them: when they are deleted and that is published, or when
    /// the request is refused. To delete a deleted message changes nothing.
    pub async fn delete_messages(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        deletion: DeleteMessages,
        reply: Reply,
    ) {
        let core = &self.core;
        let found = async {
            let DeleteMessages { mut messages, reason } = deletion;
            if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_REASON) {
                return Err(Error::TooLarge { what: "reason", limit: LONGEST_REASON });
            }
            messages.sort_unstable();
            messages.dedup();
            if messages.is_empty() || messages.len() > AT_ONCE {
                return Err(Error::invalid("messageIds", "must have 1 to 100 ids"));
            }
            // The others have to be in the same room; the transaction finds out.
            let first = *messages.first().ok_or(Error::NotFound(Entity::Message))?;
            let (_, room) = core.message_of(caller, first).await?;
            Ok::<_, Error>((messages, room, reason))
        };
        match found.await {
            Ok((messages, room, reason)) => {
                let user = caller.user;
                let ids = messages.clone();
                let reply: Reply = Box::new(move |deleted| {
                    if let Some(reason) = reason.filter(|_| deleted.is_ok()) {
                        tracing::info!(messages = ?ids, user.id = %user, reason, "deleted messages");
                    }
                    reply(deleted);
                });
                core.queue_change(caller, origin, room, messages, Wanted::Delete, reply);
            }
            Err(err) => reply(Err(err)),
        }
    }
}

/// Checks that a message may be deleted.
pub(in crate::chat) fn may_delete(
    row: &message::Model,
    relation: Relation,
    now: DateTime<Utc>,
    settings: &MessagesConfig,
) -> Result<()> {
    may(relation, Deed::Delete)?;
    let window = settings.delete_window;
    let age = (now - row.created_at).to_std().unwrap_or_default();
    if relation == Relation::Sender && row.deleted_at.is_none() && !window.is_zero() && age > window {
        return Err(Error::Forbidden(Forbidden::WindowOver));
    }
    Ok(())
}
