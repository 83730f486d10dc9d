//! What a node tells the others, as JSON. A node of another version may be among them: an entry of an unknown kind is
//! [`FrameEntry::Unknown`], and unknown fields are passed over.

use chrono::{DateTime, Utc};
use entity::{ChangeNumber, MessageId, RoomId, Seq, UserId, message};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The node that sends. It has another id after each start.
    pub node: Uuid,
    /// A node numbers its frames 1, 2, 3, …, so that the others notice when one is lost.
    pub number: u64,
    pub entries: Vec<FrameEntry>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum FrameEntry {
    /// Something was stored in this room.
    Room(RoomId),
    /// There are notices.
    Notices,
    /// Users have come or gone.
    Presences,
    Typing(Typing),
    /// A message was stored: all that there is to read of it.
    Stored(Box<StoredMessage>),
    /// A message was changed: what was done, and all that there is to read of it.
    Changed(Box<ChangedMessage>),
    /// Receipts of a room were saved.
    Marks(RoomMarks),
    /// Of a version that this one does not know.
    #[serde(skip)]
    Unknown,
}

/// Somebody types, or has stopped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Typing {
    pub sender: UserId,
    pub to: TypingTo,
    pub typing: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum TypingTo {
    Group(RoomId),
    User(UserId),
}

/// The columns of a message. The others are empty until a change touches it ([`ChangedMessage`]).
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct StoredRow {
    pub room_id: RoomId,
    pub seq: Seq,
    pub id: MessageId,
    pub sender_id: UserId,
    pub kind: message::Kind,
    pub content: String,
    pub client_message_id: Option<String>,
    pub reply_to: Option<MessageId>,
    pub created_at: DateTime<Utc>,
    pub extras: Option<String>,
}

/// A message as it was stored.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct StoredMessage {
    pub row: StoredRow,
    /// The sender's names.
    pub username: String,
    pub first_name: String,
    /// It was stored under this version of the room's membership, or an older one.
    pub version: i64,
    /// It shows all changes of the room up to this one.
    pub changed: ChangeNumber,
    /// As its sender wrote it on the wire, for subscribers on the same wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
}

/// A message as a change has left it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ChangedMessage {
    pub row: StoredRow,
    pub edited_at: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub marks: Option<String>,
    /// The sender's names.
    pub username: String,
    pub first_name: String,
    /// It was changed under this version of the room's membership, or an older one.
    pub version: i64,
    /// The number of this change in its room.
    pub number: ChangeNumber,
    pub at: DateTime<Utc>,
    /// The username of who has made it.
    pub by: Option<String>,
    pub what: Vec<WhatWasDone>,
    pub reacted: Vec<ReactedBy>,
    /// The usernames of those whom an edit mentions and who were not mentioned before.
    pub mentioned: Vec<String>,
    pub extras_changed: bool,
}

/// What a change has done.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum WhatWasDone {
    Edited,
    Deleted,
    Reactions,
    Pinned,
}

/// A user has reacted with a key, or has withdrawn that.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct ReactedBy {
    pub username: String,
    pub key: String,
    pub on: bool,
}

impl From<StoredRow> for message::Model {
    fn from(row: StoredRow) -> Self {
        Self {
            room_id: row.room_id,
            seq: row.seq,
            id: row.id,
            sender_id: row.sender_id,
            kind: row.kind,
            content: row.content,
            client_message_id: row.client_message_id,
            reply_to: row.reply_to,
            created_at: row.created_at,
            edited_at: None,
            deleted_at: None,
            change: ChangeNumber::ZERO,
            marks: None,
            extras: row.extras,
        }
    }
}

/// Saved receipts of members of a room.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct RoomMarks {
    pub room: RoomId,
    pub of: Vec<MemberMarks>,
}

/// How far a member has received and read.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct MemberMarks {
    pub user: UserId,
    pub delivered: Seq,
    pub read: Seq,
    /// When `read` moved last, in Unix milliseconds.
    pub read_at: i64,
}

/// The JSON of an entry.
pub struct EncodedEntry(String);

