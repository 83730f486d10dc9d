//! Compares the reactions and pins that were acknowledged with the rows, and the rows with what the messages carry.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use entity::RoomId;

use crate::{
    asked::{Asked, At, DeedWent},
    checker::{Found, Rule},
    edits::key_of,
    history::{Act, DELETED, LIMIT_REACHED},
    stored::{Room, Stored},
    version::Mark,
};

/// The most pins of a room.
pub const PINS: usize = 250;

pub fn check(asked: &Asked, stored: &Stored, in_the_end: bool, found: &mut Found) {
    for (id, room) in stored {
        check_room(id, room, found);
    }
    let mut last: BTreeMap<(usize, At), &DeedWent> = BTreeMap::new();
    for (at, deeds) in asked.deeds() {
        for went in deeds {
            check_refusals(*at, went, asked, found);
            if in_the_end && went.is_open() {
                let told = format!("device {} never got an answer to {:?}", went.device, went.deed);
                found.add(Rule::Missing, told);
            }
            // A device asks for one reaction after the other.
            let is_later = |before: &&DeedWent| before.first_asked < went.first_asked;
            if matches!(went.deed.act, Act::React { .. })
                && went.first_asked < u64::MAX
                && last.get(&(went.device, *at)).is_none_or(is_later)
            {
                last.insert((went.device, *at), went);
            }
        }
        check_pin(*at, deeds, asked, stored, found);
    }
    for ((device, at), went) in last {
        check_reaction(device, at, went, stored, found);
    }
}

/// The rows of a room by themselves.
fn check_room(id: &RoomId, room: &Room, found: &mut Found) {
    if room.reactions != room.summaries {
        let told = format!("{id} has the reactions {:?}, and says {:?}", room.reactions, room.summaries);
        found.add(Rule::Disagrees, told);
    }
    let shown: BTreeSet<i64> =
        room.lines.iter().filter(|line| line.version.pinned.is_some()).map(|line| line.seq).collect();
    if shown != room.pins {
        found.add(Rule::Disagrees, format!("{id} has the pins {:?}, and says {shown:?}", room.pins));
    }
    if shown.len() > PINS {
        found.add(Rule::TooManyPins, format!("{id} has {} pins", shown.len()));
    }
}

fn check_refusals(at: At, went: &DeedWent, asked: &Asked, found: &mut Found) {
    for (stamp, code) in &went.refusals {
        let fits = match &**code {
            "unavailable" | "rate_limited" => true,
            DELETED => went.deed.act != Act::Delete && asked.is_to_be(at, Act::Delete, *stamp),
            LIMIT_REACHED => {
                went.deed.act == (Act::Pin { on: true }) && pinned_before(at, asked, *stamp) >= PINS
            }
            _ => false,
        };
        if !fits {
            let told = format!("device {} was refused with {code}: {:?}", went.device, went.deed);
            found.add(Rule::Refusal, told);
        }
    }
}

/// How many other messages of the room were to be pinned before.
fn pinned_before(at: At, asked: &Asked, stamp: u64) -> usize {
    let others = asked.deeds().filter(|(other, _)| other.0 == at.0 && **other != at);
    let is_pinned = |deeds: &[DeedWent]| {
        deeds.iter().any(|went| went.deed.act == (Act::Pin { on: true }) && went.first_asked < stamp)
    };
    others.filter(|(_, deeds)| is_pinned(deeds)).map(|(at, _)| at.1).collect::<HashSet<_>>().len()
}

/// A message is pinned as the newest answer to a pin says, unless a request of which nobody knows came after it.
fn check_pin(at: At, deeds: &[DeedWent], asked: &Asked, stored: &Stored, found: &mut Found) {
    let Some(line) = stored.get(&at.0).and_then(|room| room.line_at(at.1)) else { return };
    let now = line.version;
    let pins = || {
        deeds.iter().filter_map(|went| match went.deed.act {
            Act::Pin { on } => Some((went, on)),
            _ => None,
        })
    };
    let of = format!("{} of {}", at.1, at.0);
    for (went, on) in pins() {
        for (stamp, version) in &went.answers {
            let is_so = version.pinned.is_some() == on;
            let is_undone = asked.is_to_be(at, Act::Pin { on: !on }, *stamp) || version.deleted.is_some();
            if !is_so && !is_undone {
                found.add(Rule::PinLost, format!("{of} was to be pinned: {on}; the answer was {version:?}"));
            }
        }
    }
    let answers = pins().flat_map(|(went, _)| went.answers.iter().map(|(_, version)| version));
    let Some(newest) = answers.max_by_key(|version| version.change) else { return };
    if now.change < newest.change {
        found.add(Rule::PinLost, format!("{of} is stored as {now:?}, and {newest:?} was acknowledged"));
    }
    let is_unknown =
        |pinned: Option<Mark>| pins().any(|(went, on)| on == pinned.is_some() && went.is_unknown());
    if now.deleted.is_none() && now.pinned != newest.pinned && !is_unknown(now.pinned) {
        let told = format!("{of} is stored as {:?}, and was acknowledged as {:?}", now.pinned, newest.pinned);
        found.add(Rule::PinLost, told);
    }
}

/// A device's last reaction to a message is as it was acknowledged. A deleted message has none.
fn check_reaction(device: usize, at: At, went: &DeedWent, stored: &Stored, found: &mut Found) {
    let Act::React { on } = went.deed.act else { return };
    let Some(room) = stored.get(&at.0) else { return };
    let is_deleted = room.line_at(at.1).is_some_and(|line| line.version.deleted.is_some());
    if went.answers.is_empty() || is_deleted {
        return;
    }
    let people = room.reactions.get(&at.1).and_then(|keys| keys.get(&key_of(device)));
    let is_stored = people.is_some_and(|people| people.contains(&went.person));
    if is_stored != on {
        let told =
            format!("device {device} asked for {on} at {} of {}, and {is_stored} is stored", at.1, at.0);
        found.add(Rule::ReactionLost, told);
    }
}
