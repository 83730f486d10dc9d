//! Writes log lines in a thread of its own, so that a terminal that is blocked (Ctrl-S, a full pipe) or closed
//! neither stops nor delays the server.
//!
//! At most [`WAITING`] bytes wait. Further lines are lost and counted, and so are lines that cannot be written.
//! When lines can be written again, one line says how many were lost.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Most bytes that wait to be written.
const WAITING: usize = 4_000_000;

/// Lines of this process that were lost.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines were lost since the process started.
pub fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Cheap to clone; all clones write to the same place, in order. Writing never fails and never waits.
#[derive(Clone, Debug)]
pub struct LogWriter {
    queue: Sender<LogEntry>,
    waiting: Arc<AtomicUsize>,
}

enum LogEntry {
    Text(Vec<u8>),
    /// Answered when everything before it was written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread. It ends with the process, or when nobody can write any more.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(to: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, entries) = mpsc::channel();
        let writer = Self { queue, waiting: Arc::default() };
        let waiting = writer.waiting.clone();
        thread::Builder::new().name("parlor-log".to_owned()).spawn(move || run(to, &entries, &waiting))?;
        Ok(writer)
    }

    /// Waits until everything that was written so far is there, but no longer than this.
    pub fn flush_within(&self, patience: Duration) {
        let (done, is_done) = mpsc::sync_channel(1);
        if self.queue.send(LogEntry::Flush(done)).is_ok() {
            // A timeout means that the place to write to is blocked.
            is_done.recv_timeout(patience).ok();
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let before = self.waiting.fetch_add(text.len(), Ordering::Relaxed);
        let is_queued = before < WAITING && self.queue.send(LogEntry::Text(text.to_vec())).is_ok();
        if !is_queued {
            self.waiting.fetch_sub(text.len(), Ordering::Relaxed);
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(text.len())
    }

    /// Does nothing: the thread writes each line at once.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn run(mut to: impl Write, entries: &Receiver<LogEntry>, waiting: &AtomicUsize) {
    let mut told = 0;
    for entry in entries {
        match entry {
            LogEntry::Text(text) => {
                let written = to.write_all(&text).and_then(|()| to.flush());
                let left = waiting.fetch_sub(text.len(), Ordering::Relaxed) - text.len();
                let lost = LOST.load(Ordering::Relaxed);
                if written.is_err() {
                    LOST.fetch_add(1, Ordering::Relaxed);
                } else if left == 0 && lost > told {
                    told = lost;
                    tracing::warn!(lines = lost, "log lines were lost: they could not be written in time");
                }
            }
            LogEntry::Flush(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    /// Passes each text on, and blocks until it is received.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.send(text.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_is_lost_and_nothing_waits_for_it() {
        let (to, written) = sync_channel(0);
        let mut writer = LogWriter::start(Slow(to)).unwrap();
        let before = lost_lines();
        for number in 0..10_u8 {
            assert_eq!(writer.write(&vec![number; WAITING / 4]).unwrap(), WAITING / 4);
        }
        writer.flush_within(Duration::from_millis(1));
        // Nobody has received anything: what fits waits, and the rest is lost.
        assert!(lost_lines() - before >= 5, "{}", lost_lines() - before);
        for number in 0..4_u8 {
            assert_eq!(written.recv().unwrap()[0], number);
        }
        writer.write_all(b"again").unwrap();
        assert_eq!(written.recv().unwrap(), b"again");
        drop(written);
        writer.write_all(b"to nobody").unwrap();
        writer.flush_within(Duration::from_secs(10));
        assert!(lost_lines() - before >= 6);
    }
}
