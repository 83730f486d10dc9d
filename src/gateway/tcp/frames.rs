//! Finds the WebSocket frames (RFC 6455, section 5.2) in one direction of a byte stream, without keeping
//! their payloads. Counts the payload bytes of text frames, and detects the end of a message or control
//! frame.

use bytes::Bytes;

/// The first byte of a text message in one frame.
pub const FINAL_TEXT: u8 = 0x81;
/// The longest header: two bytes, an eight-byte length and a four-byte mask.
const HEADER: usize = 14;
/// The number of bytes at the beginning of a payload that identify a Socket.IO packet.
const KIND: usize = 2;

/// Which text frames count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFilter {
    All,
    /// Socket.IO events and acknowledgements (`42` and `43`). Packets of the engine itself do not count.
    SocketIo,
}

/// The result of one call of [`Frames::pass`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Payload bytes of frames that count.
    pub bytes: usize,
    /// Whether a message or a control frame ended.
    pub is_complete: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Frames {
    counted: FrameFilter,
    header: [u8; HEADER + KIND],
    filled: usize,
    /// Payload bytes of the current frame that are still to come.
    left: u64,
    counts: bool,
    is_final: bool,
    is_closed: bool,
}

impl Frames {
    pub fn new(counted: FrameFilter) -> Self {
        Self {
            counted,
            header: [0; HEADER + KIND],
            filled: 0,
            left: 0,
            counts: false,
            is_final: false,
            is_closed: false,
        }
    }

