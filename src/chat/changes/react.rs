//! Reactions: a user reacts to a message with a key, such as an emoji, or withdraws that.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, SecondsFormat, Utc};
use entity::{MessageId, UserId, reaction};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QuerySelect};

use super::rights::{Deed, Relation, may};
use crate::{
    chat::{
        Chat, Core,
        connections::connection::Connection,
        model::{Message, Page, Reaction},
        room::{Reply, registry::people},
        sql::reactions,
        writer::Wanted,
    },
    error::{Conflict, Error, Forbidden, Result},
    identity::Caller,
    message_marks::{MessageMarks, ReactionMarks},
    values::ReactionKey,
};

/// The most keys of a message.
const KEYS: usize = 20;
/// The most reactions to a message.
const REACTIONS: u32 = 5_000;

/// To react with a key, or to withdraw that.
#[derive(Clone, Debug)]
pub struct React {
    pub key: ReactionKey,
    pub on: bool,
}

/// Which reactions to a message to return.
#[derive(Clone, Debug, Default)]
pub struct ReactionsQuery {
    /// Only those with this key.
    pub key: Option<String>,
    /// [`Page::next`] of the part before.
    pub after: Option<String>,
    /// At most 200; a greater number means 200. The default is 50.
    pub limit: Option<u64>,
}

const REACTIONS_MOST: u64 = 200;
const REACTIONS_DEFAULT: u64 = 50;

impl Chat {
    /// Reacts to a message, or withdraws a reaction. Returns when it is queued. `reply` is called once: when it is
    /// committed and published, or refused. To ask for what is already so changes nothing.
    pub async fn react(
        &self,
        caller: &Caller,
        origin: Option<&Arc<Connection>>,
        message: MessageId,
        react: React,
        reply: Reply,
    ) {
        match self.core.message_of(caller, message).await {
            Ok((_, room)) => {
                self.core.queue_change(caller, origin, room, vec![message], Wanted::React(react), reply);
            }
            Err(err) => reply(Err(err)),
        }
    }

    /// Who has reacted to a message, oldest first, part by part.
    pub async fn reactions(
        &self,
        caller: &Caller,
        message: MessageId,
        query: ReactionsQuery,
    ) -> Result<Page<Reaction>> {
        let core = &self.core;
        let (row, _) = core.message_of(caller, message).await?;
        // Memory may not know yet that another process has removed the caller.
        core.check_membership(caller, row.room_id).await?;
        let limit = query.limit.unwrap_or(REACTIONS_DEFAULT).clamp(1, REACTIONS_MOST);
        let mut rows = reaction::of(row.room_id, row.seq).limit(limit + 1);
        if let Some(key) = query.key {
            rows = rows.filter(reaction::COLUMN.key.eq(ReactionKey::parse(&key)?.as_str()));
        }
        if let Some(after) = query.after {
            rows = rows.filter(ListPlace::read(&after)?.later());
        }
        let rows = rows.all(core.db.reader()).await?;
        let Page { items: rows, next } = Page::of(rows, limit, |row| Some(ListPlace::of(row).text()));
        let names = people(core.db.reader(), rows.iter().map(|row| row.user_id).collect()).await?;
        let items = rows.into_iter().map(|row| {
            let username = names.get(&row.user_id).map(|person| person.username.to_string());
            Reaction { username: username.unwrap_or_default(), key: row.key, at: row.at }
        });
        Ok(Page { items: items.collect(), next })
    }
}

impl Core {
    /// Notes which of these messages' reactions are the caller's.
    pub(in crate::chat) async fn mark_own_reactions(
        &self,
        caller: &Caller,
        messages: &mut [Message],
    ) -> Result<()> {
        let has_reactions =
            |message: &&mut Message| message.marks.as_ref().is_some_and(|marks| !marks.reactions.is_empty());
        let mut reacted: HashMap<_, _> = messages
            .iter_mut()
            .filter(has_reactions)
            .map(|message| ((message.row.room_id, message.row.seq), message))
            .collect();
        if reacted.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = reacted.keys().map(|(room, seq)| (*room, *seq, caller.user)).collect();
        let found = reactions::of_users(self.db.reader(), asked.into_iter()).await?;
        for reaction in found {
            if let Some(message) = reacted.get_mut(&(reaction.room, reaction.seq)) {
                message.my_reactions.push(reaction.key);
            }
        }
        Ok(())
    }
}

/// A place in the list of reactions.
struct ListPlace {
    at: DateTime<Utc>,
    user: UserId,
    key: String,
}

