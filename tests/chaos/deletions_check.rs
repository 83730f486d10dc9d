//! A deletion is for ever: the rows, the stores and everything that is read later show a tombstone, and the counts leave it
//! out.

use std::collections::{BTreeMap, HashMap};

use crate::{
    asked::{Asked, At},
    changes_check::Seen,
    checker::{Found, Rule},
    history::{Act, Counted, History, What},
    stored::{Room, Stored},
    version::{Line, Version},
};

pub fn check(history: &History, stored: &Stored, asked: &Asked, seen: &Seen, found: &mut Found) {
    // When each deletion was acknowledged first.
    let mut acknowledged: HashMap<At, u64> = HashMap::new();
    for (at, deeds) in asked.deeds() {
        for went in deeds.iter().filter(|went| went.deed.act == Act::Delete) {
            for (stamp, version) in &went.answers {
                let first = acknowledged.entry(*at).or_insert(*stamp);
                *first = *stamp.min(first);
                if version.deleted.is_none() {
                    let told = format!("the deletion of {} of {} was answered with {version:?}", at.1, at.0);
                    found.add(Rule::DeletionLost, told);
                }
            }
        }
    }
    for at in acknowledged.keys() {
        let line = stored.get(&at.0).and_then(|room| room.line_at(at.1));
        if line.is_none_or(|line| line.version.deleted.is_none()) {
            found.add(Rule::DeletionLost, format!("{} of {} was deleted: {line:?}", at.1, at.0));
        }
    }
    for (at, _) in asked.deeds() {
        let after = seen.versions(*at).skip_while(|(_, set)| set.deleted.flatten().is_none()).nth(1);
        if let Some((change, set)) = after {
            let told = format!("{} of {} was deleted, and {change} is {set:?}", at.1, at.0);
            found.add(Rule::DeletionLost, told);
        }
    }
    for room in stored.values() {
        check_remains(room, found);
    }
    for (device, record) in history.devices.iter().enumerate() {
        let mut came = 0;
        let mut shown = |at: At, line: &Line, came: u64| {
            let is_gone = acknowledged.get(&at).is_some_and(|stamp| *stamp < came);
            if is_gone && line.version.deleted.is_none() {
                let told = format!("device {device} was shown {line:?} of {}, deleted long before", at.0);
                found.add(Rule::DeletionLost, told);
            }
        };
        for entry in &record.entries {
            match &entry.what {
                What::Comes { .. } => came = entry.stamp,
                What::Read { room, line, .. } => shown((*room, line.seq), line, came),
                What::PageRead { room, lines, .. } => {
                    lines.iter().for_each(|line| shown((*room, line.seq), line, came));
                }
                _ => {}
            }
        }
    }
    for counted in &history.counted {
        check_counted(counted, stored, found);
    }
    if !history.said.is_empty() {
        check_replies(&history.replies, stored, found);
    }
}

/// Nothing is left of a deleted message beside its place.
fn check_remains(room: &Room, found: &mut Found) {
    for line in &room.lines {
        let Some(deleted) = line.version.deleted else { continue };
        let beside = room.reactions.contains_key(&line.seq)
            || room.pins.contains(&line.seq)
            || room.versions.contains(&line.seq)
            || room.mentions.contains_key(&line.seq);
        if beside || line.version != Version::tombstone(line.version.change, deleted) {
            found.add(Rule::DeletionLost, format!("{line:?} is deleted, and more than that is stored"));
        }
    }
}

/// Unread are the messages of others after the read one, without those that were deleted, and without the replies in
/// threads. Those of them that mention the user are counted, too.
fn check_counted(counted: &Counted, stored: &Stored, found: &mut Found) {
    let Some(room) = stored.get(&counted.room) else { return };
    let is_unread = |line: &&Line| {
        let is_there = line.version.deleted.is_none() && !room.threads.contains_key(&line.seq);
        line.seq > counted.read && line.sender != Some(counted.person) && is_there
    };
    let unread: Vec<&Line> = room.lines.iter().filter(is_unread).collect();
    let mentioned = |line: &&&Line| {
        room.mentions.get(&line.seq).is_some_and(|mentioned| mentioned.contains(&counted.person))
    };
    let (unread, mentions) = (unread.len() as i64, unread.iter().filter(mentioned).count() as i64);
    if (unread, mentions) != (counted.unread, counted.mentions) {
        found.add(Rule::Miscounted, format!("{counted:?}; {unread} are, and {mentions} mention this person"));
    }
}

/// The summary of a thread counts its replies without the deleted ones.
fn check_replies(said: &BTreeMap<At, i64>, stored: &Stored, found: &mut Found) {
    let mut replies: BTreeMap<At, i64> = BTreeMap::new();
    for (id, room) in stored {
        for (seq, root) in &room.threads {
            let is_there = room.line_at(*seq).is_some_and(|line| line.version.deleted.is_none());
            *replies.entry((*id, *root)).or_default() += i64::from(is_there);
        }
    }
    if replies != *said {
        let differ = |(at, count): &(&At, &i64)| said.get(at) != Some(count);
        let (expected, number) = (replies.iter().find(differ), said.len());
        let told = format!("{number} of {} threads are counted; {expected:?} is one", replies.len());
        found.add(Rule::Miscounted, told);
    }
}
