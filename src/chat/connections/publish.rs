//! The one door through which events reach connections: an event and its audience. Only a room's messages go
//! another way, because their order is decided under the room's lock (`room::fanout`); and a connection says
//! its last word itself.

use std::sync::Arc;

use entity::{Seq, UserId};

use super::{ConnectionId, connection::Connection, hub::Hub};
use crate::chat::{
    event::{Envelope, Event},
    room::Room,
};

/// Connections that are written to before other tasks run.
const CONNECTIONS: usize = 256;

/// Events that are written to one connection without a pause: a queue keeps the memory of its greatest
/// length.
const EVENTS: usize = 16;

/// Who receives an event. Connections that are not open yet, or no longer, receive nothing.
#[derive(Clone, Copy)]
pub(in crate::chat) enum Audience<'a> {
    Connection(&'a Arc<Connection>),
    User(UserId),
    /// The connections of a user, except one.
    OthersOf(UserId, Option<ConnectionId>),
    Users(&'a [UserId]),
    /// The subscribers of a room, except one user.
    Room(&'a Room, Option<UserId>),
    /// The subscribers of a room, except one connection.
    OtherConnections(&'a Room, Option<ConnectionId>),
    Everyone,
}

impl Hub {
    /// Writes an event to its audience now. Returns whether any connection received it. The event is rendered
    /// once for all of them. A connection whose queue is full is disconnected.
    pub fn publish(&self, event: Event, to: Audience<'_>) -> bool {
        let envelope = Envelope::new(event);
        let mut has_received = false;
        for connection in self.receivers(to) {
            has_received |= connection.notify(&envelope);
        }
        has_received
    }

    /// Writes events to each connection of their audience, in their order, with pauses for other tasks. Two
    /// calls about one room must not overlap if their order matters.
    pub async fn publish_all(&self, events: &[Envelope], to: Audience<'_>) {
        let receivers = self.receivers(to);
        let mut is_first = true;
        for events in events.chunks(EVENTS) {
            for connections in receivers.chunks(CONNECTIONS) {
                if !std::mem::take(&mut is_first) {
                    tokio::task::yield_now().await;
                }
                for connection in connections {
                    self.publish_to(connection, events);
                }
            }
        }
    }

    /// Writes events to one connection, which sends together what is written together.
    pub fn publish_to<'a>(
        &self,
        connection: &Arc<Connection>,
        events: impl IntoIterator<Item = &'a Envelope>,
    ) {
        connection.notify_all(events);
    }

    /// Writes an event about a room to its audience, if `seq` is the room's newest message at that moment: what it
    /// says holds for the messages that its receivers were sent. Returns whether that is so.
    pub fn publish_at(&self, seq: Seq, room: &Room, event: Event, to: Audience<'_>) -> bool {
        let envelope = Envelope::new(event);
        let receivers = self.receivers(to);
        let mut late = Vec::new();
        let is_newest = room.while_newest(seq, || {
            let open = receivers.iter().filter(|connection| connection.may_receive());
            late.extend(open.filter(|connection| connection.emit(&envelope).is_err()));
        });
        // Without the room's lock.
        receivers.iter().for_each(|connection| connection.flush());
        late.into_iter().for_each(|connection| connection.disconnect("its queue is full"));
        is_newest
    }

    fn receivers(&self, audience: Audience<'_>) -> Vec<Arc<Connection>> {
        match audience {
            Audience::Connection(connection) => vec![connection.clone()],
            Audience::User(user) => self.of_user(user),
            Audience::OthersOf(user, except) => {
                self.of_user(user).into_iter().filter(|other| Some(other.id) != except).collect()
            }
            Audience::Users(users) => users.iter().flat_map(|user| self.of_user(*user)).collect(),
            Audience::Room(room, except) => room.subscribers(except),
            Audience::OtherConnections(room, except) => room.other_subscribers(except),
            Audience::Everyone => self.all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::{RoomId, member::Role, room};

    use super::*;
    use crate::{
        chat::{
            model::RoomChange,
            room::{ById, Heads, StoredMember, watermark::Marks},
        },
        clock::Clock,
        identity::Person,
    };

    #[test]
    fn each_audience_has_its_receivers() {
        let hub = Hub::new(Clock::real());
        let [ada, bob, cyd] = [(); 3].map(|()| UserId::new());
        let member = || StoredMember {
            person: Person::nobody(),
            role: Role::Member,
            marks: Marks::default(),
            is_marked_unread: false,
            joined: Seq::ZERO,
        };
        let members = [(ada, member()), (bob, member())].into_iter().collect();
        let room = Room::new(RoomId::new(), room::Kind::Group, None, Heads::default(), 1, members);
        let connections = [ada, ada, bob, cyd].map(Connection::silent);
        for connection in &connections {
            hub.enter(connection).unwrap();
            room.subscribe(connection, Seq::ZERO);
        }
        let receivers = |audience| {
            let mut users: Vec<UserId> = hub.receivers(audience).iter().map(|it| it.user()).collect();
            users.sort_unstable();
            users
        };
        for (audience, mut expected) in [
            (Audience::Connection(&connections[0]), vec![ada]),
            (Audience::User(ada), vec![ada, ada]),
            (Audience::OthersOf(ada, Some(connections[0].id)), vec![ada]),
            (Audience::Users(&[bob, cyd]), vec![bob, cyd]),
            (Audience::Room(&room, None), vec![ada, ada, bob]),
            (Audience::Room(&room, Some(ada)), vec![bob]),
            (Audience::OtherConnections(&room, Some(connections[0].id)), vec![ada, bob]),
            (Audience::Everyone, vec![ada, ada, bob, cyd]),
        ] {
            expected.sort_unstable();
            assert_eq!(receivers(audience), expected);
        }
    }

    #[test]
    fn an_event_about_a_room_is_written_only_while_its_newest_message_is_the_one_it_knows() {
        let hub = Hub::new(Clock::real());
        let heads = Heads { seq: Seq(3), ..Heads::default() };
        let room = Room::new(RoomId::new(), room::Kind::Group, None, heads, 1, ById::default());
        let event = || Event::RoomChanged { room: room.id, set: RoomChange::default() };
        let to = Audience::OthersOf(UserId::new(), None);
        assert!(!hub.publish_at(Seq(2), &room, event(), to));
        assert!(hub.publish_at(Seq(3), &room, event(), to));
    }

    #[test]
    fn only_open_connections_receive_events() {
        let hub = Hub::new(Clock::real());
        let ada = UserId::new();
        let phone = Connection::silent(ada);
        hub.enter(&phone).unwrap();
        let typing = || Event::TokenExpired { reason: "a test".to_owned() };
        assert!(!hub.publish(typing(), Audience::User(ada)));
        phone.open();
        assert!(hub.publish(typing(), Audience::User(ada)));
        assert!(!hub.publish(typing(), Audience::User(UserId::new())));
    }
}
