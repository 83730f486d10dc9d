//! Compares the receipts that are stored, and what devices were told of those of others, with what was acknowledged.

use std::collections::{BTreeMap, HashSet};

use entity::RoomId;

use crate::{
    checker::{Found, Rule},
    history::{Entry, History, Memory, Place, Saved, What},
    reach::Reach,
    stored::{Room, Stored},
    told_check::ToldOfReceipts,
};

/// Goes through the entries of all devices in the order in which they happened, and keeps in mind how far
/// each receipt may have got by then.
pub fn check_receipts(history: &History, stored: &Stored, in_the_end: bool, found: &mut Found) {
    let mut all: Vec<(usize, &Entry)> = history
        .devices
        .iter()
        .enumerate()
        .flat_map(|(device, record)| record.entries.iter().map(move |entry| (device, entry)))
        .collect();
    all.sort_unstable_by_key(|(_, entry)| entry.stamp);
    let mut reaches: BTreeMap<(usize, RoomId), Reach> = BTreeMap::new();
    let mut begun: HashSet<(usize, u32, RoomId)> = HashSet::new();
    let mut told = ToldOfReceipts::default();
    let mut saved = history.saved.iter().peekable();
    for (device, entry) in all {
        while let Some(saved) = saved.next_if(|saved| saved.stamp <= entry.stamp) {
            check_saved(saved, reaches.get(&(saved.person, saved.room)), found);
        }
        let record = &history.devices[device];
        let person = record.person;
        let connection = (device, entry.connection);
        told.is_told(connection, &entry.what, &reaches, found);
        match &entry.what {
            What::Comes { since: said, .. } => {
                for (_, reach) in reaches.iter_mut().filter(|((other, _), _)| *other == person) {
                    reach.forgets(connection);
                }
                for (room, seq) in said.iter().flatten() {
                    let reach = reaches.entry((person, *room)).or_default();
                    reach.begins(connection, *seq);
                    reach.claims(connection, *seq);
                    begun.insert((device, entry.connection, *room));
                }
            }
            What::Read { room, line, is_unrequested } => {
                let reach = reaches.entry((person, *room)).or_default();
                let is_first = begun.insert((device, entry.connection, *room));
                // Live only begins anywhere, and so does the lobby, which keeps no receipts.
                let by_receipt = record.memory != Memory::LiveOnly && keeps_receipts(stored, *room);
                if is_first && by_receipt && line.seq > reach.acknowledged_up_to() + 1 {
                    let told = format!(
                        "connection {} of device {device} begins at {} of {room}, and only {} was acknowledged",
                        entry.connection,
                        line.seq,
                        reach.acknowledged_up_to()
                    );
                    found.add(Rule::Gap, told);
                }
                if is_first {
                    reach.begins(connection, line.seq - 1);
                }
                if *is_unrequested {
                    reach.gets_unrequested(connection, line.seq);
                }
            }
            What::Acknowledged { room, seq } => {
                reaches.entry((person, *room)).or_default().acknowledges(connection, *seq);
            }
            What::Claimed { room, seq } => {
                reaches.entry((person, *room)).or_default().claims(connection, *seq);
            }
            What::Sent { operation } => {
                let place = record.operations[*operation].place;
                let room = stored.iter().find(|(_, room)| room.place == Some(place));
                // The lobby keeps no receipts.
                if let Some((room, _)) = room.filter(|(room, _)| keeps_receipts(stored, **room)) {
                    reaches.entry((person, *room)).or_default().answers(connection);
                }
            }
            What::MarkedRead { room, seq } => reaches.entry((person, *room)).or_default().marks_read(*seq),
            What::ToldDelivered { room, seq, id } => {
                let Some(there) = stored.get(room) else { continue };
                if there.id_at(*seq) != Some(*id)
                    || there.line_at(*seq).and_then(|line| line.sender) != Some(person)
                {
                    found.add(
                        Rule::Phantom,
                        format!("device {device} heard of the delivery of {id}, {seq} of {room}"),
                    );
                }
                for behind in behind(history, there, person, |member| {
                    reaches.get(&(member, *room)).map_or(0, Reach::delivered) < *seq
                }) {
                    let told = format!(
                        "device {device} heard of the delivery of {seq} of {room}, which {behind} has not got"
                    );
                    found.add(Rule::ToldEarly, told);
                }
            }
            What::ToldRead { room, reader, seq } => {
                let most = reaches.get(&(*reader, *room)).map_or(0, Reach::read);
                if *seq > most {
                    let told = format!(
                        "device {device} heard that {reader} has read {seq} of {room}; it was {most}"
                    );
                    found.add(Rule::ReceiptAhead, told);
                }
            }
            _ => {}
        }
    }
    for saved in saved {
        check_saved(saved, reaches.get(&(saved.person, saved.room)), found);
    }
    for (id, room) in stored {
        for (person, receipts) in &room.receipts {
            let (delivered, read) = reaches
                .get(&(*person, *id))
                .map_or((0, 0), |reach| (reach.acknowledged_up_to(), reach.read()));
            if receipts.delivered > delivered || receipts.read > read {
                let told =
                    format!("{person} is stored as {receipts:?} in {id}; it was {delivered} and {read}");
                found.add(Rule::ReceiptAhead, told);
            }
            if in_the_end && receipts.delivered < room.last_seq {
                let told = format!("{person} is stored as {receipts:?} in {id}, which has {}", room.last_seq);
                found.add(Rule::ReceiptBehind, told);
            }
        }
    }
}

/// A receipt that was stored when the server died is not ahead of what was acknowledged until then.
fn check_saved(saved: &Saved, reach: Option<&Reach>, found: &mut Found) {
    let (delivered, read) = reach.map_or((0, 0), |reach| (reach.acknowledged_up_to(), reach.read()));
    if saved.receipts.delivered > delivered || saved.receipts.read > read {
        let told = format!("at a death, {saved:?} was stored; it was {delivered} and {read}");
        found.add(Rule::ReceiptAhead, told);
    }
}

fn keeps_receipts(stored: &Stored, room: RoomId) -> bool {
    stored.get(&room).is_none_or(|room| room.place != Some(Place::Lobby))
}

/// The other members of whom this is so; in a room alone, oneself.
fn behind(history: &History, room: &Room, sender: usize, is_behind: impl Fn(usize) -> bool) -> Vec<usize> {
    let members = room.place.map(|place| history.members(place)).unwrap_or_default();
    let alone = members == [sender];
    members
        .into_iter()
        .filter(|member| alone || *member != sender)
        .filter(|member| is_behind(*member))
        .collect()
}
