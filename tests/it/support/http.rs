//! HTTP without a client in between: the bytes that are sent are the bytes of the test.

use openssl::ssl::{SslConnector, SslStream};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// A client for tests that do not care about bytes: no proxy from the environment, no redirects, a time-out.
///
/// It belongs to the runtime of the test that made it; do not share it between tests.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_built_in_root_certs(false)
        .timeout(PATIENCE)
        .build()
        .expect("a client with these settings can be built")
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; fails the test if it came more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "header {name} came twice: {self:?}");
        first
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; fails the test if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status, self.text()))
    }
}

/// One connection to a server; several requests can go over it.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Wire>,
}

/// What the bytes go over.
#[derive(Debug)]
enum Wire {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl Wire {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects, if somebody listens.
    pub fn try_open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(Wire::Plain(stream)) })
    }

    /// Speaks TLS from now on, with a server that proves to be `name`; of a connection on which nothing was sent yet.
    pub fn secured(self, trusting: &SslConnector, name: &str) -> std::io::Result<Self> {
        let Wire::Plain(socket) = self.stream.into_inner() else { panic!("TLS inside of TLS") };
        let stream = trusting.connect(name, socket).map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Self { stream: BufReader::new(Wire::Tls(Box::new(stream))) })
    }

    /// Connects from another address of this machine than the kernel would choose, such as `127.0.0.2`: another client.
    pub fn open_from(source: IpAddr, address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None);
        let connected = socket.and_then(|socket| {
            socket.bind(&SocketAddr::new(source, 0).into())?;
            socket.connect_timeout(&address.into(), PATIENCE)?;
            let stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.set_nodelay(true)?;
            Ok(stream)
        });
        let stream = connected.unwrap_or_else(|error| panic!("cannot connect from {source} to {address}: {error}"));
        Self { stream: BufReader::new(Wire::Plain(stream)) }
    }

    /// Sends these bytes, reads one answer.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.try_exchange(request).unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// Sends these bytes, reads one answer; an error when the server closes the connection instead.
    pub fn try_exchange(&mut self, request: impl AsRef<[u8]>) -> std::io::Result<Answer> {
        self.send(request)?;
        self.receive()
    }

    /// Sends bytes, be they a part of a request or several.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Reads the next answer. Interim answers (`100 Continue`) are passed over.
    pub fn receive(&mut self) -> std::io::Result<Answer> {
        loop {
            let answer = self.receive_one()?;
            if answer.status >= 200 {
                return Ok(answer);
            }
        }
    }

    /// Reads so many bytes of what is no HTTP any more; fails the test when they do not come.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap_or_else(|error| panic!("{length} bytes: {error}"));
        bytes
    }

    /// Sends a request that asks for another protocol, and reads the answer's head: its status. What follows is [`Connection::take`]'s.
    pub fn upgrade(&mut self, request: impl AsRef<[u8]>) -> u16 {
        let answer = self.send(request).and_then(|()| self.receive_one());
        answer.unwrap_or_else(|error| panic!("no answer: {error}")).status
    }

    /// Whether the server has closed the connection (waits up to `within` for that).
    pub fn is_closed(&mut self, within: Duration) -> bool {
        let socket = self.stream.get_ref().socket();
        socket.set_read_timeout(Some(within)).expect("a time-out above zero is valid");
        let closed = match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        };
        self.stream.get_ref().socket().set_read_timeout(Some(PATIENCE)).expect("a time-out above zero is valid");
        closed
    }

    fn receive_one(&mut self) -> std::io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3))
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| std::io::Error::other(format!("not a status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| std::io::Error::other(format!("not a header: {line:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if status < 200 || status == 204 || status == 304 {
            return Ok(answer);
        }
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            answer.body = self.chunks()?;
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(std::io::Error::other)?;
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body)?;
        } else {
            self.stream.read_to_end(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn chunks(&mut self) -> std::io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(std::io::Error::other)?;
            let start = body.len();
            body.resize(start + size, 0);
            self.stream.read_exact(&mut body[start..])?;
            // The end of the chunk; after the last one, the end of the (empty) trailer.
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        // A header may hold bytes that are no text, such as an origin that is given back as it came.
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// One request on a connection of its own.
pub fn request(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    try_request(address, method, target, headers, body)
        .unwrap_or_else(|error| panic!("{method} http://{address}{target}: {error}"))
}

/// One request on a connection of its own, if somebody answers.
pub fn try_request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    Connection::try_open(address)?.try_exchange(bytes)
}
