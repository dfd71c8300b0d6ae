//! Targets in the DNS: asks the servers of `/etc/resolv.conf` itself, because the system's resolver knows no SRV, MX and NS
//! records. Source: RFC 1035, RFC 2782 (SRV), RFC 3596 (AAAA).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use model::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::scrape::config::{Group, RecordType};

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// For one server to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
const PORT: u16 = 53;
/// Names of one message that point to names; more is a loop.
const POINTERS_MAX: usize = 32;

pub(super) struct Names {
    names: Vec<String>,
    record: RecordType,
    port: u16,
    /// What was last found under each name: kept when nobody answers.
    found: HashMap<String, Vec<Vec<(String, String)>>>,
}

impl Names {
    pub(super) fn new(names: Vec<String>, record: RecordType, port: u16) -> Self {
        Self { names, record, port, found: HashMap::new() }
    }

    pub(super) async fn look(&mut self) -> Result<Vec<Group>> {
        let text = tokio::fs::read_to_string(RESOLV_CONF)
            .await
            .map_err(|error| Error::unavailable(format!("cannot read {RESOLV_CONF}")).because(error))?;
        let resolver = Resolver::of(&text);
        for name in &self.names {
            match resolver.resolve(name, self.record).await {
                Ok(records) => {
                    self.found.insert(name.clone(), records.iter().map(|record| target(record, name, self.port)).collect());
                }
                Err(error) => super::failure("dns", name, &error.chain()),
            }
        }
        Ok(self.names.iter().filter_map(|name| Some(Group { targets: self.found.get(name)?.clone(), labels: Vec::new() })).collect())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    Address(IpAddr),
    Srv { target: String, port: u16 },
    Mx(String),
    Ns(String),
}

fn target(record: &Record, name: &str, port: u16) -> Vec<(String, String)> {
    let plain = |name: &str| name.trim_end_matches('.').to_owned();
    let (address, srv, mx, ns) = match record {
        Record::Address(address) => (SocketAddr::new(*address, port).to_string(), None, "", ""),
        Record::Srv { target, port } => (format!("{}:{port}", plain(target)), Some((target, port)), "", ""),
        Record::Mx(host) => (format!("{}:{port}", plain(host)), None, host.as_str(), ""),
        Record::Ns(host) => (format!("{}:{port}", plain(host)), None, "", host.as_str()),
    };
    let label = |name: &str, value: String| (name.to_owned(), value);
    vec![
        label("__address__", address),
        label("__meta_dns_name", name.to_owned()),
        label("__meta_dns_srv_record_target", srv.map(|(target, _)| target.clone()).unwrap_or_default()),
        label("__meta_dns_srv_record_port", srv.map(|(_, port)| port.to_string()).unwrap_or_default()),
        label("__meta_dns_mx_record_target", mx.to_owned()),
        label("__meta_dns_ns_record_target", ns.to_owned()),
    ]
}

struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with so many dots is asked for as it is first.
    dots: usize,
}

/// What a server says of a name.
enum Answer {
    Records(Vec<Record>),
    NoSuchName,
}

impl Resolver {
    fn of(resolv_conf: &str) -> Self {
        let mut resolver = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in resolv_conf.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    resolver.servers.extend(words.next().and_then(|word| word.parse().ok()).map(|ip: IpAddr| SocketAddr::new(ip, PORT)));
                }
                Some("search" | "domain") => resolver.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    resolver.dots = dots.unwrap_or(resolver.dots);
                }
                _ => {}
            }
        }
        resolver
    }

    /// The whole names to ask for, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let whole = format!("{name}.");
        let searched = self.search.iter().map(|domain| format!("{name}.{}.", domain.trim_matches('.')));
        match name.matches('.').count() >= self.dots {
            true => [whole].into_iter().chain(searched).collect(),
            false => searched.chain([whole.clone()]).collect(),
        }
    }

    /// The records of the first name that exists. When some server gave no answer, it is not known that there is none.
    async fn resolve(&self, name: &str, record: RecordType) -> Result<Vec<Record>> {
        let mut failed = None;
        for candidate in self.candidates(name) {
            match self.ask_any(&candidate, record).await {
                Ok(Answer::Records(records)) => return Ok(records),
                Ok(Answer::NoSuchName) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(Vec::new()), Err)
    }

    async fn ask_any(&self, name: &str, record: RecordType) -> Result<Answer> {
        let mut failed = Error::unavailable(format!("cannot resolve {name}: {RESOLV_CONF} names no server"));
        for server in &self.servers {
            match tokio::time::timeout(ANSWER_TIME_MAX, ask(*server, name, record)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => failed = error,
                Err(_) => failed = Error::unavailable(format!("cannot resolve {name}: {server} does not answer")),
            }
        }
        Err(failed)
    }
}

