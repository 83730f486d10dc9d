//! Unread messages, mentions and threads, by a long random sequence of requests beside a plain model.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::json;

use crate::harness::{Person, Server, at_full_speed};

const NAMES: [&str; 3] = ["ada", "bob", "cyd"];

/// A message as the model has it. Users are numbers.
#[derive(Debug)]
struct Said {
    id: String,
    sender: usize,
    root: Option<i64>,
    also_in_room: bool,
    mentioned: BTreeSet<usize>,
    /// Its sender has named whom it mentions, and not in the text.
    is_named: bool,
    mentions_all: bool,
    is_deleted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    read: i64,
    following: bool,
}

#[derive(Debug, Default)]
struct Model {
    /// By seq, from 1 on.
    messages: Vec<Said>,
    read: [i64; 3],
    marks: BTreeMap<(usize, i64), Mark>,
}

impl Model {
    fn last(&self) -> i64 {
        self.messages.len() as i64
    }

    fn at(&self, seq: i64) -> &Said {
        &self.messages[seq as usize - 1]
    }

    /// The messages of others after a seq that are not deleted.
    fn others(&self, user: usize, after: i64) -> impl Iterator<Item = &Said> {
        let after = self.messages.iter().skip(after.max(0) as usize);
        after.filter(move |said| said.sender != user && !said.is_deleted)
    }

    fn counts(&self, user: usize) -> [usize; 3] {
        let unread =
            || self.others(user, self.read[user]).filter(|said| said.root.is_none() || said.also_in_room);
        let mentions = unread().filter(|said| said.mentions_all || said.mentioned.contains(&user)).count();
        let threads = self.marks.iter().filter(|((of, root), mark)| {
            let is_new = |said: &Said| said.root == Some(*root);
            *of == user && mark.following && self.others(user, mark.read).any(is_new)
        });
        [unread().count(), mentions, threads.count()]
    }

    /// The root of the thread that a message is in, or that it begins.
    fn root_of(&self, seq: i64) -> i64 {
        self.at(seq).root.unwrap_or(seq)
    }

    fn follow(&mut self, user: usize, root: i64, read: i64) {
        self.marks.entry((user, root)).or_insert(Mark { read, following: true });
    }

    fn say(&mut self, said: Said) {
        let seq = self.last() + 1;
        if let Some(root) = said.root {
            if !self.messages.iter().any(|other| other.root == Some(root)) {
                self.follow(self.at(root).sender, root, root);
            }
            for user in &said.mentioned {
                self.follow(*user, root, seq - 1);
            }
            self.follow(said.sender, root, seq);
            self.marks.get_mut(&(said.sender, root)).unwrap().following = true;
        }
        self.messages.push(said);
    }
}

struct Walk {
    people: Vec<Person>,
    group: String,
    model: Model,
    random: Rng,
}

impl Walk {
    fn some_seq(&mut self) -> Option<i64> {
        let last = self.model.last();
        (last > 0).then(|| self.random.i64((last - 30).max(1)..=last))
    }

    fn some_users(&mut self) -> BTreeSet<usize> {
        (0..3).filter(|_| self.random.u8(..4) == 0).collect()
    }

    /// A text that mentions these users and no others, and that was never said before.
    fn text(&mut self, users: &BTreeSet<usize>) -> String {
        let mentions: String = users.iter().map(|user| format!("@{} ", NAMES[*user])).collect();
        format!("{mentions}{}", self.random.u64(..))
    }

    async fn send(&mut self, user: usize) {
        let thread = if self.random.u8(..10) < 4 { self.some_seq() } else { None };
        let in_text = self.some_users();
        let named = (self.random.u8(..4) == 0).then(|| self.some_users());
        let (also_in_room, mentions_all) = (self.random.u8(..10) < 3, self.random.u8(..8) == 0);
        let mut sent = json!({
            "receiver": self.group, "group": true, "content": self.text(&in_text),
            "alsoInRoom": also_in_room, "mentionsAll": mentions_all,
        });
        if let Some(seq) = thread {
            sent["thread"] = self.model.at(seq).id.clone().into();
        }
        if let Some(named) = &named {
            sent["mentions"] = named.iter().map(|user| NAMES[*user]).collect();
        }
        let stored = self.people[user].post("/api/messages", sent).await.is(201);
        let root = thread.map(|seq| self.model.root_of(seq));
        self.model.say(Said {
            id: stored["messageId"].as_str().unwrap().to_owned(),
            sender: user,
            also_in_room: also_in_room && root.is_some(),
            root,
            is_named: named.as_ref().is_some_and(|named| !named.is_empty()),
            mentioned: named.unwrap_or(in_text),
            mentions_all,
            is_deleted: false,
        });
    }

