//! The TCP connections below all gateways, and a handle to disconnect each one from outside.
//!
//! The Socket.IO library has no call to close a session. A client that stops reading for good would keep its
//! socket and a task that waits in flush. Closing the TCP connection ends both. A client that is still alive
//! sees a lost transport and reconnects.
//!
//! All transports share this module. So it also counts the bytes that the stream takes from a connection's
//! [`Backlog`], stops reading from a client that does not read, and disconnects silent clients.

mod frames;
mod open_connections;
mod replacement;
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
    time::Instant,
};

pub use self::{frames::FrameFilter, open_connections::OpenConnections, traffic::EarlyBytes};
use self::{
    replacement::{Next, Replacement},
    traffic::{Traffic, WaitsFor},
};
use crate::{
    backlog::{Backlog, Backlogs},
    counts::{Count, Counted},
};

/// How often a server that is full looks whether a connection has ended.
const FULL_CHECK: Duration = Duration::from_millis(20);

/// Most unsent bytes that the kernel keeps for one connection. Bytes in the kernel cannot be counted, and
/// nothing can overtake them. With megabytes there, a client on a slow link would not receive a ping in time.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// The TCP connection of a request: the peer's address, and a handle to disconnect it.
#[derive(Clone, Debug)]
pub struct TcpHandle {
    pub peer: SocketAddr,
    /// The address of this server that the client has connected to.
    pub local: Option<SocketAddr>,
    stream: Weak<Shared>,
    backlog: Arc<Backlog>,
}

/// See [`TcpHandle::request`].
#[derive(Debug)]
pub struct RequestInProgress(Weak<Shared>);

impl Drop for RequestInProgress {
    fn drop(&mut self) {
        if let Some(stream) = self.0.upgrade() {
            stream.traffic.lock().request_ends();
        }
    }
}

/// What a stream shares with its handles. Only the stream keeps a strong reference, so a handle can see
/// whether the stream still exists.
#[derive(Debug)]
struct Shared {
    writing: OwnedWriteHalf,
    traffic: Mutex<Traffic>,
    backlog: Arc<Backlog>,
}

impl TcpHandle {
    /// Closes the connection in both directions and discards what still waits in it.
    pub fn abort(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.abort();
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }

    /// A request was read, whose answer has begun. The connection is neither idle nor does it wait for a
    /// request's head until the returned value is dropped.
    pub fn request(&self) -> RequestInProgress {
        if let Some(stream) = self.stream.upgrade() {
            stream.traffic.lock().request_begins();
        }
        RequestInProgress(self.stream.clone())
    }

    /// When the connection has waited for a request for too long. `None` while a request is in progress.
    pub fn request_due(&self, head: Duration, idle: Duration) -> Option<Instant> {
        let stream = self.stream.upgrade()?;
        let waiting = stream.traffic.lock().waits();
        match waiting? {
            WaitsFor::Head(since) => Some(since + head),
            WaitsFor::Request(since) => Some(since + idle),
        }
    }

    /// When something was last read from the client. `None` if the connection is gone.
    pub fn read_at(&self) -> Option<Instant> {
        Some(self.stream.upgrade()?.traffic.lock().read_at())
    }

    /// The bytes that wait for this connection.
    pub fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Treats the connection as a websocket after its next answer, if that answer switches protocols. The
    /// text frames that count are then taken from this backlog.
    ///
    /// # Errors
    /// [`EarlyBytes`] if the client sent its request together with another one.
    pub fn switch(&self, backlog: Arc<Backlog>, counted: FrameFilter) -> Result<(), EarlyBytes> {
        match self.stream.upgrade() {
            Some(stream) => stream.traffic.lock().switch(backlog, counted),
            None => Ok(()),
        }
    }

    /// Writes the text message `instead` in place of the text message `expected`, when the server next writes
    /// that. Does nothing if one of them has 126 bytes or more.
    pub fn replace_text(&self, expected: &str, instead: &str) {
        if let Some(stream) = self.stream.upgrade() {
            stream.traffic.lock().replacement = Replacement::of_text(expected, instead);
        }
    }
}

impl Shared {
    fn abort(&self) {
        // An error here means that the connection is closed already.
        drop(SockRef::from(self.writing.as_ref()).shutdown(Shutdown::Both));
        self.traffic.lock().wake();
    }
}

/// Accepts TCP connections and configures them for chat: small frames are sent at once.
#[derive(Debug)]
pub struct TcpAcceptor {
    pub listener: TcpListener,
    /// The number of open connections.
    pub open: Count,
    /// The maximum of it. The file descriptors above are for the database and the rest of the server. Over it,
    /// idle connections are closed to make room; while none is idle, new connections wait in the kernel.
    pub most: usize,
    pub backlogs: Backlogs,
    pub open_connections: OpenConnections,
    /// How long sent data may stay unacknowledged by the peer's machine. Then the kernel closes the
    /// connection, which frees the memory of a client that has stopped reading for good.
    pub unread_timeout: Duration,
}

impl TcpAcceptor {
    pub async fn accept(&self) -> (TcpConnection, TcpHandle) {
        loop {
            self.may_accept().await;
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(err) = self.set_up(&stream) {
                        tracing::debug!(error = %err, "a connection was gone before it was set up");
                        continue;
                    }
                    let local = stream.local_addr().ok();
                    let (reading, writing) = stream.into_split();
                    let backlog = self.backlogs.backlog();
                    let traffic = Mutex::new(Traffic::new());
                    let shared = Arc::new(Shared { writing, traffic, backlog: backlog.clone() });
                    let stream = Arc::downgrade(&shared);
                    self.open_connections.add(stream.clone());
                    let tcp = TcpHandle { peer, local, stream, backlog };
                    let connection_with_most = tcp.stream.clone();
                    tcp.backlog.closes_with(move || {
                        if let Some(stream) = connection_with_most.upgrade() {
                            stream.abort();
                        }
                    });
                    return (TcpConnection { reading, shared, _counted: self.open.one() }, tcp);
                }
                Err(err) if is_the_peers_fault(&err) => {}
                Err(err) => {
                    // Most likely out of file descriptors: other connections have to close first.
                    tracing::error!(error = %err, "could not accept a connection");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        #[cfg(target_os = "linux")]
        {
            let socket = SockRef::from(stream);
            socket.set_tcp_user_timeout(Some(self.unread_timeout))?;
            socket.set_tcp_notsent_lowat(UNSENT)?;
        }
        Ok(())
    }

    /// Waits until one more connection may be open.
    async fn may_accept(&self) {
        while self.open.now() >= self.most {
            self.open_connections.close_idle(self.most);
            tokio::time::sleep(FULL_CHECK).await;
        }
    }
}

fn is_the_peers_fault(err: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(err.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A TCP stream that a [`TcpHandle`] can close from outside.
#[derive(Debug)]
pub struct TcpConnection {
    /// Read through Tokio's own half. It knows that a read that did not fill its buffer was the last for now,
    /// so it avoids one more system call.
    reading: OwnedReadHalf,
    shared: Arc<Shared>,
    _counted: Counted,
}

impl AsyncRead for TcpConnection {
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

impl TcpConnection {
    /// Writes, and passes the number of written bytes to `taken`.
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

    fn poll_write_unchanged(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = |traffic: &mut Traffic, written: usize| {
            traffic.written(bytes.get(..written).unwrap_or_default());
        };
        self.poll_try_write(cx, |stream| stream.try_write(bytes), taken)
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
        if self.shared.traffic.lock().replacement.is_some() {
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
        self.poll_try_write(cx, |stream| stream.try_write_vectored(slices), taken)
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
