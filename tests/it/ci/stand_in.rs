//! A mock of another API with a state: the scripted server, on a thread.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::server::{Reply, Request, Server};

/// The parts of the request's path.
pub fn parts(request: &Request) -> Vec<&str> {
    request.path().trim_matches('/').split('/').collect()
}

/// The entries of the requested page.
pub fn page<'a>(request: &Request, entries: impl Iterator<Item = &'a Value>) -> Option<Reply> {
    let (size, page) = (request.number("per_page").unwrap_or(20), request.number("page").unwrap_or(1));
    found(&entries.skip((page - 1) * size).take(size).cloned().collect())
}

pub fn found(value: &Value) -> Option<Reply> {
    Some(Reply::json(value))
}

/// A running mock with its state.
pub struct StandIn<T> {
    pub kept: Arc<Mutex<T>>,
    server: Server,
}

impl<T: Send + 'static> StandIn<T> {
    /// Starts a mock. If the function does not answer, the result is 404.
    pub fn start(kept: T, answer: fn(&mut T, &Request) -> Option<Reply>) -> Self {
        let kept = Arc::new(Mutex::new(kept));
        let state = Arc::clone(&kept);
        let script = move |_: usize, request: &Request| {
            let reply = answer(&mut state.lock().unwrap(), request);
            reply.unwrap_or_else(|| Reply::status(404, r#"{"message":"Not Found"}"#))
        };
        Self { kept, server: Server::on_thread(script, None) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}
