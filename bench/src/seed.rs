//! Writes a scene into a server's database before the server starts. None of this is measured.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, SubsecRound, Utc};
use entity::{MessageId, Seq, member, message, room, session, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, Database, DatabaseTransaction, EntityTrait,
    TransactionTrait,
};
use serde::Serialize;
use tokio::io::AsyncWriteExt;

use crate::{
    peer::Peer,
    scene::{Room, Scene, old_content},
    token,
};

/// Rows per statement. SQLite permits 32,766 parameters.
const ROWS: usize = 2_000;

/// Fills a database that `parlor migrate up` has created.
pub async fn parlor(url: &str, scene: &Scene) -> Result<()> {
    let database = Database::connect(url).await?;
    let transaction = database.begin().await?;
    let now = Utc::now().trunc_subsecs(3);
    insert::<user::Entity, _>(&transaction, users(scene, now)).await?;
    insert::<session::Entity, _>(&transaction, sessions(scene, now)).await?;
    insert::<room::Entity, _>(&transaction, rooms(scene, now)).await?;
    insert::<member::Entity, _>(&transaction, members(scene, now)).await?;
    insert::<message::Entity, _>(&transaction, messages(scene, now)).await?;
    transaction.commit().await?;
    if database.get_database_backend() == sea_orm::DbBackend::Postgres {
        database.execute_unprepared("ANALYZE").await?;
    }
    Ok(database.close().await?)
}

async fn insert<E, A>(transaction: &DatabaseTransaction, rows: Vec<A>) -> Result<()>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        E::insert_many(rows.by_ref().take(ROWS)).exec_without_returning(transaction).await?;
    }
    Ok(())
}

fn users(scene: &Scene, now: DateTime<Utc>) -> Vec<user::ActiveModel> {
    let row = |user: &crate::scene::User| user::ActiveModel {
        id: Set(user.id),
        username: Set(user.username.clone()),
        username_key: Set(user::username_key(&user.username)),
        search_text: Set(user::search_text(&user.username, None, None)),
        password_hash: Set(None),
        first_name: Set(None),
        last_name: Set(None),
        email: Set(None),
        phone: Set(None),
        profile: Set(None),
        is_admin: Set(false),
        created_at: Set(now),
        last_seen_at: Set(None),
        deleted_at: Set(None),
        disabled_at: Set(None),
    };
    scene.users.iter().map(row).collect()
}

fn sessions(scene: &Scene, now: DateTime<Utc>) -> Vec<session::ActiveModel> {
    let row = |user: &crate::scene::User| session::ActiveModel {
        id: Set(user.session),
        user_id: Set(user.id),
        created_at: Set(now),
        expires_at: Set(now + token::LIFE),
        revoked_at: Set(None),
        ..Default::default()
    };
    scene.users.iter().map(row).collect()
}

fn rooms(scene: &Scene, now: DateTime<Utc>) -> Vec<room::ActiveModel> {
    let row = |room: &Room| {
        let (low, high) = pair(scene, room).unzip();
        let name = (!room.direct).then(|| format!("room {}", room.id));
        room::ActiveModel {
            id: Set(room.id),
            kind: Set(if room.direct { room::Kind::Direct } else { room::Kind::Group }),
            name: Set(name.clone()),
            name_key: Set(name),
            password_hash: Set(None),
            owner_id: Set(if room.direct { None } else { Some(scene.users[room.members[0]].id) }),
            pair_low: Set(low),
            pair_high: Set(high),
            last_seq: Set(Seq(room.messages.into())),
            roster_version: Set(0),
            created_at: Set(now),
            active_at: Set(now),
            deleted_at: Set(None),
            last_change: Set(entity::ChangeNumber::ZERO),
            changed_at: Set(0),
            settings: Set(None),
        }
    };
    scene.rooms.iter().map(row).collect()
}

fn pair(scene: &Scene, room: &Room) -> Option<(entity::UserId, entity::UserId)> {
    match (room.direct, room.members.as_slice()) {
        (true, &[one, other]) => Some(room::pair(scene.users[one].id, scene.users[other].id)),
        _ => None,
    }
}

