//! Fetches the keys of all issuers at intervals. Nothing else notices that an issuer has withdrawn a key.

use crate::{auth::Auth, error::Result};

pub async fn run(auth: Auth) -> Result<()> {
    auth.refresh_keys().await;
    Ok(())
}
