//! The finished frames that the server writes to a websocket itself, past the library that serves it. Whoever has
//! pushed a frame sends it, too: no task is woken for it. A frame waits here only until it is sent, or while the
//! stream takes nothing.
//!
//! The bytes of a client that does not read count in its [`Backlog`], from the moment when the stream takes no more.

use std::{cell::RefCell, collections::VecDeque, io, sync::Arc};

use bytes::Bytes;

use crate::backlog::{Backlog, Full};

/// Frames are copied together up to this size, so that one system call sends them.
const TOGETHER: usize = 64 * 1024;
/// A queue that has grown beyond this length frees its memory when it is empty.
const KEPT: usize = 16;

thread_local! {
    static GATHERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// See the module.
pub struct FrameQueue {
    waiting: VecDeque<Bytes>,
    /// How much of the first frame the stream has taken.
    taken: usize,
    /// The bytes that wait.
    bytes: usize,
    /// Those that count in the backlog: all of them while the stream takes nothing.
    counted: usize,
    is_blocked: bool,
    backlog: Arc<Backlog>,
}

/// How far an attempt to send everything came.
#[derive(Debug, PartialEq, Eq)]
pub enum FramesSent {
    Everything,
    /// The stream takes no more for now.
    Blocked,
    /// Nothing was tried: the library has begun a frame.
    Waits,
}

impl FrameQueue {
    pub fn new(backlog: Arc<Backlog>) -> Self {
        Self { waiting: VecDeque::new(), taken: 0, bytes: 0, counted: 0, is_blocked: false, backlog }
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a part of a frame was sent, which nothing may follow but the rest of it.
    pub fn is_inside(&self) -> bool {
        self.taken > 0
    }

    /// Whether the stream took nothing more at the last attempt.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Adds a frame at the end.
    ///
    /// # Errors
    /// [`Full`] if `most` frames wait, or too many bytes.
    pub fn push(&mut self, frame: Bytes, most: usize) -> Result<(), Full> {
        if self.waiting.len() >= most {
            return Err(Full);
        }
        if self.is_blocked {
            self.backlog.add(frame.len())?;
            self.counted += frame.len();
        }
        self.bytes += frame.len();
        self.waiting.push_back(frame);
        Ok(())
    }

    /// Sends what waits with `write`, or only what is left of the first frame.
    ///
    /// # Errors
    /// That of `write`, or [`io::ErrorKind::StorageFull`] if more bytes wait than may.
    pub fn send(
        &mut self,
        only_the_rest: bool,
        mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<FramesSent> {
        while let Some(first) = self.waiting.front() {
            if only_the_rest && self.taken == 0 {
                break;
            }
            let rest = first.get(self.taken..).unwrap_or_default();
            let written = match self.waiting.len() {
                2.. if !only_the_rest && rest.len() < TOGETHER => self.write_together(&mut write),
                _ => write(rest),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => self.advance(bytes),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return self.blocked(),
                Err(err) => return Err(err),
            }
        }
        self.is_blocked = false;
        Ok(FramesSent::Everything)
    }

    fn write_together(&self, write: &mut impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        GATHERED.with_borrow_mut(|gathered| {
            gathered.clear();
            let mut taken = self.taken;
            for frame in &self.waiting {
                if gathered.len() + frame.len() > TOGETHER && !gathered.is_empty() {
                    break;
                }
                gathered.extend_from_slice(frame.get(taken..).unwrap_or_default());
                taken = 0;
            }
            write(gathered)
        })
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let mut written = self.taken + written;
        while let Some(first) = self.waiting.front() {
            if written < first.len() {
                break;
            }
            written -= first.len();
            self.waiting.pop_front();
        }
        self.taken = written;
        self.count(self.counted.min(self.bytes));
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT {
            self.waiting = VecDeque::new();
        }
    }

    /// From now on, what waits counts in the backlog.
    fn blocked(&mut self) -> io::Result<FramesSent> {
        self.is_blocked = true;
        let more = self.bytes - self.counted;
        self.backlog.add(more).map_err(|Full| io::ErrorKind::StorageFull)?;
        self.counted = self.bytes;
        Ok(FramesSent::Blocked)
    }

    /// At most this much counts in the backlog from now on.
    fn count(&mut self, counted: usize) {
        let fewer = self.counted - counted;
        if fewer > 0 {
            self.backlog.taken(fewer);
        }
        self.counted = counted;
    }

    /// Nothing will be sent any more.
    pub fn clear(&mut self) {
        self.count(0);
        self.waiting = VecDeque::new();
        (self.taken, self.bytes, self.is_blocked) = (0, 0, false);
    }
}

impl Drop for FrameQueue {
    fn drop(&mut self) {
        self.count(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backlog::{Backlogs, Limits},
        counts::Count,
    };

    fn queue(limit: usize) -> (FrameQueue, Arc<Backlog>) {
        let backlog = Backlogs::new(Limits { one: limit, all: limit }, Count::default()).backlog();
        (FrameQueue::new(backlog.clone()), backlog)
    }

    /// A stream that takes `room` bytes.
    fn stream<'a>(
        taken: &'a mut Vec<u8>,
        room: &'a mut usize,
    ) -> impl FnMut(&[u8]) -> io::Result<usize> + 'a {
        move |bytes| {
            let part = bytes.len().min(*room);
            if part == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            *room -= part;
            taken.extend_from_slice(&bytes[..part]);
            Ok(part)
        }
    }

    proptest::proptest! {
        #[test]
        fn everything_is_sent_once_and_in_order_however_little_the_stream_takes(
            steps in proptest::collection::vec((1_usize..40_000, 0_usize..60_000, proptest::bool::ANY), 1..40),
        ) {
            let (mut queue, backlog) = queue(usize::MAX / 2);
            let (mut pushed, mut taken) = (Vec::new(), Vec::new());
            for (number, (length, mut room, only_the_rest)) in steps.into_iter().enumerate() {
                let frame = vec![number as u8; length];
                pushed.extend_from_slice(&frame);
                queue.push(frame.into(), 100).unwrap();
                let sent = queue.send(only_the_rest, stream(&mut taken, &mut room)).unwrap();
                let waiting = pushed.len() - taken.len();
                assert_eq!(queue.bytes, waiting);
                if sent == FramesSent::Blocked {
                    assert_eq!((room, backlog.waiting()), (0, waiting));
                } else if !only_the_rest {
                    assert!(queue.is_empty());
                }
                if queue.is_empty() {
                    assert_eq!((backlog.waiting(), queue.is_inside()), (0, false));
                }
                assert!(pushed.starts_with(&taken));
            }
            queue.send(false, stream(&mut taken, &mut usize::MAX.clone())).unwrap();
            assert_eq!(pushed, taken);
            assert_eq!(backlog.waiting(), 0);
        }
    }

    #[test]
    fn only_what_the_stream_does_not_take_counts_and_is_bounded() {
        let (mut queue, backlog) = queue(10);
        let frame = || Bytes::from_static(b"1234567");
        queue.push(frame(), 100).unwrap();
        queue.push(frame(), 100).unwrap();
        assert_eq!(backlog.waiting(), 0, "the stream may take them");
        assert_eq!(queue.send(false, stream(&mut Vec::new(), &mut 5)).unwrap(), FramesSent::Blocked);
        assert_eq!((backlog.waiting(), queue.is_inside()), (9, true));
        assert_eq!(queue.push(frame(), 100), Err(Full));
        queue.push(Bytes::from_static(b"1"), 100).unwrap();
        queue.send(true, stream(&mut Vec::new(), &mut 9)).unwrap();
        assert_eq!((backlog.waiting(), queue.is_inside()), (8, false), "only the rest of the first one");
        drop(queue);
        assert_eq!(backlog.waiting(), 0);
    }

    #[test]
    fn more_than_may_wait_is_an_error_when_the_stream_does_not_take_it() {
        let (mut queue, backlog) = queue(10);
        for _ in 0..3 {
            queue.push(Bytes::from_static(b"12345"), 3).unwrap();
        }
        assert_eq!(queue.push(Bytes::from_static(b"1"), 3), Err(Full), "too many frames");
        let full = queue.send(false, stream(&mut Vec::new(), &mut 0)).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        queue.clear();
        assert!(queue.is_empty() && backlog.waiting() == 0);
    }
}
