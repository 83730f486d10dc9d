//! Times on the wire.

use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A time in the protocol's form: RFC 3339 in UTC with exactly three decimals and a `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T12:00:00.000Z")]
pub struct Time(pub DateTime<Utc>);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Time {
    /// Formats a time whose year has four digits, which covers every real clock. Every message has a time,
    /// and the library's formatter took longer than the rest of the message.
    fn digits(self) -> Option<[u8; 24]> {
        let (date, time) = (self.0.date_naive(), self.0.time());
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |end: usize, places: usize, mut number: u32| {
            for place in text[end - places..end].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
            number == 0
        };
        let fits = put(4, 4, u32::try_from(date.year()).ok()?)
            && put(7, 2, date.month())
            && put(10, 2, date.day())
            && put(13, 2, time.hour())
            && put(16, 2, time.minute())
            && put(19, 2, time.second())
            // A leap second has 1,000 more milliseconds.
            && put(23, 3, time.nanosecond() / 1_000_000);
        fits.then_some(text)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.digits();
        match digits.as_ref().map(|digits| str::from_utf8(digits)) {
            Some(Ok(digits)) => serializer.serialize_str(digits),
            _ => serializer.collect_str(self),
        }
    }
}