impl ListPlace {
    fn of(row: &reaction::Model) -> Self {
        Self { at: row.at, user: row.user_id, key: row.key.clone() }
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.at.to_rfc3339_opts(SecondsFormat::Millis, true), self.user, self.key)
    }

    fn read(text: &str) -> Result<Self> {
        let mut parts = text.splitn(3, ' ');
        let mut next = || parts.next().ok_or(Error::invalid("after", "must be an `after` of this list"));
        let at = DateTime::parse_from_rfc3339(next()?).ok();
        let user = next()?.parse().ok();
        let key = ReactionKey::parse(next()?).ok();
        let place = at.zip(user).zip(key).ok_or(Error::invalid("after", "must be an `after` of this list"));
        let ((at, user), key) = place?;
        Ok(Self { at: at.to_utc(), user, key: key.as_str().to_owned() })
    }

    /// The reactions after it.
    fn later(self) -> Condition {
        let column = reaction::COLUMN;
        let same_time = Condition::all().add(column.at.eq(self.at));
        let same_user = same_time.clone().add(column.user_id.eq(self.user));
        Condition::any()
            .add(column.at.gt(self.at))
            .add(same_time.add(column.user_id.gt(self.user)))
            .add(same_user.add(column.key.gt(self.key)))
    }
}

/// Counts a reaction that a user did not have, or withdraws one that the user had. Returns whether the first users of
/// the key have to be read again.
///
/// # Errors
/// `conflict` (`limit_reached`).
pub(in crate::chat) fn count(marks: &mut MessageMarks, username: &str, react: &React) -> Result<bool> {
    let key = react.key.as_str();
    let of_key = marks.reactions.iter().position(|marks| marks.key == key);
    if react.on {
        let all: u32 = marks.reactions.iter().map(|marks| marks.count).sum();
        if all >= REACTIONS || (of_key.is_none() && marks.reactions.len() >= KEYS) {
            return Err(Error::Conflict(Conflict::TooManyReactions));
        }
        let of_key = of_key.unwrap_or_else(|| {
            marks.reactions.push(ReactionMarks { key: key.to_owned(), count: 0, users: Vec::new() });
            marks.reactions.len() - 1
        });
        if let Some(marks) = marks.reactions.get_mut(of_key) {
            if marks.users.len() < ReactionMarks::USERS && marks.users.len() == marks.count as usize {
                marks.users.push(username.to_owned());
            }
            marks.count += 1;
        }
        return Ok(false);
    }
    let Some((at, of_key)) = of_key.and_then(|at| Some((at, marks.reactions.get_mut(at)?))) else {
        return Ok(false);
    };
    of_key.count = of_key.count.saturating_sub(1);
    of_key.users.retain(|user| user != username);
    let lacks_users = of_key.users.len() < ReactionMarks::USERS.min(of_key.count as usize);
    if of_key.count == 0 {
        marks.reactions.remove(at);
    }
    Ok(lacks_users)
}

/// Checks that somebody may react.
///
/// # Errors
/// `forbidden` (`deleted`) for a reaction to a deleted message.
pub(in crate::chat) fn may_react(is_deleted: bool, relation: Relation, react: &React) -> Result<()> {
    may(relation, Deed::React)?;
    if is_deleted && react.on { Err(Error::Forbidden(Forbidden::Deleted)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn react(key: &str, on: bool) -> React {
        React { key: ReactionKey::parse(key).unwrap(), on }
    }

    fn shown(marks: &MessageMarks) -> Vec<(&str, u32, usize)> {
        let shown = |marks: &'_ ReactionMarks| (marks.count, marks.users.len());
        marks.reactions.iter().map(|marks| (marks.key.as_str(), shown(marks).0, shown(marks).1)).collect()
    }

    #[test]
    fn reactions_are_counted_and_the_first_users_named() {
        let mut marks = MessageMarks::default();
        for number in 0..25 {
            assert!(!count(&mut marks, &format!("user{number}"), &react("+1", true)).unwrap());
        }
        count(&mut marks, "ada", &react("heart", true)).unwrap();
        assert_eq!(shown(&marks), [("+1", 25, 20), ("heart", 1, 1)], "the oldest key comes first");
        assert!(!count(&mut marks, "user24", &react("+1", false)).unwrap(), "it was not named");
        assert!(count(&mut marks, "user3", &react("+1", false)).unwrap(), "the next one is to be named");
        assert_eq!(shown(&marks), [("+1", 23, 19), ("heart", 1, 1)]);
        count(&mut marks, "ada", &react("heart", false)).unwrap();
        assert_eq!(shown(&marks), [("+1", 23, 19)], "a key without reactions goes");
    }

    #[test]
    fn keys_and_reactions_are_limited() {
        let mut marks = MessageMarks::default();
        for number in 0..KEYS {
            count(&mut marks, "ada", &react(&number.to_string(), true)).unwrap();
        }
        assert!(count(&mut marks, "ada", &react("more", true)).is_err());
        assert!(count(&mut marks, "bob", &react("1", true)).is_ok());
        marks.reactions[0].count = REACTIONS - 20;
        assert!(count(&mut marks, "eve", &react("1", true)).is_err());
        assert!(count(&mut marks, "bob", &react("1", false)).is_ok());
    }

    #[test]
    fn a_place_in_the_list_is_read_as_it_was_written() {
        let at = DateTime::from_timestamp_millis(1_790_000_000_120).unwrap();
        let place = ListPlace { at, user: UserId::new(), key: "a b".into() };
        let read = ListPlace::read(&place.text()).unwrap();
        assert_eq!((read.at, read.user, read.key), (at, place.user, place.key));
        for bad in ["", "x", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z nobody +1"] {
            assert!(ListPlace::read(bad).is_err(), "{bad}");
        }
    }
}
