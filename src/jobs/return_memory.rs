//! Returns freed memory to the operating system after a burst. Otherwise the process would stay as large as it
//! once was.

use crate::error::{Error, Result};

pub async fn run() -> Result<()> {
    let returned = tokio::task::spawn_blocking(allocator::return_unused).await.map_err(Error::internal)?;
    if returned {
        tracing::debug!("returned freed memory to the operating system");
    }
    Ok(())
}
