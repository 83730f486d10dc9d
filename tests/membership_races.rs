//! Two changes of who is in a group at the same moment, every pair of them: afterwards the database is consistent, and
//! memory agrees with it.

use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use serde_json::{Value as Json, json};

use entity::{
    RoomId,
    member::{self, Role},
    room, user,
};

use crate::harness::{Answer, Server, Socket};

/// What somebody does to the group of ada (owner), bob and carl. Dora is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    OwnerLeaves,
    BobLeaves,
    OwnerRemovesBob,
    OwnerRemovesCarl,
    OwnerAddsDora,
    /// Bob is no owner unless the group passes to him at this moment.
    BobAddsDora,
    DoraJoins,
    OwnerRenames,
    OwnerDeletes,
}

const MOVES: [Move; 9] = [
    Move::OwnerLeaves,
    Move::BobLeaves,
    Move::OwnerRemovesBob,
    Move::OwnerRemovesCarl,
    Move::OwnerAddsDora,
    Move::BobAddsDora,
    Move::DoraJoins,
    Move::OwnerRenames,
    Move::OwnerDeletes,
];

struct Scene {
    ada: Socket,
    bob: Socket,
    carl: Socket,
    dora: Socket,
    database: DatabaseConnection,
    server: Server,
}

impl Scene {
    async fn new() -> Self {
        let server = Server::with(crate::harness::at_full_speed).await;
        Self {
            ada: server.online("ada").await,
            bob: server.online("bob").await,
            carl: server.online("carl").await,
            dora: server.online("dora").await,
            database: server.database.as_ref().unwrap().look_inside().await,
            server,
        }
    }

    fn everybody(&self) -> [&Socket; 4] {
        [&self.ada, &self.bob, &self.carl, &self.dora]
    }

    async fn makes(&self, what: Move, group: &str) -> Answer {
        let path = |rest: &str| format!("/api/rooms/{group}{rest}");
        let nothing = json!({});
        match what {
            Move::OwnerLeaves => self.ada.post(&path("/leave"), nothing).await,
            Move::BobLeaves => self.bob.post(&path("/leave"), nothing).await,
            Move::OwnerRemovesBob => self.ada.delete(&path("/members/bob")).await,
            Move::OwnerRemovesCarl => self.ada.delete(&path("/members/carl")).await,
            Move::OwnerAddsDora => self.ada.post(&path("/members"), json!({ "users": ["dora"] })).await,
            Move::BobAddsDora => self.bob.post(&path("/members"), json!({ "users": ["dora"] })).await,
            Move::DoraJoins => self.dora.post(&path("/join"), nothing).await,
            Move::OwnerRenames => {
                self.ada.patch(&path(""), json!({ "groupName": format!("renamed {group}") })).await
            }
            Move::OwnerDeletes => self.ada.delete(&path("")).await,
        }
    }

    /// Who is in the group as the database has it, the owner first.
    async fn stored(&self, group: &str) -> Vec<(String, Role)> {
        let id: RoomId = group.parse().unwrap();
        let row = room::Entity::find_by_id(id).one(&self.database).await.unwrap().unwrap();
        let members = member::Entity::find()
            .filter(member::Column::RoomId.eq(id))
            .find_also_related(user::Entity)
            .all(&self.database)
            .await
            .unwrap();
        let mut members: Vec<_> =
            members.into_iter().map(|(member, user)| (user.unwrap(), member.role)).collect();
        members.sort_by_key(|(user, role)| (*role != Role::Owner, user.username.clone()));
        let owners: Vec<_> = members.iter().filter(|(_, role)| *role == Role::Owner).collect();
        if row.deleted_at.is_some() {
            assert!(members.is_empty() && row.name_key.is_none(), "a deleted group has members");
        } else {
            assert_eq!(owners.len(), 1, "a group has one owner");
            assert_eq!(row.owner_id, Some(owners[0].0.id), "and it is the same in both tables");
        }
        members.into_iter().map(|(user, role)| (user.username, role)).collect()
    }

    /// That memory agrees: a member's message reaches the members, and nobody else.
    async fn agrees(&self, pair: (Move, Move), group: &str, members: &[(String, Role)]) {
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        let content = format!("after {pair:?}");
        let is_member = |socket: &Socket| names.contains(&&*socket.username);
        for socket in self.everybody() {
            let post = json!({ "receiver": group, "content": content });
            let answer = socket.emit("groupMessage", post).await;
            assert_eq!(
                answer["success"] == true,
                is_member(socket),
                "{pair:?} {}: {answer}",
                socket.username
            );
        }
        for socket in self.everybody() {
            let mark = format!("mark of {pair:?} for {}", socket.username);
            self.ada.posts_to(&socket.username, &mark).await;
            socket.sees_message(&mark).await;
            let heard: Vec<Json> = socket.all("response");
            let heard = heard.iter().filter(|told| told["response"]["content"] == content).count();
            let expected = if is_member(socket) { names.len() } else { 0 };
            assert_eq!(heard, expected, "{pair:?} {}", socket.username);
            let read = socket.get(&format!("/api/rooms/{group}/members")).await;
            if is_member(socket) {
                let listed = read.is(200)["members"].as_array().unwrap().len();
                assert_eq!(listed, names.len(), "{pair:?} {}", socket.username);
            } else {
                assert!([403, 404].contains(&read.status), "{pair:?} {}: {}", socket.username, read.text);
            }
            socket.forgets();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_changes_at_the_same_moment_is_whole() {
    let scene = Scene::new().await;
    let mut number = 0;
    for one in MOVES {
        for other in MOVES {
            number += 1;
            let group = scene.ada.makes_group(&format!("group {number}"), &["bob", "carl"]).await;
            let (first, second) = tokio::join!(scene.makes(one, &group), scene.makes(other, &group));
            for answer in [&first, &second] {
                // Who came second may have lost the right, or the group.
                assert!([200, 204, 403, 404].contains(&answer.status), "{one:?} {other:?}: {}", answer.text);
            }
            assert!(
                first.status < 300 || second.status < 300 || one == Move::BobAddsDora,
                "{one:?} {other:?}"
            );
            let members = scene.stored(&group).await;
            if one == Move::OwnerRemovesBob && first.status == 200 {
                assert!(members.iter().all(|(name, _)| name != "bob"), "{one:?} {other:?}");
            }
            scene.agrees((one, other), &group, &members).await;
        }
    }
    let Scene { ada, bob, carl, dora, database, server } = scene;
    database.close().await.unwrap();
    drop((ada, bob, carl, dora));
    drop(server);
}
