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
pub use self::{frames::FrameFilter, open_connections::OpenConnections, traffic::EarlyBytes};
use crate::{
    backlog::{Backlog, Backlogs},
    counts::{Count, Counted},
};

/// How long sent data may stay unacknowledged by the peer's machine. Then the kernel closes the connection,
/// which frees the memory of a client that has stopped reading for good.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Most unsent bytes that the kernel keeps for one connection. Bytes in the kernel cannot be counted, and
/// nothing can overtake them. With megabytes there, a client on a slow link would not receive a ping in time.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// The TCP connection of a request: the peer's address, and a handle to disconnect it.
#[derive(Clone, Debug)]
pub struct TcpHandle {
    pub peer: SocketAddr,
    stream: Weak<Shared>,
    backlog: Arc<Backlog>,
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
    pub fn cut(&self) {
        if let Some(stream) = self.stream.upgrade() {
            stream.cut();
        }
    }

    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
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
}

impl Shared {
    fn cut(&self) {
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
    pub backlogs: Backlogs,
    pub lines: OpenConnections,
}

impl TcpAcceptor {
    pub async fn accept(&self) -> (TcpConnection, TcpHandle) {
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
                    let line = TcpHandle { peer, stream, backlog };
                    let connection_with_most = line.stream.clone();
                    line.backlog.closes_with(move || {
                        if let Some(stream) = connection_with_most.upgrade() {
                            stream.cut();
                        }
                    });
                    return (TcpConnection { reading, shared, _counted: self.open.one() }, line);
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
}

impl AsyncWrite for TcpConnection {
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