async fn ask(server: SocketAddr, name: &str, record: RecordType) -> Result<Answer> {
    let cannot = |source: std::io::Error| Error::unavailable(format!("cannot ask {server} for {name}")).because(source);
    let id = RandomState::new().hash_one(name) as u16;
    let question = question(id, name, record)?;
    let here: SocketAddr = if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind(here).await.map_err(cannot)?;
    socket.connect(server).await.map_err(cannot)?;
    socket.send(&question).await.map_err(cannot)?;
    let mut answer = vec![0; 4096];
    loop {
        let len = socket.recv(&mut answer).await.map_err(cannot)?;
        // What answers another question is not ours, and the right one may still come.
        if answer[..len].starts_with(&id.to_be_bytes()) {
            answer.truncate(len);
            break;
        }
    }
    const TRUNCATED: u8 = 2;
    if answer.get(2).is_some_and(|flags| flags & TRUNCATED != 0) {
        let mut stream = TcpStream::connect(server).await.map_err(cannot)?;
        let len = u16::try_from(question.len()).map_err(|_| Error::internal("cannot ask for so long a name"))?;
        stream.write_all(&[&len.to_be_bytes(), &question[..]].concat()).await.map_err(cannot)?;
        let len = stream.read_u16().await.map_err(cannot)?;
        answer = vec![0; usize::from(len)];
        stream.read_exact(&mut answer).await.map_err(cannot)?;
    }
    read(&answer, id, record).ok_or_else(|| Error::unavailable(format!("cannot resolve {name}: {server} gives no usable answer")))
}

fn number(record: RecordType) -> u16 {
    match record {
        RecordType::A => 1,
        RecordType::Ns => 2,
        RecordType::Mx => 15,
        RecordType::Aaaa => 28,
        RecordType::Srv => 33,
    }
}

