//! What devices asked to be done to messages, and how that went; and the rules for edits that follow from it.

use std::collections::HashMap;

use entity::RoomId;

use crate::{
    checker::{Found, Rule},
    history::{Act, DELETED, Deed, Edit, History, LIMIT_REACHED, Record, What},
    stored::Stored,
    version::{Digest, Line, NOTHING, Set, Version},
};

/// A message by its place.
pub type At = (RoomId, i64);

/// How each edit and each deed went.
pub struct Asked {
    /// By device and number.
    edits: HashMap<(usize, usize), Went>,
    of_messages: HashMap<At, Vec<(usize, usize)>>,
    deeds: HashMap<At, Vec<DeedWent>>,
    /// The content that a message was sent with, by its client message id.
    originals: HashMap<String, Digest>,
}

struct Went {
    edit: Edit,
    asked: usize,
    /// The stamp of the first request.
    first_asked: u64,
    /// Requests of which it is known what became of them.
    known: usize,
    /// The changes and contents of the acknowledgements.
    answers: Vec<(i64, Digest)>,
    /// When it was refused because the message was deleted.
    too_late: Option<u64>,
}

/// How a deed went.
pub struct DeedWent {
    pub device: usize,
    pub person: usize,
    pub deed: Deed,
    /// The stamp of the first request.
    pub first_asked: u64,
    asked: usize,
    /// Requests of which it is known what became of them.
    known: usize,
    /// With their stamps.
    pub answers: Vec<(u64, Version)>,
    /// With their stamps.
    pub refusals: Vec<(u64, String)>,
}

impl DeedWent {
    /// Whether some request may still have been carried out, at any time.
    pub fn is_unknown(&self) -> bool {
        self.asked > self.known
    }

    /// Whether it was asked for, and got neither an answer nor a refusal for good.
    pub fn is_open(&self) -> bool {
        let is_final = |(_, code): &(u64, String)| code == DELETED || code == LIMIT_REACHED;
        self.asked > 0 && self.answers.is_empty() && !self.refusals.iter().any(is_final)
    }
}

impl Went {
    /// Whether some request may still have been carried out, at any time.
    fn is_unknown(&self) -> bool {
        self.asked > self.known
    }
}

impl Asked {
    pub fn of(history: &History) -> Self {
        let mut edits: HashMap<(usize, usize), Went> = HashMap::new();
        let mut of_messages: HashMap<At, Vec<(usize, usize)>> = HashMap::new();
        for (device, record) in history.devices.iter().enumerate() {
            for (number, edit) in record.edits.iter().enumerate() {
                let went = Went {
                    edit: *edit,
                    asked: 0,
                    first_asked: u64::MAX,
                    known: 0,
                    answers: Vec::new(),
                    too_late: None,
                };
                edits.insert((device, number), went);
                of_messages.entry((edit.room, edit.seq)).or_default().push((device, number));
            }
            for entry in &record.entries {
                let of = |edit: &usize| (device, *edit);
                match &entry.what {
                    What::EditAsked { edit } => {
                        let went = edits.get_mut(&of(edit)).unwrap();
                        went.asked += 1;
                        went.first_asked = entry.stamp.min(went.first_asked);
                    }
                    What::EditAnswered { edit, change, content } => {
                        let went = edits.get_mut(&of(edit)).unwrap();
                        went.known += 1;
                        went.answers.push((*change, *content));
                    }
                    // Unlike one that was refused because of a rate, one that was unavailable may have been carried out.
                    What::EditRefused { edit, code } if code == "rate_limited" || code == DELETED => {
                        let went = edits.get_mut(&of(edit)).unwrap();
                        went.known += 1;
                        went.too_late = went.too_late.or((code == DELETED).then_some(entry.stamp));
                    }
                    _ => {}
                }
            }
        }
        let mut deeds: HashMap<At, Vec<DeedWent>> = HashMap::new();
        for (device, record) in history.devices.iter().enumerate() {
            for went in deeds_of(device, record) {
                deeds.entry((went.deed.room, went.deed.seq)).or_default().push(went);
            }
        }
        let operations = history.devices.iter().flat_map(|record| &record.operations);
        let originals = operations.map(|it| (it.client_message_id.clone(), it.content)).collect();
        Self { edits, of_messages, deeds, originals }
    }

    fn of_message(&self, at: At) -> impl Iterator<Item = &Went> {
        self.of_messages.get(&at).into_iter().flatten().filter_map(|edit| self.edits.get(edit))
    }

    /// The messages for which something was asked besides edits, with how that went.
    pub fn deeds(&self) -> impl Iterator<Item = (&At, &Vec<DeedWent>)> {
        self.deeds.iter()
    }

    pub fn deeds_of(&self, at: At) -> impl Iterator<Item = &DeedWent> {
        self.deeds.get(&at).into_iter().flatten()
    }

    /// Whether this was asked for before a stamp, by anybody.
    pub fn is_to_be(&self, at: At, act: Act, stamp: u64) -> bool {
        self.deeds_of(at).any(|went| went.deed.act == act && went.first_asked < stamp)
    }

