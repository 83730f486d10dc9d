//! Secrets in files of their own: `auth.jwt_secret_file` instead of `auth.jwt_secret`, and so on. Which layer names
//! which file is left to `layers`.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Error, ErrorKind, Read, Result, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    str::FromStr,
};

use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use super::{
    DatabaseUrl,
    owner::{folder_of, give_to_owner_of_folder},
};
use crate::random::hex_digits;

/// Each secret, and the setting that names its file. The first one decides what the others may do.
pub(super) const PAIRS: [(&str, &str); 4] = [
    ("database.url", "database.url_file"),
    ("auth.jwt_secret", "auth.jwt_secret_file"),
    ("auth.previous_jwt_secret", "auth.previous_jwt_secret_file"),
    ("cluster.url", "cluster.url_file"),
];

/// The name of the file with the key that this server makes for itself.
const OWN: &str = "jwt-secret";
/// Longer than any secret or address.
const LONGEST: u64 = 64 * 1024;
const BYTES: usize = 32;
/// Where containers mount secrets: readable for all users of the container, which are one.
const OF_CONTAINERS: &str = "/run/secrets";

/// The other way to give the same secret.
pub(super) fn other_form(setting: &str) -> Option<&'static str> {
    PAIRS.iter().find_map(|(secret, file)| match setting {
        setting if setting == *secret => Some(*file),
        setting if setting == *file => Some(*secret),
        _ => None,
    })
}

/// The secret in the file, without the line break at its end; `None` if there is no such file.
///
/// # Errors
/// It cannot be read, is empty or has several lines. The error quotes nothing of it.
pub(super) fn read(file: &Path) -> Result<Option<String>> {
    let opened = match File::open(file) {
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    opened.take(LONGEST).read_to_string(&mut text)?;
    let secret = text.trim_end_matches(['\r', '\n']);
    match secret {
        "" => Err(Error::other("it is empty")),
        secret if secret.contains('\n') => Err(Error::other("it has more than one line")),
        secret => Ok(Some(secret.to_owned())),
    }
}

/// The file for the key of a server that has none: beside the SQLite database.
pub(super) fn beside(database: &DatabaseUrl) -> Option<PathBuf> {
    let named = SqliteConnectOptions::from_str(database.expose()).ok()?;
    database.is_sqlite().then(|| named.get_filename().with_file_name(OWN))
}

/// Makes the file with a new random secret, for its user alone, and its folder. Returns the secret. If another
/// process has just made the file, it is the secret of that one.
pub(super) fn make(file: &Path) -> Result<String> {
    let folder = folder_of(file);
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let secret = hex_digits::<BYTES>().map_err(Error::other)?;

    // Complete before it has its name, so that nobody reads a part of it, also after a crash.
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}.{}", std::process::id(), &secret[..8]));
    let draft = PathBuf::from(draft);
    let mut opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    writeln!(opened, "{secret}")?;
    give_to_owner_of_folder(&draft)?;
    opened.sync_all()?;
    let named = std::fs::hard_link(&draft, file);
    std::fs::remove_file(&draft)?;
    match named {
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {
            read(file)?.ok_or_else(|| Error::other("it has just disappeared"))
        }
        named => {
            named?;
            File::open(folder)?.sync_all()?;
            Ok(secret)
        }
    }
}

/// Whether every user of this machine may read it.
pub(super) fn is_open_to_others(file: &Path) -> bool {
    !file.starts_with(OF_CONTAINERS)
        && std::fs::metadata(file).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_line_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("secret");
        assert_eq!(read(&file).expect("no file is no error"), None);
        for (content, secret) in [
            ("a b", Some("a b")),
            ("a b\n", Some("a b")),
            ("a\r\n", Some("a")),
            ("\n", None),
            ("a\nb\n", None),
        ] {
            std::fs::write(&file, content).expect("written");
            assert_eq!(read(&file).ok().flatten().as_deref(), secret, "{content:?}");
        }
    }

    #[test]
    fn a_secret_is_made_once_and_for_its_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/er/secret");
        let makers: Vec<_> = (0..4)
            .map(|_| {
                let file = file.clone();
                std::thread::spawn(move || make(&file).expect("made"))
            })
            .collect();
        let made: Vec<String> = makers.into_iter().map(|maker| maker.join().expect("no panic")).collect();
        let stored = read(&file).expect("read").expect("there");
        assert_eq!(stored.len(), 2 * BYTES);
        assert!(made.iter().all(|secret| *secret == stored), "all makers have the same");
        let mode = std::fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(file.parent().expect("a folder")).expect("read").count(), 1);
    }
}
