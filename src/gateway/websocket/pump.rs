//! Serves one websocket in one task, from the answer to its handshake until it is gone. The task passes what
//! the client sends to a [`FrameHandler`], writes what waits in [`Outgoing`], and closes a connection on
//! which nothing is received any more. The wire forms decide the content.
//!
//! Reading never waits for writing, and writing never waits for reading. So two sides that both send much
//! data do not block each other.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, SinkExt, Stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, Utf8Bytes},
};

use super::{
    close::Goodbye,
    outgoing::{Ending, Outgoing},
};

/// How long a client may take to close its connection after the close frame. What was queued before is
/// written in this time, too.
const GOODBYE: Duration = Duration::from_secs(5);
/// The same when the whole server shuts down, which does not wait long.
const GOODBYE_OF_ALL: Duration = Duration::from_secs(1);
/// Messages read or written before the other direction continues.
const TURN: usize = 64;

/// Handles what a client sends. No method waits.
pub trait FrameHandler: Send + Sync + 'static {
    /// The client has received the handshake's answer. From now on it sends and receives.
    fn opened(&self);

    fn receives(&self, text: Utf8Bytes);

    /// Nothing more will be received from the client.
    fn left(&self);
}

/// How the server checks that a client is still there.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeat {
    /// How often the client is pinged.
    pub interval: Duration,
    /// How long after a ping the client may send nothing.
    pub timeout: Duration,
}

/// Why the exchange with the client ended.
#[derive(Debug)]
enum Over {
    /// The connection is gone, or closes without a close frame.
    Gone,
    /// The client has sent a close frame and needs an answer.
    Closed,
    /// The server closes the connection.
    With(Goodbye),
}

/// See the module. Ends when `closing` does, after everything queued was written.
pub async fn run<S, L>(
    mut stream: WebSocketStream<S>,
    outgoing: &Outgoing,
    handler: &L,
    heartbeat: Heartbeat,
    closing: impl Future<Output = ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    L: FrameHandler,
{
    handler.opened();
    let over = talk(&mut stream, outgoing, handler, heartbeat, closing).await;
    handler.left();
    let within = match over {
        Over::With(Goodbye::ShuttingDown) => GOODBYE_OF_ALL,
        _ => GOODBYE,
    };
    // A close handshake that is not done in time is dropped, and the connection with it.
    drop(timeout(within, farewell(&mut stream, outgoing, over)).await);
    outgoing.gone();
}

async fn talk<S, L>(
    stream: &mut WebSocketStream<S>,
    outgoing: &Outgoing,
    handler: &L,
    heartbeat: Heartbeat,
    closing: impl Future<Output = ()>,
) -> Over
where
    S: AsyncRead + AsyncWrite + Unpin,
    L: FrameHandler,
{
    let mut closing = pin!(closing);
    let mut pulse = pin!(sleep(heartbeat.interval));
    let mut talk = Talk {
        stream,
        outgoing,
        handler,
        heartbeat,
        is_unflushed: false,
        stuck_since: None,
        is_ping_due: false,
        pinged_at: None,
        has_received: false,
    };
    poll_fn(|context| {
        // First, so that whatever is queued or ordered after this check wakes the task.
        outgoing.register(context);
        if closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(Over::With(Goodbye::ShuttingDown));
        }
        match outgoing.ordered_end() {
            Some(Ending::Abort) => return Poll::Ready(Over::Gone),
            Some(Ending::With(goodbye)) => return Poll::Ready(Over::With(goodbye)),
            None => {}
        }
        let polled = talk.read(context).or_else(|| talk.beat(pulse.as_mut(), context));
        match polled.or_else(|| talk.write(context)) {
            Some(over) => Poll::Ready(over),
            None => Poll::Pending,
        }
    })
    .await
}

struct Talk<'a, S, L> {
    stream: &'a mut WebSocketStream<S>,
    outgoing: &'a Outgoing,
    handler: &'a L,
    heartbeat: Heartbeat,
    /// Something was written that may not be flushed.
    is_unflushed: bool,
    /// Since when the connection has neither flushed everything nor taken one more message.
    stuck_since: Option<Instant>,
    /// A ping is to be sent as soon as the connection takes one.
    is_ping_due: bool,
    /// When the ping was due that is not answered yet.
    pinged_at: Option<Instant>,
    /// Whether anything was received since then.
    has_received: bool,
}

