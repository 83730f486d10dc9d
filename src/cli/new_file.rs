//! A file that is complete when it has its name: a draft beside it is written and checked first.

use std::{
    fs::{DirBuilder, File},
    io::{self, ErrorKind, Read},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use crate::config::give_to_owner_of_folder;

pub struct NewFile {
    file: PathBuf,
    draft: PathBuf,
}

impl NewFile {
    /// Begins a file, and makes its folder if that is missing.
    ///
    /// # Errors
    /// There is something with this name already.
    pub fn begin(file: &Path) -> anyhow::Result<Self> {
        let file = std::path::absolute(file).with_context(|| file.display().to_string())?;
        let mut draft = file.clone().into_os_string();
        draft.push(format!(".{}.part", std::process::id()));
        let new = Self { file, draft: draft.into() };
        new.is_free()?;
        if let Some(folder) = new.file.parent() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.with_context(|| folder.display().to_string())?;
        }
        Ok(new)
    }

    pub fn draft(&self) -> &Path {
        &self.draft
    }

    /// Gives the draft its name, when it is safe on the disk.
    pub fn keep(self) -> anyhow::Result<PathBuf> {
        self.is_free()?;
        self.named().with_context(|| self.file.display().to_string())?;
        Ok(self.file.clone())
    }

    fn named(&self) -> io::Result<()> {
        give_to_owner_of_folder(&self.draft)?;
        File::open(&self.draft)?.sync_all()?;
        std::fs::rename(&self.draft, &self.file)?;
        match self.file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    fn is_free(&self) -> anyhow::Result<()> {
        match self.file.symlink_metadata() {
            Ok(_) => bail!("{} exists already: name a new file", self.file.display()),
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(()),
            Err(err) => Err(err).with_context(|| self.file.display().to_string()),
        }
    }
}

/// Without its name, the draft is of no use.
impl Drop for NewFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.draft).ok();
    }
}

/// The first bytes of a file: at most 16.
pub fn beginning(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = File::open(file).with_context(|| file.display().to_string())?;
    opened.take(16).read_to_end(&mut bytes).with_context(|| file.display().to_string())?;
    Ok(bytes)
}

/// The size of a file, for people.
pub fn size(file: &Path) -> String {
    let bytes = file.metadata().map_or(0, |found| found.len());
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}
