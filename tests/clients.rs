//! Other companies' own client libraries, against what hookwheel serves to them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[path = "clients/python.rs"]
mod python;

use hookwheel::api::server::Server;
use hookwheel::config::ServeConfig;
use hookwheel::simulate::fronts::{self, FrontsConfig, GoCardlessEndpoint};
use hookwheel::{Engine, NewAccessToken, Secret};
use python::python;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::net::TcpListener;

/// A running program of `tests/clients`, ended when dropped.
struct Program(Child);

impl Program {
    fn start(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
        let mut command = Command::new(python());
        command.arg(file).args(arguments).envs(environment.iter().copied());
        // What it fails with goes to where the test's own output goes.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// The first line that it prints.
    async fn line(&mut self) -> String {
        let out = self.0.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(|| BufReader::new(out).lines().next());
        line.await.unwrap().expect("it ended without a word").unwrap()
    }

    /// Gives it a line to read.
    fn tell(&mut self, line: &str) {
        writeln!(self.0.stdin.take().unwrap(), "{line}").unwrap();
    }

    /// Waits until it ends, and tells whether everything was as it should be.
    async fn succeeded(mut self) -> bool {
        let ended = tokio::task::spawn_blocking(move || self.0.wait().unwrap());
        ended.await.unwrap().success()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gocardless_own_client_lists_retries_and_simulates() {
    let secret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let environment = [("GOCARDLESS_WEBHOOK_ENDPOINT_SECRET", secret)];
    let mut program = Program::start("gocardless_front.py", &[], &environment);
    let endpoint = GoCardlessEndpoint { url: program.line().await, secret: Secret::new(secret) };
    let config = FrontsConfig { gocardless_endpoint: Some(endpoint), ..FrontsConfig::default() };

    let engine = Engine::builder().in_memory().development().open().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    program.tell(&format!("http://{}/", listener.local_addr().unwrap()));
    let served = fronts::serve(engine.clone(), config, listener, std::future::pending());
    let served = tokio::spawn(served);
    assert!(program.succeeded().await, "what the client found is above");
    served.abort();
    engine.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn svix_own_client_runs_a_platforms_whole_flow() {
    let engine = Engine::builder().in_memory().development().open().await.unwrap();
    let token = NewAccessToken { name: "platform".to_owned(), ..NewAccessToken::default() };
    let (_, token) = engine.create_access_token(token).await.unwrap();
    let config = ServeConfig { listen: "127.0.0.1:0".parse().unwrap(), ..Default::default() };
    let server = Server::bind(engine.clone(), &config, None).await.unwrap();
    let program = Program::start("svix_flow.py", &[&server.url(), token.expose()], &[]);
    let served = tokio::spawn(server.run(std::future::pending()));
    assert!(program.succeeded().await, "what the client found is above");
    served.abort();
    engine.close().await.unwrap();
}
