//! The files of a SQLite database, for the user of this process alone: they hold messages and password hashes.

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io::{Error, ErrorKind, Result},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::config::give_to_owner_of_folder;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;

/// What SQLite adds to the name of a database for the files beside it. SQLite gives new ones the mode of the
/// database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Makes the file if it does not exist, and its folders. Takes the rights of others from files that exist. A
/// folder that exists keeps its mode: other programs may use it.
///
/// # Errors
/// The error names the path.
pub(super) fn make_private(database: &Path) -> Result<()> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        let made = DirBuilder::new().recursive(true).mode(FOLDER).create(folder);
        made.map_err(|err| named(folder, &err))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(FILE).open(database) {
        Ok(_) => give_to_owner_of_folder(database).map_err(|err| named(database, &err))?,
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
        Err(err) => return Err(named(database, &err)),
    }
    restrict(database);
    for end in BESIDE {
        let mut beside = database.as_os_str().to_owned();
        beside.push(end);
        restrict(&PathBuf::from(beside));
    }
    Ok(())
}

fn restrict(file: &Path) {
    let Ok(found) = file.metadata() else { return };
    if !found.is_file() || found.permissions().mode() & 0o077 == 0 {
        return;
    }
    if let Err(err) = std::fs::set_permissions(file, Permissions::from_mode(FILE)) {
        tracing::warn!(file = %file.display(), error = %err, "other users of this machine may read the database");
    }
}

fn named(path: &Path, err: &Error) -> Error {
    Error::new(err.kind(), format!("{}: {err}", path.display()))
}
