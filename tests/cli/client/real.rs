//! `hookwheel serve`, for the commands to ask.

use crate::{Ran, command};
use hookwheel::simulate::receiver::{Consumer, Receiver};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A server on a free port with an empty folder. Dropping it ends it.
pub struct Real {
    child: Child,
    url: String,
    token: String,
    _folder: tempfile::TempDir,
}

impl Real {
    /// Starts one, and waits until it listens.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut serve = command(&["serve", "--development", "--listen", "127.0.0.1:0", "--data"]);
        serve.arg(&data).current_dir(folder.path());
        let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut after = |what: &str| {
            let line = lines.next().unwrap();
            line.strip_prefix(what).unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let url = after("listening on ");
        let token = after("access token, shown only now: ");
        Self { child, url, token, _folder: folder }
    }

    /// A server with the application `shop`, whose endpoint `main` goes to a receiver.
    pub async fn shop() -> (Self, Receiver) {
        let real = Self::start();
        let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
        real.good(&["app", "create", "Shop", "--uid", "shop"]);
        real.good(&["endpoint", "create", "shop", &receiver.url(), "--uid", "main"]);
        (real, receiver)
    }

    /// The command, asking this server.
    pub fn asking(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.env("HOOKWHEEL_URL", &self.url).env("HOOKWHEEL_TOKEN", &self.token);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(b"", arguments)
    }

    /// Runs a command to its end with this on its standard input.
    pub fn run_with(&self, input: &[u8], arguments: &[&str]) -> Ran {
        let mut command = self.asking(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // What is refused for its arguments alone does not read its input.
        let _ = child.stdin.take().unwrap().write_all(input);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert!(!ran.out.contains(&self.token) && !ran.err.contains(&self.token), "{}", ran.err);
        ran
    }

    /// What a command prints that ends well.
    #[track_caller]
    pub fn good(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
        ran.out
    }

    /// What a command prints as JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.good(&[arguments, &["--json"]].concat())).unwrap()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
