//! One HTTP exchange: sends a request and reads an answer of limited size.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, redirect};
use url::Url;

use super::config::{ClientConfig, ClientError};
use super::headers::{self, RateAllowance};

/// The maximum size of an answer's body after decompression. A page of 500 members has about 100 KB.
const MOST_BYTES: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends requests without knowledge of the API.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub method: Method,
    pub url: Url,
    pub body: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct HttpAnswer {
    pub status: u16,
    pub ray: Option<String>,
    pub allowances: Vec<RateAllowance>,
    pub retry_after: Option<Duration>,
    pub body: Result<Vec<u8>, TransportError>,
}

/// Why there is no complete answer.
#[derive(Debug)]
pub(super) enum TransportError {
    /// Nothing was sent, because there was no connection.
    NotConnected {
        /// A retry cannot help, because the server's certificate is not accepted.
        lasting: bool,
        /// The cause, in the library's words.
        detail: String,
    },
    TimedOut,
    /// The connection broke, or the answer was not HTTP.
    Cut(String),
    /// The body is too large for an answer of the API.
    TooLarge,
}

impl Http {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        // An error means that a provider is already installed, which is sufficient.
        let _already_there = rustls::crypto::ring::default_provider().install_default();
        let mut headers = config.credentials.headers()?;
        // Without this header, Cloudflare's edge sends errors as HTML pages.
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut builder = reqwest::Client::builder()
            .user_agent(config.user_agent())
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .timeout(config.timeout);
        if config.base_url.is_loopback() {
            builder = builder.no_proxy();
        }
        builder = if config.base_url.is_plain() {
            // Without TLS, the system's root certificates are not needed, so do not read them.
            builder.tls_certs_only([])
        } else {
            builder.https_only(true)
        };
        Ok(Self { client: builder.build().map_err(ClientError::Setup)? })
    }

    pub(super) async fn exchange(&self, message: &Message) -> Result<HttpAnswer, TransportError> {
        let mut request = self.client.request(message.method.clone(), message.url.clone());
        if let Some(body) = &message.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = request.send().await.map_err(TransportError::from)?;
        let headers = response.headers();
        let (status, ray) = (response.status().as_u16(), ray(headers));
        let allowances = headers::allowances(headers);
        let retry_after = headers::retry_after(headers);
        let body = read(&mut response).await;
        Ok(HttpAnswer { status, ray, allowances, retry_after, body })
    }
}

async fn read(response: &mut reqwest::Response) -> Result<Vec<u8>, TransportError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(TransportError::from)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(TransportError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn ray(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 64;
    let ray = headers.get("cf-ray")?.to_str().ok()?;
    let plain = ray.len() <= LONGEST && ray.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !ray.is_empty()).then(|| ray.to_owned())
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            return Self::NotConnected { lasting: distrusts_certificate(&error), detail: root_cause(&error) };
        }
        if error.is_timeout() { Self::TimedOut } else { Self::Cut(root_cause(&error)) }
    }
}

/// The errors from the outermost to the innermost.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        // An I/O error reports the source of the error that it wraps, but not that error itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| (**error).source())
    })
}

fn root_cause(error: &(dyn Error + 'static)) -> String {
    chain(error).last().unwrap_or(error).to_string()
}

fn distrusts_certificate(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_error_is_found_at_any_depth() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(distrusts_certificate(&wrapped));
        assert_eq!(root_cause(&wrapped), "invalid peer certificate: Expired");
        assert!(!distrusts_certificate(&io::Error::other(io::Error::from(io::ErrorKind::ConnectionRefused))));
    }
}
