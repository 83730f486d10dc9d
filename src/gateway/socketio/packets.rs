//! The packets of one answer to a poll.

use bytes::Bytes;

/// The separator between the packets.
const SEPARATOR: u8 = 0x1e;

/// The library writes the text `expected`, and the client is to receive `instead`.
#[derive(Clone, Debug)]
pub struct TextReplacement {
    pub expected: String,
    pub instead: String,
}

impl TextReplacement {
    /// `None` if the message is not among the packets.
    pub fn in_packets(&self, packets: &[u8]) -> Option<Bytes> {
        let mut packets: Vec<&[u8]> = packets.split(|byte| *byte == SEPARATOR).collect();
        let found = packets.iter_mut().find(|packet| **packet == self.expected.as_bytes())?;
        *found = self.instead.as_bytes();
        Some(packets.join(&SEPARATOR).into())
    }
}

/// The number of bytes of the events and acknowledgements among the packets.
pub fn counted(packets: &[u8]) -> usize {
    let packets = packets.split(|byte| *byte == SEPARATOR);
    packets.filter(|packet| matches!(packet, [b'4', b'2' | b'3', ..])).map(<[u8]>::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_and_acknowledgements_count() {
        assert_eq!(counted(b"42[\"a\"]\x1e2\x1e43/chat,1[{}]\x1e40{}\x1e6"), 7 + 13);
        assert_eq!(counted(b""), 0);
    }
}
