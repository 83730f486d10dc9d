//! Deletes expired tickets. A ticket without a row is refused just as an expired one is.

use entity::ticket;
use sea_orm::{EntityTrait, QueryFilter};

use crate::{clock::Clock, db::Db, error::Result};

pub async fn run(db: Db, clock: Clock) -> Result<()> {
    let swept = ticket::Entity::delete_many()
        .filter(ticket::COLUMN.expires_at.lt(clock.now()))
        .exec(&*db.writer().await?)
        .await?;
    if swept.rows_affected > 0 {
        tracing::debug!(tickets = swept.rows_affected, "forgot expired tickets");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use entity::{SessionId, UserId, session, user};
    use sea_orm::{ActiveModelTrait, ActiveValue::Set, PaginatorTrait};

    use super::*;

    #[tokio::test]
    async fn what_is_over_goes_and_what_is_not_stays() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::migrated_in(folder.path()).await;
        let clock = Clock::movable();
        let (user_id, session_id, now) = (UserId::new(), SessionId::new(), clock.now());
        let user = user::ActiveModel {
            id: Set(user_id),
            username: Set("ada".to_owned()),
            username_key: Set("ada".to_owned()),
            search_text: Set(String::new()),
            is_admin: Set(false),
            created_at: Set(now),
            ..Default::default()
        };
        user.insert(&*db.writer().await.unwrap()).await.unwrap();
        let session = session::ActiveModel {
            id: Set(session_id),
            user_id: Set(user_id),
            created_at: Set(now),
            expires_at: Set(now),
            revoked_at: Set(None),
            ..Default::default()
        };
        session.insert(&*db.writer().await.unwrap()).await.unwrap();
        for (digest, life, used_at) in [(1, 10, None), (2, 20, Some(now)), (3, 30, None)] {
            let row = ticket::ActiveModel {
                digest: Set(vec![digest; 32]),
                user_id: Set(user_id),
                session_id: Set(session_id),
                token_expires_at: Set(now + TimeDelta::hours(1)),
                expires_at: Set(now + TimeDelta::seconds(life)),
                used_at: Set(used_at),
            };
            row.insert(&*db.writer().await.unwrap()).await.unwrap();
        }
        for (seconds, left) in [(0, 3), (15, 2), (10, 1), (10, 0)] {
            clock.advance(TimeDelta::seconds(seconds));
            run(db.clone(), clock.clone()).await.unwrap();
            assert_eq!(ticket::Entity::find().count(db.reader()).await.unwrap(), left);
        }
    }
}
