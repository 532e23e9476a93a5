//! The configuration of a client: the API's URL, the credentials and the limits.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use url::{Host, Url};

use crate::model::AccountId;

#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub base_url: BaseUrl,
    pub credentials: Credentials,
    pub account_id: AccountId,
    pub concurrency: NonZeroUsize,
    /// The maximum time of one attempt, including the answer.
    pub timeout: Duration,
    /// The maximum total time of one request, including waits and retries.
    pub max_wait: Duration,
    /// The URL of the CI run, so that Cloudflare's audit log refers to the run.
    pub run_url: Option<String>,
}

impl ClientConfig {
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency.get().min(Semaphore::MAX_PERMITS)
    }

    /// `convoke/VERSION (+CI run URL)`, without characters that a header cannot contain.
    pub(super) fn user_agent(&self) -> String {
        const LONGEST_RUN_URL: usize = 500;
        let fits = |url: &&String| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"()".contains(&byte);
            !url.is_empty() && url.len() <= LONGEST_RUN_URL && url.bytes().all(plain)
        };
        let run = self.run_url.as_ref().filter(fits).map(|url| format!(" (+{url})")).unwrap_or_default();
        format!("convoke/{}{run}", env!("CARGO_PKG_VERSION"))
    }
}

const LEAST_REDACTED: usize = 8;

/// The URL that the API's paths begin with: `https`, or `http` on a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Why a text is not a base URL. The text is not repeated, because it may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BaseUrlError(String);

impl BaseUrl {
    pub const DEFAULT: &'static str = "https://api.cloudflare.com/client/v4";

    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// If it is not `https` (or `http` to a loopback address), or has a user name, a password, a query or a fragment.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        const INSECURE: &str =
            "http is allowed only to a loopback address, because it would expose the credentials: use https";
        let default = Self::DEFAULT;
        let scheme = format!("it does not begin with https:// (or http:// on this machine): write it like {default}");
        let base = match Url::parse(text.trim()) {
            Ok(url) => Self(url),
            Err(url::ParseError::RelativeUrlWithoutBase) => return Err(BaseUrlError(scheme)),
            Err(error) => return Err(BaseUrlError(format!("it is not a URL ({error}): write it like {default}"))),
        };
        let url = &base.0;
        // At another host, a proxy or a mock may serve the API at any path.
        let lacks_path =
            url.host_str() == Some("api.cloudflare.com") && url.path().trim_end_matches('/') != "/client/v4";
        let checks = [
            (!matches!(url.scheme(), "http" | "https"), scheme),
            (base.is_plain() && !base.is_loopback(), INSECURE.into()),
            (
                !url.username().is_empty() || url.password().is_some(),
                "it has a user name or password: remove it".into(),
            ),
            (url.query().is_some(), "it has a query: remove it".into()),
            (url.fragment().is_some(), "it has a fragment: remove it".into()),
            (lacks_path, format!("it lacks the path /client/v4: write {default}")),
        ];
        match checks.into_iter().find(|(applies, _)| *applies) {
            Some((_, wrong)) => Err(BaseUrlError(wrong)),
            None => Ok(base),
        }
    }

    /// Whether the URL is without TLS, which only loopback addresses may be.
    pub(super) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }

    pub(super) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    pub(super) fn join<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        // Only a URL without a host has no path segments. Neither scheme allows that.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_str().trim_end_matches('/'))
    }
}

/// The credentials. The secret part cannot be printed.
#[derive(Clone, Debug)]
pub enum Credentials {
    Token(SecretString),
    /// A user's email with their global API key.
    Key {
        email: String,
        key: SecretString,
    },
}

impl Credentials {
    pub(super) fn headers(&self) -> Result<HeaderMap, ClientError> {
        let headers = match self {
            Self::Token(token) => {
                vec![(AUTHORIZATION, secret_value("the API token", token.expose_secret(), "Bearer ")?)]
            }
            Self::Key { email, key } => vec![
                (HeaderName::from_static("x-auth-email"), secret_value("the API key's email", email, "")?),
                (HeaderName::from_static("x-auth-key"), secret_value("the API key", key.expose_secret(), "")?),
            ],
        };
        Ok(headers.into_iter().collect())
    }

