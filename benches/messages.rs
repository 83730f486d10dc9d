//! The steps that every message takes when it is read or written: reading from the database, rendering,
//! decoding.
//!
//! `cargo bench --bench messages` runs all, and a part of a name selects some. Without `--bench`, as with
//! `cargo test --benches`, each benchmark runs once.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use divan::{Bencher, black_box};
use entity::{MessageId, RoomId, Seq, SessionId, UserId, member, message, room, session, user};
use parlor::{
    app::App,
    backlog::{Backlog, Backlogs, Limits},
    chat::{
        Chat, Draft, HistoryQuery, Place,
        connections::connection::{ConnectOptions, Connection, Emitted, Lagging, Outlet},
        event::{Envelope, Event},
        model::{HistoryPage, Message, Receiver},
    },
    clock::Clock,
    config::Config,
    counts::Count,
    gateway::{native::render, wire::HistoryView},
    identity::{Caller, Person},
    values::{Body, ClientMessageId},
};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use tokio::{runtime::Runtime, sync::oneshot};

/// Messages in the room that is read from.
const STORED: i64 = 2_000;
const PAGE: usize = 50;
/// Rooms that are written to at the same time.
const ROOMS: usize = 64;
/// Subscribers of the crowded room.
const CROWD: usize = 1_000;

fn main() {
    divan::main();
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_790_000_000_123).expect("a time")
}

fn row(room: RoomId, sender: UserId, seq: i64) -> message::Model {
    message::Model {
        room_id: room,
        seq: Seq(seq),
        id: MessageId::new(),
        sender_id: sender,
        kind: message::Kind::Text,
        content: format!("\"{seq} is what was said, and the rest is about as long as what people write\""),
        client_message_id: Some(MessageId::new().to_string()),
        reply_to: None,
        created_at: at(),
        edited_at: None,
        deleted_at: None,
        change: entity::ChangeNumber::ZERO,
        marks: None,
        extras: None,
    }
}

fn noun(seq: i64) -> Message {
    let room = RoomId::new();
    Message {
        row: row(room, UserId::new(), seq),
        marks: None,
        extras: None,
        sender: Person::new("ada".into(), None),
        receiver: Receiver::Group(room),
        receiver_id: None,
        delivered_to_all: false,
        read_by_all: false,
        my_reactions: Vec::new(),
        replies: None,
    }
}

#[divan::bench]
fn render_a_message(bencher: Bencher<'_, '_>) {
    let event = Event::Message(Arc::new(noun(1)));
    bencher.bench(|| render(black_box(&event)).payload);
}

#[divan::bench]
fn render_a_page(bencher: Bencher<'_, '_>) {
    let messages = (1..=PAGE as i64).map(noun).collect();
    let page = HistoryPage { messages, has_more: true, ..HistoryPage::default() };
    bencher.bench(|| serde_json::to_string(&HistoryView::of(black_box(&page))));
}

/// A server on a SQLite file. It has a room with many messages, in which one user writes and another listens, and other
/// rooms.
struct Stored {
    chat: Chat,
    caller: Caller,
    room: RoomId,
    others: Vec<RoomId>,
    _listening: Vec<Arc<Connection>>,
    _app: App,
    _folder: tempfile::TempDir,
}

/// An outlet that renders the events it receives, and sends them nowhere.
struct Reader(Arc<Backlog>);

impl Outlet for Reader {
    fn gateway(&self) -> &'static str {
        "bench"
    }
    fn backlog(&self) -> &Arc<Backlog> {
        &self.0
    }
    fn emit(&self, _: &Arc<Connection>, envelope: &Envelope) -> Result<Emitted, Lagging> {
        let rendered = envelope.rendered(render);
        black_box(rendered);
        Ok(Emitted::AsUsual)
    }
    fn end(&self) {}
    fn disconnect(&self) {}
}

static STORE: LazyLock<Stored> = LazyLock::new(|| RUNTIME.block_on(store(1)).expect("a stored room"));
static CROWDED: LazyLock<Stored> = LazyLock::new(|| RUNTIME.block_on(store(CROWD)).expect("a crowd"));

async fn store(connections: usize) -> anyhow::Result<Stored> {
    let folder = tempfile::tempdir()?;
    let mut config = Config::development();
    config.database.url = format!("sqlite://{}/parlor.db", folder.path().display()).into();
    config.limits.connections_per_user = CROWD;
    let app = App::build(&config, Clock::real()).await?;
    let (writer, listener) = (account(&app, "ada").await?, account(&app, "bob").await?);
    let users = [writer.user, listener.user];
    let user = writer.user;
    let room = make_room(&app, users, STORED).await?;
    let messages = (1..=STORED).map(|seq| row(room, user, seq).into_active_model());
    message::Entity::insert_many(messages).exec_without_returning(&*app.db.writer().await?).await?;
    let mut others = Vec::with_capacity(ROOMS);
    for _ in 0..ROOMS {
        others.push(make_room(&app, users, 0).await?);
    }

    let chat = app.chat.clone();
    let mut listening = Vec::with_capacity(connections);
    let backlogs = Backlogs::new(Limits { one: 1, all: 1 }, Count::default());
    for _ in 0..connections {
        let connection = chat
            .connect(listener.clone(), Box::new(Reader(backlogs.backlog())), ConnectOptions::live_only())
            .await?;
        chat.open(&connection);
        listening.push(connection);
    }
    Ok(Stored { chat, caller: writer, room, others, _listening: listening, _app: app, _folder: folder })
}

