//! Deletes sessions whose last token has expired.

use entity::session;
use sea_orm::{EntityTrait, QueryFilter};

use crate::{clock::Clock, db::Db, error::Result};

pub async fn run(db: Db, clock: Clock) -> Result<()> {
    // A day later than necessary, so that tokens of a deleted session are past any leeway for clock
    // differences.
    let before = clock.now() - chrono::TimeDelta::days(1);
    let swept = session::Entity::delete_many()
        .filter(session::COLUMN.expires_at.lt(before))
        .exec(&*db.writer().await?)
        .await?;
    if swept.rows_affected > 0 {
        tracing::info!(sessions = swept.rows_affected, "forgot expired logins");
    }
    Ok(())
}
