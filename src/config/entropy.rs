//! How random a secret can be at most, as far as its text alone shows it.

/// The keys of a keyboard side by side.
const KEYBOARD: &[u8] = b"1234567890qwertyuiopasdfghjklzxcvbnm";

/// A rough upper bound, in bits: 32 random hexadecimal digits have about 110, a repeated word about 30. Bytes that
/// follow from those before them add nothing: of a repeated text, of "aaaa", "1234" and "qwertz".
pub(super) fn bits(text: &str) -> f64 {
    let bytes = text.as_bytes();
    let surprising: Vec<u8> =
        (0..bytes.len()).filter(|at| !follows(bytes, *at)).map(|at| bytes[at]).collect();
    let mut counts = [0_u32; 256];
    for byte in &surprising {
        counts[usize::from(*byte)] += 1;
    }
    let all = surprising.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
    all * shares.map(|share| -share * share.log2()).sum::<f64>()
}

/// Whether the byte continues what the two bytes before it begin.
fn follows(bytes: &[u8], at: usize) -> bool {
    let Some(begin) = at.checked_sub(2) else { return false };
    let [first, second, third] = [bytes[begin], bytes[begin + 1], bytes[at]].map(i16::from);
    let step = second - first;
    let is_sequence = step.abs() <= 1 && third - second == step;
    let three = bytes[begin..=at].to_ascii_lowercase();
    let is_repeated = bytes[..at].windows(3).any(|earlier| earlier == &bytes[begin..=at]);
    let mut backwards = three.clone();
    backwards.reverse();
    let is_typed = KEYBOARD.windows(3).any(|keys| keys == three || keys == backwards);
    is_sequence || is_repeated || is_typed
}

#[cfg(test)]
mod tests {
    use super::bits;

    #[test]
    fn what_looks_random_has_more_than_what_does_not() {
        for random in [
            "k7Qe4mV0c2yZb9sN1xT8uH5rW3pL6aJd",
            "9f86d081884c7d659a2feaa0c55ad015",
            "M9pX2vC8wR5kT1nQ7bZ4hJ6fD3sG0yLeMxVaUoIiPqWr",
            "a-secret-of-a-production-of-enough-bytes",
        ] {
            assert!(bits(random) >= 64.0, "{random}: {}", bits(random));
        }
        for plain in [
            "",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef",
            "passwordpasswordpasswordpassword",
            "change-me-change-me-change-me-change-me",
            "abcdefghijklmnopqrstuvwxyzabcdefghij",
            "qwertyuiopasdfghjklzxcvbnm123456",
            "00000000-0000-0000-0000-000000000000",
            "secret secret secret secret secret",
            "zyxwvutsrqponmlkjihgfedcba9876543210",
        ] {
            assert!(bits(plain) < 64.0, "{plain}: {}", bits(plain));
        }
    }
}
