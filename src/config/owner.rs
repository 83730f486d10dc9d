//! Whose a new file is. A command of root's must not leave files that the server, which is not root, cannot read.

use std::{io, os::unix::fs::MetadataExt, path::Path};

/// Gives a new file to the owner of its folder, if this process is root. Otherwise it is that user's already.
pub fn give_to_owner_of_folder(file: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = folder_of(file).metadata()?;
    std::os::unix::fs::chown(file, Some(folder.uid()), Some(folder.gid()))
}

/// The folder of a file; the current one for a name without a folder.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
