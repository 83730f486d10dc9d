//! The rules for the end of the membership storm: what probes and lists say, held against the rows. Pure: records in,
//! violations out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use entity::RoomId;
use serde_json::Value as Json;

use crate::{
    checker::{Rule, Violation},
    membership::{Entry, Fact},
    membership_check::{GroupRow, Groups},
};

/// The content of a group's probe.
pub fn probe_of(group: &RoomId, round: usize) -> String {
    format!("probe {round} of {group}")
}

/// Every member was sent this round's probe of each group, and nobody else was.
pub fn check_probes(log: &[Entry], groups: &Groups, round: usize) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut heard = HashSet::new();
    for entry in log {
        let Fact::Heard { group, content, .. } = &entry.fact else { continue };
        if *content != probe_of(group, round) {
            continue;
        }
        heard.insert((entry.person, *group));
        let is_member = groups.get(group).is_some_and(|group| group.members.contains_key(&entry.person));
        if !is_member {
            let told = format!("person {} heard the {content:?} of a group of others", entry.person);
            found.push(Violation { rule: Rule::StillHears, told });
        }
    }
    for (group, row) in groups.iter().filter(|(_, row)| !row.is_deleted) {
        for person in row.members.keys().filter(|person| !heard.contains(&(**person, *group))) {
            let told =
                format!("the {} did not reach person {person}, who is a member", probe_of(group, round));
            found.push(Violation { rule: Rule::NotAttached, told });
        }
    }
    found
}

/// `GET /api/rooms/mine` lists the groups that the rows say. `answer` is the status and the body, none without an
/// answer.
pub fn check_mine(person: usize, groups: &Groups, answer: Option<&(u16, Json)>) -> Option<Violation> {
    let Some((200, rooms)) = answer else {
        let told = format!("person {person} cannot list their rooms: {answer:?}");
        return Some(Violation { rule: Rule::Disagrees, told });
    };
    let ids = rooms.as_array().into_iter().flatten().filter_map(|room| room["roomId"].as_str());
    let listed: BTreeSet<RoomId> =
        ids.filter_map(|id| id.parse().ok()).filter(|id| groups.contains_key(id)).collect();
    let mine: BTreeSet<RoomId> =
        groups.iter().filter(|(_, row)| row.members.contains_key(&person)).map(|(id, _)| *id).collect();
    (listed != mine).then(|| {
        let missing: Vec<_> = mine.difference(&listed).collect();
        let foreign: Vec<_> = listed.difference(&mine).collect();
        let told = format!("the rooms of person {person} lack {missing:?} and have {foreign:?} in addition");
        Violation { rule: Rule::Disagrees, told }
    })
}

/// `GET /api/rooms/{id}/members` names to a member exactly the members and their roles, and refuses everybody else.
pub fn check_list(
    person: usize,
    group: RoomId,
    row: &GroupRow,
    names: &[&str],
    answer: Option<&(u16, Json)>,
) -> Option<Violation> {
    let is_member = row.members.contains_key(&person);
    let is_right = match answer {
        Some((200, page)) => {
            let listed: BTreeMap<&str, bool> = page["members"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|member| (member["username"].as_str().unwrap_or_default(), member["role"] == "owner"))
                .collect();
            let stored: BTreeMap<&str, bool> =
                row.members.iter().map(|(member, is_owner)| (names[*member], *is_owner)).collect();
            is_member && listed == stored
        }
        Some((403, _)) => !is_member,
        _ => false,
    };
    (!is_right).then(|| {
        let told = format!("person {person} is answered {answer:?} about {group}: {:?}", row.members);
        Violation { rule: Rule::Disagrees, told }
    })
}
