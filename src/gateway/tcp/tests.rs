//! One websocket that a library and the server write to, and a client that reads slowly.

use std::{sync::Weak, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};

use super::{
    client_frames::ClientFrames,
    frames::{FINAL_TEXT, Frames},
    *,
};
use crate::{
    backlog::{Backlogs, Limits},
    counts::Count,
};

/// A websocket, its handle and its client, which takes little at a time.
async fn websocket(limit: usize) -> (TcpStream, TcpConnection, TcpHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TcpAcceptor {
        listener,
        open: Count::default(),
        most: 16,
        backlogs: Backlogs::new(Limits { one: limit, all: limit }, Count::default()),
        open_connections: OpenConnections::new(Duration::from_secs(600)),
        unread_timeout: Duration::from_secs(600),
    };
    let client = TcpSocket::new_v4().unwrap();
    client.set_recv_buffer_size(8_192).unwrap();
    let (client, (mut stream, tcp)) = tokio::join!(client.connect(address), acceptor.accept());
    let mut client = client.unwrap();
    SockRef::from(stream.shared.writing.as_ref()).set_send_buffer_size(8_192).unwrap();
    let request = b"GET / HTTP/1.1\r\n\r\n";
    client.write_all(request).await.unwrap();
    stream.read_exact(&mut vec![0; request.len()]).await.unwrap();
    tcp.switch(tcp.backlog().clone(), FrameFilter::SocketIo).unwrap();
    assert!(!tcp.is_websocket());
    let answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    assert!(tcp.is_websocket());
    client.read_exact(&mut vec![0; answer.len()]).await.unwrap();
    (client, stream, tcp)
}

/// The texts of a server's frames.
async fn texts(mut client: TcpStream, until: &str) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        let [first, length] = [client.read_u8().await.unwrap(), client.read_u8().await.unwrap()];
        assert_eq!(first, FINAL_TEXT, "a frame inside of another one, after {:?}", texts.last());
        let length = match length {
            126 => client.read_u16().await.unwrap().into(),
            127 => client.read_u64().await.unwrap(),
            short => short.into(),
        };
        let mut text = vec![0; length as usize];
        client.read_exact(&mut text).await.unwrap();
        let text = String::from_utf8(text).unwrap();
        let is_last = text == until;
        texts.push(text);
        if is_last {
            return texts;
        }
    }
}

