//! The stream of one TCP connection, which a library reads and writes. On a websocket, the server writes frames of its
//! own between those of the library, and takes acknowledgements out of what is read.

use std::{
    io,
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, tcp::OwnedReadHalf},
};

use super::{
    Shared,
    replacement::{Next, Replacement},
    traffic::Traffic,
    websocket::Turn,
};
use crate::counts::Counted;

/// A TCP stream that a [`TcpHandle`] can close from outside.
#[derive(Debug)]
pub struct TcpConnection {
    /// Read through Tokio's own half. It knows that a read that did not fill its buffer was the last for now,
    /// so it avoids one more system call.
    reading: OwnedReadHalf,
    pub(super) shared: Arc<Shared>,
    _counted: Counted,
}

impl AsyncRead for TcpConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        loop {
            {
                let mut traffic = self.shared.traffic.lock();
                traffic.reads(cx.waker());
                if traffic.websocket().is_some_and(|websocket| websocket.may_send()) {
                    let sent = self.shared.poll_send(&mut traffic, false, cx);
                    traffic.wake_library();
                    if let Poll::Ready(Err(err)) = sent {
                        return Poll::Ready(Err(err));
                    }
                }
                if traffic.holds_back(cx.waker()) {
                    return Poll::Pending;
                }
                if let Some(websocket) = traffic.websocket() {
                    let late = websocket.read.take_late(buf.remaining());
                    if !late.is_empty() {
                        buf.put_slice(&late);
                        return Poll::Ready(Ok(()));
                    }
                    buf.put_slice(&websocket.read.take_rest(buf.remaining()));
                }
            }
            if buf.filled().len() == filled {
                ready!(Pin::new(&mut self.reading).poll_read(cx, buf))?;
            }
            let Some(read) = buf.filled_mut().get_mut(filled..).filter(|read| !read.is_empty()) else {
                return Poll::Ready(Ok(()));
            };
            let (found, sink, speaks) = {
                let mut traffic = self.shared.traffic.lock();
                let found = traffic.read(read);
                let websocket = traffic.websocket().filter(|_| !found.acks.is_empty());
                let speaks = websocket.as_ref().is_some_and(|websocket| websocket.speaks());
                (found, websocket.and_then(|websocket| websocket.read.sink()), speaks)
            };
            buf.set_filled(filled + found.kept);
            // Without the lock: whoever gets them may write to this connection.
            if let Some(sink) = sink {
                sink.acknowledged(&found.acks);
            }
            if found.kept > 0 {
                return Poll::Ready(Ok(()));
            }
            if speaks {
                self.shared.confirm();
            }
        }
    }
}

impl TcpConnection {
    pub(super) fn new(reading: OwnedReadHalf, shared: Arc<Shared>, counted: Counted) -> Self {
        Self { reading, shared, _counted: counted }
    }

    /// Writes as many of the library's bytes, `first` and perhaps more, as may be written now, and passes the number of
    /// written bytes to `taken`. `write` gets the number that may be written.
    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        first: &[u8],
        mut write: impl FnMut(&TcpStream, usize) -> io::Result<usize>,
        taken: impl FnOnce(&mut Traffic, usize),
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.shared.writing.as_ref();
        let mut traffic = self.shared.traffic.lock();
        let written = loop {
            let most = match traffic.turn(first) {
                Turn::Library(most) => most,
                Turn::Server { only_the_rest } => {
                    match self.shared.poll_send(&mut traffic, only_the_rest, cx) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(err)) => break Err(err),
                        Poll::Pending => {
                            traffic.library_waits(cx.waker());
                            return Poll::Pending;
                        }
                    }
                }
            };
            match stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(err)) => break Err(err),
                Poll::Pending => {
                    traffic.blocked();
                    traffic.library_waits(cx.waker());
                    return Poll::Pending;
                }
            }
            match write(stream, most) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                done => break done,
            }
        };
        match &written {
            Ok(bytes) => {
                taken(&mut traffic, *bytes);
                if traffic.has_frames() {
                    traffic.wake_sender();
                }
            }
            Err(_) => traffic.wake(),
        }
        Poll::Ready(written)
    }

    fn poll_write_unchanged(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = |traffic: &mut Traffic, written: usize| {
            traffic.written(bytes.get(..written).unwrap_or_default());
        };
        let write = |stream: &TcpStream, most| stream.try_write(bytes.get(..most).unwrap_or(bytes));
        self.poll_try_write(cx, bytes, write, taken)
    }

    /// Writes what stands in place of the frame at the beginning of the caller's bytes. Returns the length of
    /// that frame.
    fn poll_write_replaced(
        &self,
        cx: &mut Context<'_>,
        mut replacement: Replacement,
    ) -> Poll<io::Result<usize>> {
        loop {
            let written = self.poll_write_unchanged(cx, replacement.rest());
            if let Poll::Ready(Ok(bytes)) = written {
                if let Some(expected) = replacement.take(bytes) {
                    return Poll::Ready(Ok(expected));
                }
                continue;
            }
            self.shared.traffic.lock().replacement = Some(replacement);
            return written;
        }
    }
}

impl AsyncWrite for TcpConnection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let replacement = self.shared.traffic.lock().replacement.take();
        let Some(replacement) = replacement else { return self.poll_write_unchanged(cx, bytes) };
        match replacement.next(bytes) {
            Next::Replaced => self.poll_write_replaced(cx, replacement),
            Next::Unchanged(part) => {
                self.shared.traffic.lock().replacement = Some(replacement);
                self.poll_write_unchanged(cx, bytes.get(..part).unwrap_or(bytes))
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let one_at_a_time = {
            let traffic = self.shared.traffic.lock();
            traffic.replacement.is_some() || traffic.has_frames()
        };
        if one_at_a_time {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(cx, first.map_or(&[], |slice| slice));
        }
        let taken = |traffic: &mut Traffic, mut written: usize| {
            for slice in slices {
                let part = slice.get(..written.min(slice.len())).unwrap_or_default();
                written -= part.len();
                traffic.written(part);
            }
        };
        // Nothing else is written to this connection, so all of them may be.
        self.poll_try_write(cx, &[], |stream, _| stream.try_write_vectored(slices), taken)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called after everything has been written. The kernel needs no flush.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.traffic.lock().flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(self.reading.as_ref()).shutdown(Shutdown::Write) {
            Err(err) if err.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(err)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for TcpConnection {
    fn drop(&mut self) {
        // Waiting bytes are never written now. A session that began by polling has a different backlog, which
        // ends with the session.
        drop(self.shared.backlog.close());
    }
}
