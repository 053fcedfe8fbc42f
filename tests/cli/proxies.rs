//! What the environment says about proxies is not for webhooks: a proxy would look a name up anew,
//! and connect to what nobody has checked.

use crate::{Ran, command};
use hookwheel::simulate::receiver::{Consumer, Receiver};
use std::io;
use std::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_of_the_environment_is_asked() {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", trap.local_addr().unwrap());
    let receiver = Receiver::start(Consumer::Unchecked, "").await.unwrap();
    // A name, since an address of this machine might be spared a proxy.
    let url = format!("http://localhost:{}/", receiver.address().port());
    let arguments = ["simulate", "ticketnation", "--url", &url, "--event", "order.completed"];
    // Nobody waits for an hour to hear that it was.
    let mut command = command(&[&arguments[..], &["--speed", "10000"]].concat());
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    {
        command.env(name, &proxy);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY");
    let ran: Ran =
        tokio::task::spawn_blocking(move || command.output().unwrap().into()).await.unwrap();
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(receiver.requests().len(), 1);
    assert!(trap.accept().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
}
