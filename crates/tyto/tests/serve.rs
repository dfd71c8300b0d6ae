//! A server as its neighbours meet it: browsers, probes, operators.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const OMD: &str = "business_services: [{name: payments, owners: [{team: pay}]}]";

struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that fails must not leave it behind.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tyto"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TYTO_")) {
            command.env_remove(name);
        }
        command.arg("serve").arg("--data-dir").arg(folder.join("data")).args(more);
        command.args(["--http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let mut ready = String::new();
        BufReader::new(process.stdout.as_mut().expect("piped")).read_line(&mut ready).expect("a line");
        let address = ready.split_once("http=").and_then(|(_, rest)| rest.split(' ').next());
        let address = address.unwrap_or_else(|| panic!("{ready:?} is the ready line")).to_owned();
        Self { process, address }
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        let host = if headers.contains("host:") { String::new() } else { format!("host: {}\r\n", self.address) };
        write!(stream, "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: 0\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status().expect("kill runs");
        assert!(sent.success());
    }
}

#[track_caller]
fn check(answer: &str, status: &str, holds: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(holds), "{status} and {holds:?} are in\n{answer}");
}

#[test]
fn only_its_own_pages_and_programs_may_ask() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path(), &["--host-name", "tyto.example"]);
    check(&server.ask("GET", "/-/ready", ""), "200", "Tyto is ready");
    check(&server.ask("GET", "/-/ready", "host: tyto.example\r\n"), "200", "Tyto is ready");
    check(&server.ask("GET", "/-/ready", "host: evil.example\r\n"), "403", "--host-name");
    check(&server.ask("POST", "/v1/logs", "sec-fetch-site: cross-site\r\n"), "403", "another site");
    // Every matcher of a selector is SQL that the engine takes.
    let exemplars =
        "/api/v1/query_exemplars?query=rate(a%7Bb%3D%22%22%2Cc!%3D%22it's%22%2Cd%3D~%22e%7Cf%22%2Cg!~%22h%22%7D%5B5m%5D)&start=0&end=5";
    check(&server.ask("GET", exemplars, ""), "200", r#"{"status":"success","data":[]}"#);
}

#[test]
fn the_catalogue_is_read_again_when_asked_and_a_bad_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("omd.yaml");
    std::fs::write(&file, OMD).expect("written");
    let mut server = Server::start(folder.path(), &["--catalog", file.to_str().expect("a path")]);

    std::fs::write(&file, "business_services:\n  - nme: login\n").expect("written");
    check(&server.ask("POST", "/-/reload", ""), "400", "omd.yaml:2:5: ");
    check(&server.ask("GET", "/api/tyto/v1/catalog", ""), "200", "payments");
    std::fs::write(&file, OMD.replace("payments", "login")).expect("written");
    check(&server.ask("POST", "/-/reload", ""), "200", "reloaded");
    check(&server.ask("GET", "/api/tyto/v1/catalog", ""), "200", "login");

    std::fs::write(&file, OMD.replace("payments", "search")).expect("written");
    server.signal("HUP");
    let until = Instant::now() + Duration::from_secs(20);
    while !server.ask("GET", "/api/tyto/v1/catalog", "").contains("search") {
        assert!(Instant::now() < until, "SIGHUP reads the catalogue again");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.signal("TERM");
    assert_eq!(server.process.wait().expect("it ends").code(), Some(0));
}

/// A request that never ends keeps the drain waiting; nobody need wait for it twice.
#[test]
fn a_second_signal_ends_a_drain() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Server::start(folder.path(), &[]);
    let mut open = TcpStream::connect(&server.address).expect("connected");
    let head = format!("POST /v1/logs HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n", server.address);
    write!(open, "{head}content-length: 10\r\nexpect: 100-continue\r\n\r\n").expect("sent");
    let mut start = [0; 12];
    open.read_exact(&mut start).expect("the body is waited for");
    assert_eq!(&start, b"HTTP/1.1 100");

    let begun = Instant::now();
    server.signal("TERM");
    let until = Instant::now() + Duration::from_secs(9);
    while TcpStream::connect(&server.address).is_ok() {
        assert!(Instant::now() < until, "no new connection is taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.signal("TERM");
    let ended = server.process.wait().expect("it ends");
    assert_eq!(ended.code(), Some(1));
    assert!(begun.elapsed() < Duration::from_secs(10), "the drain was not waited for");
}