fn question(id: u16, name: &str, record: RecordType) -> Result<Vec<u8>> {
    const RECURSION_DESIRED: u16 = 0x0100;
    const INTERNET: u16 = 1;
    let mut out = Vec::new();
    for word in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    for label in name.trim_end_matches('.').split('.') {
        let len = u8::try_from(label.len()).ok().filter(|len| (1..64).contains(len));
        out.push(len.ok_or_else(|| Error::invalid(format!("cannot resolve {name:?}: it is no name of the DNS")))?);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&number(record).to_be_bytes());
    out.extend_from_slice(&INTERNET.to_be_bytes());
    Ok(out)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// None when it is no answer to that question, or the server says that it failed.
fn read(message: &[u8], id: u16, record: RecordType) -> Option<Answer> {
    const NO_SUCH_NAME: u8 = 3;
    let is_answer = word(message, 0)? == id && message.get(2)? & 0x80 != 0;
    match message.get(3)? & 0x0f {
        0 if is_answer => {}
        NO_SUCH_NAME if is_answer => return Some(Answer::NoSuchName),
        _ => return None,
    }
    let (questions, answers) = (word(message, 4)?, word(message, 6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = name_at(message, at)?.1 + 4;
    }
    let mut records = Vec::new();
    for _ in 0..answers {
        let (_, after) = name_at(message, at)?;
        let kind = word(message, after)?;
        let (start, len) = (after + 10, usize::from(word(message, after + 8)?));
        let data = message.get(start..start + len)?;
        at = start + len;
        // A CNAME stands beside the records that it leads to.
        if kind != number(record) {
            continue;
        }
        records.push(match record {
            RecordType::A => Record::Address(IpAddr::V4(<[u8; 4]>::try_from(data).ok()?.into())),
            RecordType::Aaaa => Record::Address(IpAddr::V6(<[u8; 16]>::try_from(data).ok()?.into())),
            RecordType::Srv => Record::Srv { target: name_at(message, start + 6)?.0, port: word(data, 4)? },
            RecordType::Mx => Record::Mx(name_at(message, start + 2)?.0),
            RecordType::Ns => Record::Ns(name_at(message, start)?.0),
        });
    }
    Some(Answer::Records(records))
}

/// The name that begins there, with its last dot, and where what follows it begins.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut name, mut end, mut pointers) = (String::new(), None, 0);
    loop {
        let len = usize::from(*message.get(at)?);
        match len {
            0 => {
                let end = end.unwrap_or(at + 1);
                return Some((if name.is_empty() { ".".to_owned() } else { name }, end));
            }
            1..64 => {
                name.push_str(std::str::from_utf8(message.get(at + 1..at + 1 + len)?).ok()?);
                name.push('.');
                at += 1 + len;
            }
            192.. => {
                pointers += 1;
                end = end.or(Some(at + 2));
                at = usize::from(word(message, at)? & 0x3fff);
                if pointers > POINTERS_MAX {
                    return None;
                }
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to `_web._tcp.example.com SRV` with a pointer in each name.
    fn srv_answer() -> Vec<u8> {
        let mut out = question(7, "_web._tcp.example.com.", RecordType::Srv).unwrap();
        out[2] = 0x81;
        out[3] = 0x80;
        out[7] = 1;
        out.extend_from_slice(&[0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 11, 0, 1, 0, 2, 0x23, 0x8c, 2, b'h', b'1', 0xc0, 22]);
        out
    }

    #[test]
    fn records_are_read_and_become_targets() {
        let Some(Answer::Records(records)) = read(&srv_answer(), 7, RecordType::Srv) else { panic!("records") };
        assert_eq!(records, [Record::Srv { target: "h1.example.com.".to_owned(), port: 9100 }]);
        let labels = target(&records[0], "_web._tcp.example.com", 0);
        assert_eq!(labels[0], ("__address__".to_owned(), "h1.example.com:9100".to_owned()));
        assert_eq!(labels[2].1, "h1.example.com.");
        let six = target(&Record::Address("::1".parse().unwrap()), "x", 80);
        assert_eq!(six[0].1, "[::1]:80");
    }

    #[test]
    fn hostile_messages_are_no_answers() {
        let whole = srv_answer();
        for len in 0..whole.len() {
            assert!(read(&whole[..len], 7, RecordType::Srv).is_none(), "{len} bytes");
        }
        assert!(read(&whole, 8, RecordType::Srv).is_none(), "another question's");
        let mut looped = whole.clone();
        let last = looped.len() - 1;
        looped[last] = (last - 1) as u8;
        assert!(read(&looped, 7, RecordType::Srv).is_none());
        let mut failed = whole;
        failed[3] = 0x82;
        assert!(read(&failed, 7, RecordType::Srv).is_none());
    }

    #[test]
    fn names_are_searched_as_the_system_does() {
        let resolver = Resolver::of("nameserver 10.0.0.1\nnameserver ::1\nsearch a.b c\noptions ndots:2 edns0\n");
        assert_eq!(resolver.servers, ["10.0.0.1:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
        assert_eq!(resolver.candidates("x.y"), ["x.y.a.b.", "x.y.c.", "x.y."]);
        assert_eq!(resolver.candidates("x.y.z"), ["x.y.z.", "x.y.z.a.b.", "x.y.z.c."]);
        assert_eq!(resolver.candidates("x."), ["x."]);
    }
}
