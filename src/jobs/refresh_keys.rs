//! Asks the issuers for their keys now and then: nothing else notices that one was withdrawn.

use crate::{auth::Auth, error::Result};

pub async fn run(auth: Auth) -> Result<()> {
    auth.refresh_keys().await;
    Ok(())
}
