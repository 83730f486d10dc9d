//! When and where sessions were last used. It is noted in memory, and saved now and then: writing it for every
//! request would cost more than the request.

use std::{collections::HashMap, net::IpAddr};

use chrono::{DateTime, TimeDelta, Utc};
use entity::{SessionId, session};
use parking_lot::Mutex;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use crate::{clock::Clock, db::Db, error::Result};

/// Maximum number of remembered sessions. When it is reached, further ones are noted once others are
/// forgotten.
const REMEMBERED: usize = 65_536;
/// The least time between two times that a session's use is saved.
const SAVED_EVERY: TimeDelta = TimeDelta::minutes(5);
/// How many uses are saved in one transaction, so that it does not keep other writers waiting.
const AT_ONCE: usize = 200;

pub(super) struct Uses {
    clock: Clock,
    noted: Mutex<HashMap<SessionId, Use>>,
}

/// The last use of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub at: DateTime<Utc>,
    pub address: IpAddr,
    /// When a use was saved last.
    saved_at: Option<DateTime<Utc>>,
}

impl Uses {
    pub fn new(clock: Clock) -> Self {
        Self { clock, noted: Mutex::default() }
    }

    pub fn note(&self, session: SessionId, address: IpAddr) {
        let mut noted = self.noted.lock();
        let at = self.clock.now();
        if noted.len() >= REMEMBERED && !noted.contains_key(&session) {
            return;
        }
        let saved_at = noted.get(&session).and_then(|last| last.saved_at);
        noted.insert(session, Use { at, address, saved_at });
    }

    pub fn last(&self, session: SessionId) -> Option<Use> {
        self.noted.lock().get(&session).copied()
    }

    /// Saves what has to be saved. What is lost with the process is at most the last minutes.
    pub async fn save(&self, db: &Db) -> Result<()> {
        for part in self.due().chunks(AT_ONCE) {
            let transaction = db.begin().await?;
            for (id, last) in part {
                session::Entity::update_many()
                    .col_expr(session::Column::LastUsedAt, Expr::value(last.at))
                    .col_expr(session::Column::Address, Expr::value(last.address.to_string()))
                    .filter(session::Column::Id.eq(*id))
                    .exec(&*transaction)
                    .await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The uses to save now. Forgets those that were saved and not followed by another one.
    fn due(&self) -> Vec<(SessionId, Use)> {
        let mut noted = self.noted.lock();
        let now = self.clock.now();
        noted.retain(|_, last| {
            last.saved_at.is_none_or(|saved_at| saved_at < last.at || now - saved_at < SAVED_EVERY)
        });
        let mut due = Vec::new();
        for (session, last) in noted.iter_mut() {
            let is_due = last.saved_at.is_none_or(|at| at < last.at && now - at >= SAVED_EVERY);
            if is_due {
                due.push((*session, *last));
                last.saved_at = Some(now);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_saved_soon_and_then_every_few_minutes_and_forgotten() {
        let clock = Clock::movable();
        let uses = Uses::new(clock.clone());
        let (session, here) = (SessionId::new(), [192, 0, 2, 1].into());
        uses.note(session, here);
        assert_eq!(uses.due().len(), 1);
        clock.advance(TimeDelta::minutes(1));
        uses.note(session, here);
        assert_eq!(uses.due(), []);
        clock.advance(TimeDelta::minutes(5));
        assert_eq!(uses.due().len(), 1);
        assert!(uses.last(session).is_some());
        clock.advance(TimeDelta::minutes(6));
        assert_eq!(uses.due(), []);
        assert_eq!(uses.last(session), None);
    }

    #[test]
    fn memory_is_bounded() {
        let uses = Uses::new(Clock::movable());
        for _ in 0..REMEMBERED + 10 {
            uses.note(SessionId::new(), [192, 0, 2, 1].into());
        }
        assert_eq!(uses.noted.lock().len(), REMEMBERED);
    }
}
