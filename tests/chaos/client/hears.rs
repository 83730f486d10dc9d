//! What a device hears: answers, messages, their changes, and how far others are.

use entity::RoomId;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::{Client, Owed, PAUSE, Talk, Wanted};
use crate::{
    cursors::{positions, set_of, version_of},
    edits::answered,
    history::{DELETED, LIMIT_REACHED, Memory, What, code_of},
    version::Line,
    world::{room_of, seq_of},
};

impl Client {
    pub(super) fn is_answered(&mut self, talk: &mut Talk, id: u64, answer: &Json) {
        let Some((wanted, _)) = talk.asked.remove(&id) else { return };
        let response = &answer["response"];
        if answer["success"] != true {
            let code = code_of(&answer["error"]);
            let is_final = code == DELETED || code == LIMIT_REACHED;
            match wanted {
                Wanted::Operation(operation) => self.writes(What::Refused { operation, code }),
                Wanted::Edit(edit) => self.writes(What::EditRefused { edit, code }),
                Wanted::Deed(deed) => self.writes(What::DeedRefused { deed, code }),
                Wanted::Page(_) => {}
            }
            if is_final && matches!(wanted, Wanted::Edit(_) | Wanted::Deed(_)) {
                self.unanswered.remove(&wanted);
            } else {
                talk.refused.push_back((Instant::now() + PAUSE, wanted));
            }
            return;
        }
        match wanted {
            Wanted::Operation(operation) => {
                let (room, seq) = (room_of(response), seq_of(response));
                let id = response["messageId"].as_str().unwrap().parse().unwrap();
                self.writes(What::Stored { operation, room, seq, id });
                self.editor.has_stored((room, seq, id), self.pen.place_of(operation));
            }
            Wanted::Edit(edit) => self.writes(answered(edit, response)),
            Wanted::Deed(deed) => {
                self.writes(What::DeedAnswered { deed, version: version_of(response) });
            }
            Wanted::Page(room) => self.has_page(talk, room, response),
        }
        self.unanswered.remove(&wanted);
    }

    /// A page of a room that has to be read again: the next one is asked for.
    fn has_page(&mut self, talk: &mut Talk, room: RoomId, page: &Json) {
        let messages = page["messages"].as_array().unwrap();
        let lines: Vec<Line> = messages.iter().map(|message| self.line_of(message)).collect();
        let is_last = page["hasMore"] == false;
        let first = lines.first().map(|line| line.seq);
        self.writes(What::PageRead { room, lines, is_last });
        let Some(cursors) = &mut self.cursors else { return };
        cursors.has_page(room, first, is_last);
        talk.refused.push_front((Instant::now(), Wanted::Page(room)));
    }

    pub(super) fn hears(&mut self, talk: &mut Talk, name: &str, payload: &Json, asks: Option<u64>) {
        let message = &payload["response"];
        match name {
            "response" | "lobby" => {
                let (room, line) = (room_of(message), self.line_of(message));
                let seq = line.seq;
                let is_direct = message["group"] == false;
                let moderates = self.world.moderates(self.person, room);
                self.editor.has_read((room, seq, line.id), is_direct, moderates);
                let is_unrequested = name == "response" && asks.is_none() && !talk.batched;
                self.writes(What::Read { room, line, is_unrequested });
                // The highest, whatever comes: what is wrong about it is the checker's to find.
                let seen = self.seen.entry(room).or_default();
                *seen = seq.max(*seen);
                if let Some(cursors) = &mut self.cursors {
                    cursors.has_read(room, seq, message, &self.world.people[self.person].username);
                }
                match asks {
                    Some(id) => talk.owed.push_back(Owed { since: Instant::now(), id, room, seq }),
                    None if name == "response" && (talk.batched || self.memory != Memory::LiveOnly) => {
                        talk.arrived.insert(room, seq);
                    }
                    None => {}
                }
            }
            "updateDeliveryStatusOnConnection" => {
                let id = message["messageId"].as_str().unwrap().parse().unwrap();
                self.writes(What::ToldDelivered { room: room_of(message), seq: seq_of(message), id });
            }
            "messageRead" => {
                if let Some(reader) = self.number_of(&payload["username"]) {
                    self.writes(What::ToldRead { room: room_of(payload), reader, seq: seq_of(payload) });
                }
            }
            "messageChanged" => self.hears_change(payload),
            "synced" => {
                let rooms = positions(payload);
                self.writes(What::Synced { rooms: rooms.clone() });
                let Some(cursors) = &mut self.cursors else { return };
                cursors.are_synced(&rooms);
                // A room that has to be read again is told by itself, before the device has everything.
                talk.is_synced |= rooms.values().all(|position| !position.is_reset);
                // A page that is under way belongs to an earlier reading, if it has to begin anew.
                for room in cursors.rooms_again() {
                    talk.asked.retain(|_, (wanted, _)| *wanted != Wanted::Page(room));
                    talk.refused.retain(|(_, wanted)| *wanted != Wanted::Page(room));
                    talk.refused.push_front((Instant::now(), Wanted::Page(room)));
                }
            }
            _ => {}
        }
    }

    fn hears_change(&mut self, changed: &Json) {
        let (room, seq) = (room_of(changed), seq_of(changed));
        let change = changed["change"].as_i64().unwrap();
        let set = set_of(&changed["set"]);
        let is_replayed = changed["what"] == json!(["caught-up"]);
        self.writes(What::Changed { room, seq, change, set, is_replayed });
        if let Some(cursors) = &mut self.cursors {
            cursors.has_heard(room, change);
        }
    }

    fn line_of(&self, message: &Json) -> Line {
        self.world.line_of(message)
    }

    fn number_of(&self, username: &Json) -> Option<usize> {
        self.world.number_of(username)
    }
}
