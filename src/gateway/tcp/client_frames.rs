//! The frames that the client of a websocket sends. Finds them in the bytes that are read, and takes out the
//! acknowledgements that the server itself has asked for ([`AckFilter`]). The library that serves the websocket does
//! not get these: a run of them costs one look-up here, and a message and a task each there.
//!
//! The order of the wire stays. An acknowledgement that follows something for the library is looked at only when the
//! library has read that, and reads on: an event must not count what its client has acknowledged after it.

use std::{
    mem,
    sync::{Arc, Weak},
};

/// The digits of an id that is taken out. The library counts its own ids from 1.
const DIGITS: usize = 10;

/// An acknowledgement that was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenAck {
    pub id: u32,
    /// `false` if the client says that the message has not arrived.
    pub has_arrived: bool,
}

/// Gets the acknowledgements that were read together, in their order, before anything that follows them is read.
pub trait AckSink: Send + Sync + 'static {
    fn acknowledged(&self, acks: &[TakenAck]);
}

/// Which acknowledgements to take out, and who gets them.
#[derive(Clone)]
pub struct AckFilter {
    /// What stands before the ten digits of the id: `43/chat,`.
    pub begin: &'static [u8],
    /// Whether the arguments, a JSON array, say that the message has arrived.
    pub says_arrived: fn(&[u8]) -> bool,
    /// The most bytes of a message. A longer one is left to the library, which refuses it.
    pub most: usize,
    pub sink: Weak<dyn AckSink>,
}

/// See the module.
#[derive(Default)]
pub struct ClientFrames {
    state: FrameState,
    /// The beginning of a frame, kept back until its kind is known.
    head: Vec<u8>,
    /// How many of these bytes the library has already.
    had: usize,
    /// The text that was taken so far of an acknowledgement in several frames.
    fragments: Option<Vec<u8>>,
    /// What the library is still to read before anything else.
    late: Vec<u8>,
    /// What was read and not looked at yet.
    rest: Vec<u8>,
    filter: Option<AckFilter>,
}

#[derive(Default)]
enum FrameState {
    #[default]
    Between,
    Passing {
        left: u64,
        is_final: bool,
    },
    Taking {
        left: u64,
        is_final: bool,
        mask: [u8; 4],
        /// Bytes of the payload that were taken.
        taken: usize,
        text: Vec<u8>,
    },
}

/// What was found in some bytes.
#[derive(Default)]
pub struct Found {
    /// This many bytes are left for the library, at the beginning.
    pub kept: usize,
    /// This many bytes were looked at.
    pub seen: usize,
    /// Whether a message or a control frame ended.
    pub is_complete: bool,
    pub acks: Vec<TakenAck>,
}

/// The header of a frame.
struct Header {
    first: u8,
    bytes: usize,
    payload: u64,
    mask: Option<[u8; 4]>,
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let (length, rest) = rest.split_at_checked(length_bytes)?;
        let payload = match length_bytes {
            0 => u64::from(second & 0x7f),
            _ => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let is_masked = second & 0x80 != 0;
        let mask = if is_masked { Some(*rest.first_chunk::<4>()?) } else { None };
        Some(Self { first: *first, bytes: 2 + length_bytes + 4 * usize::from(is_masked), payload, mask })
    }

    fn is_final(&self) -> bool {
        self.first & 0x80 != 0
    }

    fn opcode(&self) -> u8 {
        self.first & 0x0f
    }
}

/// What is to be done with the frame at the beginning of some bytes.
enum Kind {
    Unknown,
    Pass(Header),
    Take(Header, [u8; 4]),
}

impl AckFilter {
    /// The bytes of a payload that show whether it is to be taken: the beginning, the id and a bracket.
    fn shown(&self) -> usize {
        self.begin.len() + DIGITS + 1
    }

    fn takes(&self, masked: &[u8], mask: [u8; 4]) -> bool {
        let mut bytes = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let begins = self.begin.iter().all(|expected| bytes.next() == Some(*expected));
        begins
            && bytes.next().is_some_and(|digit| (b'1'..=b'9').contains(&digit))
            && bytes.by_ref().take(DIGITS - 1).all(|digit| digit.is_ascii_digit())
            && bytes.next() == Some(b'[')
    }

    fn read(&self, text: &[u8]) -> Option<TakenAck> {
        let (digits, arguments) = text.get(self.begin.len()..)?.split_at_checked(DIGITS)?;
        let id = std::str::from_utf8(digits).ok()?.parse().ok()?;
        // Most say so without a look at their JSON.
        let may_deny = arguments.windows(b"false".len()).any(|window| window == b"false");
        Some(TakenAck { id, has_arrived: !may_deny || (self.says_arrived)(arguments) })
    }
}