/// A user with a login: the server ends the connections of sessions that it does not find.
async fn account(app: &App, name: &str) -> anyhow::Result<Caller> {
    let person = user::Model {
        id: UserId::new(),
        username: name.into(),
        username_key: name.into(),
        search_text: String::new(),
        password_hash: None,
        first_name: None,
        last_name: None,
        email: None,
        phone: None,
        profile: None,
        is_admin: false,
        created_at: at(),
        last_seen_at: None,
        deleted_at: None,
        disabled_at: None,
    };
    person.clone().into_active_model().insert(&*app.db.writer().await?).await?;
    let login = session::Model {
        id: SessionId::new(),
        user_id: person.id,
        created_at: at(),
        expires_at: DateTime::from_timestamp(4_000_000_000, 0).expect("a time"),
        revoked_at: None,
        last_used_at: None,
        address: None,
        client: None,
        by_password: false,
    };
    login.clone().into_active_model().insert(&*app.db.writer().await?).await?;
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    Ok(Caller::signed_in(person, login.id, DateTime::<Utc>::MAX_UTC, address))
}

/// A room of these users, the first of whom owns it.
async fn make_room(app: &App, users: [UserId; 2], last: i64) -> anyhow::Result<RoomId> {
    let room = RoomId::new();
    let group = room::Model {
        id: room,
        kind: room::Kind::Group,
        name: Some(room.to_string()),
        name_key: Some(room.to_string()),
        password_hash: None,
        owner_id: Some(users[0]),
        pair_low: None,
        pair_high: None,
        last_seq: Seq(last),
        last_change: entity::ChangeNumber::ZERO,
        roster_version: 0,
        created_at: at(),
        active_at: at(),
        deleted_at: None,
        changed_at: 0,
        settings: None,
    };
    group.into_active_model().insert(&*app.db.writer().await?).await?;
    for (user_id, role) in users.into_iter().zip([member::Role::Owner, member::Role::Member]) {
        let membership = member::Model {
            room_id: room,
            user_id,
            role,
            joined_at: at(),
            delivered_seq: Seq(last),
            read_seq: Seq(last),
            notified_seq: Seq(last),
            joined_seq: Some(Seq(last)),
            read_at: 0,
            view: None,
        };
        membership.into_active_model().insert(&*app.db.writer().await?).await?;
    }
    Ok(room)
}

/// One message into each of several rooms at once, until the last one is stored.
#[divan::bench(args = [1, 11, ROOMS])]
fn store_messages(bencher: Bencher<'_, '_>, rooms: usize) {
    let stored = &*STORE;
    bencher.bench_local(|| RUNTIME.block_on(write(stored, stored.others.iter().take(rooms))));
}

/// Several messages at once into a room with a thousand subscribers, until the last one is stored and
/// published.
#[divan::bench(args = [1, 16])]
fn publish_to_a_crowd(bencher: Bencher<'_, '_>, messages: usize) {
    let crowded = &*CROWDED;
    bencher.bench_local(|| RUNTIME.block_on(write(crowded, std::iter::repeat_n(&crowded.room, messages))));
}

async fn write(stored: &Stored, rooms: impl Iterator<Item = &RoomId>) {
    let mut answers = Vec::new();
    for room in rooms {
        let said = "\"about as long as what people write\"";
        let draft = Draft {
            body: Body::parse(message::Kind::Text, said, 1_000).expect("a text"),
            client_message_id: ClientMessageId::parse(&MessageId::new().to_string()).ok(),
            reply_to: None,
            extras: None,
            written: None,
            seen: None,
        };
        let (answer, answered) = oneshot::channel();
        let reply = Box::new(move |stored: parlor::error::Result<_>| {
            // If nobody waits any more, the receiver has panicked.
            let _ = answer.send(stored.is_ok());
        });
        stored.chat.send(&stored.caller, None, Place::Room(*room), draft, reply).await;
        answers.push(answered);
    }
    for answered in answers {
        assert_eq!(answered.await, Ok(true));
    }
}

/// Reads the room's history page by page, as a user who scrolls back, and starts again at its end.
#[divan::bench]
fn read_a_page(bencher: Bencher<'_, '_>) {
    let stored = &*STORE;
    let mut before = STORED + 1;
    bencher.bench_local(|| {
        before = if before <= PAGE as i64 { STORED + 1 } else { before - PAGE as i64 };
        let query =
            HistoryQuery { before: Some(Seq(before)), limit: Some(PAGE as u64), ..HistoryQuery::default() };
        RUNTIME.block_on(stored.chat.history(&stored.caller, Place::Room(stored.room), query))
    });
}

/// A user of 65 rooms, all in memory, connects and disconnects.
#[divan::bench]
fn connect(bencher: Bencher<'_, '_>) {
    let stored = &*STORE;
    let backlogs = Backlogs::new(Limits { one: 1, all: 1 }, Count::default());
    bencher.bench_local(|| {
        let outlet = Box::new(Reader(backlogs.backlog()));
        let caller = stored.caller.clone();
        let connection = RUNTIME
            .block_on(stored.chat.connect(caller, outlet, ConnectOptions::live_only()))
            .expect("a connection");
        stored.chat.open(&connection);
        stored.chat.remove(&connection);
    });
}
