//! HTTP connections between requests, and answers that come before the request is read.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Raw, Server, in_time};

const GET: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_stays_longer_than_a_slow_head() {
    let idle = Duration::from_millis(1_500);
    let server = Server::with(|config| {
        config.server.head_timeout = Duration::from_millis(200);
        config.server.keep_alive_timeout = idle;
    })
    .await;
    let mut line = Raw::connect(server.address).await;
    for _ in 0..2 {
        line.send(GET).await;
        assert!(line.answer().await.0.starts_with("HTTP/1.1 200 "));
    }
    let answered = Instant::now();
    line.everything().await;
    let stayed = answered.elapsed();
    assert!(stayed + Duration::from_millis(50) >= idle, "it was closed after {stayed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_closes_an_idle_connection_in_its_own_time() {
    let server = Server::with(|config| {
        config.server.head_timeout = Duration::from_millis(300);
        config.server.keep_alive_timeout = Duration::from_secs(600);
    })
    .await;
    // One that says nothing at all.
    let mut silent = Raw::connect(server.address).await;
    let mut line = Raw::connect(server.address).await;
    line.send(GET).await;
    assert!(line.answer().await.0.starts_with("HTTP/1.1 200 "));
    line.send(b"GET /hea").await;
    in_time("the end of the slow head", line.everything()).await;
    in_time("the end of the silent one", silent.everything()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_to_a_large_body_reaches_the_client_and_the_connection_lives_on() {
    let server = Server::start().await;
    let ada = server.person("ada").await;
    let body = vec![b'x'; 8 << 20];
    for (path, header, status) in [
        ("/api/users", String::new(), "413"),
        ("/api/rooms", String::new(), "401"),
        ("/api/rooms", "Origin: http://evil.example\r\n".to_owned(), "403"),
        ("/api/rooms", format!("Authorization: Bearer {}\r\n", ada.token), "413"),
        ("/nowhere", String::new(), "404"),
        ("/socket.io/?EIO=4&transport=polling", "Origin: http://evil.example\r\n".to_owned(), "403"),
    ] {
        for chunked in [false, true] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let length = match chunked {
                true => "Transfer-Encoding: chunked".to_owned(),
                false => format!("Content-Length: {}", body.len()),
            };
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: x\r\n{header}Content-Type: application/json\r\n{length}\r\n\r\n"
            );
            let (mut reading, mut writing) = stream.split();
            let writes = async {
                writing.write_all(head.as_bytes()).await?;
                if chunked {
                    writing.write_all(format!("{:x}\r\n", body.len()).as_bytes()).await?;
                }
                // Slower than the server answers.
                for part in body.chunks(1 << 20) {
                    writing.write_all(part).await?;
                    tokio::task::yield_now().await;
                }
                if chunked {
                    writing.write_all(b"\r\n0\r\n\r\n").await?;
                }
                writing.write_all(GET).await
            };
            let reads = async {
                let mut read = Vec::new();
                let mut buffer = [0; 4_096];
                while !read.windows(15).any(|window| window == b"HTTP/1.1 200 OK") {
                    match reading.read(&mut buffer).await {
                        Ok(length) if length > 0 => read.extend(&buffer[..length]),
                        _ => break,
                    }
                }
                String::from_utf8_lossy(&read).into_owned()
            };
            let (written, read) = in_time("both answers", async { tokio::join!(writes, reads) }).await;
            written.unwrap_or_else(|err| panic!("{path} {status}: {err}; {read}"));
            assert!(read.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {read}");
            assert!(
                read.contains("HTTP/1.1 200 OK"),
                "{path} {status}: the next request was not answered: {read}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_to_be_asked_for_the_body_gets_the_answer_alone() {
    let server = Server::start().await;
    let mut line = Raw::connect(server.address).await;
    line.send(
        b"POST /api/rooms HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n",
    )
    .await;
    let head = line.head().await;
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
}
