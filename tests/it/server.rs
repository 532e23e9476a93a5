//! The scripted server of all tests. It answers each request by a closure, and records the requests.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use convoke::cloudflare::{BaseUrl, Client, ClientConfig, Credentials};
use convoke::model::GroupRef;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, oneshot};
use tokio_rustls::TlsAcceptor;

pub use crate::account::member_id as id;
pub use crate::harness::{ACCOUNT, TOKEN};

pub const GROUP: &str = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";

/// A client with little patience, so that failures come soon.
pub fn client(base_url: &str) -> Client {
    patient_client(base_url, Duration::from_millis(640))
}

pub fn patient_client(base_url: &str, max_wait: Duration) -> Client {
    Client::new(config(base_url, max_wait)).unwrap()
}

pub fn config(base_url: &str, max_wait: Duration) -> ClientConfig {
    ClientConfig {
        base_url: BaseUrl::parse(base_url).unwrap(),
        credentials: Credentials::Token(TOKEN.into()),
        account_id: ACCOUNT.parse().unwrap(),
        concurrency: 8.try_into().unwrap(),
        timeout: Duration::from_secs(20),
        max_wait,
        run_url: Some("https://ci.example.com/runs/7".to_owned()),
    }
}

pub fn group() -> GroupRef {
    GroupRef { id: GROUP.parse().unwrap(), name: "Platform Admins".into() }
}

/// The address of the member with this number. Addresses sort by number.
pub fn email(number: usize) -> String {
    format!("person{number:05}@example.com")
}

/// An address without a server.
pub fn unused_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method and target, as in `GET /path?query`.
    pub line: String,
    /// The header lines.
    pub headers: String,
    pub body: String,
    pub at: Instant,
}

impl Request {
    /// A number in the query.
    pub fn number(&self, key: &str) -> Option<usize> {
        let (_, query) = self.line.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub fn method(&self) -> &str {
        self.line.split(' ').next().unwrap_or_default()
    }

    pub fn path(&self) -> &str {
        let target = self.line.split(' ').nth(1).unwrap_or_default();
        target.split('?').next().unwrap_or_default()
    }

    pub fn page(&self) -> usize {
        self.number("page").expect("a page")
    }
}

/// The server's reaction to a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It sends an answer.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// It closes the connection.
    Cut,
    /// It announces a body and closes the connection in the middle.
    CutBody { status: u16, body: String },
    /// It sends blanks until the connection ends, and counts their bytes.
    Endless(Arc<AtomicUsize>),
    /// It answers when as many requests have arrived as the barrier expects.
    Held(Arc<Barrier>, Box<Reply>),
}

impl Reply {
    pub fn json(body: &Value) -> Self {
        Self::status(200, body.to_string())
    }

    pub fn status(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::Answer { status, headers: vec![("cf-ray", "8f00-AMS".to_owned())], body: body.as_ref().to_vec() }
    }

    pub fn error(status: u16, code: i64, message: &str) -> Self {
        let errors = json!([{ "code": code, "message": message }]);
        let body = json!({ "success": false, "errors": errors, "messages": [], "result": null });
        Self::status(status, body.to_string())
    }

