//! Text that people type: which names are valid, and which two texts are the same name, search or password.
//!
//! - [`username`] and [`group_name`] return the form of a name that is stored and shown, or say what is wrong.
//! - [`fold`] is the form by which names are compared and found. Two names with one folded form are one name.
//! - [`look_alikes`] finds names that are different, but look the same to a reader.
//! - [`opaque`] is the form of a password that is hashed.
//! - [`is_blank`] tells which characters show nothing.
//!
//! The database stores results of [`fold`] and [`look_alikes`]. A change of [`fold`] needs a migration that
//! computes them again. A new Unicode version of the libraries needs none: Unicode never changes the folded form
//! of a character that a valid name can contain, and new look-alikes apply to new names only.

mod characters;
mod emoji;
mod fold;
mod look_alikes;
mod names;
mod password;

use std::borrow::Cow;

pub use self::{
    characters::is_blank,
    fold::fold,
    look_alikes::look_alikes,
    names::{group_name, nearest_username, username},
    password::opaque,
};

/// Why a text is refused. It reads on after the name of the field: `must not …`.
pub type Reason = Cow<'static, str>;
