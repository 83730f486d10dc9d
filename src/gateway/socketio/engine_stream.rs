//! The websocket that the engine gets: a stream that takes part in the exchange with which the engine begins.
//!
//! The engine sends a ping as soon as a session is open, while Socket.IO's own server sends its first one
//! after the interval. The stream answers this ping for the client, which does not get it. And the engine
//! reads an upgrade's probe by itself, while `probe` has exchanged it with the client already: the stream
//! repeats what the client has said, and keeps the engine's answer from it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sessions::Switching;

/// Frames (RFC 6455, section 5.2). Those of a client have a mask, here of zeros.
const PING: &[u8] = b"\x81\x012";
const PONG: &[u8] = b"\x81\x81\0\0\0\x003";
const PROBED: &[u8] = b"\x81\x063probe";
const PROBE_AND_UPGRADE: &[u8] = b"\x81\x86\0\0\0\x002probe\x81\x81\0\0\0\x005";

/// See the module.
pub struct EngineStream<S> {
    stream: S,
    /// The frame of the engine that the client does not get, until the engine has written it.
    kept_back: Option<&'static [u8]>,
    /// What the engine still reads before it reads from the client.
    first: &'static [u8],
    /// Whether the engine reads nothing before it has written the frame.
    waits: bool,
    reader: Option<Waker>,
    /// Until the engine reads from the client.
    switching: Option<Switching>,
}

impl<S> EngineStream<S> {
    /// For the first websocket of a session. The engine reads nothing from the client before its ping is
    /// answered, so that the answer never stands within a message of the client.
    pub fn of_new_session(stream: S) -> Self {
        Self { stream, kept_back: Some(PING), first: PONG, waits: true, reader: None, switching: None }
    }

    /// For a websocket whose client has sent its probe and upgrades the session. When the engine reads on, it
    /// has upgraded the session.
    pub fn of_upgrade(stream: S, switching: Switching) -> Self {
        Self {
            stream,
            kept_back: Some(PROBED),
            first: PROBE_AND_UPGRADE,
            waits: false,
            reader: None,
            switching: Some(switching),
        }
    }

    /// The engine reads now what waits for it.
    fn wake(&mut self) {
        self.waits = false;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// How many of the bytes to write, or that the bytes begin with the frame that is kept back.
    fn next(&self, bytes: &[u8]) -> Step {
        let Some(frame) = self.kept_back else { return Step::Write(bytes.len()) };
        match bytes.windows(frame.len()).position(|window| window == frame) {
            Some(0) => Step::KeepBack(frame.len()),
            Some(before) => Step::Write(before),
            None => Step::Write(bytes.len()),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Write(usize),
    KeepBack(usize),
}

impl<S: AsyncRead + Unpin> AsyncRead for EngineStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.waits {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.first.is_empty() {
            drop(self.switching.take());
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.first.split_at(self.first.len().min(buf.remaining()));
        buf.put_slice(now);
        self.first = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EngineStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.next(bytes) {
            Step::KeepBack(length) => {
                self.kept_back = None;
                self.wake();
                Poll::Ready(Ok(length))
            }
            Step::Write(part) => {
                let part = bytes.get(..part).unwrap_or(bytes);
                let written = Pin::new(&mut self.stream).poll_write(cx, part);
                if let Poll::Ready(Err(_)) = written {
                    self.wake();
                }
                written
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.kept_back.is_some() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(cx, first.map_or(&[], |slice| slice));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The engine ends the websocket, perhaps before its first ping.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wake();
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const OPEN: &[u8] = b"\x81\x050{..}";
    const JOIN: &[u8] = b"\x81\x82\0\0\0\x0040";

    fn new_session() -> (DuplexStream, EngineStream<DuplexStream>) {
        let (client, server) = duplex(1024);
        (client, EngineStream::of_new_session(server))
    }

    async fn reads(stream: &mut (impl AsyncRead + Unpin), most: usize) -> Vec<u8> {
        let mut buffer = vec![0; most];
        let length = stream.read(&mut buffer).await.unwrap();
        buffer.truncate(length);
        buffer
    }

    async fn is_held_back(stream: &mut EngineStream<DuplexStream>) -> bool {
        let mut buffer = [0; 16];
        let mut read = pin!(stream.read(&mut buffer));
        poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn the_first_ping_is_answered_before_anything_is_read_and_the_second_is_the_clients() {
        let (mut client, mut engine) = new_session();
        client.write_all(JOIN).await.unwrap();
        engine.write_all(OPEN).await.unwrap();
        assert!(is_held_back(&mut engine).await);
        engine.write_all(&[PING, b"\x81\x0240"].concat()).await.unwrap();
        assert_eq!(reads(&mut engine, 5).await, PONG[..5], "as much as there is room for");
        assert_eq!(reads(&mut engine, 64).await, PONG[5..]);
        assert_eq!(reads(&mut engine, 64).await, JOIN);
        engine.write_all(PING).await.unwrap();
        assert_eq!(reads(&mut client, 64).await, [OPEN, b"\x81\x0240", PING].concat());
    }

    #[tokio::test]
    async fn a_ping_behind_another_packet_is_found() {
        let (mut client, mut engine) = new_session();
        engine.write_all(&[OPEN, PING].concat()).await.unwrap();
        assert_eq!(reads(&mut engine, 64).await, PONG);
        assert_eq!(reads(&mut client, 64).await, OPEN);
    }

    #[tokio::test]
    async fn an_engine_that_ends_the_websocket_before_its_ping_reads_on() {
        let (client, mut engine) = new_session();
        assert!(is_held_back(&mut engine).await);
        engine.shutdown().await.unwrap();
        assert!(!is_held_back(&mut engine).await);
        drop(client);
    }
}
