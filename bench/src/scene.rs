//! Who and what is there before a workload begins: users, rooms, members, old messages.

use entity::{RoomId, SessionId, UserId};

pub struct User {
    pub id: UserId,
    pub username: String,
    /// The login that its token belongs to.
    pub session: SessionId,
}

pub struct Room {
    pub id: RoomId,
    /// Of two, found by its pair, and not by a name.
    pub direct: bool,
    /// Places in [`Scene::users`].
    pub members: Vec<usize>,
    /// How many messages are in it; each member in turn wrote one, and all have arrived.
    pub messages: u32,
}

#[derive(Default)]
pub struct Scene {
    pub users: Vec<User>,
    pub rooms: Vec<Room>,
}

impl Scene {
    /// Groups of so many, nobody in two.
    pub fn groups(groups: usize, members: usize, messages: u32) -> Self {
        Self::rooms(false, groups, members, messages)
    }

    /// Pairs who have a room.
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

/// What an old message says.
pub fn old_content(seq: u32) -> String {
    format!("an old message, number {seq} of its room, which is about as long as people write")
}
