//! Saves when and where logins were last used.

use crate::{auth::Auth, error::Result};

pub async fn run(auth: Auth) -> Result<()> {
    auth.save_uses().await
}
