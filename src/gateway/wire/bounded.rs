//! Arrays in answers, bounded in bytes, so that every answer fits into one packet.

use std::{borrow::Cow, marker::PhantomData};

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr,
        schema::{Array, Schema},
    },
};

use crate::{
    chat::model::Page,
    error::{Error, Result},
};

/// The most bytes of JSON in the arrays of one answer. A packet of 1,000,000 bytes has room for the rest.
pub const ANSWER_BYTES: usize = 990_000;

/// The most entries of an array, also if the client gives no limit.
pub const ENTRIES: usize = 2_000;

/// The most entries of an array, from the limit that the client gives.
pub fn entries(limit: Option<usize>) -> usize {
    limit.unwrap_or(ENTRIES).clamp(1, ENTRIES)
}

/// An array that is rendered entry by entry and ends before it exceeds its byte limit.
#[derive(Debug, Default)]
pub struct Bounded {
    entries: Vec<Box<RawValue>>,
    bytes: usize,
    is_full: bool,
}

impl Bounded {
    /// An array of the entries that fit into `limit` bytes. It always contains the first entry, so that a
    /// client that asks for page after page makes progress.
    ///
    /// # Errors
    /// `internal` if an entry cannot be rendered.
    pub fn of<T: Serialize>(limit: usize, entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut array = Self::default();
        for entry in entries {
            if !array.push(limit, entry)? {
                break;
            }
        }
        Ok(array)
    }

    /// Adds an entry, unless it or an earlier one did not fit. Returns whether it was added.
    ///
    /// # Errors
    /// `internal` if the entry cannot be rendered.
    pub fn push(&mut self, limit: usize, entry: impl Serialize) -> Result<bool> {
        if self.is_full {
            return Ok(false);
        }
        let entry = to_raw_value(&entry).map_err(Error::internal)?;
        // Includes the comma.
        let bytes = self.bytes + entry.get().len() + 1;
        self.is_full = bytes > limit && !self.entries.is_empty();
        if !self.is_full {
            self.bytes = bytes;
            self.entries.push(entry);
        }
        Ok(!self.is_full)
    }

    /// An array of the newest messages that fit into `limit` bytes, oldest first. `entries` begins with the
    /// newest one, which the array always contains.
    ///
    /// # Errors
    /// `internal` if an entry cannot be rendered.
    pub fn newest<T: Serialize>(limit: usize, entries: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut array = Self::of(limit, entries)?;
        array.entries.reverse();
        Ok(array)
    }

    /// Fills the array from a list that the core returns page by page. It ends at the end of the list, after
    /// `most` entries, or when `push` returns false. `part` gets the number of entries still wanted and the
    /// `next` of the previous page.
    ///
    /// # Errors
    /// The errors of `part` and `push`.
    pub async fn gather<T, F>(
        self,
        most: usize,
        mut part: impl FnMut(u64, Option<String>) -> F,
        mut push: impl FnMut(&mut Self, &T) -> Result<bool>,
    ) -> Result<Self>
    where
        F: Future<Output = Result<Page<T>>>,
    {
        let mut array = self;
        let mut next = None;
        let mut wanted = most;
        loop {
            let page = part(wanted as u64, next).await?;
            for entry in page.items.iter().take(wanted) {
                if !push(&mut array, entry)? {
                    return Ok(array);
                }
            }
            wanted = wanted.saturating_sub(page.items.len());
            next = page.next;
            if next.is_none() || wanted == 0 {
                return Ok(array);
            }
        }
    }
}

impl Serialize for Bounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

/// An array whose entries have the schema `T`.
pub struct Entries<T> {
    array: Bounded,
    of: PhantomData<fn() -> T>,
}

impl<T> From<Bounded> for Entries<T> {
    fn from(array: Bounded) -> Self {
        Self { array, of: PhantomData }
    }
}

impl<T> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.array.serialize(serializer)
    }
}

impl<T: ToSchema> PartialSchema for Entries<T> {
    fn schema() -> RefOr<Schema> {
        Schema::Array(Array::new(Ref::from_schema_name(T::name()))).into()
    }
}

impl<T: ToSchema> ToSchema for Entries<T> {
    fn name() -> Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_ends_before_its_limit_but_has_one_entry_at_least() {
        // "abc", is 6 bytes.
        for (limit, entries) in [(17, 2), (18, 3), (1, 1), (0, 1), (1_000, 4)] {
            let array = Bounded::of(limit, ["abc"; 4]).unwrap();
            assert_eq!(array.entries.len(), entries, "{limit}");
            assert!(entries == 1 || serde_json::to_vec(&array).unwrap().len() <= limit + 1);
        }
    }

    #[test]
    fn the_newest_entries_are_kept_and_the_oldest_of_them_comes_first() {
        let newest_first = ["ccc", "bbb", "aaa"];
        for (limit, rendered) in [(12, r#"["bbb","ccc"]"#), (1, r#"["ccc"]"#)] {
            let array = Bounded::newest(limit, newest_first).unwrap();
            assert_eq!(serde_json::to_string(&array).unwrap(), rendered);
        }
    }

    #[test]
    fn nothing_is_added_behind_an_entry_that_did_not_fit() {
        let mut array = Bounded::default();
        assert!(array.push(10, "abc").unwrap());
        assert!(!array.push(10, "defgh").unwrap());
        assert!(!array.push(10, "i").unwrap());
        assert_eq!(serde_json::to_string(&array).unwrap(), r#"["abc"]"#);
    }
}
