//! Who may do what in a group: owner, admin, member, outsider.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::{Value as Json, json};

use crate::harness::{Server, Socket};

/// A group in which ada is the owner, bob an admin, carl a member, and dora is not.
struct Cast {
    server: Server,
    group: String,
}

impl Cast {
    async fn new() -> Self {
        let mut server = Server::start().await;
        let ada = server.person("ada").await;
        for name in ["bob", "carl", "dora", "eve"] {
            server.person(name).await;
        }
        let group = ada.makes_group("friends", &["bob", "carl"]).await;
        // No event makes an admin.
        server.stop().await;
        let database = server.database.as_ref().unwrap().look_inside().await;
        let bob = entity::user::Entity::find().filter(entity::user::Column::Username.eq("bob"));
        let bob = bob.one(&database).await.unwrap().unwrap();
        let room: entity::RoomId = group.parse().unwrap();
        let member =
            entity::member::Entity::find_by_id((room, bob.id)).one(&database).await.unwrap().unwrap();
        let mut member = member.into_active_model();
        member.role = Set(entity::member::Role::Admin);
        member.update(&database).await.unwrap();
        database.close().await.unwrap();
        server.starts_again().await;
        Self { server, group }
    }

    async fn enters(&self, name: &str) -> Socket {
        crate::harness::Person::logs_in(&self.server, name).await.connect().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_may_do_what_the_role_allows_and_no_more() {
    let cast = Cast::new().await;
    let group = &cast.group;
    let update = ("updateGroup", json!({ "groupId": group, "groupName": "friends" }));
    let add = ("addMembers", json!({ "groupId": group, "users": ["carl"] }));
    let remove_owner = ("removeMember", json!({ "groupId": group, "username": "ada" }));
    let remove_admin = ("removeMember", json!({ "groupId": group, "username": "bob" }));
    let remove_member = ("removeMember", json!({ "groupId": group, "username": "carl" }));
    let delete = ("deleteGroup", json!({ "groupId": group }));
    let post = ("groupMessage", json!({ "receiver": group, "content": "hi" }));
    let read = ("history", json!({ "receiver": group, "group": true }));
    let mark = ("markRead", json!({ "receiver": group, "group": true, "seq": 0 }));
    let typing = ("typing", json!({ "receiver": group, "group": true, "typing": true }));

    let dora = cast.enters("dora").await;
    for (event, payload) in
        [&update, &add, &remove_owner, &remove_admin, &remove_member, &delete, &post, &read, &mark, &typing]
    {
        dora.is_refused(event, payload.clone(), "not_a_member").await;
    }
    let carl = cast.enters("carl").await;
    for (event, payload) in [&update, &add, &remove_owner, &remove_admin, &remove_member, &delete] {
        carl.is_refused(event, payload.clone(), "forbidden").await;
    }
    for (event, payload) in [&post, &read, &mark] {
        carl.asks(event, payload.clone()).await;
    }
    let bob = cast.enters("bob").await;
    for (event, payload) in [&remove_owner, &delete] {
        bob.is_refused(event, payload.clone(), "forbidden").await;
    }
    for (event, payload) in [&update, &remove_member, &add, &post, &read] {
        bob.asks(event, payload.clone()).await;
    }
    let ada = cast.enters("ada").await;
    for (event, payload) in [&update, &remove_admin, &remove_member, &post, &read, &delete] {
        ada.asks(event, payload.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_changes_nothing() {
    let cast = Cast::new().await;
    let group = &cast.group;
    let carl = cast.enters("carl").await;
    let ada = cast.enters("ada").await;
    let before = ada.asks("listRooms", json!({})).await;
    let refused: [(&str, Json); 5] = [
        ("updateGroup", json!({ "groupId": group, "groupName": "mine", "password": "mine" })),
        ("addMembers", json!({ "groupId": group, "users": ["dora"] })),
        ("removeMember", json!({ "groupId": group, "username": "bob" })),
        ("deleteGroup", json!({ "groupId": group })),
        ("removeMember", json!({ "groupId": group, "username": "ada" })),
    ];
    for (event, payload) in refused {
        carl.is_refused(event, payload, "forbidden").await;
    }
    assert_eq!(ada.asks("listRooms", json!({})).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admins_of_the_server_have_no_say_in_groups() {
    let cast = Cast::new().await;
    let admin = cast.server.admin("admin").await.connect().await;
    let read = json!({ "receiver": cast.group, "group": true });
    admin.is_refused("history", read, "not_a_member").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_changed_by_its_user_and_by_admins() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let bob = server.person("bob").await;
    let admin = server.admin("admin").await;
    let change = json!({ "firstName": "Ada" });
    bob.patch("/api/users/ada", change.clone()).await.is_refused(403, "forbidden");
    bob.put("/api/users/ada", change.clone()).await.is_refused(403, "forbidden");
    assert_eq!(ada.patch("/api/users/ada", change).await.is(200)["firstName"], "Ada");
    assert_eq!(admin.patch("/api/users/ada", json!({ "lastName": "L" })).await.is(200)["lastName"], "L");
    // Who is an admin knows it, and so do admins; others are not told.
    assert_eq!(admin.get("/api/users/admin").await.is(200)["isAdmin"], true);
    assert_eq!(ada.get("/api/users/admin").await.is(200)["isAdmin"], Json::Null);
    assert_eq!(ada.get("/api/users/ada").await.is(200)["isAdmin"], Json::Null);
    // Nobody makes themself an admin.
    let wish = json!({ "firstName": "Bob", "isAdmin": true, "is_admin": true, "role": "admin" });
    let answer = bob.patch("/api/users/bob", wish).await;
    assert!(matches!(answer.status, 200 | 400), "{}", answer.text);
    bob.patch("/api/users/ada", json!({ "firstName": "Eve" })).await.is_refused(403, "forbidden");
}