impl EncodedEntry {
    pub fn of(entry: &FrameEntry) -> Self {
        // Every entry can be written: it has no map with keys that are no text.
        Self(serde_json::to_string(entry).unwrap_or_default())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The bytes of a frame without entries, at most.
const EMPTY: usize = 100;

/// Whether an entry fits into a frame of so many bytes.
pub fn fits(entry: &EncodedEntry, longest: usize) -> bool {
    EMPTY + entry.len() <= longest
}

/// Puts entries into as few frames as possible, in their order; one frame if there are none. `number` counts the frames
/// that this node has sent. Entries that do not fit are left out.
pub fn frames(node: Uuid, number: &mut u64, entries: Vec<EncodedEntry>, longest: usize) -> Vec<String> {
    let mut frames = Vec::new();
    let mut text = String::new();
    let mut begin = |text: &mut String| {
        *number += 1;
        *text = format!("{{\"node\":\"{}\",\"number\":{number},\"entries\":[", node.simple());
        text.len()
    };
    let mut start = begin(&mut text);
    for entry in entries.into_iter().filter(|entry| fits(entry, longest)) {
        if text.len() > start && text.len() + entry.len() + 3 > longest {
            text.push_str("]}");
            frames.push(std::mem::take(&mut text));
            start = begin(&mut text);
        }
        if text.len() > start {
            text.push(',');
        }
        text.push_str(&entry.0);
    }
    text.push_str("]}");
    frames.push(text);
    frames
}

/// A frame whose entries are not read yet: some may be of another version.
#[derive(Deserialize)]
struct UnreadFrame<'a> {
    node: Uuid,
    number: u64,
    #[serde(borrow)]
    entries: Vec<&'a RawValue>,
}

/// `None` if this is no frame of a version that this one knows.
pub fn read(text: &str) -> Option<Frame> {
    let UnreadFrame { node, number, entries } = serde_json::from_str(text).ok()?;
    let read = |entry: &RawValue| serde_json::from_str(entry.get()).unwrap_or(FrameEntry::Unknown);
    Some(Frame { node, number, entries: entries.into_iter().map(read).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: DateTime<Utc> = DateTime::from_timestamp_nanos(1_800_000_000_123_456_000);

    fn row(content: &str) -> StoredRow {
        StoredRow {
            room_id: RoomId::new(),
            seq: Seq(3),
            id: MessageId::new(),
            sender_id: UserId::new(),
            kind: message::Kind::Text,
            content: content.to_owned(),
            client_message_id: Some("mine".into()),
            reply_to: None,
            created_at: AT,
            extras: Some("{\"mentions\":[\"bob\"]}".into()),
        }
    }

    fn changed() -> FrameEntry {
        let (ada, key) = ("ada".to_owned(), "\u{1f44d}".to_owned());
        FrameEntry::Changed(Box::new(ChangedMessage {
            row: row("\"\""),
            edited_at: Some(AT),
            deleted_at: None,
            marks: Some("{\"edits\":1}".into()),
            username: ada.clone(),
            first_name: ada.clone(),
            version: 4,
            number: ChangeNumber(6),
            at: AT,
            by: Some(ada.clone()),
            what: vec![WhatWasDone::Edited, WhatWasDone::Reactions],
            reacted: vec![ReactedBy { username: ada.clone(), key, on: true }],
            mentioned: vec![ada],
            extras_changed: true,
        }))
    }

    fn stored(content: &str) -> FrameEntry {
        let names = || "ada".to_owned();
        FrameEntry::Stored(Box::new(StoredMessage {
            row: row(content),
            username: names(),
            first_name: names(),
            version: 4,
            changed: ChangeNumber(5),
            written: None,
        }))
    }

    #[test]
    fn what_is_put_into_frames_is_read_in_its_order() {
        let (node, mut number) = (Uuid::now_v7(), 0);
        let typing = Typing { sender: UserId::new(), to: TypingTo::Group(RoomId::new()), typing: true };
        let entries = || {
            let rooms = (0..300).map(|_| FrameEntry::Room(RoomId::new()));
            let messages = (0..50).flat_map(|_| [stored("\"a \\u0000 text\""), changed()]);
            rooms.chain(messages).chain([
                FrameEntry::Notices,
                FrameEntry::Presences,
                FrameEntry::Typing(typing),
            ])
        };
        let entries: Vec<FrameEntry> = entries().collect();
        let encoded = entries.iter().map(EncodedEntry::of).collect();
        let frames = frames(node, &mut number, encoded, 7_500);
        assert!(frames.len() > 1 && frames.iter().all(|frame| frame.len() <= 7_500));
        let read: Vec<Frame> = frames.iter().map(|frame| read(frame).expect("a frame")).collect();
        let numbers: Vec<u64> = read.iter().map(|frame| frame.number).collect();
        assert_eq!(numbers, (1..=number).collect::<Vec<u64>>());
        assert!(read.iter().all(|frame| frame.node == node));
        let heard: Vec<FrameEntry> = read.into_iter().flat_map(|frame| frame.entries).collect();
        assert_eq!(heard, entries);
    }

    #[test]
    fn an_entry_fits_or_is_left_out_and_a_beat_has_none() {
        let long = EncodedEntry::of(&stored(&"x".repeat(8_000)));
        assert!(!fits(&long, 7_500) && fits(&long, 10_000));
        let [beat] = frames(Uuid::now_v7(), &mut 0, vec![long], 7_500).try_into().expect("one frame");
        assert_eq!(read(&beat).expect("a frame").entries, []);
    }

    #[test]
    fn what_another_version_says_is_skipped_where_it_can_be() {
        let text =
            |entries: &str| format!("{{\"node\":\"{}\",\"number\":1,\"entries\":[{entries}]}}", Uuid::nil());
        let heard = read(&text("\"notices\",\"news\",{\"news\":[5]},\"presences\"")).expect("a frame");
        let unknown = || FrameEntry::Unknown;
        assert_eq!(heard.entries, [FrameEntry::Notices, unknown(), unknown(), FrameEntry::Presences]);
        assert!(read("1 2 3").is_none());
    }
}
