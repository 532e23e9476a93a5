//! Answers of the API over a real connection: `RUSTC_BOOTSTRAP=1 cargo fuzz run answer`.
//!
//! The first byte selects the status and the operation. The rest is the body.
#![no_main]

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use convoke::cloudflare::{BaseUrl, Client, ClientConfig, Credentials};
use convoke::model::{AccountId, GroupId, GroupRef, MemberId};
use tokio::runtime::Runtime;

const STATUSES: [u16; 8] = [200, 200, 200, 200, 206, 400, 404, 502];

/// The status and the body of the server's answer.
static ANSWER: Mutex<(u16, Vec<u8>)> = Mutex::new((200, Vec::new()));
static API: LazyLock<(Runtime, String)> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/client/v4", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    (tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(), url)
});

fn serve(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(number) = line.strip_prefix("content-length:") {
                length = number.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink()).ok()?;
        let (status, body) = ANSWER.lock().ok()?.clone();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        writer.write_all(head.as_bytes()).ok()?;
        writer.write_all(&body).ok()?;
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let status = STATUSES[usize::from(*first) % STATUSES.len()];
    *ANSWER.lock().unwrap() = (status, body.to_vec());
    let (runtime, url) = &*API;
    runtime.block_on(ask(url, first / 8 % 6));
});

/// A client is expensive to make, and remembers failures: each one serves some inputs.
const INPUTS_A_CLIENT: usize = 50;

thread_local! {
    static CLIENT: RefCell<Option<(usize, Client)>> = const { RefCell::new(None) };
}

fn client(url: &str) -> Client {
    CLIENT.with_borrow_mut(|kept| match kept {
        Some((left, client)) if *left > 0 => {
            *left -= 1;
            client.clone()
        }
        _ => kept.insert((INPUTS_A_CLIENT, new_client(url))).1.clone(),
    })
}

fn new_client(url: &str) -> Client {
    Client::new(ClientConfig {
        base_url: BaseUrl::parse(url).unwrap(),
        credentials: Credentials::Token("a-token-of-the-fuzzer".into()),
        account_id: AccountId::SANDBOX,
        concurrency: 2.try_into().unwrap(),
        timeout: Duration::from_secs(20),
        max_wait: Duration::ZERO,
        run_url: None,
    })
    .unwrap()
}

async fn ask(url: &str, what: u8) {
    let client = client(url);
    let id = AccountId::SANDBOX.to_string();
    let member: MemberId = id.parse().unwrap();
    let group = GroupRef { id: id.parse::<GroupId>().unwrap(), name: "Admins".into() };
    let error = match what {
        0 => client.user_groups().await.err(),
        1 => client.group_members(&group).await.err(),
        2 => client.account_members().await.err(),
        3 => client.token_owner().await.err(),
        4 => client.audit_log(jiff::Timestamp::MIN, jiff::Timestamp::MAX, None).await.err(),
        _ => client.add_members(&group, &[member]).await.err(),
    };
    if let Some(error) = error {
        let shown = error.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(!shown.contains("a-token-of-the-fuzzer"), "{shown:?}");
    }
}