impl ClientFrames {
    /// Bytes that the library has read already.
    pub fn early(&mut self, bytes: &[u8]) {
        self.run(&mut bytes.to_vec(), 0);
        self.had = self.head.len();
    }

    /// Takes such acknowledgements out from now on.
    pub fn take_acks(&mut self, filter: AckFilter) {
        self.filter = Some(filter);
    }

    pub fn sink(&self) -> Option<Arc<dyn AckSink>> {
        self.filter.as_ref()?.sink.upgrade()
    }

    /// Bytes for the library that did not fit into an earlier read: at most this many of them.
    pub fn take_late(&mut self, most: usize) -> Vec<u8> {
        let rest = self.late.split_off(most.min(self.late.len()));
        mem::replace(&mut self.late, rest)
    }

    /// Bytes that were read earlier, to be looked at before more is read: at most this many of them.
    pub fn take_rest(&mut self, most: usize) -> Vec<u8> {
        let rest = self.rest.split_off(most.min(self.rest.len()));
        mem::replace(&mut self.rest, rest)
    }

    /// Looks through bytes that were read. Those that are left for the library are moved to the beginning.
    pub fn filter(&mut self, bytes: &mut [u8]) -> Found {
        if self.head.is_empty() {
            let found = self.run(bytes, 0);
            self.keep_rest(bytes, &found);
            return found;
        }
        let had = mem::take(&mut self.had);
        let mut all = mem::take(&mut self.head);
        all.extend_from_slice(bytes);
        let found = self.run(&mut all, had);
        self.keep_rest(&all, &found);
        let kept = all.get(had..found.kept).unwrap_or_default();
        let (now, late) = kept.split_at(kept.len().min(bytes.len()));
        if let Some(place) = bytes.get_mut(..now.len()) {
            place.copy_from_slice(now);
        }
        self.late.extend_from_slice(late);
        Found { kept: now.len(), ..found }
    }

    fn keep_rest(&mut self, bytes: &[u8], found: &Found) {
        if let Some(rest) = bytes.get(found.seen..).filter(|rest| !rest.is_empty()) {
            self.rest.splice(..0, rest.iter().copied());
        }
    }

    /// The library has the first `had` bytes already, and the frame that they belong to stays. Stops at an
    /// acknowledgement that follows something for the library.
    fn run(&mut self, bytes: &mut [u8], had: usize) -> Found {
        let mut found = Found::default();
        let mut at = 0;
        while at < bytes.len() {
            match mem::take(&mut self.state) {
                FrameState::Between => match self.kind(&bytes[at..], at < had) {
                    Kind::Unknown => {
                        self.head = bytes[at..].to_vec();
                        self.had = had.saturating_sub(at);
                        found.kept += self.had;
                        found.seen = bytes.len();
                        return found;
                    }
                    Kind::Pass(header) => {
                        let left = header.payload.saturating_add(header.bytes as u64);
                        self.state = FrameState::Passing { left, is_final: header.is_final() };
                    }
                    Kind::Take(..) if found.kept > had => {
                        found.seen = at;
                        return found;
                    }
                    Kind::Take(header, mask) => {
                        at += header.bytes;
                        let (left, is_final) = (header.payload, header.is_final());
                        let text = self.fragments.take().unwrap_or_default();
                        self.taking(left, is_final, mask, 0, text, &mut found);
                    }
                },
                FrameState::Passing { left, is_final } => {
                    let part = part(left, bytes.len() - at);
                    if found.kept != at {
                        bytes.copy_within(at..at + part, found.kept);
                    }
                    at += part;
                    found.kept += part;
                    match left - part as u64 {
                        0 => found.is_complete |= is_final,
                        left => self.state = FrameState::Passing { left, is_final },
                    }
                }
                FrameState::Taking { left, is_final, mask, taken, mut text } => {
                    let part = part(left, bytes.len() - at);
                    let payload = bytes[at..at + part].iter().zip(mask.iter().cycle().skip(taken % 4));
                    text.extend(payload.map(|(byte, mask)| byte ^ mask));
                    at += part;
                    self.taking(left - part as u64, is_final, mask, taken + part, text, &mut found);
                }
            }
        }
        found.seen = at;
        found
    }

