//! Compares the reactions that were acknowledged with the rows, and the rows with the summaries that the messages carry.

use std::collections::BTreeMap;

use entity::RoomId;

use crate::{
    checker::{Found, Rule},
    edits::key_of,
    history::{History, React, What},
    stored::Stored,
};

pub fn check(history: &History, stored: &Stored, in_the_end: bool, found: &mut Found) {
    for (id, room) in stored {
        if room.reactions != room.summaries {
            let told = format!("{id} has the reactions {:?}, and says {:?}", room.reactions, room.summaries);
            found.add(Rule::Disagrees, told);
        }
    }
    for (device, record) in history.devices.iter().enumerate() {
        // What each message was asked last, and whether that was answered.
        let mut last: BTreeMap<(RoomId, i64), (bool, bool)> = BTreeMap::new();
        for entry in &record.entries {
            match &entry.what {
                What::ReactAsked { react } => {
                    let React { room, seq, on } = record.reacts[*react];
                    last.insert((room, seq), (on, false));
                }
                What::ReactAnswered { react, .. } => {
                    let React { room, seq, on } = record.reacts[*react];
                    last.insert((room, seq), (on, true));
                }
                What::ReactRefused { react, code } if !matches!(&**code, "unavailable" | "rate_limited") => {
                    found
                        .add(Rule::Refusal, format!("a reaction of device {device} was refused with {code}"));
                }
                _ => {}
            }
        }
        for ((id, seq), (on, is_answered)) in last {
            if !is_answered {
                if in_the_end {
                    found.add(
                        Rule::Missing,
                        format!("device {device} never got an answer to its reaction to {seq}"),
                    );
                }
                continue;
            }
            let reactions = stored.get(&id).and_then(|room| room.reactions.get(&seq)?.get(&key_of(device)));
            let is_stored = reactions.is_some_and(|people| people.contains(&record.person));
            if is_stored != on {
                let told =
                    format!("device {device} asked for {on} at {seq} of {id}, and {is_stored} is stored");
                found.add(Rule::ReactionLost, told);
            }
        }
    }
}
