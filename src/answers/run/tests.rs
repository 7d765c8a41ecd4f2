//! What answers and is no InfluxDB that is well. How a real one refuses is in `tests/it/asking/query.rs`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::{AskError, Reader};
use crate::config::Source;

/// A server that answers one request with these bytes and closes the connection; its URL.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        take_request(&mut stream);
        stream.write_all(bytes).expect("the client reads");
    });
    url
}

/// All of the request must be taken, or closing resets the connection.
fn take_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.ends_with(b"}") {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(read) => request.extend_from_slice(&part[..read]),
        }
    }
}

async fn asked(url: &str) -> Result<usize, AskError> {
    let source = Source { url: url.to_owned(), org: "o".to_owned(), bucket: "b".to_owned(), token: "t".into() };
    let rows = Reader::new(&source, Duration::from_secs(20))?.ask("x").await?;
    Ok(rows.len())
}

#[tokio::test]
async fn what_is_broken_or_no_influxdb_is_a_sentence_with_the_url() {
    for (bytes, word) in [
        (&b""[..], "cannot be asked"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n#datatype,string,long\r\n", "cannot be asked"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n#datatype,string,long\r\n", "cannot be asked"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<html>a,b</html", "no InfluxDB 2"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n,\xff\xff\n", "no InfluxDB 2"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "it answered 301"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", "it answered 404"),
        (b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n", "it answered 405"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "cannot answer now (502: no reason given)"),
        (b"HTTP/1.1 429 Too Many\r\nContent-Length: 26\r\n\r\n{\"message\":\"queue length\"}", "(429: queue length)"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "refuses the token (403)"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 25\r\n\r\n{\"message\":\"\\u001b[2Jx \"}\n", "[2Jx. `--flux`"),
    ] {
        let url = answering(bytes);
        let error = asked(&url).await.expect_err(word).to_string();
        assert!(error.contains(word) && error.contains(&url), "{}: {error}", String::from_utf8_lossy(bytes));
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_could_read_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        take_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let line = [b'a'; 1 << 20];
        while stream.write_all(&line).is_ok() {}
    });
    assert_eq!(asked(&url).await, Err(AskError::TooLarge { url }));
}

#[tokio::test]
async fn settings_that_make_no_client_are_told() {
    for url in ["influxdb:8086", "ftp://influxdb", "http://influxdb/path", "not a url"] {
        assert!(matches!(asked(url).await, Err(AskError::Settings(_))), "{url}");
    }
}
