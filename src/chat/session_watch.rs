//! What `auth` notifies the core of: ended logins, and users whom their issuer has renamed.

use std::pin::Pin;

use entity::UserId;

use super::{Chat, UserChange};
use crate::identity::{Caller, Ended, IssuerDetails, SessionWatch};

impl SessionWatch for Chat {
    fn ended(&self, ended: Ended, reason: &'static str) {
        self.core.cluster.noted();
        for connection in self.core.hub.ended(&ended) {
            connection.end(reason);
        }
    }

    fn introduced(
        &self,
        user: UserId,
        details: IssuerDetails,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + '_>> {
        Box::pin(async move {
            let IssuerDetails { first_name, email } = details;
            let change = UserChange {
                first_name: first_name.map(Some),
                email: email.map(Some),
                ..UserChange::default()
            };
            let changed = self.change_user(&Caller::operator(), &user.to_string(), change).await;
            if let Err(err) = &changed {
                // The login goes on. The issuer's next token is the next attempt.
                tracing::warn!(error = ?err, user.id = %user, "what an issuer changed about a user was not taken over");
            }
            changed.is_ok()
        })
    }
}
