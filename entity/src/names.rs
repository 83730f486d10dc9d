//! The keys by which names are unique and looked up.

use std::borrow::Cow;

use text::fold;

/// The most bytes of a text that can be a name, in any encoding of its characters. A longer text is nobody's name,
/// and is not worth folding.
pub const MOST_BYTES: usize = 2_048;
/// Stands between the two parts of a key that tells equal older names apart. No folded text contains it.
const APART: char = '\u{1}';

/// The keys under which the bearer of a typed name may be stored. If both have a bearer, the name means the
/// bearer of `former`, because it is written exactly like that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKeys<'a> {
    /// The folded name. Each name has one bearer under it.
    pub key: Cow<'a, str>,
    /// Names that are equal today could once be different, such as two encodings of "José". All bearers but
    /// one then have such a key: the folded name, and what distinguished the name before. `None` if no
    /// such key is possible for this name.
    pub former: Option<String>,
}

impl<'a> NameKeys<'a> {
    /// The keys of a username. Usernames were distinguished without regard to capitals.
    pub fn of_user(name: &'a str) -> Self {
        let key = fold(name);
        let trimmed = name.trim();
        // Only capitals differ. This saves copying most names.
        if name.is_ascii() && key.len() == trimmed.len() {
            return Self { key, former: None };
        }
        Self::distinguished(key, &trimmed.to_lowercase())
    }

    /// The keys of a group's name. They were distinguished exactly.
    pub fn of_group(name: &'a str) -> Self {
        Self::distinguished(fold(name), name.trim())
    }

    fn distinguished(key: Cow<'a, str>, before: &str) -> Self {
        let former = (before != key && !before.contains('\0')).then(|| format!("{key}{APART}{before}"));
        Self { key, former }
    }

    /// Whether the bearer of `name`, stored under `key`, is the one that these keys mean. `typed` is the text
    /// that they were made of.
    pub fn mean(&self, typed: &str, key: &str, name: &str) -> bool {
        match &self.former {
            None => key == self.key,
            Some(former) => key == former || (key == self.key && name == typed),
        }
    }

    /// The keys as a list.
    pub fn into_keys(self) -> impl Iterator<Item = String> {
        [Some(self.key.into_owned()), self.former].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_names_have_one_key() {
        for (name, key) in [("ada", "ada"), ("Ada", "ada"), (" Ada ", "ada"), ("josé", "josé")] {
            let keys = NameKeys::of_user(name);
            assert_eq!((&*keys.key, keys.former), (key, None), "{name:?}");
        }
        assert_eq!(NameKeys::of_group("tea").former, None);
    }

    #[test]
    fn an_older_name_is_found_exactly_as_it_is_written() {
        let keys = NameKeys::of_user("Jose\u{301}");
        assert_eq!((&*keys.key, keys.former.as_deref()), ("josé", Some("josé\u{1}jose\u{301}")));
        assert!(keys.mean("Jose\u{301}", "josé\u{1}jose\u{301}", "Jose\u{301}"));
        assert!(keys.mean("Jose\u{301}", "josé", "Jose\u{301}"));
        assert!(!keys.mean("Jose\u{301}", "josé", "José"), "this may be another user");
        assert!(NameKeys::of_user("José").mean("José", "josé", "JOSÉ"));
        let keys = NameKeys::of_group("Tea");
        assert_eq!((&*keys.key, keys.former.as_deref()), ("tea", Some("tea\u{1}Tea")));
    }
}
