//! How a connection ends by the server's decision: disconnected, so that its client reconnects, or ended after a last
//! event.

use std::sync::{Arc, atomic::Ordering};

use super::connection::Connection;
use crate::{
    chat::event::{Envelope, Event},
    error::{AuthError, Error},
};

impl Connection {
    /// Disconnects it, so that its client reconnects and catches up. If its login has ended, it gets a last
    /// event instead, because reconnecting would fail.
    pub fn disconnect(self: &Arc<Self>, reason: &'static str) {
        match self.check_login() {
            Err(Error::Unauthenticated(AuthError::TokenExpired(_))) => return self.end("The token expired"),
            Err(_) => return,
            Ok(()) => {}
        }
        if !self.may_disconnect() {
            return;
        }
        crate::metrics::CONNECTIONS_DISCONNECTED.one(reason);
        tracing::info!(connection.id = %self.id, user.id = %self.user(), "disconnected a connection: {reason}");
        self.outlet.disconnect();
    }

    /// Disconnects it, so that its client reconnects, to another node: this one is being stopped.
    pub(in crate::chat) fn hand_over(self: &Arc<Self>) {
        if self.may_disconnect() {
            self.outlet.disconnect();
        }
    }

    /// Whether nothing has disconnected it so far. Notes that something does now.
    fn may_disconnect(&self) -> bool {
        !self.is_disconnected.swap(true, Ordering::SeqCst) && !self.is_over()
    }

    /// Ends it after a last event, because its login has ended. A connection that is not open yet is ended by
    /// [`Connection::end_late`].
    pub(in crate::chat) fn end(self: &Arc<Self>, reason: &str) {
        if !self.ended.swap(true, Ordering::SeqCst) && self.is_open() {
            self.say_goodbye(reason);
        }
    }

    /// Closes it after a last event, because its user has too many connections and a newer one needs its
    /// place. Its client does not reconnect by itself: otherwise the connections would displace each other
    /// for ever. A connection that is not open yet is ended by [`Connection::end_late`].
    pub(in crate::chat) fn displace(self: &Arc<Self>) {
        self.displaced.store(true, Ordering::SeqCst);
        if self.ended.swap(true, Ordering::SeqCst) {
            return;
        }
        crate::metrics::CONNECTIONS_DISPLACED.one();
        tracing::info!(connection.id = %self.id, user.id = %self.user(), "closed a connection for a newer one");
        if self.is_open() {
            self.say_displaced();
        }
    }

    /// Ends a connection that was ended or displaced while it connected.
    pub(in crate::chat) fn end_late(self: &Arc<Self>) {
        if self.displaced.load(Ordering::SeqCst) {
            self.say_displaced();
        } else {
            self.say_goodbye("The login of this token has ended");
        }
    }

    fn say_displaced(self: &Arc<Self>) {
        let reason =
            "This user has too many connections, and a newer one took the place of this one".to_owned();
        if self.outlet.emit(self, &Envelope::new(Event::Displaced { reason })).is_ok() {
            self.outlet.flush();
            self.outlet.end();
        } else {
            self.outlet.disconnect();
        }
    }

    fn say_goodbye(self: &Arc<Self>, reason: &str) {
        let last_event = Event::TokenExpired { reason: reason.to_owned() };
        if self.outlet.emit(self, &Envelope::new(last_event)).is_ok() {
            self.outlet.flush();
            self.outlet.log_out();
        } else {
            self.outlet.disconnect();
        }
    }
}
