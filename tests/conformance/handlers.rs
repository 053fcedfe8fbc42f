//! The handlers of examples/handlers, and the README's workflow, as real processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const HOOKWHEEL: &str = env!("CARGO_BIN_EXE_hookwheel");
const README: &str = include_str!("../../README.md");

fn handlers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/handlers")
}

/// A handler that listens, in a folder of its own, until it is dropped.
struct Handler {
    process: Child,
    folder: TempDir,
    url: String,
}

impl Handler {
    fn start(program: &str, file: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg(handlers().join(file)).current_dir(folder.path()).env("PORT", "0");
        command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap_or_else(|error| {
            panic!("{program} does not start ({error}): tests/run installs it")
        });
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let port = said.trim().strip_prefix("listening on port ").expect("it says its port");
        let url = format!("http://127.0.0.1:{port}/webhooks");
        Self { process, folder, url }
    }

    /// Runs `hookwheel check` against it, in its folder.
    fn check(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(HOOKWHEEL);
        command.arg("check").args(arguments).args(["--url", &self.url, "--fail-on", "warn"]);
        command.current_dir(self.folder.path()).output().unwrap()
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn assert_passed(output: &Output) {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{out}{err}");
}

#[test]
fn the_python_handler_is_good() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let environment = [("YOCO_WEBHOOK_SECRET", secret), ("CHECKOUT_ID", "ch_mine")];
    let handler = Handler::start("python3", "yoco.py", &environment);
    let own = ["--set", "metadata.checkoutId=ch_mine"];
    let effects = ["--effects-command", "wc -l < payments.txt"];
    let output = handler.check(&[&["yoco", "--secret", secret], &own[..], &effects[..]].concat());
    assert_passed(&output);
}

#[test]
fn the_node_handler_is_good() {
    let secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let handler = Handler::start("node", "ticketnation.mjs", &[("TN_WEBHOOK_SECRET", secret)]);
    let effects = ["--effects-command", "wc -l < orders.txt"];
    let output = handler.check(&[&["ticketnation", "--secret", secret], &effects[..]].concat());
    assert_passed(&output);
}

/// The commands of the README's workflow, but for the one that installs, with its variables.
fn workflow() -> (String, Vec<(String, String)>) {
    let yaml = README.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut script, mut environment) = (String::new(), Vec::new());
    let mut lines = yaml.lines().peekable();
    while let Some(line) = lines.next() {
        let depth = indent(line);
        let mut block = Vec::new();
        if line.ends_with("env:") || line.ends_with("run: |") {
            while let Some(inner) = lines.next_if(|inner| indent(inner) > depth) {
                block.push(inner.trim());
            }
        }
        match line.trim() {
            "env:" => environment.extend(block.iter().filter_map(|variable| {
                let (name, value) = variable.split_once(": ")?;
                Some((name.to_owned(), value.to_owned()))
            })),
            "run: |" => script.extend(block.iter().flat_map(|line| [line, "\n"])),
            line => {
                let command = line.strip_prefix("run: ").unwrap_or_default();
                let installs = command.contains("cargo install");
                script.extend(Some(command).filter(|_| !installs).into_iter().chain(["\n"]));
            }
        }
    }
    (script, environment)
}

#[test]
fn the_workflow_of_the_readme_checks_a_handler() {
    let (script, environment) = workflow();
    assert!(script.contains("hookwheel check yoco"), "{script}");
    let folder = tempfile::tempdir().unwrap();
    let examples = handlers().parent().unwrap().to_owned();
    std::os::unix::fs::symlink(examples, folder.path().join("examples")).unwrap();
    let binaries = Path::new(HOOKWHEEL).parent().unwrap().to_str().unwrap();
    let path = format!("{binaries}:{}", std::env::var("PATH").unwrap());
    // A runner ends what steps have left running; a port of our own lets tests run beside.
    let script = format!("trap 'kill $(jobs -p)' EXIT\n{script}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = Command::new("bash")
        .args(["-e", "-o", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .envs(environment)
        .env("PATH", path)
        .env("PORT", port.to_string())
        .output()
        .unwrap();
    assert_passed(&output);
    let junit = std::fs::read_to_string(folder.path().join("webhooks.xml")).unwrap();
    assert!(junit.contains("accepts-valid"), "{junit}");
    assert!(folder.path().join("webhooks.html").exists());
}