    fn taking(
        &mut self,
        left: u64,
        is_final: bool,
        mask: [u8; 4],
        taken: usize,
        text: Vec<u8>,
        found: &mut Found,
    ) {
        if left > 0 {
            self.state = FrameState::Taking { left, is_final, mask, taken, text };
        } else if is_final {
            found.is_complete = true;
            found.acks.extend(self.filter.as_ref().and_then(|filter| filter.read(&text)));
        } else {
            self.fragments = Some(text);
        }
    }

    fn kind(&mut self, bytes: &[u8], stays: bool) -> Kind {
        let Some(header) = Header::of(bytes) else { return Kind::Unknown };
        let (Some(filter), Some(mask)) = (&self.filter, header.mask) else { return Kind::Pass(header) };
        let fits = |text: &[u8]| header.payload.saturating_add(text.len() as u64) <= filter.most as u64;
        match header.opcode() {
            // The rest of a message in several frames.
            0 => match &self.fragments {
                Some(text) if fits(text) => Kind::Take(header, mask),
                _ => {
                    self.fragments = None;
                    Kind::Pass(header)
                }
            },
            1 if !stays && header.payload >= filter.shown() as u64 && fits(&[]) => {
                let payload = bytes.get(header.bytes..).unwrap_or_default();
                match payload.get(..filter.shown()) {
                    None => Kind::Unknown,
                    Some(shown) if filter.takes(shown, mask) => Kind::Take(header, mask),
                    Some(_) => Kind::Pass(header),
                }
            }
            _ => Kind::Pass(header),
        }
    }
}

