//! How often what happened in a run.

use std::{collections::BTreeMap, fmt};

use crate::history::{Act, DELETED, History, LIMIT_REACHED, What};

/// How often what happened.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub sends: usize,
    pub repeats: usize,
    pub stored: usize,
    pub refused: usize,
    pub reads: usize,
    pub receipts: usize,
    pub told: usize,
    pub connections: usize,
    pub edits: usize,
    pub edits_answered: usize,
    pub edits_refused: usize,
    pub deeds: usize,
    pub reacts_answered: usize,
    pub pins_answered: usize,
    pub deletions_answered: usize,
    /// Edits and deeds that came after a deletion.
    pub too_late: usize,
    /// Pins that a room had no place for.
    pub pins_too_many: usize,
    /// Connections that said what they have of changes, and were let in.
    pub with_changes: usize,
    pub changes: usize,
    pub replayed: usize,
    /// Rooms that had to be read again.
    pub resets: usize,
    /// Connections by wire, those included that were not let in.
    pub wires: BTreeMap<&'static str, usize>,
}

impl Counts {
    pub fn of(history: &History) -> Self {
        let mut counts = Self::default();
        for device in &history.devices {
            counts.sends += device.operations.len();
            counts.edits += device.edits.len();
            counts.deeds += device.deeds.len();
            let mut says_changes = false;
            for entry in &device.entries {
                match &entry.what {
                    What::Opened => {
                        counts.connections += 1;
                        counts.with_changes += usize::from(says_changes);
                    }
                    What::Sent { .. } => counts.repeats += 1,
                    What::Stored { .. } => counts.stored += 1,
                    What::Refused { .. } => counts.refused += 1,
                    What::Read { .. } => counts.reads += 1,
                    What::Acknowledged { .. } | What::Claimed { .. } | What::MarkedRead { .. } => {
                        counts.receipts += 1;
                    }
                    What::ToldDelivered { .. } | What::ToldRead { .. } => counts.told += 1,
                    What::Comes { wire, changes, .. } => {
                        *counts.wires.entry(wire).or_default() += 1;
                        says_changes = changes.as_ref().is_some_and(|changes| !changes.is_empty());
                    }
                    What::EditAnswered { .. } => counts.edits_answered += 1,
                    What::EditRefused { code, .. } if code == DELETED => counts.too_late += 1,
                    What::EditRefused { .. } => counts.edits_refused += 1,
                    What::DeedAnswered { deed, .. } => match device.deeds[*deed].act {
                        Act::React { .. } => counts.reacts_answered += 1,
                        Act::Pin { .. } => counts.pins_answered += 1,
                        Act::Delete => counts.deletions_answered += 1,
                    },
                    What::DeedRefused { code, .. } if code == DELETED => counts.too_late += 1,
                    What::DeedRefused { code, .. } if code == LIMIT_REACHED => counts.pins_too_many += 1,
                    What::Changed { is_replayed, .. } => {
                        counts.changes += 1;
                        counts.replayed += usize::from(*is_replayed);
                    }
                    What::Synced { rooms } => {
                        counts.resets += rooms.values().filter(|position| position.is_reset).count();
                    }
                    What::EditAsked { .. }
                    | What::DeedAsked { .. }
                    | What::DeedRefused { .. }
                    | What::PageRead { .. }
                    | What::Ended => {}
                }
            }
        }
        counts.repeats -= counts.sends.min(counts.repeats);
        counts
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sends, repeats, stored, refused, reads, receipts, told, connections, wires, .. } = self;
        let Self { edits, edits_answered, edits_refused, deeds, reacts_answered, pins_answered, .. } = self;
        let Self { deletions_answered, too_late, pins_too_many, .. } = self;
        let Self { with_changes, changes, replayed, resets, .. } = self;
        writeln!(f, "sends {sends}, sent again {repeats}, acknowledged {stored}, refused {refused}")?;
        writeln!(f, "connections {connections}, tried {wires:?}")?;
        writeln!(f, "messages read {reads}, receipts given {receipts}, told {told}")?;
        writeln!(
            f,
            "edits {edits}, acknowledged {edits_answered}, refused {edits_refused}; deeds {deeds}, acknowledged \
             reactions {reacts_answered}, pins {pins_answered}, deletions {deletions_answered}; refused after a \
             deletion {too_late}, for too many pins {pins_too_many}"
        )?;
        write!(
            f,
            "reconnects with changes {with_changes}, changes told {changes}, of these replayed {replayed}; \
             rooms read again {resets}"
        )
    }
}
