//! Ids for everything without an id in the seed. They are derived, so they are the same in every run.

use sha2::{Digest, Sha256};

use crate::model::{Email, GroupId, MemberId};

/// The id of an account member with an address: the first derived id that is free.
pub(crate) fn of_person(email: &Email, free: impl Fn(MemberId) -> bool) -> MemberId {
    let address = email.folded();
    let mut id = derive("member", address);
    while !free(id) {
        id = derive("next member", id.as_str());
    }
    id
}

pub(crate) fn of_group(name: &str) -> GroupId {
    derive("group", name)
}

/// The id of a group that is created later. It differs from that of a former group of the same name.
pub(crate) fn of_new_group(name: &str, nth: u64) -> GroupId {
    derive("new group", &format!("{nth} {name}"))
}

pub(crate) fn of_user(member: MemberId) -> String {
    hex("user", member.as_str())
}

pub(crate) fn of_token() -> String {
    hex("token", "the token")
}

pub(crate) fn hex(kind: &str, text: &str) -> String {
    let digest = Sha256::digest(format!("convoke sandbox {kind}\n{text}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::expect_used, reason = "sixteen bytes in hex are an id, whatever the bytes")]
fn derive<T: std::str::FromStr<Err: std::fmt::Debug>>(kind: &str, text: &str) -> T {
    hex(kind, text).parse().expect("sixteen bytes in hex")
}
