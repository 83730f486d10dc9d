//! Who types at another node. It is told through the bell alone, and lost where the bell is: nobody misses anything by it.

use std::collections::{BTreeMap, HashSet};

use entity::{RoomId, UserId};
use uuid::Uuid;

use crate::{
    chat::{Core, connections::options::TypingPlace, room::registry::people},
    error::Result,
};

/// The most that waits to be told. What is new then is dropped.
const WAITING: usize = 1_000;
/// The first character of an item.
const MARK: char = '~';

/// Whom somebody types to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    Group(RoomId),
    User(UserId),
}

/// Users who have begun to type somewhere, or have stopped: the newest of each place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TypingNews(BTreeMap<(UserId, Whom), bool>);

impl TypingNews {
    pub fn of(sender: UserId, place: &TypingPlace, typing: bool) -> Self {
        let whom = match place {
            TypingPlace::Group(room) => Whom::Group(*room),
            TypingPlace::User(user, _) => Whom::User(*user),
        };
        Self([((sender, whom), typing)].into())
    }

    pub fn add(&mut self, later: Self) {
        for (key, typing) in later.0 {
            if self.0.len() < WAITING || self.0.contains_key(&key) {
                self.0.insert(key, typing);
            }
        }
    }

    /// Each as one word: the mark, `1` or `0`, the sender, `g` or `u`, and the id of the group or of the user.
    pub fn items(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((sender, whom), typing)| {
            let (kind, id) = match whom {
                Whom::Group(room) => ('g', room.0),
                Whom::User(user) => ('u', user.0),
            };
            format!("{MARK}{}{}{kind}{}", u8::from(*typing), sender.0.simple(), id.simple())
        })
    }

    /// What these items say; others are skipped.
    pub fn read<'a>(items: impl Iterator<Item = &'a str>) -> Self {
        Self(items.filter_map(read_item).collect())
    }
}

fn read_item(item: &str) -> Option<((UserId, Whom), bool)> {
    let item = item.strip_prefix(MARK)?;
    let (typing, sender, kind, id) = (item.get(..1)?, item.get(1..33)?, item.get(33..34)?, item.get(34..)?);
    let id = Uuid::try_parse(id).ok()?;
    let whom = match kind {
        "g" => Whom::Group(RoomId(id)),
        "u" => Whom::User(UserId(id)),
        _ => return None,
    };
    Some(((UserId(Uuid::try_parse(sender).ok()?), whom), typing == "1"))
}

/// Tells those who are connected here.
pub(super) async fn tell(core: &Core, news: TypingNews) -> Result<()> {
    for ((user, whom), typing) in news.0 {
        match whom {
            Whom::Group(group) => {
                let Some(room) = core.rooms.resident(group) else { continue };
                let Some(person) = room.person(user) else { continue };
                let place = TypingPlace::Group(group);
                core.show_typing((user, &person.username), &place, Some(&room), typing).await;
            }
            Whom::User(addressed) => {
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
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        let [ada, bob] = [UserId::new(), UserId::new()];
        let mut news = TypingNews::of(ada, &TypingPlace::Group(RoomId::new()), true);
        news.add(TypingNews::of(ada, &TypingPlace::User(bob, "bob".into()), true));
        news.add(TypingNews::of(ada, &TypingPlace::User(bob, "bob".into()), false));
        let items: Vec<String> = news.items().collect();
        assert_eq!(items.len(), 2, "the newest of each place");
        let others = ["*", "~", "~1", "~1é", "~1x"].into_iter();
        assert_eq!(TypingNews::read(items.iter().map(String::as_str).chain(others)), news);
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
