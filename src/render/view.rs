//! What a plan is shown with besides what it says: how to apply it, where its files are on the web, and whether it is
//! the plan that was reviewed.

use super::escape;
use crate::model::Origin;
use crate::plan::{Digest, Plan, Refusal};
use crate::report::StaleGroup;

/// How a plan is presented.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub invocation: &'a Invocation,
    pub repository: Option<&'a Repository>,
    /// Why this is not the plan that was reviewed, if it is not.
    pub stale: Option<&'a Stale>,
    /// Whether the plan is shown because it is about to be applied: then no command for that follows.
    pub applying: bool,
}

/// The command line that applies a plan.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The words as a shell takes them.
    pub words: String,
    /// Whether they name a saved plan, which no other plan can take the place of.
    pub saved: bool,
}

impl Invocation {
    /// The command that applies exactly the plan with this digest.
    #[must_use]
    pub fn exactly(&self, digest: Digest) -> String {
        match self.saved {
            true => escape::clean(&self.words),
            false => format!("{} --expect {digest}", escape::clean(&self.words)),
        }
    }

    /// The command that lifts the limits for exactly this plan.
    #[must_use]
    pub fn accepting(&self, digest: Digest) -> String {
        format!("{} --accept {digest}", escape::clean(&self.words))
    }
}

/// What can be done with a plan that is shown.
pub(super) enum Next {
    Nothing,
    /// It can be applied with this command.
    Apply(String),
    /// Only limits refuse it; this command accepts them.
    Accept(String),
    /// No digest lifts the refusals.
    Resolve,
}

impl View<'_> {
    pub(super) fn next(&self, plan: &Plan) -> Next {
        if self.stale.is_some() {
            return Next::Nothing;
        }
        if plan.refusals_beyond_limits().next().is_some() {
            return Next::Resolve;
        }
        match (plan.refusals.is_empty(), plan.summary.requests > 0, self.applying) {
            (false, ..) => Next::Accept(self.invocation.accepting(plan.digest)),
            (true, true, false) => Next::Apply(self.invocation.exactly(plan.digest)),
            (true, ..) => Next::Nothing,
        }
    }
}

/// Why a plan is not the one that was reviewed.
#[derive(Clone, Debug)]
pub enum Stale {
    /// Its digest is not the one that was given with this flag.
    Digest { flag: &'static str, given: Digest },
    /// These groups have changed since the plan was saved.
    Groups(Vec<StaleGroup>),
}

/// What to do about a stale plan, in every format.
pub(super) const STALE_HELP: &str = "Make a new plan and review it.";

impl Stale {
    /// What is stale about the plan.
    pub(super) fn message(&self, plan: Digest) -> String {
        match self {
            Self::Digest { flag, given } => {
                format!("this is not the plan that was reviewed: its digest is {plan}, but {flag} is {given}")
            }
            Self::Groups(groups) => {
                let groups = super::counted(groups.len() as u64, "group");
                format!("{groups} of the plan changed after the plan was made")
            }
        }
    }
}

/// A repository on the web, in which the files are looked at.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The address of the files at a commit, such as `https://github.com/OWNER/NAME/blob/SHA`.
    pub blob: String,
    /// The folder that paths are relative to, inside the repository; empty for its root.
    pub folder: String,
}

impl Repository {
    /// The repository's path of a file; nothing where it lies outside.
    fn path(&self, file: &str) -> Option<String> {
        if file.starts_with('/') || file.contains('\\') {
            return None;
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in self.folder.split('/').chain(file.split('/')) {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    }
}

/// A place in Markdown: a link where the repository is known.
pub(super) fn place(origin: &Origin, repository: Option<&Repository>) -> String {
    let label = escape::code(&origin.to_string());
    match repository {
        Some(repository) => linked(&label, origin, repository),
        None => label,
    }
}

/// A label in Markdown as a link to a place, unless that lies outside of the repository.
pub(super) fn linked(label: &str, origin: &Origin, repository: &Repository) -> String {
    match repository.path(&origin.file) {
        Some(path) => escape::link(label, &repository.blob, &path, &format!("#L{}", origin.line)),
        None => label.into(),
    }
}

/// Where what a refusal is about is declared, where its message does not say it.
pub(super) fn unsaid_origin(refusal: &Refusal) -> Option<&Origin> {
    refusal.origin.as_ref().filter(|origin| !refusal.message.contains(&origin.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_a_link_inside_the_repository_only() {
        let repository = Repository { blob: "https://github.com/o/r/blob/abc".into(), folder: "access".into() };
        let shown = |file: &str| place(&Origin { file: file.into(), line: 3, column: 1 }, Some(&repository));
        assert_eq!(
            shown("groups/a.yaml"),
            "[`groups/a.yaml:3`](https://github.com/o/r/blob/abc/access/groups/a.yaml#L3)"
        );
        assert_eq!(shown("../b.yaml"), "[`../b.yaml:3`](https://github.com/o/r/blob/abc/b.yaml#L3)");
        assert_eq!(shown("../../b.yaml"), "`../../b.yaml:3`");
        assert_eq!(shown("/etc/b.yaml"), "`/etc/b.yaml:3`");
    }
}
