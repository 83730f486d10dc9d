//! Who types at another node. Only the bus carries it, and if a frame is lost, so is this: nobody needs it a moment later.

use std::collections::{BTreeMap, HashSet};

use entity::UserId;

use crate::{
    bus::frame::{FrameEntry, Typing, TypingTo},
    chat::{Core, connections::options::TypingPlace, room::registry::people},
    error::Result,
};

/// The most that waits to be told. What is new then is dropped.
const WAITING: usize = 1_000;

/// Users who have begun to type somewhere, or have stopped: the newest of each place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TypingNews(BTreeMap<(UserId, TypingTo), bool>);

impl TypingNews {
    pub fn of(sender: UserId, place: &TypingPlace, typing: bool) -> Self {
        let to = match place {
            TypingPlace::Group(room) => TypingTo::Group(*room),
            TypingPlace::User(user, _) => TypingTo::User(*user),
        };
        Typing { sender, to, typing }.into()
    }

    pub fn add(&mut self, later: Self) {
        for (key, typing) in later.0 {
            if self.0.len() < WAITING || self.0.contains_key(&key) {
                self.0.insert(key, typing);
            }
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = FrameEntry> {
        self.0.iter().map(|((sender, to), typing)| {
            FrameEntry::Typing(Typing { sender: *sender, to: *to, typing: *typing })
        })
    }
}

impl From<Typing> for TypingNews {
    fn from(told: Typing) -> Self {
        Self([((told.sender, told.to), told.typing)].into())
    }
}

/// Tells those who are connected here.
pub(super) async fn tell(core: &Core, news: TypingNews) -> Result<()> {
    for ((user, to), typing) in news.0 {
        match to {
            TypingTo::Group(group) => {
                let Some(room) = core.rooms.resident(group) else { continue };
                let Some(person) = room.person(user) else { continue };
                let place = TypingPlace::Group(group);
                core.show_typing((user, &person.username), &place, Some(&room), typing).await;
            }
            TypingTo::User(addressed) => {
                let here = core.hub.of_user(addressed);
                let Some(name) = here.first().map(|connection| connection.caller().username.clone()) else {
                    continue;
                };
                // Perhaps they have no room yet.
                let found = people(core.db.reader(), HashSet::from([user])).await?;
                let Some(person) = found.get(&user) else { continue };
                let place = TypingPlace::User(addressed, name);
                core.show_typing((user, &person.username), &place, None, typing).await;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use entity::RoomId;

    use super::*;

    #[test]
    fn the_newest_of_each_place_is_told() {
        let [ada, bob] = [UserId::new(), UserId::new()];
        let mut news = TypingNews::of(ada, &TypingPlace::Group(RoomId::new()), true);
        news.add(TypingNews::of(ada, &TypingPlace::User(bob, "bob".into()), true));
        news.add(TypingNews::of(ada, &TypingPlace::User(bob, "bob".into()), false));
        let entries: Vec<FrameEntry> = news.entries().collect();
        assert_eq!(entries.len(), 2);
        assert!(entries.contains(&FrameEntry::Typing(Typing {
            sender: ada,
            to: TypingTo::User(bob),
            typing: false
        })));
    }

    #[test]
    fn only_so_much_waits() {
        let mut news = TypingNews::default();
        for _ in 0..WAITING + 5 {
            news.add(TypingNews::of(UserId::new(), &TypingPlace::Group(RoomId::new()), true));
        }
        assert_eq!(news.0.len(), WAITING);
    }
}