fn part(left: u64, most: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> AckFilter {
        struct Nobody;
        impl AckSink for Nobody {
            fn acknowledged(&self, _: &[TakenAck]) {}
        }
        AckFilter {
            begin: b"43/chat,",
            says_arrived: |arguments| arguments != br#"[{"success":false}]"#,
            most: 5_000,
            sink: Weak::<Nobody>::new(),
        }
    }

    fn frame(first: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// Reads a stream in parts, as [`super::super::TcpConnection`] does. Returns what the library gets.
    fn read(frames: &mut ClientFrames, stream: &[u8], part: usize) -> (Vec<u8>, Vec<TakenAck>, usize) {
        let (mut passed, mut acks, mut complete) = (Vec::new(), Vec::new(), 0);
        for chunk in stream.chunks(part) {
            let mut chunk = chunk.to_vec();
            while !chunk.is_empty() {
                let found = frames.filter(&mut chunk);
                passed.extend(&chunk[..found.kept]);
                passed.extend(frames.take_late(usize::MAX));
                acks.extend(found.acks);
                complete += usize::from(found.is_complete);
                chunk = frames.take_rest(part);
            }
        }
        (passed, acks, complete)
    }

    #[derive(Clone, Debug)]
    enum Sent {
        /// An acknowledgement that is taken out, of this length and in this many frames.
        Ours(u32, usize, usize),
        Other(u8, Vec<u8>),
    }

    fn sent() -> impl proptest::strategy::Strategy<Value = Sent> {
        use proptest::prelude::*;
        prop_oneof![
            (1_000_000_000..=u32::MAX, 0_usize..400, 1_usize..4)
                .prop_map(|(id, length, frames)| Sent::Ours(id, length, frames)),
            Just(Sent::Other(0x81, b"3".to_vec())),
            Just(Sent::Other(0x8a, b"a pong".to_vec())),
            Just(Sent::Other(0x81, br#"43/chat,17[{"success":true}]"#.to_vec())),
            Just(Sent::Other(0x81, br#"43/other,1000000000[{"success":true}]"#.to_vec())),
            Just(Sent::Other(0x81, br#"42/chat,1000000000["event",{}]"#.to_vec())),
            Just(Sent::Other(0x82, br#"43/chat,1000000000[{"success":true}]"#.to_vec())),
            proptest::collection::vec(any::<u8>(), 0..3_000).prop_map(|bytes| Sent::Other(0x81, bytes)),
        ]
    }

    proptest::proptest! {
        #[test]
        fn acknowledgements_are_taken_out_and_all_else_stays_however_the_stream_is_cut(
            all in proptest::collection::vec(sent(), 0..12),
            mask: [u8; 4],
            part in 1_usize..300,
            early in 0_usize..60,
        ) {
            let (mut stream, mut expected, mut acks) = (Vec::<u8>::new(), Vec::<u8>::new(), Vec::new());
            // What the library has read before the filter was there.
            let first = frame(0x81, mask, br#"43/chat,1000000000[{"success":true}]"#);
            let (had, rest) = first.split_at(early.min(first.len()));
            let mut frames = ClientFrames::default();
            frames.early(had);
            frames.take_acks(filter());
            stream.extend(rest);
            let begun = !had.is_empty();
            if begun { expected.extend(rest); } else { acks.push(TakenAck { id: 1_000_000_000, has_arrived: true }); }
            for sent in &all {
                match sent {
                    Sent::Other(first, payload) => {
                        let frame = frame(*first, mask, payload);
                        stream.extend(&frame);
                        expected.extend(&frame);
                    }
                    Sent::Ours(id, length, count) => {
                        let text = format!("43/chat,{id}[\"{}\"]", "x".repeat(*length));
                        let size = (text.len() / count).max(19);
                        let parts: Vec<_> = text.as_bytes().chunks(size).collect();
                        for (number, part) in parts.iter().enumerate() {
                            let opcode = u8::from(number == 0);
                            let last = if number + 1 == parts.len() { 0x80 } else { 0 };
                            stream.extend(frame(last | opcode, mask, part));
                            if last == 0 {
                                // A control frame may stand between the frames of a message.
                                let ping = frame(0x89, mask, b"between");
                                stream.extend(&ping);
                                expected.extend(&ping);
                            }
                        }
                        acks.push(TakenAck { id: *id, has_arrived: true });
                    }
                }
            }
            let (passed, taken, _) = read(&mut frames, &stream, part);
            assert_eq!(passed, expected);
            assert_eq!(taken, acks);
            assert!(frames.head.is_empty() && frames.fragments.is_none());
        }
    }

    #[test]
    fn a_client_may_say_that_a_message_has_not_arrived() {
        let mut frames = ClientFrames::default();
        frames.take_acks(filter());
        let texts =
            [r#"43/chat,1000000001[{"success":false}]"#, r#"43/chat,1000000002[{"success":true,"a":false}]"#];
        let stream: Vec<u8> =
            texts.iter().flat_map(|text| frame(0x81, [1, 2, 3, 4], text.as_bytes())).collect();
        let (passed, acks, complete) = read(&mut frames, &stream, stream.len());
        let taken = |id, has_arrived| TakenAck { id, has_arrived };
        assert_eq!(acks, [taken(1_000_000_001, false), taken(1_000_000_002, true)]);
        assert_eq!((passed.len(), complete), (0, 1));
    }

    #[test]
    fn one_that_follows_something_else_is_looked_at_when_the_library_has_read_that() {
        let mut frames = ClientFrames::default();
        frames.take_acks(filter());
        let ack = |id: u32| frame(0x81, [3; 4], format!("43/chat,{id}[]").as_bytes());
        let event = frame(0x81, [5; 4], b"42/chat,1[\"event\"]");
        let mut bytes = [ack(1_000_000_001), event.clone(), ack(1_000_000_002), ack(1_000_000_003)].concat();
        let ids = |found: &Found| found.acks.iter().map(|ack| ack.id).collect::<Vec<_>>();
        let found = frames.filter(&mut bytes);
        assert_eq!((&bytes[..found.kept], ids(&found)), (&event[..], vec![1_000_000_001]));
        let mut rest = frames.take_rest(30);
        let found = frames.filter(&mut rest);
        assert_eq!((found.kept, ids(&found)), (0, vec![1_000_000_002]));
        let mut rest = frames.take_rest(usize::MAX);
        let found = frames.filter(&mut rest);
        assert_eq!((found.kept, ids(&found)), (0, vec![1_000_000_003]));
        assert!(frames.take_rest(usize::MAX).is_empty());
    }

    #[test]
    fn one_that_is_too_long_is_left_to_the_library() {
        let mut frames = ClientFrames::default();
        frames.take_acks(filter());
        let text = format!("43/chat,1000000001[\"{}\"]", "x".repeat(6_000));
        let frame = frame(0x81, [9; 4], text.as_bytes());
        let (passed, acks, _) = read(&mut frames, &frame, 256);
        assert_eq!((passed, acks.len()), (frame, 0));
    }

    #[test]
    fn a_message_is_complete_with_its_last_frame() {
        let mut frames = ClientFrames::default();
        let mut complete =
            |first, payload: &[u8]| frames.filter(&mut frame(first, [7; 4], payload)).is_complete;
        assert!(!complete(0x01, b"a part"));
        assert!(!complete(0x00, b"another"));
        assert!(complete(0x80, b""));
        assert!(complete(0x89, b""));
    }
}
