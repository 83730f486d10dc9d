//! What a device says: the steps of its plan, acknowledgements, and again what was not answered.

use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::{Client, End, Owed, Talk, Wanted};
use crate::{
    history::{Operation, Place, What},
    plan::{Action, Beside, Manner, Way},
    version::Digest,
    wire::Wire,
};

impl Client {
    pub(super) fn acknowledges(&self, wire: &Wire, talk: &mut Talk, now: Instant) {
        let backwards = match self.manner {
            Manner::AtOnce => false,
            Manner::Late(late) => {
                while talk.owed.front().is_some_and(|owed| owed.since + late <= now) {
                    if let Some(owed) = talk.owed.pop_front() {
                        self.acknowledges_one(wire, &owed);
                    }
                }
                return;
            }
            Manner::WithHoles(every) => {
                let (left, owed) = talk.owed.drain(..).partition(|owed| owed.seq % every as i64 == 0);
                talk.owed = left;
                for owed in Vec::from(owed) {
                    self.acknowledges_one(wire, &owed);
                }
                return;
            }
            Manner::Backwards(count) if talk.owed.len() >= count => true,
            Manner::Backwards(_) | Manner::Not => return,
        };
        while let Some(owed) = if backwards { talk.owed.pop_back() } else { talk.owed.pop_front() } {
            self.acknowledges_one(wire, &owed);
        }
    }

    fn acknowledges_one(&self, wire: &Wire, owed: &Owed) {
        self.writes(What::Acknowledged { room: owed.room, seq: owed.seq });
        wire.acknowledges(owed.id);
    }

    pub(super) fn takes(
        &mut self,
        wire: &Wire,
        talk: &mut Talk,
        action: Action,
        now: Instant,
    ) -> Option<End> {
        match action {
            Action::Send { place, messages, bytes, beside } => {
                for _ in 0..messages {
                    let operation = self.intends(place, bytes, beside);
                    self.says(wire, talk, Wanted::Operation(operation), now);
                }
            }
            Action::Edit { which, edits, bytes, way } => {
                for number in 0..edits {
                    // An even number edits one message so many times, an odd one edits so many messages.
                    let which = if which % 4 < 2 { which } else { which.wrapping_add(2 * number) };
                    self.edits(wire, talk, which, bytes, way, now);
                }
            }
            Action::React { which } => self.reacts(wire, talk, which, now),
            Action::Delete { which } => {
                let deed = self.editor.will_delete(which);
                self.does(wire, talk, "deleteMessage", deed, now);
            }
            Action::Pin { which, messages, on } => {
                for number in 0..messages {
                    let deed = self.editor.will_pin(which.wrapping_add(2 * number), on);
                    self.does(wire, talk, "pinMessage", deed, now);
                }
            }
            Action::MarkRead { which } => self.marks_read(wire, which),
            Action::Acknowledge(manner) => self.manner = manner,
            Action::StopReading(during) => talk.deaf_until = now + during,
            Action::Leave { says_so, comeback } => return Some(End::Left { says_so, comeback }),
            Action::Suffer(fault) => self.line.suffers(fault),
        }
        None
    }

    fn intends(&mut self, place: Place, bytes: usize, beside: Beside) -> usize {
        let client_message_id = format!("{}-{}", self.number, self.intended);
        self.intended += 1;
        let content = format!("{client_message_id} {}", "x".repeat(bytes));
        let mut payload = json!({ "content": content, "clientMessageId": client_message_id });
        if let Some(root) = beside.thread.and_then(|which| self.editor.root(place, which)) {
            payload["thread"] = json!(root);
        }
        if let Some(which) = beside.mention {
            let people = &self.world.people;
            payload["mentions"] = json!([people[which % people.len()].username]);
        }
        let event = match place {
            Place::Direct(one, other) => {
                let receiver = if one == self.person { other } else { one };
                payload["receiver"] = json!(self.world.people[receiver].username);
                "privateMessage"
            }
            Place::Group(group) => {
                payload["receiver"] = json!(self.world.groups[group]);
                "groupMessage"
            }
            Place::Lobby => "lobbyMessage",
        };
        let operation = Operation { place, client_message_id, content: Digest::of(&content) };
        let operation = self.pen.intends(operation);
        self.unanswered.insert(Wanted::Operation(operation), (event, payload));
        operation
    }

    fn edits(&mut self, wire: &Wire, talk: &mut Talk, which: usize, bytes: usize, way: Way, now: Instant) {
        let Some((edit, payload)) = self.editor.intends(which, bytes, way != Way::Socket) else { return };
        match way {
            Way::Http(hangs_up) => {
                self.editor.asks(self.connection, self.line.address, edit, &payload, hangs_up);
            }
            Way::Socket => {
                self.unanswered.insert(Wanted::Edit(edit), ("editMessage", payload));
                self.says(wire, talk, Wanted::Edit(edit), now);
            }
        }
    }

    /// One at a time, so that the last one that was answered is what is so.
    fn reacts(&mut self, wire: &Wire, talk: &mut Talk, which: usize, now: Instant) {
        if self.unanswered.values().any(|(event, _)| *event == "react") {
            return;
        }
        let deed = self.editor.feels(which);
        self.does(wire, talk, "react", deed, now);
    }

    fn does(
        &mut self,
        wire: &Wire,
        talk: &mut Talk,
        event: &'static str,
        deed: Option<(usize, Json)>,
        now: Instant,
    ) {
        let Some((deed, payload)) = deed else { return };
        self.unanswered.insert(Wanted::Deed(deed), (event, payload));
        self.says(wire, talk, Wanted::Deed(deed), now);
    }

    pub(super) fn says(&mut self, wire: &Wire, talk: &mut Talk, wanted: Wanted, now: Instant) {
        let page = match wanted {
            Wanted::Page(room) => self.cursors.as_ref().and_then(|cursors| cursors.page(room)),
            _ => None,
        };
        let page = page.map(|payload| ("history", payload));
        let Some((event, payload)) = page.as_ref().or_else(|| self.unanswered.get(&wanted)) else { return };
        self.last_id += 1;
        match wanted {
            Wanted::Operation(operation) => self.pen.writes(self.connection, What::Sent { operation }),
            Wanted::Edit(edit) => self.pen.writes(self.connection, What::EditAsked { edit }),
            Wanted::Deed(deed) => self.pen.writes(self.connection, What::DeedAsked { deed }),
            Wanted::Page(_) => {}
        }
        wire.event(event, payload, self.last_id);
        talk.asked.insert(self.last_id, (wanted, now));
    }

    fn marks_read(&mut self, wire: &Wire, which: usize) {
        let known: Vec<_> = self.seen.iter().filter(|(room, _)| self.world.groups.contains(room)).collect();
        let Some((room, seq)) = known.get(which.checked_rem(known.len()).unwrap_or(0)) else { return };
        let payload = json!({ "receiver": room, "group": true, "seq": seq });
        self.writes(What::MarkedRead { room: **room, seq: **seq });
        self.last_id += 1;
        wire.event("markRead", &payload, self.last_id);
    }
}