impl<S, L> Talk<'_, S, L>
where
    S: AsyncRead + AsyncWrite + Unpin,
    L: FrameHandler,
{
    /// Reads what has arrived.
    fn read(&mut self, context: &mut Context<'_>) -> Option<Over> {
        for _ in 0..TURN {
            let Poll::Ready(read) = Pin::new(&mut *self.stream).poll_next(context) else { return None };
            let message = match read {
                Some(Ok(message)) => message,
                Some(Err(err)) => return Some(Goodbye::after(&err).map_or(Over::Gone, Over::With)),
                None => return Some(Over::Gone),
            };
            self.has_received = true;
            match message {
                Message::Text(text) => self.handler.receives(text),
                Message::Binary(_) => return Some(Over::With(Goodbye::Binary)),
                // The library has queued the answer.
                Message::Ping(_) => self.is_unflushed = true,
                Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => return Some(Over::Closed),
            }
        }
        context.waker().wake_by_ref();
        None
    }

    /// Writes everything that waits, and flushes once.
    fn write(&mut self, context: &mut Context<'_>) -> Option<Over> {
        for turn in 0.. {
            match Pin::new(&mut *self.stream).poll_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Some(Over::Gone),
                Poll::Pending => break,
            }
            if turn == TURN {
                context.waker().wake_by_ref();
                break;
            }
            // Before the waiting texts: on a slow link, writing them may take longer than the ping's timeout.
            if std::mem::take(&mut self.is_ping_due) && self.send(Message::Ping(Default::default())).is_err()
            {
                return Some(Over::Gone);
            }
            let Some(text) = self.outgoing.next() else { break };
            // There was room for the text, so the client reads, perhaps slowly.
            self.stuck_since = None;
            if self.send(Message::Text(text)).is_err() {
                return Some(Over::Gone);
            }
        }
        if self.is_unflushed {
            match Pin::new(&mut *self.stream).poll_flush(context) {
                Poll::Ready(Ok(())) => (self.is_unflushed, self.stuck_since) = (false, None),
                Poll::Ready(Err(_)) => return Some(Over::Gone),
                Poll::Pending => _ = self.stuck_since.get_or_insert_with(Instant::now),
            }
        }
        None
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        self.is_unflushed = true;
        Pin::new(&mut *self.stream).start_send(message)
    }

    /// Sends pings. Gives up on a client that sends nothing or takes nothing.
    fn beat(&mut self, mut pulse: Pin<&mut Sleep>, context: &mut Context<'_>) -> Option<Over> {
        while pulse.as_mut().poll(context).is_ready() {
            if self.stuck_since.is_some_and(|since| since.elapsed() >= self.heartbeat.timeout) {
                return Some(Over::Gone);
            }
            let now = Instant::now();
            let next = match self.pinged_at.take() {
                Some(_) if !self.has_received => return Some(Over::Gone),
                Some(at) => (at + self.heartbeat.interval).max(now),
                None => {
                    // A connection that takes nothing takes no ping either. The timeout starts all the same.
                    (self.is_ping_due, self.pinged_at, self.has_received) = (true, Some(now), false);
                    now + self.heartbeat.timeout
                }
            };
            pulse.as_mut().reset(next);
        }
        None
    }
}

