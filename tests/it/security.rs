//! The token is sent only to the API, however it is given.

use std::sync::Arc;

use convoke::sandbox::{Fault, FaultRule, Match, Respond};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::builders::{FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{Outcome, TOKEN, World, admins, given};
use crate::server::{Reply, Server};

/// A self-signed certificate for localhost, and its key. It has no other use.
const CERTIFICATE: &[u8] = include_bytes!("security/localhost.der");
const KEY: &[u8] = include_bytes!("security/localhost.key.der");

/// An account whose API repeats its input where possible.
fn world() -> World {
    given(admins().token(TOKEN)).groups(&[("Admins", &["alice@example.com", "bob@example.com"])])
}

/// The ways to give the token.
fn ways() -> Vec<(&'static str, World)> {
    let by_key = world()
        .without("CLOUDFLARE_API_TOKEN")
        .env("CLOUDFLARE_EMAIL", "owner@example.com")
        .env("CLOUDFLARE_API_KEY", TOKEN);
    let by_file = world().without("CLOUDFLARE_API_TOKEN").file("token", format!("{TOKEN}\n"));
    vec![("", world()), ("", by_key), ("--token-file token", by_file)]
}

#[track_caller]
fn silent(outcome: &Outcome) {
    assert!(!outcome.to_string().contains(TOKEN), "{outcome}");
}

#[test]
fn token_from_any_source_never_appears() {
    for (flag, world) in ways() {
        for (arguments, code) in [
            ("plan -vv --out plan.json", 0),
            ("plan -vv --log-format json --format json", 0),
            ("apply --yes -vv --log-format json --journal journal.jsonl", 0),
            ("drift -vv", 0),
            ("undo journal.jsonl --out undo.json -vv", 0),
            ("plan -vv --only Nobody", 64),
            ("plan -vv -f missing.yaml", 65),
            ("apply journal.jsonl --yes -vv", 65),
        ] {
            silent(&world.run(&format!("{arguments} {flag}")).exits(code));
        }
        silent(&world.run("show plan.json -vv").exits(0));
        for file in ["plan.json", "journal.jsonl", "undo.json"] {
            assert!(!world.read(file).contains(TOKEN), "{file}");
        }
        world.account().revoke_token();
        silent(&world.run(&format!("plan -vv {flag}")).exits(77));
    }
}

#[test]
fn token_in_url_or_argument_is_refused() {
    let world = world();
    for arguments in [
        format!("plan --api-url https://user:{TOKEN}@api.example.com/client/v4"),
        format!("plan --api-url https://api.example.com/client/v4?token={TOKEN}"),
        format!("plan --api-url ftp://{TOKEN}/"),
    ] {
        silent(&world.run(&arguments).exits(64));
    }
    world.run("plan --token abc").exits(64);
}

#[test]
fn invalid_token_file_is_reported_without_content() {
    for text in [format!("{TOKEN}\n{TOKEN}\n"), format!("\u{0}{TOKEN}"), String::new(), TOKEN.repeat(9999)] {
        let world = world().without("CLOUDFLARE_API_TOKEN").file("token", text);
        silent(&world.run("plan -vv --token-file token").exits(77));
        assert_eq!(world.request_count(), 0);
    }
}

#[test]
fn plain_http_is_only_for_loopback() {
    for address in [
        "http://api.cloudflare.com/client/v4",
        "http://localhost.example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://[::ffff:8.8.8.8]/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "HTTP://EXAMPLE.COM/",
        "file:///etc/passwd",
        "unix:/run/api.sock",
    ] {
        let world = world();
        let outcome = world.run(&format!("plan --api-url {address}")).exits(64);
        silent(&outcome);
    }
}

#[test]
fn redirects_never_receive_the_token() {
    let elsewhere = world();
    for status in [301, 302, 303, 307, 308] {
        let location = Some(elsewhere.process_env("CLOUDFLARE_BASE_URL"));
        let respond = Respond { status, location, ..Respond::default() };
        let world = world();
        world.account().push_fault(FaultRule::always(Match::any(), Fault::Respond(respond)));
        silent(&world.run("plan").exits(69));
    }
    assert_eq!(elsewhere.request_count(), 0);
}

#[test]
fn untrusted_certificate_gets_no_token() {
    let server = Server::on_thread(|_, _| Reply::status(200, "{}"), Some(self_signed()));
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/client/v4", server.address().port());
        let outcome = world().run(&format!("plan --api-url {url} --max-wait 5s")).exits(69);
        assert!(outcome.stderr.contains("certificate"), "{outcome}");
    }
    assert_eq!((server.connections(), server.lines()), (0, Vec::new()), "a handshake was completed");
}

/// TLS with a certificate that no authority signed.
fn self_signed() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(KEY).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![CertificateDer::from(CERTIFICATE)], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[cfg(unix)]
#[test]
fn saved_files_are_private_with_any_umask() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = world();
    for arguments in ["plan --out plan.json", "apply --yes --journal journal.jsonl"] {
        let output = world.shell("umask 000;", arguments, "").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    for file in ["plan.json", "journal.jsonl"] {
        let mode = std::fs::metadata(world.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}: {mode:o}");
    }
}

#[cfg(unix)]
#[test]
fn replaced_output_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = world();
    for (file, arguments) in [
        ("plan.json", "plan --out plan.json"),
        ("m.prom", "drift --metrics-file m.prom"),
        ("r.csv", "review --out r.csv"),
    ] {
        world.write(file, "the file before");
        std::fs::set_permissions(world.path(file), std::fs::Permissions::from_mode(0o640)).unwrap();
        world.run(arguments);
        assert!(!world.read(file).contains("the file before"), "{file}");
        let mode = std::fs::metadata(world.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{file}: {mode:o}");
    }
}
