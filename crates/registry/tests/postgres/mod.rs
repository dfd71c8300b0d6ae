//! A PostgreSQL of the test's own: a folder, a port, and an end with the test.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    binaries: PathBuf,
    /// It refuses to run as root: then it runs as the user that Debian's package has made for it.
    account: Option<(u32, u32)>,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("tyto-postgres-").tempdir().expect("a folder");
        let binaries =
            binaries().expect("PostgreSQL is needed here: install it with `apt-get install postgresql`, or run scripts/setup test");
        let account = account();
        if let Some((user, group)) = account {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).expect("the folder is its own");
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let mut postgres = Self { folder, binaries, account, port, process: None };
        let made =
            postgres.command("initdb").args(["-D", "data", "-U", "tyto", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]).output();
        let made = made.expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.resume();
        postgres
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://tyto@127.0.0.1:{}/postgres", self.port)
    }

    /// At once, as when its machine goes.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        // Of PostgreSQL this is the immediate shutdown: its children go with it.
        Command::new("kill").args(["-QUIT", &process.id().to_string()]).status().expect("kill runs");
        process.wait().expect("it ends");
    }

    pub(crate) fn resume(&mut self) {
        let port = self.port.to_string();
        let mut command = self.command("postgres");
        command
            .args(["-D", "data", "-h", "127.0.0.1", "-p", &port, "-k", "", "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.process = Some(command.spawn().expect("postgres runs"));
        let until = Instant::now() + Duration::from_secs(60);
        let ready = self.binaries.join("pg_isready");
        while !Command::new(&ready).args(["-q", "-h", "127.0.0.1", "-p", &port]).status().expect("pg_isready runs").success() {
            assert!(Instant::now() < until, "PostgreSQL answers");
            std::thread::sleep(Duration::from_millis(50));
        }
        TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// Of the newest that Debian's packages have installed.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    let number = |path: &PathBuf| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    versions.filter(|path| path.join("initdb").exists()).max_by_key(number)
}

fn account() -> Option<(u32, u32)> {
    let me = Command::new("id").arg("-u").output().expect("id runs").stdout;
    if String::from_utf8_lossy(&me).trim() != "0" {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").expect("the list of users");
    let line = accounts.lines().find(|line| line.starts_with("postgres:")).expect("the package postgresql has made its user");
    let mut numbers = line.split(':').skip(2).map(|number| number.parse().expect("a number"));
    Some((numbers.next().expect("a user"), numbers.next().expect("a group")))
}