fn members(scene: &Scene, now: DateTime<Utc>) -> Vec<member::ActiveModel> {
    let of = |room: &Room| {
        let (id, last) = (room.id, Seq(room.messages.into()));
        let owner = if room.direct { None } else { room.members.first().copied() };
        let row = |at: &usize| member::ActiveModel {
            room_id: Set(id),
            user_id: Set(scene.users[*at].id),
            role: Set(if Some(*at) == owner { member::Role::Owner } else { member::Role::Member }),
            joined_at: Set(now),
            delivered_seq: Set(last),
            read_seq: Set(last),
            notified_seq: Set(last),
            joined_seq: Set(Some(last)),
            read_at: Set(0),
            view: Set(None),
        };
        room.members.iter().map(row).collect::<Vec<_>>()
    };
    scene.rooms.iter().flat_map(of).collect()
}

fn messages(scene: &Scene, now: DateTime<Utc>) -> Vec<message::ActiveModel> {
    let of = |room: &Room| {
        let row = |seq: u32| message::ActiveModel {
            room_id: Set(room.id),
            seq: Set(Seq(seq.into())),
            id: Set(MessageId::new()),
            sender_id: Set(scene.users[sender(room, seq)].id),
            kind: Set(message::Kind::Text),
            content: Set(format!("\"{}\"", old_content(seq))),
            client_message_id: Set(None),
            reply_to: Set(None),
            created_at: Set(now),
            edited_at: Set(None),
            deleted_at: Set(None),
            change: Set(entity::ChangeNumber::ZERO),
            marks: Set(None),
            extras: Set(None),
        };
        (1..=room.messages).map(row).collect::<Vec<_>>()
    };
    scene.rooms.iter().flat_map(of).collect()
}

fn sender(room: &Room, seq: u32) -> usize {
    room.members[seq as usize % room.members.len()]
}

#[derive(Serialize)]
struct PeerScene {
    users: Vec<PeerUser>,
    rooms: Vec<PeerRoom>,
    members: Vec<PeerMember>,
    messages: Vec<PeerMessage>,
}

#[derive(Serialize)]
struct PeerUser {
    id: String,
    username: String,
}

#[derive(Serialize)]
struct PeerRoom {
    id: String,
    kind: &'static str,
    low: Option<String>,
    high: Option<String>,
}

#[derive(Serialize)]
struct PeerMember {
    room: String,
    user: String,
    delivered: u32,
}

#[derive(Serialize)]
struct PeerMessage {
    room_id: String,
    seq: u32,
    id: String,
    sender_id: String,
    content: String,
    client_message_id: Option<String>,
    created_at: String,
}

/// Fills a database that the peer creates, with the peer's own script.
pub async fn peer(peer: &Peer, url: &str, scene: &Scene) -> Result<()> {
    let mut child =
        peer.script("seed.js", url).stdin(Stdio::piped()).spawn().context("the peer could not be started")?;
    let mut input = child.stdin.take().context("no standard input")?;
    input.write_all(&serde_json::to_vec(&of_peer(scene))?).await?;
    drop(input);
    ensure!(child.wait().await?.success(), "the peer could not be seeded");
    Ok(())
}

fn of_peer(scene: &Scene) -> PeerScene {
    let id = |at: usize| scene.users[at].id.to_string();
    let room = |room: &Room| {
        let (low, high) = pair(scene, room).map(|(low, high)| (low.to_string(), high.to_string())).unzip();
        PeerRoom { id: room.id.to_string(), kind: if room.direct { "direct" } else { "group" }, low, high }
    };
    let members = |room: &Room| {
        let member =
            |at: &usize| PeerMember { room: room.id.to_string(), user: id(*at), delivered: room.messages };
        room.members.iter().map(member).collect::<Vec<_>>()
    };
    let messages = |room: &Room| {
        let message = |seq: u32| PeerMessage {
            room_id: room.id.to_string(),
            seq,
            id: MessageId::new().to_string(),
            sender_id: id(sender(room, seq)),
            content: old_content(seq),
            client_message_id: None,
            created_at: Utc::now().to_rfc3339(),
        };
        (1..=room.messages).map(message).collect::<Vec<_>>()
    };
    let users = scene.users.iter();
    PeerScene {
        users: users
            .map(|user| PeerUser { id: user.id.to_string(), username: user.username.clone() })
            .collect(),
        rooms: scene.rooms.iter().map(room).collect(),
        members: scene.rooms.iter().flat_map(members).collect(),
        messages: scene.rooms.iter().flat_map(messages).collect(),
    }
}
