//! The CronJob for Kubernetes. Its script runs with its environment and volumes, and its metrics reach a Pushgateway.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use convoke::sandbox::Seed;
use serde_json::Value;

use super::action::{ADMINS, READERS, put_convoke, seed};
use super::checkout::tools_are_there;
use super::runner::yaml;
use super::stand_in::StandIn;
use crate::harness::{ACCOUNT, World, given, repository};
use crate::server::Reply;

/// The pushed texts, by path.
type Pushed = Vec<(String, String)>;

struct Pod {
    world: World,
    gateway: StandIn<Pushed>,
    container: Value,
    declared: [(&'static str, &'static str); 2],
}

fn pod() -> Option<Pod> {
    if !tools_are_there() {
        return None;
    }
    let manifest = yaml(&repository("examples/ci/kubernetes/drift.yaml"));
    let gateway = StandIn::start(Pushed::new(), |pushed, request| {
        pushed.push((format!("{} {}", request.method(), request.path()), request.body.clone()));
        Some(Reply::status(200, ""))
    });
    let container = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0].clone();
    let declared = [("groups/admins.yaml", ADMINS), ("groups/readers.yaml", READERS)];
    Some(Pod { world: given(seed()), gateway, container, declared })
}

impl Pod {
    /// Runs the container, and returns its exit code. The pod's paths are folders of the test.
    fn run(&self, token: &str) -> (i32, String) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // A ConfigMap is mounted as links to files in a folder that Kubernetes replaces as a whole.
        let files = root.join("etc/convoke");
        fs::create_dir_all(files.join("..2026_11_24")).unwrap();
        symlink("..2026_11_24", files.join("..data")).unwrap();
        for (path, text) in &self.declared {
            let name = path.trim_start_matches("groups/");
            fs::write(files.join("..2026_11_24").join(name), text).unwrap();
            symlink(format!("..data/{name}"), files.join(name)).unwrap();
        }
        fs::create_dir_all(root.join("run/secrets/convoke")).unwrap();
        fs::write(root.join("run/secrets/convoke/token"), token).unwrap();
        fs::create_dir_all(root.join("tmp")).unwrap();
        put_convoke(&root.join("bin"));

        let here = |text: &str| {
            ["/tmp/", "/etc/convoke", "/run/secrets/"]
                .iter()
                .fold(text.to_owned(), |text, path| text.replace(path, &format!("{}{path}", root.display())))
        };
        let mut command = Command::new("/bin/sh");
        let words: Vec<&str> =
            self.container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(words, ["/bin/sh", "-euc"]);
        command.arg("-euc").arg(here(self.container["args"][0].as_str().unwrap())).env_clear();
        for variable in self.container["env"].as_array().unwrap() {
            command.env(variable["name"].as_str().unwrap(), here(variable["value"].as_str().unwrap()));
        }
        let path = format!("{}:{}", root.join("bin").display(), std::env::var("PATH").unwrap());
        let output = command
            .env("PATH", path)
            .env("PUSHGATEWAY", self.gateway.url())
            .env("CLOUDFLARE_BASE_URL", self.world.process_env("CLOUDFLARE_BASE_URL"))
            .output()
            .unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn pushed(&self) -> (String, String) {
        self.gateway.kept.lock().unwrap().pop().expect("figures were pushed")
    }
}

/// The value of a metric without labels.
fn figure(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name}:\n{text}")).to_owned()
}

#[test]
fn drift_does_not_fail_the_job() {
    let Some(pod) = pod() else { return };
    let (code, log) = pod.run(crate::harness::TOKEN);
    assert_eq!(code, 0, "{log}");
    let (path, text) = pod.pushed();
    assert_eq!(path, "PUT /metrics/job/convoke_drift");
    assert_eq!([figure(&text, "convoke_drift_success"), figure(&text, "convoke_drift_exit_code")], ["1", "0"]);

    pod.world.account().add("Admins", "carol@example.com");
    let (code, log) = pod.run(crate::harness::TOKEN);
    assert_eq!(code, 0, "{log}");
    assert_eq!(figure(&pod.pushed().1, "convoke_drift_exit_code"), "2");
}

#[test]
fn failed_run_has_metrics_and_fails_the_job() {
    let Some(pod) = pod() else { return };
    let (code, log) = pod.run("");
    assert_eq!(code, 77, "{log}");
    assert_eq!(figure(&pod.pushed().1, "convoke_drift_success"), "0");
}

