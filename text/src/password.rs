//! Passwords in one form, however they are typed.

use std::borrow::Cow;

use precis_profiles::{OpaqueString, precis_core::profile::PrecisFastInvocation};
use unicode_normalization::UnicodeNormalization;

use crate::{Reason, characters::reason, emoji};

/// The form of a password that is hashed: RFC 8265's OpaqueString. Capitals count. Accents count, however they
/// are encoded, and all kinds of spaces are one. The invisible characters inside emoji do not count: keyboards
/// differ in them.
///
/// # Errors
/// What a new password must not contain, such as control characters.
pub fn opaque(password: &str) -> Result<Cow<'_, str>, Reason> {
    if password.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(Cow::Borrowed(password));
    }
    let composed: String = password.nfc().collect();
    let visible = emoji::without_joiners(&composed);
    let form = OpaqueString::enforce(&*visible).map_err(|err| reason(&err))?;
    Ok(Cow::Owned(form.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_password_is_the_same_on_every_keyboard() {
        for (one, other) in [
            ("mañana", "man\u{303}ana"),
            ("한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"),
            ("a b", "a\u{a0}b"),
            ("山田 太郎", "山田\u{3000}太郎"),
            ("I \u{2764}\u{fe0f} u", "I \u{2764} u"),
            ("Å", "\u{212b}"),
        ] {
            assert_eq!(opaque(one).unwrap(), opaque(other).unwrap(), "{one:?} {other:?}");
        }
        for (one, other) in [("Secret", "secret"), ("é", "e"), ("ß", "ss"), (" a", "a"), ("ａ", "a")] {
            assert_ne!(opaque(one).unwrap(), opaque(other).unwrap(), "{one:?} {other:?}");
        }
        for bad in ["a\0b", "a\tb", "a\u{200b}b", "a\u{e000}"] {
            assert!(opaque(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_stable(text in any::<String>()) {
            if let Ok(form) = opaque(&text) {
                let apart: String = text.nfd().collect();
                let form = form.into_owned();
                prop_assert_eq!(opaque(&form).map(Cow::into_owned), Ok(form.clone()));
                prop_assert_eq!(opaque(&apart).map(Cow::into_owned), Ok(form));
            }
        }
    }
}