    async fn edit(&mut self) {
        let Some(seq) = self.some_seq().filter(|seq| !self.model.at(*seq).is_deleted) else { return };
        let users = self.some_users();
        let text = self.text(&users);
        let said = self.model.at(seq);
        let path = format!("/api/messages/{}", said.id);
        self.people[said.sender].patch(&path, json!({ "content": text })).await.is(200);
        if said.is_named {
            return;
        }
        let (root, new): (_, Vec<usize>) = (said.root, users.difference(&said.mentioned).copied().collect());
        self.model.messages[seq as usize - 1].mentioned = users;
        for user in new {
            if let Some(root) = root {
                self.model.follow(user, root, seq - 1);
            }
        }
    }

    async fn delete(&mut self) {
        let Some(seq) = self.some_seq() else { return };
        let said = self.model.at(seq);
        self.people[said.sender].delete(&format!("/api/messages/{}", said.id)).await.is(200);
        self.model.messages[seq as usize - 1].is_deleted = true;
    }

    async fn read(&mut self, user: usize) {
        let Some(seq) = self.some_seq() else { return };
        let path = format!("/api/rooms/{}/read", self.group);
        self.people[user].post(&path, json!({ "seq": seq })).await.is(200);
        self.model.read[user] = self.model.read[user].max(seq);
    }

    async fn read_thread(&mut self, user: usize) {
        let (Some(of), Some(seq)) = (self.some_seq(), self.some_seq()) else { return };
        let path = format!("/api/rooms/{}/read", self.group);
        let thread = &self.model.at(of).id;
        self.people[user].post(&path, json!({ "seq": seq, "thread": thread })).await.is(200);
        let key = (user, self.model.root_of(of));
        let mark = self.model.marks.entry(key).or_insert(Mark { read: seq, following: false });
        mark.read = mark.read.max(seq);
    }

    async fn read_threads(&mut self, user: usize) {
        let path = format!("/api/rooms/{}/read", self.group);
        let last = self.model.last();
        self.people[user].post(&path, json!({ "seq": last + 5, "threads": true })).await.is(200);
        for (_, mark) in self.model.marks.iter_mut().filter(|((of, _), _)| *of == user) {
            mark.read = mark.read.max(last);
        }
        assert_eq!(self.shown(user).await[2], 0, "nothing can stay stuck");
    }

    async fn follow(&mut self, user: usize) {
        let Some(seq) = self.some_seq() else { return };
        let path = format!("/api/messages/{}/follow", self.model.at(seq).id);
        let on = self.random.u8(..10) < 5;
        let person = &self.people[user];
        let answer = if on { person.put(&path, json!({})).await } else { person.delete(&path).await };
        answer.is(200);
        let root = self.model.root_of(seq);
        let is_reply = |said: &Said| said.root == Some(root) && !said.is_deleted;
        let newest = self.model.messages.iter().rposition(is_reply).map_or(root, |at| at as i64 + 1);
        let mark = self.model.marks.entry((user, root)).or_insert(Mark { read: newest, following: on });
        mark.following = on;
    }

    async fn shown(&self, user: usize) -> [usize; 3] {
        let room = self.people[user].conversation(&self.group).await;
        ["unread", "unreadMentions", "unreadThreads"].map(|field| room[field].as_u64().unwrap_or(0) as usize)
    }
}

/// `PARLOR_STEPS` says how many requests to make, and `PARLOR_SEED` which ones.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_unread_is_what_a_plain_model_says() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let steps = number("PARLOR_STEPS").unwrap_or(400);
    let seed = number("PARLOR_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}, {steps} steps");
    let server = Server::with(at_full_speed).await;
    let mut people = Vec::new();
    for name in NAMES {
        people.push(server.person(name).await);
    }
    let group = people[0].post("/api/rooms", json!({ "groupName": "walk", "users": ["bob", "cyd"] })).await;
    let group = group.is(201)["groupId"].as_str().unwrap().to_owned();
    let mut walk = Walk { people, group, model: Model::default(), random: Rng::with_seed(seed) };
    for step in 0..steps {
        let user = walk.random.usize(..3);
        let done = match walk.random.u8(..20) {
            0..9 => {
                walk.send(user).await;
                "sent"
            }
            9..12 => {
                walk.edit().await;
                "edited"
            }
            12..14 => {
                walk.delete().await;
                "deleted"
            }
            14..16 => {
                walk.read(user).await;
                "read"
            }
            16 => {
                walk.read_thread(user).await;
                "read a thread"
            }
            17 if walk.random.u8(..10) < 3 => {
                walk.read_threads(user).await;
                "read all threads"
            }
            _ => {
                walk.follow(user).await;
                "followed or not"
            }
        };
        for (user, name) in NAMES.iter().enumerate() {
            let (shown, expected) = (walk.shown(user).await, walk.model.counts(user));
            assert_eq!(shown, expected, "of {name} after step {step} ({done}), seed {seed}");
        }
    }
}