#[test]
fn alerts_use_metrics_that_drift_writes() {
    let Some(pod) = pod() else { return };
    pod.world.account().add("Admins", "carol@example.com");
    pod.run(crate::harness::TOKEN);
    let (_, figures) = pod.pushed();
    let rules = fs::read_to_string(repository("examples/ci/kubernetes/alerts.yaml")).unwrap();
    let names: Vec<&str> = rules
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("convoke_drift_"))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(figures.lines().any(|line| line.starts_with(name)), "{name}:\n{figures}");
    }
    assert!(rules.contains("absent(convoke_drift_run_timestamp_seconds"));
}

/// Whether one of the sums that the rules compare with zero is greater.
fn alerted(rules: &Value, figures: &str) -> bool {
    rules["groups"][0]["rules"].as_array().unwrap().iter().any(|rule| {
        let expression = rule["expr"].as_str().unwrap();
        let Some((name, rest)) = expression.strip_prefix("sum(").and_then(|rest| rest.split_once('{')) else {
            return false;
        };
        assert!(rest.ends_with(") > 0"), "{expression}");
        let samples = figures.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
        samples.filter(|(labels, _)| labels.is_empty() || labels.starts_with('{')).any(|(_, value)| value != "0")
    })
}

#[test]
fn every_finding_has_an_alert() {
    let Some(mut pod) = pod() else { return };
    let rules = yaml(&repository("examples/ci/kubernetes/alerts.yaml"));
    pod.run(crate::harness::TOKEN);
    assert!(!alerted(&rules, &pod.pushed().1));
    pod.declared = super::drift::FILES;
    // Each finding beside the members alone.
    let text = "version: 1
people: [{ email: dave@example.com, roles: [Owner] }]
groups:
  Admins: { members: [alice@example.com, bob@example.com], policies: [{ permission_groups: [POLICY] }] }
  Readers: { members: [erin@example.com, frank@example.com] }
";
    let other = text.replace("POLICY", "Billing").replace(", roles: [Owner]", "");
    let steps = super::drift::steps().into_iter().map(|(seed, _)| seed);
    let texts = [text.replace("POLICY", "DNS"), other];
    for seed in steps.chain(texts.map(|text| Seed::parse("seed.yaml".as_ref(), &text).unwrap())) {
        pod.world = given(seed);
        assert_eq!(pod.run(crate::harness::TOKEN).0, 0);
        let (_, figures) = pod.pushed();
        assert_ne!(figure(&figures, "convoke_drift_exit_code"), "0", "{figures}");
        assert!(alerted(&rules, &figures), "{figures}");
    }
}

#[test]
fn every_alert_has_a_severity() {
    let rules = yaml(&repository("examples/ci/kubernetes/alerts.yaml"));
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
    }
}

#[test]
fn kustomization_generates_the_config_map() {
    let Ok(version) = Command::new("kubectl").args(["version", "--client"]).output() else { return };
    if !version.status.success() {
        return;
    }
    // The root of a repository, as the comment in the file says.
    let folder = tempfile::tempdir().unwrap();
    for name in ["drift.yaml", "kustomization.yaml"] {
        fs::copy(repository(&format!("examples/ci/kubernetes/{name}")), folder.path().join(name)).unwrap();
    }
    fs::create_dir(folder.path().join("groups")).unwrap();
    fs::write(folder.path().join("groups/admins.yaml"), ADMINS).unwrap();
    fs::write(folder.path().join("groups/readers.yaml"), READERS).unwrap();
    let built = super::action::run("kubectl", &["kustomize", folder.path().to_str().unwrap()]);
    let documents: Vec<&str> = built.split("\n---\n").collect();
    assert_eq!(documents.len(), 2, "{built}");
    let name = documents[0].lines().find_map(|line| line.strip_prefix("  name: ")).unwrap();
    assert!(name.starts_with("convoke-") && documents[0].contains("alice@example.com"), "{built}");
    assert!(documents[1].contains(&format!("name: {name}")), "{built}");
}

#[test]
fn pod_has_few_permissions() {
    let manifest = yaml(&repository("examples/ci/kubernetes/drift.yaml"));
    let pod = &manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert!(!pod.to_string().contains("hostPath"));
    let container = &pod["containers"][0];
    assert!(container["image"].as_str().unwrap().ends_with(&format!("@sha256:{}", "0".repeat(64))));
    assert!(
        container["env"]
            .as_array()
            .unwrap()
            .iter()
            .any(|variable| { variable["name"] == "CLOUDFLARE_ACCOUNT_ID" && variable["value"] == ACCOUNT })
    );
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
}