    /// The same answer with a compressed body.
    pub fn gzipped(mut self) -> Self {
        if let Self::Answer { headers, body, .. } = &mut self {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(body).unwrap();
            *body = packed.finish().unwrap();
            headers.push(("content-encoding", "gzip".to_owned()));
        }
        self
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A page of the people with these numbers, in a form for group members and account members.
pub fn page(numbers: impl IntoIterator<Item = usize>, info: Value) -> Reply {
    let entry = |number| {
        let email = email(number);
        json!({ "id": id(number), "email": email, "status": "accepted", "user": { "email": email } })
    };
    let entries: Vec<_> = numbers.into_iter().map(entry).collect();
    Reply::json(&json!({
        "success": true, "errors": [], "messages": [], "result": entries, "result_info": info,
    }))
}

/// The requested page of this number of people, with at most `most` on a page.
pub fn paged(request: &Request, total: usize, most: usize) -> Reply {
    let per_page = request.number("per_page").expect("a page size").min(most);
    let from = (request.page() - 1) * per_page;
    let numbers = from.min(total)..(from + per_page).min(total);
    let info = json!({
        "page": request.page(), "per_page": per_page, "count": numbers.len(), "total_count": total,
    });
    page(numbers, info)
}

/// A running server. It stops when it is dropped, or with its runtime.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    thread: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Server {
    /// Answers each request by `script`, which also gets the number of previous requests. It runs in the test's
    /// runtime.
    pub async fn start(script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let (server, accepting) = Self::new(script, None);
        tokio::spawn(accepting);
        server
    }

    /// The same on a thread, for tests that are not async; with TLS, if there is an acceptor.
    pub fn on_thread(
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mut server, accepting) = runtime.block_on(async { Self::new(script, tls) });
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accepting => {}
                    _ = stopped => {}
                }
            });
        });
        server.thread = Some((stop, thread));
        server
    }

    fn new(
        script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let connections = Arc::<AtomicUsize>::default();
        let (script, log, count) = (Arc::new(script), Arc::clone(&seen), Arc::clone(&connections));
        let accepting = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log, count, tls) =
                    (Arc::clone(&script), Arc::clone(&log), Arc::clone(&count), tls.clone());
                tokio::spawn(async move {
                    let reply = |request: Request| {
                        let mut log = log.lock().unwrap();
                        let reply = script(log.len(), &request);
                        log.push(request);
                        reply
                    };
                    // Otherwise each body would wait until its head is acknowledged.
                    stream.set_nodelay(true)?;
                    match tls {
                        Some(tls) => {
                            let stream = tls.accept(stream).await?;
                            count.fetch_add(1, Ordering::Relaxed);
                            serve(stream, reply).await
                        }
                        None => {
                            count.fetch_add(1, Ordering::Relaxed);
                            serve(stream, reply).await
                        }
                    }
                });
            }
        };
        (Self { address, seen, connections, thread: None }, accepting)
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}/client/v4", self.address)
    }

    pub fn client(&self) -> Client {
        client(&self.url())
    }

    pub fn patient_client(&self, max_wait: Duration) -> Client {
        patient_client(&self.url(), max_wait)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The number of connections, with TLS only those whose handshake was completed.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|request| request.line).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.thread.take() {
            drop(stop);
            // The thread has already reported a panic of the script.
            let _ = thread.join();
        }
    }
}

/// Answers the requests of one connection until it ends.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, reply: impl Fn(Request) -> Reply) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await? {
        let mut reply = reply(request);
        while let Reply::Held(barrier, held) = reply {
            barrier.wait().await;
            reply = *held;
        }
        match reply {
            Reply::Answer { status, headers, body } => {
                // Answers with these statuses have no body.
                let body = if matches!(status, 204 | 304) { Vec::new() } else { body };
                let mut head = format!("HTTP/1.1 {status} X\r\n");
                if status != 204 {
                    head.push_str(&format!("content-length: {}\r\n", body.len()));
                }
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(format!("{head}\r\n").as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Reply::Cut => break,
            Reply::CutBody { status, body } => {
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len() + 1);
                stream.write_all(format!("{head}{body}").as_bytes()).await?;
                break;
            }
            Reply::Endless(sent) => {
                let chunk = vec![b' '; 64 * 1024];
                stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await?;
                loop {
                    stream.write_all(&chunk).await?;
                    sent.fetch_add(chunk.len(), Ordering::Relaxed);
                }
            }
            Reply::Held(..) => {}
        }
    }
    stream.shutdown().await
}

async fn read(stream: &mut BufReader<impl AsyncRead + AsyncWrite + Unpin>) -> std::io::Result<Option<Request>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(None);
        }
    }
    let (line, headers) = head.split_once("\r\n").unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").replace("/client/v4", "");
    let mut request = Request { line, headers: headers.to_owned(), body: String::new(), at: Instant::now() };
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let mut body = vec![0; request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(request))
}