    /// Whether a content may be of this message, by an edit or by its deletion.
    pub fn is_asked(&self, at: At, content: Digest) -> bool {
        let is_deletion = content == Digest::of(NOTHING) && self.is_to_be(at, Act::Delete, u64::MAX);
        is_deletion || self.of_message(at).any(|went| went.asked > 0 && went.edit.content == content)
    }

    /// Whether a change of a message, with these fields, may have been asked for before a stamp.
    pub fn is_asked_before(&self, at: At, (change, set): (i64, &Set), stamp: u64) -> bool {
        let by_edit = set.content.is_some_and(|content| {
            self.of_message(at).any(|went| went.edit.content == content && went.first_asked < stamp)
        });
        let by_deed = self.deeds_of(at).any(|went| {
            let answered = went.answers.iter().map(|(_, version)| version.change).max();
            went.first_asked < stamp && answered.is_none_or(|answered| answered >= change)
        });
        by_edit || by_deed
    }

    /// The content that a message was sent with.
    pub fn original(&self, line: &Line) -> Option<Digest> {
        self.originals.get(line.client_message_id.as_deref()?).copied()
    }

    /// The rows show the last edit that was acknowledged, unless one of which nobody knows came after it.
    pub fn check_rows(&self, history: &History, stored: &Stored, found: &mut Found) {
        for at in self.of_messages.keys() {
            let Some(line) = stored.get(&at.0).and_then(|room| room.line_at(at.1)) else { continue };
            let (now, of) = (line.version, format!("{} of {}", at.1, at.0));
            let answers = self.of_message(*at).flat_map(|went| &went.answers);
            let Some((change, content)) = answers.max_by_key(|(change, _)| *change) else { continue };
            let is_same = self.of_message(*at).all(|went| went.edit.id == line.id);
            let shows = is_same
                && match now.change.cmp(change) {
                    std::cmp::Ordering::Less => false,
                    std::cmp::Ordering::Equal => now.content == *content,
                    // Nothing is left of it.
                    std::cmp::Ordering::Greater if now.deleted.is_some() => true,
                    // A reaction changes nothing about the content.
                    std::cmp::Ordering::Greater if now.content == *content => true,
                    std::cmp::Ordering::Greater => {
                        self.of_message(*at).any(|went| went.is_unknown() && went.edit.content == now.content)
                    }
                };
            if !shows {
                let told = format!("{of} is stored as {now:?}, and {change} was acknowledged as {content:?}");
                found.add(Rule::EditLost, told);
            }
            let asked: usize = self.of_message(*at).map(|went| went.asked).sum();
            if now.edits > asked as i64 {
                found.add(Rule::EditedTwice, format!("{of} has {} edits of {asked}", now.edits));
            }
        }
        for (device, record) in history.devices.iter().enumerate() {
            for entry in &record.entries {
                let What::EditRefused { edit, code } = &entry.what else { continue };
                let Edit { room, seq, .. } = record.edits[*edit];
                let is_deleted = self.is_to_be((room, seq), Act::Delete, entry.stamp);
                if !(matches!(&**code, "unavailable" | "rate_limited") || code == DELETED && is_deleted) {
                    let told = format!("device {device} was refused with {code}: {:?}", record.edits[*edit]);
                    found.add(Rule::Refusal, told);
                }
            }
        }
    }

    /// An edit over a socket is asked for until it is answered.
    pub fn check_answered(&self, found: &mut Found) {
        let is_due = |went: &&Went| {
            let is_open = went.answers.is_empty() && went.too_late.is_none();
            went.asked > 0 && !went.edit.is_over_http && is_open
        };
        for went in self.edits.values().filter(is_due) {
            found.add(Rule::Missing, format!("{:?} was never answered", went.edit));
        }
    }
}

/// What became of the deeds of one device.
fn deeds_of(device: usize, record: &Record) -> Vec<DeedWent> {
    let went = |deed: &Deed| DeedWent {
        device,
        person: record.person,
        deed: *deed,
        first_asked: u64::MAX,
        asked: 0,
        known: 0,
        answers: Vec::new(),
        refusals: Vec::new(),
    };
    let mut deeds: Vec<DeedWent> = record.deeds.iter().map(went).collect();
    for entry in &record.entries {
        match &entry.what {
            What::DeedAsked { deed } => {
                let went = &mut deeds[*deed];
                went.asked += 1;
                went.first_asked = entry.stamp.min(went.first_asked);
            }
            What::DeedAnswered { deed, version } => {
                deeds[*deed].known += 1;
                deeds[*deed].answers.push((entry.stamp, *version));
            }
            What::DeedRefused { deed, code } => {
                // One that was unavailable may have been carried out.
                deeds[*deed].known += usize::from(code != "unavailable");
                deeds[*deed].refusals.push((entry.stamp, code.clone()));
            }
            _ => {}
        }
    }
    deeds
}
