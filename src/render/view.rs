//! The context of a shown plan: how to apply it, and where its files are on the web.

use std::collections::BTreeSet;

use super::escape;
use super::words::name;
use crate::model::Origin;
use crate::plan::{Change, Digest, GroupPlan, Plan, Standing};

#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// `None` if no command can apply the plan, because it could not be saved.
    pub invocation: Option<&'a Invocation>,
    pub repository: Option<&'a Repository>,
    /// Whether the plan is about to be applied, so that no command for this is shown.
    pub applying: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Invocation {
    pub words: String,
    /// The path of a saved plan that they name, quoted, if they do. No other plan can replace it.
    pub saved: Option<String>,
    /// The flags that name the files, for another command about them. With a space in front, or empty.
    pub files: String,
    /// The flags that only `apply` has, with a space in front, or empty.
    pub applying: String,
}

impl Invocation {
    /// The command that applies exactly the plan with this digest.
    pub fn exactly(&self, digest: Digest) -> String {
        if self.saved.is_some() { self.command() } else { format!("{} --expect {digest}", self.command()) }
    }

    fn command(&self) -> String {
        escape::clean(&format!("{}{}", self.words, self.applying))
    }

    /// The remedy for a stale plan: the same command makes the next one.
    pub fn stale_help(&self) -> String {
        let plan = match &self.saved {
            Some(path) => format!("convoke plan --out {path}"),
            None => self.words.replacen("convoke apply", "convoke plan", 1),
        };
        format!("Make a new plan and review it: `{}`", escape::clean(&plan))
    }
}

pub(super) enum Next {
    Nothing,
    /// It can be applied with this command.
    Apply(String),
    /// Only limits refuse it; this command lifts them.
    Accept(String),
    /// `--accept` does not lift the refusals that this sentence names.
    Resolve(String),
}

impl<'a> View<'a> {
    pub fn of(invocation: &'a Invocation) -> Self {
        Self { invocation: Some(invocation), ..Self::default() }
    }

    pub(super) fn next(&self, plan: &Plan) -> Next {
        if plan.stale.is_some() {
            return Next::Nothing;
        }
        if plan.refusals.iter().any(|refusal| !refusal.guard.is_limit()) {
            return Next::Resolve(resolve(plan));
        }
        let Some(invocation) = self.invocation else { return Next::Nothing };
        match (plan.refusals.is_empty(), plan.summary.requests > 0, self.applying) {
            (false, ..) => Next::Accept(format!("{} --accept {}", invocation.command(), plan.digest)),
            (true, true, false) => Next::Apply(invocation.exactly(plan.digest)),
            (true, ..) => Next::Nothing,
        }
    }

    /// The `convoke grant` line for each unexpected member.
    pub(super) fn grants(&self, plan: &Plan) -> Vec<String> {
        let Some(Invocation { files, .. }) = self.invocation else { return Vec::new() };
        let unexpected = plan.differences().filter(|(_, it)| Standing::of_change(it) == Standing::Undeclared);
        let line = |(group, change): (&GroupPlan, &Change)| {
            let (who, group) = (escape::shell_word(&name(&change.member)), escape::shell_word(group.name.as_str()));
            format!("convoke grant {who} {group}{files}")
        };
        unexpected.map(line).collect()
    }

    pub(super) fn stale_help(&self) -> String {
        self.invocation.map(Invocation::stale_help).unwrap_or_default()
    }
}

/// Which refusals `--accept` lifts, and which it does not.
fn resolve(plan: &Plan) -> String {
    let named = |is_limit: bool| {
        let guards = plan.refusals.iter().map(|refusal| refusal.guard).filter(|guard| guard.is_limit() == is_limit);
        let names: BTreeSet<String> = guards.map(|guard| guard.to_string()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    let (limits, others) = (named(true), named(false));
    let lifted = if limits.is_empty() { String::new() } else { format!(" It lifts only: {limits}.") };
    format!("Resolve first, because --accept does not lift it: {others}.{lifted}")
}

/// A repository on the web that has the files.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The URL of the files at a commit, such as `https://github.com/OWNER/NAME/blob/SHA`.
    pub blob: String,
    /// The folder inside the repository that paths are relative to; empty for its root.
    pub folder: String,
}

impl Repository {
    /// The path of a file in the repository; `None` if it is outside.
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

/// A place in Markdown: a link if the repository is known and has it.
pub(super) fn place(origin: &Origin, repository: Option<&Repository>) -> String {
    linked(escape::code(&origin.to_string()), origin, repository)
}

/// A label in Markdown, linked to a place if the repository is known and has it.
pub(super) fn linked(label: String, origin: &Origin, repository: Option<&Repository>) -> String {
    match repository.and_then(|repository| Some((&repository.blob, repository.path(&origin.file)?))) {
        Some((blob, path)) => escape::link(&label, blob, &path, &format!("#L{}", origin.line)),
        None => label,
    }
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
