//! Random text for secrets and ids.

use std::fmt::Write;

/// Hexadecimal digits of so many random bytes: two for each.
///
/// # Errors
/// The operating system gives no random bytes.
pub fn hex_digits<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut random = [0_u8; BYTES];
    getrandom::fill(&mut random)?;
    Ok(random.iter().fold(String::with_capacity(BYTES * 2), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    }))
}
