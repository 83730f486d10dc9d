//! Expiry of tokens: one task warns connections and ends them when their token expires.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use super::{ConnectionId, connection::Connection, publish::Audience};
use crate::chat::{Core, event::Event};

/// How often the task checks the list: a fraction of the second within which the protocol requires the end.
const TICK: Duration = Duration::from_millis(200);

/// Warnings and ends in order of time. A refreshed token leaves its old entries in place; they are recognised
/// as outdated when they are due.
pub(super) struct Expiry {
    due: Mutex<BTreeMap<DueAt, Weak<Connection>>>,
}

/// Time, connection, action: in the order in which they are due.
type DueAt = (DateTime<Utc>, ConnectionId, Due);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Warning,
    End,
}

impl Expiry {
    pub fn new() -> Self {
        Self { due: Mutex::default() }
    }

    /// Watches a connection's newest token. The entry for its end is added when the warning is due: until
    /// then one entry is enough.
    pub fn watch(&self, connection: &Arc<Connection>, notice: Duration) {
        let warn_at = connection.caller().expires_at - notice;
        self.due.lock().insert((warn_at, connection.id, Due::Warning), Arc::downgrade(connection));
    }

    /// Removes the entries of a connection that is gone.
    pub fn forget(&self, connection: &Connection, notice: Duration) {
        let expires_at = connection.caller().expires_at;
        let mut due = self.due.lock();
        if due.remove(&(expires_at - notice, connection.id, Due::Warning)).is_none() {
            due.remove(&(expires_at, connection.id, Due::End));
        }
    }

    fn take_due(&self, now: DateTime<Utc>, notice: Duration) -> Vec<(DateTime<Utc>, Due, Arc<Connection>)> {
        let mut due = self.due.lock();
        let mut taken = Vec::new();
        while let Some(entry) = due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, id, what), connection) = entry.remove_entry();
            let Some(live) = connection.upgrade() else { continue };
            if what == Due::Warning {
                due.insert((at + notice, id, Due::End), connection);
            }
            taken.push((at, what, live));
        }
        taken
    }
}

pub(in crate::chat) async fn run(core: Arc<Core>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = core.shutdown.begun() => return,
        }
        for (at, what, connection) in
            core.connecting.expiry.take_due(core.clock.now(), core.settings.expiring_notice)
        {
            let expires_at = connection.caller().expires_at;
            match what {
                Due::Warning if at == expires_at - core.settings.expiring_notice => {
                    let warning = Event::TokenExpiring { expires_at };
                    core.hub.publish(warning, Audience::Connection(&connection));
                }
                Due::End if at == expires_at => connection.end("The token expired"),
                _ => {}
            }
        }
    }
}