/// Numbers that look random.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]
async fn what_the_server_and_the_library_write_never_mixes_and_keeps_its_order() {
    for seed in 0..12 {
        let (client, stream, tcp) = websocket(usize::MAX / 2).await;
        let (mut reading, mut writing) = tokio::io::split(stream);
        let reader = tokio::spawn(async move { reading.read(&mut [0; 64]).await.unwrap() });
        let texts = tokio::spawn(texts(client, "the end"));
        let pushed = Arc::new(Mutex::new(0_usize));
        let library = {
            let (tcp, pushed) = (tcp.clone(), pushed.clone());
            tokio::spawn(async move {
                let mut number = numbers(seed + 100);
                for _ in 0..300 {
                    // What the library writes comes after everything that was pushed before, but for its ping.
                    let text = match number(4) {
                        0 => "2".to_owned(),
                        _ => format!("41 after {} {}", *pushed.lock(), "l".repeat(number(3_000) as usize)),
                    };
                    writing.write_all(&text_frame(&[text.as_bytes()])).await.unwrap();
                    writing.flush().await.unwrap();
                    if number(3) == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                drop(tcp);
                writing
            })
        };
        let mut number = numbers(seed);
        for each in 1..=300 {
            let text = format!("42 {each} {}", "s".repeat(number(6_000) as usize));
            {
                let mut pushed = pushed.lock();
                tcp.push(text_frame(&[text.as_bytes()]), 1_000).unwrap();
                *pushed = each;
            }
            match number(4) {
                0 => {}
                1 => tokio::task::yield_now().await,
                _ => tcp.flush(),
            }
        }
        tcp.flush();
        let mut writing = library.await.unwrap();
        writing.write_all(&text_frame(&[b"the end"])).await.unwrap();
        let (mut last, mut pings) = (0, 0);
        for text in texts.await.unwrap() {
            let mut words = text.split(' ');
            match (words.next(), words.next()) {
                (Some("42"), Some(each)) => {
                    assert_eq!(each.parse(), Ok(last + 1), "seed {seed}");
                    last += 1;
                }
                (Some("41"), _) => {
                    let before: usize = words.next().unwrap().parse().unwrap();
                    assert!(before <= last, "seed {seed}: {before} were pushed before, and {last} had come");
                }
                (Some("2"), None) => pings += 1,
                other => assert_eq!((other, last), ((Some("the"), Some("end")), 300)),
            }
        }
        assert!(pings > 0);
        assert_eq!(tcp.backlog().waiting(), 0);
        drop(writing);
        reader.abort();
    }
}

#[tokio::test]
async fn a_ping_goes_ahead_of_what_waits_and_not_into_a_frame() {
    let (mut client, stream, tcp) = websocket(usize::MAX / 2).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    for _ in 0..100 {
        tcp.push(text_frame(&[&[b'4'; 50_000]]), 1_000).unwrap();
    }
    tcp.flush();
    assert!(tcp.backlog().waiting() > 0, "the client reads nothing");
    let ping = async {
        writing.write_all(&text_frame(&[b"2"])).await.unwrap();
        writing
    };
    let seen = async {
        let (mut frames, mut before) = (Frames::new(FrameFilter::All), 0);
        loop {
            let first = client.read_u8().await.unwrap();
            if frames.rest_of_frame().is_none() {
                let second = client.read_u8().await.unwrap();
                if second == 1 {
                    assert_eq!(client.read_u8().await.unwrap(), b'2');
                    return before;
                }
                before += 1;
                frames.pass(&[first, second]);
            } else {
                frames.pass(&[first]);
            }
        }
    };
    let read = async { reading.read(&mut [0; 64]).await.unwrap() };
    let before = tokio::select! {
        (_writing, before) = async { tokio::join!(ping, seen) } => before,
        _ = read => unreachable!("the client says nothing"),
    };
    assert!(before < 90, "{before} of 100 frames came before the ping");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]
async fn what_the_stream_does_not_take_at_once_is_sent_as_the_client_reads() {
    let (client, mut stream, tcp) = websocket(usize::MAX / 2).await;
    let reader = tokio::spawn(async move { stream.read(&mut [0; 64]).await.unwrap() });
    // The task reads before anything is written.
    tokio::task::yield_now().await;
    for number in 0..100 {
        tcp.push(text_frame(&[format!("{number} ").as_bytes(), &[b'x'; 50_000]]), 1_000).unwrap();
        tcp.flush();
    }
    assert!(tcp.backlog().waiting() > 0);
    tcp.push(text_frame(&[b"the end"]), 1_000).unwrap();
    let texts = texts(client, "the end").await;
    assert_eq!((texts.len(), tcp.backlog().waiting()), (101, 0));
    reader.abort();
}

#[tokio::test]
async fn who_does_not_read_is_disconnected_when_too_much_waits() {
    let (_client, _stream, tcp) = websocket(1_000_000).await;
    let frame = text_frame(&[&[b'4'; 50_000]]);
    let mut pushed = 0;
    while tcp.push(frame.clone(), 1_000).is_ok() {
        tcp.flush();
        pushed += 1;
        assert!(tcp.backlog().waiting() <= 1_000_000);
        assert!(pushed < 1_000, "it is not bounded");
    }
    assert!(tcp.backlog().waiting() > 900_000);
    tcp.abort();
    assert_eq!(tcp.backlog().waiting(), 0);
}

#[tokio::test]
async fn nothing_follows_a_close_frame() {
    let (client, mut stream, tcp) = websocket(1_000_000).await;
    tcp.push(text_frame(&[b"the last"]), 10).unwrap();
    stream.write_all(b"\x88\x02\x03\xe8").await.unwrap();
    tcp.push(text_frame(&[b"too late"]), 10).unwrap();
    tcp.flush();
    stream.shutdown().await.unwrap();
    let mut all = Vec::new();
    let mut client = client;
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [&text_frame(&[b"the last"])[..], b"\x88\x02\x03\xe8"].concat());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests run tasks of their own")]
async fn acknowledgements_that_are_taken_out_do_not_look_like_the_end() {
    struct Kept(Mutex<Vec<TakenAck>>);
    impl AckSink for Kept {
        fn acknowledged(&self, acks: &[TakenAck]) {
            self.0.lock().extend(acks);
        }
    }
    let (mut client, mut stream, tcp) = websocket(1_000).await;
    let kept = Arc::new(Kept(Mutex::default()));
    let sink: Weak<Kept> = Arc::downgrade(&kept);
    tcp.take_acks(AckFilter { begin: b"43/chat,", says_arrived: |_| true, most: 1_000, sink });
    let reading = tokio::spawn(async move {
        let mut read = vec![0; 7];
        stream.read_exact(&mut read).await.unwrap();
        read
    });
    let frame = |text: &[u8]| [&[FINAL_TEXT, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat();
    for id in 1_000_000_000..1_000_000_050_u32 {
        client.write_all(&frame(format!("43/chat,{id}[]").as_bytes())).await.unwrap();
        tokio::task::yield_now().await;
    }
    client.write_all(&frame(b"3")).await.unwrap();
    assert_eq!(reading.await.unwrap(), frame(b"3"));
    let expected = (1_000_000_000..1_000_000_050).map(|id| TakenAck { id, has_arrived: true });
    assert_eq!(*kept.0.lock(), expected.collect::<Vec<_>>());
    // Found as in every other stream.
    let found = ClientFrames::default().filter(&mut frame(b"3"));
    assert!(found.is_complete && found.acks.is_empty());
}
