use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::*;

fn ask(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head} HTTP/1.1\r\nHost: a\r\nOrigin: https://app.example\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

async fn answer(address: SocketAddr, head: &'static str) -> String {
    tokio::task::spawn_blocking(move || ask(address, head)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_takes_up_its_spool_is_alive_and_says_so_and_then_the_listeners_are_free() {
    let [public, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [front, back] = [&public, &admin].map(|listener| listener.local_addr().unwrap());
    let starting = serve_starting(&public, &admin).unwrap();
    for address in [front, back] {
        assert!(answer(address, "GET /healthz").await.starts_with("HTTP/1.1 200"));
    }
    let ready = answer(back, "GET /readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("the spool's log is read"), "{ready}");
    let refused = answer(front, "POST /v1/telemetry/some-key").await;
    let head = refused.to_ascii_lowercase();
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains(r#""code":"starting""#), "{refused}");
    // A page can read it, and knows when to come again.
    assert!(
        head.contains("access-control-allow-origin: https://app.example") && head.contains("retry-after: 2"),
        "{refused}"
    );
    starting.stop().await;

    for (listener, address) in [(public, front), (admin, back)] {
        let client = TcpStream::connect(address).unwrap();
        listener.set_nonblocking(false).unwrap();
        assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap(), "nobody else accepts");
    }
}
