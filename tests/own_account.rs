//! What a user's own account takes besides a token: the current password, for changes that would take over or end the
//! account.

use chrono::TimeDelta;
use serde_json::json;

use crate::harness::{Person, Server};

#[tokio::test(flavor = "multi_thread")]
async fn deleting_oneself_and_changing_email_or_password_take_the_current_password() {
    let server = Server::start().await;
    let (ada, admin) = (server.person("ada").await, server.admin("admin").await);
    let current = Person::password_of("ada");
    let mail = |email: &str, current: &str| json!({ "email": email, "currentPassword": current });
    for wrong in [
        json!({ "email": "eve@example.com" }),
        mail("eve@example.com", "wrong password"),
        json!({ "password": "a new password" }),
        json!({ "password": "a new password", "currentPassword": "wrong password" }),
    ] {
        ada.patch("/api/users/ada", wrong.clone()).await.is_refused(403, "wrong_password");
        ada.put(&format!("/api/users/{}", ada.id()), wrong).await.is_refused(403, "wrong_password");
        // Nothing is left of these guesses for the next ones.
        server.clock.advance(TimeDelta::minutes(5));
    }
    ada.delete("/api/users/ada").await.is_refused(403, "wrong_password");
    let wrong = json!({ "currentPassword": "wrong password" });
    ada.delete_with("/api/users/ADA", wrong).await.is_refused(403, "wrong_password");
    // Other details need none, and neither does an address that stays the same.
    ada.patch("/api/users/ada", mail("ada@example.com", &current)).await.is(200);
    ada.patch("/api/users/ada", json!({ "firstName": "Ada", "email": "ada@example.com" })).await.is(200);
    ada.patch("/api/users/ada", json!({ "email": null })).await.is_refused(403, "wrong_password");

    // An admin needs none for others, and the own one for oneself.
    admin.patch("/api/users/ada", json!({ "email": "a@example.com", "password": current })).await.is(200);
    admin.patch("/api/users/admin", json!({ "email": "x" })).await.is_refused(403, "wrong_password");
    let ada = Person::logs_in(&server, "ada").await;
    assert_eq!(ada.get("/api/users/ada").await.is(200)["email"], "a@example.com");
    ada.deletes_the_account().await;
    admin.delete("/api/users/admin").await.is_refused(403, "wrong_password");
}