    /// Whether a close frame has begun: nothing may follow it.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// How many bytes of the current frame are still to come; `None` between two frames. Inside of a header, its next
    /// byte.
    pub fn rest_of_frame(&self) -> Option<usize> {
        match (self.left, self.filled) {
            (0, 0) => None,
            (0, _) => Some(1),
            (left, _) => Some(usize::try_from(left).unwrap_or(usize::MAX)),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Passed {
        let mut passed = Passed::default();
        while let Some((first, rest)) = bytes.split_first() {
            if self.left == 0 {
                bytes = rest;
                self.header[self.filled] = *first;
                self.filled += 1;
                self.begin(&mut passed);
            } else {
                let part = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[part..];
                self.left -= part as u64;
                if self.counts {
                    passed.bytes += part;
                }
            }
            if self.left == 0 && self.filled == 0 {
                passed.is_complete |= std::mem::take(&mut self.is_final);
            }
        }
        passed
    }

    /// Starts the payload once the header is complete.
    fn begin(&mut self, passed: &mut Passed) {
        let header = &self.header[..self.filled];
        let [first, second, rest @ ..] = header else { return };
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, rest)) = rest.split_at_checked(length_bytes) else { return };
        let length = match length_bytes {
            0 => u64::from(second & 0x7f),
            _ => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let is_text = first & 0x0f == 1;
        let looks_into =
            is_text && mask == 0 && self.counted == FrameFilter::SocketIo && length >= KIND as u64;
        let kind_bytes = if looks_into { KIND } else { 0 };
        if rest.len() < mask + kind_bytes {
            return;
        }
        self.counts = is_text
            && match self.counted {
                FrameFilter::All => true,
                FrameFilter::SocketIo => looks_into && matches!(rest, [b'4', b'2' | b'3']),
            };
        self.is_final = first & 0x80 != 0;
        self.is_closed |= first & 0x0f == 8;
        self.left = length - kind_bytes as u64;
        self.filled = 0;
        if self.counts {
            passed.bytes += kind_bytes;
        }
    }
}

/// A whole text message of a server, in one frame.
pub fn text_frame(parts: &[&[u8]]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = Vec::with_capacity(HEADER + length);
    frame.push(FINAL_TEXT);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..126), _) => frame.push(short),
        (_, Ok(longer)) => {
            frame.push(126);
            frame.extend_from_slice(&longer.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame.into()
}

/// The length of the frame at the beginning of a server's bytes, if that frame may go ahead of waiting events: a control
/// frame without the close frame, or a packet of the engine itself, such as its ping.
pub fn urgent_frame(bytes: &[u8]) -> Option<usize> {
    let [first, length @ ..126, payload @ ..] = bytes else { return None };
    let is_urgent = match first {
        &FINAL_TEXT => matches!(payload.first(), Some(b'2' | b'3' | b'6')),
        0x89 | 0x8a => true,
        _ => false,
    };
    is_urgent.then_some(2 + usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, mask: bool, payload: &[u8]) -> Vec<u8> {
        let bit = if mask { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(bit | length as u8),
            length @ ..65_536 => {
                frame.push(bit | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(bit | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(if mask { &[0; 4][..] } else { &[] });
        frame.extend(payload);
        frame
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_one_frame_and_its_rest_is_known_at_each_byte(length in 0_usize..70_000, cut in 0_usize..70_000) {
            let text = vec![b'x'; length];
            let (begin, end) = text.split_at(cut.min(length));
            let frame = text_frame(&[begin, end]);
            assert_eq!(frame, super::tests::frame(FINAL_TEXT, false, &text));
            let mut frames = Frames::new(FrameFilter::All);
            assert_eq!(frames.rest_of_frame(), None);
            let (begin, end) = frame.split_at(cut.clamp(1, frame.len() - 1));
            frames.pass(begin);
            // What is known of a header is that it has one more byte.
            assert!(matches!(frames.rest_of_frame(), Some(rest) if rest == end.len() || rest == 1));
            frames.pass(end);
            assert_eq!((frames.rest_of_frame(), frames.is_closed()), (None, false));
        }
    }

    #[test]
    fn only_short_frames_of_the_engine_and_of_the_heartbeat_are_urgent() {
        for (first, payload, expected) in [
            (0x81, &b"2"[..], Some(3)),
            (0x81, b"3probe", Some(8)),
            (0x81, b"6", Some(3)),
            (0x89, b"", Some(2)),
            (0x8a, b"ping", Some(6)),
            (0x81, b"41/chat,", None),
            (0x81, b"40{}", None),
            (0x81, b"", None),
            (0x88, b"", None),
            (0x81, &[b'2'; 126], None),
        ] {
            assert_eq!(urgent_frame(&frame(first, false, payload)), expected, "{payload:?}");
        }
        assert_eq!(urgent_frame(b"\x81"), None);
    }

    #[test]
    fn only_events_and_acknowledgements_count_of_socket_io() {
        let mut frames = Frames::new(FrameFilter::SocketIo);
        for (payload, bytes) in [
            (&b"42[1]"[..], 5),
            (b"2", 0),
            (b"", 0),
            (b"43/chat,1[]", 11),
            (b"40{}", 0),
            (b"6", 0),
            (b"42", 2),
        ] {
            let passed = frames.pass(&frame(0x81, false, payload));
            assert_eq!(passed, Passed { bytes, is_complete: true }, "{payload:?}");
        }
        assert_eq!(frames.pass(&frame(0x8a, false, b"42 in a pong")).bytes, 0);
    }

    proptest::proptest! {
        #[test]
        fn frames_are_found_however_the_stream_is_cut(
            lengths in proptest::collection::vec(0_usize..70_000, 1..4),
            part in 1_usize..5_000,
            mask: bool,
        ) {
            let mut frames = Frames::new(FrameFilter::All);
            let mut ended = 0;
            let mut bytes = 0;
            for length in &lengths {
                let mut complete = 0;
                for part in frame(0x81, mask, &vec![b'x'; *length]).chunks(part) {
                    let passed = frames.pass(part);
                    bytes += passed.bytes;
                    complete += usize::from(passed.is_complete);
                }
                ended += complete;
                assert_eq!(complete, 1);
            }
            assert_eq!((ended, bytes), (lengths.len(), lengths.iter().sum()));
        }
    }

    #[test]
    fn a_message_is_complete_with_its_last_frame() {
        let mut frames = Frames::new(FrameFilter::All);
        assert!(!frames.pass(&frame(0x01, true, b"a part")).is_complete);
        assert!(!frames.pass(&frame(0x00, true, b"another")).is_complete);
        let last = frame(0x80, true, b"the last");
        let (most, end) = last.split_at(last.len() - 1);
        assert!(!frames.pass(most).is_complete);
        assert!(frames.pass(end).is_complete);
    }
}
