//! The TCP connections that everything arrives on, with a handle to cut each one from outside.
//!
//! A Socket.IO session cannot be closed through the library, and a reader that stalls for good
//! would keep its socket and a task waiting in flush. Cutting the line below ends both, and a
//! client that still lives sees a lost transport and reconnects.
//!
//! This is also the one place that all transports share, so it counts what was taken of a connection's
//! [`Backlog`], stops reading from a client that does not read, and disconnects silent clients.

mod frames;
mod lines;
mod traffic;

use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use self::traffic::Traffic;
pub use self::{frames::Counted as CountedFrames, lines::Lines, traffic::EarlyBytes};
use crate::{
    backlog::{Backlog, Backlogs},
    counts::{Count, Counted},
};

/// How long sent data may stay unacknowledged by the peer's machine before the kernel gives up on
/// it: what frees the memory of a reader that has stalled for good.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Most bytes that the kernel keeps for a connection before it has sent them. What waits in the kernel can be
/// neither counted nor overtaken: with megabytes there, a client on a slow link would see no ping in time.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// Where a request came in: the peer's address, and a way to cut the connection.
#[derive(Clone, Debug)]
pub struct Line {
    pub peer: SocketAddr,
    stream: Weak<Shared>,
    backlog: Arc<Backlog>,
}

/// What a stream and its lines have in common. Only the stream keeps it, so lines know by it whether the
/// stream is there.
#[derive(Debug)]
struct Shared {
    writing: OwnedWriteHalf,
    traffic: Mutex<Traffic>,
    backlog: Arc<Backlog>,
}

impl Line {
    /// Ends the connection in both directions, whatever is still waiting in it.
    pub fn cut(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.cut();
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }

    /// The bytes that wait for it.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Has the connection treated as a websocket from its next answer on, if that answer makes it one: the
    /// text frames that count are taken from this backlog.
    ///
    /// # Errors
    /// [`EarlyBytes`] where the client has sent its request together with another one.
    pub fn switch(&self, backlog: Arc<Backlog>, counted: CountedFrames) -> Result<(), EarlyBytes> {
        match self.stream.upgrade() {
            Some(stream) => stream.traffic.lock().switch(backlog, counted),
            None => Ok(()),
        }
    }
}

impl Shared {
    fn cut(&self) {
        // One that is gone already is as cut as can be.
        drop(SockRef::from(self.writing.as_ref()).shutdown(Shutdown::Both));
        self.traffic.lock().wake();
    }
}

/// Accepts TCP connections and sets them up for chat: small frames, sent at once.
#[derive(Debug)]
pub struct LineListener {
    pub listener: TcpListener,
    /// The lines that are open.
    pub open: Count,
    pub backlogs: Backlogs,
    pub lines: Lines,
}

impl LineListener {
    pub async fn accept(&self) -> (LineStream, Line) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(err) = set_up(&stream) {
                        tracing::debug!(error = %err, "a connection was gone before it was set up");
                        continue;
                    }
                    let (reading, writing) = stream.into_split();
                    let backlog = self.backlogs.backlog();
                    let traffic = Mutex::new(Traffic::new());
                    let shared = Arc::new(Shared { writing, traffic, backlog: backlog.clone() });
                    let stream = Arc::downgrade(&shared);
                    self.lines.add(stream.clone());
                    let line = Line { peer, stream, backlog };
                    let fattest = line.stream.clone();
                    line.backlog.closes_with(move || {
                        if let Some(stream) = fattest.upgrade() {
                            stream.cut();
                        }
                    });
                    return (LineStream { reading, shared, _counted: self.open.one() }, line);
                }
                Err(err) if is_the_peers_fault(&err) => {}
                Err(err) => {
                    // Out of file descriptors, most likely: others have to go first.
                    tracing::error!(error = %err, "could not accept a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

fn set_up(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = SockRef::from(stream);
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    Ok(())
}

fn is_the_peers_fault(err: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(err.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A TCP stream that a [`Line`] can reach, too.
#[derive(Debug)]
pub struct LineStream {
    /// Read through Tokio's own half: it knows that a read which did not fill its buffer was the last for now,
    /// and spares asking again.
    reading: OwnedReadHalf,
    shared: Arc<Shared>,
    _counted: Counted,
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.shared.traffic.lock().holds_back(cx.waker()) {
            return Poll::Pending;
        }
        let filled = buf.filled().len();
        let read = Pin::new(&mut self.reading).poll_read(cx, buf);
        if read.is_ready() {
            self.shared.traffic.lock().read(buf.filled().get(filled..).unwrap_or_default());
        }
        read
    }
}

impl LineStream {
    /// Writes, and passes on what was taken to `taken`.
    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
        taken: impl FnOnce(&mut Traffic, usize),
    ) -> Poll<io::Result<usize>> {
        let stream: &TcpStream = self.shared.writing.as_ref();
        let written = loop {
            match stream.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(err)) => break Err(err),
                Poll::Pending => {
                    self.shared.traffic.lock().blocked();
                    return Poll::Pending;
                }
            }
            match write(stream) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                done => break done,
            }
        };
        let mut traffic = self.shared.traffic.lock();
        match &written {
            Ok(bytes) => taken(&mut traffic, *bytes),
            Err(_) => traffic.wake(),
        }
        Poll::Ready(written)
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = |traffic: &mut Traffic, written: usize| {
            traffic.written(bytes.get(..written).unwrap_or_default());
        };
        self.poll_try_write(cx, |stream| stream.try_write(bytes), taken)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let taken = |traffic: &mut Traffic, mut written: usize| {
            for slice in slices {
                let part = slice.get(..written.min(slice.len())).unwrap_or_default();
                written -= part.len();
                traffic.written(part);
            }
        };
        self.poll_try_write(cx, |stream| stream.try_write_vectored(slices), taken)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called when all that was to be written is written: the kernel needs no flush.
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

impl Drop for LineStream {
    fn drop(&mut self) {
        // What waited is never written. The backlog of a session that began by polling is another one: it
        // ends with the session.
        drop(self.shared.backlog.close());
    }
}