/// Sends what is left to send, and waits until the client has closed the connection. Closing while the client
/// still sends would discard data that the client has not read yet.
async fn farewell<S>(stream: &mut WebSocketStream<S>, outgoing: &Outgoing, over: Over) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match over {
        Over::Gone => return Ok(()),
        Over::Closed => stream.flush().await?,
        Over::With(goodbye) => {
            while let Some(text) = outgoing.next() {
                stream.feed(Message::Text(text)).await?;
            }
            stream.close(Some(goodbye.frame())).await?;
        }
    }
    let tcp = stream.get_mut();
    tcp.shutdown().await?;
    let mut rest = [0; 256];
    while tcp.read(&mut rest).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt;
    use parking_lot::Mutex;
    use tokio::{io::DuplexStream, task::JoinHandle};
    use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

    use super::*;
    use crate::{
        backlog::{Backlogs, Limits},
        counts::Count,
    };

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl FrameHandler for Notes {
        fn opened(&self) {
            self.0.lock().push("opened".to_owned());
        }

        fn receives(&self, text: Utf8Bytes) {
            self.0.lock().push(text.to_string());
        }

        fn left(&self) {
            self.0.lock().push("left".to_owned());
        }
    }

    const LONG: Heartbeat =
        Heartbeat { interval: Duration::from_secs(3600), timeout: Duration::from_secs(3600) };
    const SHORT: Heartbeat =
        Heartbeat { interval: Duration::from_millis(20), timeout: Duration::from_millis(300) };

    struct Pumped {
        client: WebSocketStream<DuplexStream>,
        outgoing: Arc<Outgoing>,
        notes: Arc<Notes>,
        task: JoinHandle<()>,
    }

    fn queue() -> Outgoing {
        let backlogs = Backlogs::new(Limits { one: 10_000_000, all: 10_000_000 }, Count::default());
        Outgoing::new(10_000, None, backlogs.backlog(), Duration::from_secs(25))
    }

    async fn pumped(heartbeat: Heartbeat) -> Pumped {
        let (here, there) = tokio::io::duplex(64);
        let server = WebSocketStream::from_raw_socket(here, Role::Server, None).await;
        let client = WebSocketStream::from_raw_socket(there, Role::Client, None).await;
        let (outgoing, notes) = (Arc::new(queue()), Arc::new(Notes::default()));
        let (queue, handler) = (outgoing.clone(), notes.clone());
        let shutdown = crate::shutdown::Shutdown::new();
        let closing = shutdown.clone();
        let task = shutdown.spawn(async move {
            run(server, &queue, &*handler, heartbeat, closing.closing()).await;
        });
        Pumped { client, outgoing, notes, task }
    }

    async fn next_close(client: &mut WebSocketStream<DuplexStream>) -> Option<CloseFrame> {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_answers_pings_stays_and_one_that_does_not_is_given_up() {
        let mut pumped = pumped(SHORT).await;
        for _ in 0..5 {
            // The library answers pings while it reads.
            assert!(matches!(pumped.client.next().await, Some(Ok(Message::Ping(_)))));
        }
        // The client does not read any more, so it does not answer.
        pumped.task.await.unwrap();
        assert_eq!(*pumped.notes.0.lock(), ["opened", "left"]);
    }

    #[tokio::test]
    async fn a_client_that_talks_but_does_not_read_is_given_up_too() {
        let mut pumped = pumped(SHORT).await;
        for _ in 0..100 {
            pumped.outgoing.push("x".repeat(1000).into()).unwrap();
        }
        let talk = async {
            while pumped.client.send(Message::text("I am here")).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = talk => {}
            ended = &mut pumped.task => ended.unwrap(),
        }
    }

    /// The clock stands still but for what is waited for, so no machine is too slow for it.
    #[tokio::test(start_paused = true)]
    async fn a_client_on_a_slow_link_gets_its_pings_before_what_waits_and_stays() {
        const QUEUED: usize = 1_000;
        let heartbeat = Heartbeat { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
        let mut pumped = pumped(heartbeat).await;
        for _ in 0..QUEUED {
            pumped.outgoing.push("x".repeat(1_000).into()).unwrap();
        }
        let mut texts = 0;
        while texts < QUEUED {
            // All of it takes 100 seconds.
            tokio::time::sleep(Duration::from_millis(100)).await;
            match pumped.client.next().await {
                Some(Ok(Message::Text(_))) => texts += 1,
                Some(Ok(_)) => {}
                other => panic!("after {texts} messages: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn both_may_have_much_to_say_before_either_reads() {
        let pumped = pumped(LONG).await;
        for number in 0..500 {
            pumped.outgoing.push(format!("{number} {}", "x".repeat(200)).into()).unwrap();
        }
        let (mut sending, mut receiving) = pumped.client.split();
        for number in 0..500 {
            // More than the connection takes, while nothing is read.
            sending.send(Message::text(number.to_string())).await.unwrap();
        }
        for number in 0..500 {
            let Some(Ok(Message::Text(text))) = receiving.next().await else { panic!("an end") };
            assert!(text.starts_with(&format!("{number} ")), "{text}");
        }
        let received = || pumped.notes.0.lock().len() == 501;
        while !received() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_is_queued_leaves_before_the_goodbye() {
        let mut pumped = pumped(LONG).await;
        for number in 0..100 {
            pumped.outgoing.push(number.to_string().into()).unwrap();
        }
        pumped.outgoing.end(Goodbye::LoginOver);
        for number in 0..100 {
            assert_eq!(pumped.client.next().await.unwrap().unwrap(), Message::text(number.to_string()));
        }
        assert_eq!(next_close(&mut pumped.client).await, Some(Goodbye::LoginOver.frame()));
        drop(pumped.client);
        pumped.task.await.unwrap();
        assert_eq!(*pumped.notes.0.lock(), ["opened", "left"]);
    }

    #[tokio::test]
    async fn a_client_that_talked_on_is_heard_out_before_the_line_goes() {
        let mut pumped = pumped(LONG).await;
        pumped.outgoing.end(Goodbye::TooBig);
        assert_eq!(next_close(&mut pumped.client).await, Some(Goodbye::TooBig.frame()));
        // Data that the client had already sent. A closed connection would refuse it, and the client would
        // lose the close frame.
        for _ in 0..100 {
            pumped.client.get_mut().write_all(&[0; 64]).await.unwrap();
        }
        drop(pumped.client);
        pumped.task.await.unwrap();
    }

    #[tokio::test]
    async fn a_cut_ends_it_without_a_word() {
        let mut pumped = pumped(LONG).await;
        pumped.outgoing.push("never heard".into()).unwrap();
        pumped.outgoing.abort();
        assert!(!matches!(pumped.client.next().await, Some(Ok(_))));
        pumped.task.await.unwrap();
    }
}
