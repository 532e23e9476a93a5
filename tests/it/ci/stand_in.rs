//! A small HTTP server on the loopback interface that mocks another API.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::sync::oneshot;

/// A received request.
pub struct Call {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn parts(&self) -> Vec<&str> {
        self.path.trim_matches('/').split('/').collect()
    }

    /// The entries of the requested page.
    pub fn page<'a>(&self, entries: impl Iterator<Item = &'a Value>) -> Value {
        let number = |name: &str, default: usize| {
            let mut values = self.query.split('&').filter_map(|pair| pair.strip_prefix(&format!("{name}=")));
            values.next_back().map_or(default, |value| value.parse().unwrap())
        };
        let (size, page) = (number("per_page", 20), number("page", 1));
        entries.skip((page - 1) * size).take(size).cloned().collect()
    }
}

pub type Answer = (StatusCode, Vec<u8>);

pub fn found(value: &Value) -> Option<Answer> {
    Some((StatusCode::OK, value.to_string().into_bytes()))
}

/// A running server with its state.
pub struct StandIn<T> {
    pub kept: Arc<Mutex<T>>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Handler<T> {
    kept: Arc<Mutex<T>>,
    answer: fn(&mut T, &Call) -> Option<Answer>,
}

impl<T> Clone for Handler<T> {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), answer: self.answer }
    }
}

impl<T: Send + 'static> StandIn<T> {
    /// Starts a server. If the function does not answer, the result is 404.
    pub fn start(kept: T, answer: fn(&mut T, &Call) -> Option<Answer>) -> Self {
        let kept = Arc::new(Mutex::new(kept));
        let handler = Handler { kept: Arc::clone(&kept), answer };
        let router = Router::new().fallback(handle::<T>).with_state(handler);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let served = axum::serve(listener, router).with_graceful_shutdown(async {
                    let _ = stopped.await;
                });
                served.await.unwrap();
            });
        });
        Self { kept, address, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl<T> Drop for StandIn<T> {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

async fn handle<T: Send + 'static>(
    State(handler): State<Handler<T>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or_default().to_owned());
    let call = Call { method: method.to_string(), path, query, headers, body };
    let answer = (handler.answer)(&mut handler.kept.lock().unwrap(), &call);
    answer.unwrap_or_else(|| (StatusCode::NOT_FOUND, br#"{"message":"Not Found"}"#.to_vec()))
}
