//! The data that exists before a workload starts: users, rooms, members, old messages.

use entity::{RoomId, SessionId, UserId};

pub struct User {
    pub id: UserId,
    pub username: String,
    /// The session that the user's token belongs to.
    pub session: SessionId,
}

pub struct Room {
    pub id: RoomId,
    /// A direct room, found by its two users instead of a name.
    pub direct: bool,
    /// Indices into [`Scene::users`].
    pub members: Vec<usize>,
    /// The number of messages. The members have written them in turn, and all are delivered.
    pub messages: u32,
}

#[derive(Default)]
pub struct Scene {
    pub users: Vec<User>,
    pub rooms: Vec<Room>,
}

impl Scene {
    /// Groups with this many members each. No user is in two of them.
    pub fn groups(groups: usize, members: usize, messages: u32) -> Self {
        Self::rooms(false, groups, members, messages)
    }

    /// Pairs of users with a direct room.
    pub fn pairs(pairs: usize) -> Self {
        Self::rooms(true, pairs, 2, 0)
    }

    fn rooms(direct: bool, rooms: usize, members: usize, messages: u32) -> Self {
        let mut scene = Self::default();
        for _ in 0..rooms {
            let members = (0..members).map(|_| scene.someone()).collect();
            scene.rooms.push(Room { id: RoomId::new(), direct, members, messages });
        }
        scene
    }

    fn someone(&mut self) -> usize {
        let at = self.users.len();
        let username = format!("user{at:05}");
        self.users.push(User { id: UserId::new(), username, session: SessionId::new() });
        at
    }
}

/// The content of an old message.
pub fn old_content(seq: u32) -> String {
    format!("an old message, number {seq} of its room, which is about as long as people write")
}
