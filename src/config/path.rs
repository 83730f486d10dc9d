//! A setting that is a path or nothing: a string in the file, where the empty one is none.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer};

pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(input)?;
    Ok(Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()))
}

pub fn serialize<S: Serializer>(path: &Option<PathBuf>, output: S) -> Result<S::Ok, S::Error> {
    output.collect_str(&path.as_deref().unwrap_or(Path::new("")).display())
}