    /// The text without the secret, in case an answer repeats it. A very short secret is a word that occurs everywhere.
    pub(super) fn redact(&self, text: &str) -> String {
        let (Self::Token(secret) | Self::Key { key: secret, .. }) = self;
        let secret = secret.expose_secret();
        if secret.len() < LEAST_REDACTED { text.to_owned() } else { text.replace(secret, "[redacted]") }
    }
}

/// A URL without the user and the password before the host.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn secret_value(what: &'static str, text: &str, prefix: &str) -> Result<HeaderValue, ClientError> {
    if text.is_empty() {
        return Err(ClientError::NoCredential(what));
    }
    let mut value = HeaderValue::from_str(&format!("{prefix}{text}")).map_err(|_| ClientError::OddCredential(what))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Why a client could not be created. It never contains the credentials.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0} is empty")]
    NoCredential(&'static str),
    /// A token, key or email that a header cannot contain.
    #[error("{0} has characters that cannot be sent, such as a line break: copy it again")]
    OddCredential(&'static str),
    /// TLS or the HTTP client could not be set up.
    #[error("cannot set up TLS: are the system's root certificates installed?")]
    Setup(#[source] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_loopback_urls_are_accepted() {
        for good in [
            BaseUrl::DEFAULT,
            "http://127.0.0.1:8080/client/v4",
            "http://127.9.9.9",
            "http://[::1]:80/",
            "http://LOCALHOST:3/x",
        ] {
            assert!(BaseUrl::parse(good).is_ok(), "{good}");
        }
        let refused = |url: &str, why: &str| {
            let error = BaseUrl::parse(url).unwrap_err().to_string();
            assert!(error.starts_with(why), "{url}: {error}");
        };
        for insecure in ["http://api.cloudflare.com", "http://localhost.example.com", "http://10.0.0.1", "http://[::2]"]
        {
            refused(insecure, "http is allowed only to a loopback address");
        }
        let bare = ["api.cloudflare.com/client/v4", "localhost:8080/client/v4", "127.0.0.1", ""];
        for odd in bare.into_iter().chain(["ftp://127.0.0.1", "data:text,x", "127.0.0.1:80"]) {
            refused(odd, "it does not begin with https://");
        }
        refused("https://", "it is not a URL (empty host)");
        for elsewhere in ["https://api.cloudflare.com", "https://API.cloudflare.com/", "https://api.cloudflare.com/v4"]
        {
            refused(elsewhere, "it lacks the path /client/v4");
        }
        assert!(BaseUrl::parse("https://api.cloudflare.com/client/v4/").is_ok());
        for excess in ["https://u@h/", "https://:hunter2@h/", "https://h/?a", "https://h/#a"] {
            refused(excess, "it has a ");
        }
    }

    #[test]
    fn path_is_appended_with_or_without_trailing_slash() {
        for base in ["https://h/client/v4", "https://h/client/v4/"] {
            let url = BaseUrl::parse(base).unwrap();
            assert_eq!(url.join(["accounts", "a"]).as_str(), "https://h/client/v4/accounts/a");
            assert_eq!(url.to_string(), "https://h/client/v4");
        }
    }

    #[test]
    fn secret_is_never_printed() {
        for credentials in [
            Credentials::Token("hunter2hunter2".into()),
            Credentials::Key { email: "a@example.com".into(), key: "hunter2hunter2".into() },
        ] {
            let headers = credentials.headers().unwrap();
            assert!(headers.values().all(HeaderValue::is_sensitive));
            let shown = format!("{credentials:?} {headers:?} {}", credentials.redact("not hunter2hunter2!"));
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn password_of_a_url_is_dropped() {
        for (url, plain) in [
            ("https://ci.example.com/runs/7", "https://ci.example.com/runs/7"),
            ("https://user:pa@ss@ci.example.com:8/a@b?c", "https://ci.example.com:8/a@b?c"),
            ("https://user@ci.example.com", "https://ci.example.com"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(without_password(url), plain);
        }
    }

    #[test]
    fn token_invalid_in_a_header_is_not_shown() {
        let error = Credentials::Token("hunter2\n".into()).headers().unwrap_err();
        assert!(matches!(error, ClientError::OddCredential(_)));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert!(matches!(Credentials::Token("".into()).headers(), Err(ClientError::NoCredential(_))));
    }
}
