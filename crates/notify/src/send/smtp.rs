//! A mail is handed to a mail server. Source: RFC 5321; 3207 for STARTTLS, 4954 for logging in.
//!
//! Refused: `lettre`, which is well kept. It turns on features of `rustls` and `futures-io` under everything that has TLS here, and of what it can we need one
//! dialogue with one server, one recipient and a body in Base64. The price is this file.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::{MailServer, MailTls};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Failure;

/// Of an answer of the server's.
const LINES_MAX: usize = 64;
const LINE_BYTES_MAX: u64 = 2048;
/// Of an answer that is told on.
const TOLD_CHARS_MAX: usize = 120;

pub(super) struct Envelope<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// With lines that end in CR LF, none of which begins with a dot.
    pub(super) mail: &'a str,
}

/// Gives what the server said of it when it had taken it.
pub(super) async fn deliver(server: &MailServer, login: Option<(String, String)>, envelope: &Envelope<'_>) -> Result<String, Failure> {
    let unreachable = |error: std::io::Error| Failure::passing("unreachable", format!("cannot reach {}: {error}", server.host));
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(unreachable)?;
    let us = tcp.local_addr().map_err(unreachable)?.ip();
    let us = if us.is_ipv6() { format!("[IPv6:{us}]") } else { format!("[{us}]") };
    let wire: Box<dyn Wire> = if server.tls == MailTls::Tls { encrypted(Box::new(tcp), &server.host).await? } else { Box::new(tcp) };
    let mut dialogue = Dialogue(BufReader::new(wire));
    dialogue.answer(&[220]).await?;
    if server.tls == MailTls::StartTls {
        dialogue.ask(&format!("EHLO {us}"), &[250]).await?;
        dialogue.ask("STARTTLS", &[220]).await?;
        dialogue = Dialogue(BufReader::new(encrypted(dialogue.into_wire()?, &server.host).await?));
    }
    let able = dialogue.ask(&format!("EHLO {us}"), &[250]).await?;
    if let Some((user, password)) = login {
        dialogue.log_in(&able, &user, &password).await?;
    }
    dialogue.ask(&format!("MAIL FROM:<{}>", envelope.from), &[250]).await?;
    dialogue.ask(&format!("RCPT TO:<{}>", envelope.to), &[250, 251]).await?;
    dialogue.ask("DATA", &[354]).await?;
    let taken = dialogue.ask(&format!("{}\r\n.", envelope.mail.trim_end_matches("\r\n")), &[250]).await?;
    // It is taken: what comes of the farewell changes nothing.
    let _ = dialogue.write("QUIT").await;
    Ok(crate::words::clean(&taken, TOLD_CHARS_MAX))
}

/// A connection, encrypted or not.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

async fn encrypted(wire: Box<dyn Wire>, host: &str) -> Result<Box<dyn Wire>, Failure> {
    let wrong = |why: String| Failure::passing("tls", format!("cannot encrypt the connection to {host}: {why}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.and_then(|config| config.with_platform_verifier()).map_err(|error| wrong(error.to_string()))?.with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|error| wrong(error.to_string()))?;
    let encrypted = TlsConnector::from(Arc::new(config)).connect(name, wire).await.map_err(|error| wrong(error.to_string()))?;
    Ok(Box::new(encrypted))
}

struct Dialogue(BufReader<Box<dyn Wire>>);

impl Dialogue {
    fn into_wire(self) -> Result<Box<dyn Wire>, Failure> {
        // What was said before the connection is encrypted is nobody's word. Source: CVE-2011-0411.
        match self.0.buffer().is_empty() {
            true => Ok(self.0.into_inner()),
            false => Err(Failure::lasting("tls", "the server speaks out of turn")),
        }
    }

    async fn log_in(&mut self, able: &str, user: &str, password: &str) -> Result<(), Failure> {
        let ways = able
            .lines()
            .filter_map(|line| line.to_ascii_uppercase().strip_prefix("AUTH ").map(str::to_owned))
            .collect::<Vec<_>>()
            .join(" ");
        let knows = |way: &str| ways.split(' ').any(|known| known == way);
        if knows("PLAIN") || !knows("LOGIN") {
            let both = STANDARD.encode(format!("\0{user}\0{password}"));
            self.ask(&format!("AUTH PLAIN {both}"), &[235]).await?;
        } else {
            self.ask("AUTH LOGIN", &[334]).await?;
            self.ask(&STANDARD.encode(user), &[334]).await?;
            self.ask(&STANDARD.encode(password), &[235]).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, line: &str, good: &[u16]) -> Result<String, Failure> {
        self.write(line).await?;
        self.answer(good).await
    }

    async fn write(&mut self, line: &str) -> Result<(), Failure> {
        let text = format!("{line}\r\n");
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)
    }

    /// All lines of an answer without their codes; any other code than the good ones is a failure.
    async fn answer(&mut self, good: &[u16]) -> Result<String, Failure> {
        let mut texts = Vec::new();
        for _ in 0..LINES_MAX {
            let mut line = Vec::new();
            (&mut self.0).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await.map_err(broken)?;
            if !line.ends_with(b"\n") {
                return Err(Failure::passing("unreachable", "the server went away, or speaks without end"));
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let (code, rest) = line.split_at_checked(3).unwrap_or((line, ""));
            let code: u16 = code.parse().map_err(|_| Failure::passing("server_error", format!("the server says {line:?}")))?;
            texts.push(rest.get(1..).unwrap_or_default().to_owned());
            if rest.starts_with('-') {
                continue;
            }
            if good.contains(&code) {
                return Ok(texts.join("\n"));
            }
            let why = format!("the server says {code} {}", texts.join(" "));
            return Err(match code {
                400..500 => Failure::passing("server_error", why),
                530 | 534 | 535 | 538 => Failure::lasting("forbidden", why),
                _ => Failure::lasting("refused", why),
            });
        }
        Err(Failure::passing("server_error", "the server's answer has no end"))
    }
}

fn broken(error: std::io::Error) -> Failure {
    Failure::passing("unreachable", format!("the connection broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};

    /// What comes of an answer that the server gives before it is asked anything.
    async fn said(text: &str) -> Result<String, Failure> {
        let (ours, mut theirs): (DuplexStream, DuplexStream) = duplex(1 << 20);
        theirs.write_all(text.as_bytes()).await.unwrap();
        drop(theirs);
        Dialogue(BufReader::new(Box::new(ours))).answer(&[250]).await
    }

    #[tokio::test]
    async fn answers_are_read_to_their_last_line_and_no_further_than_is_sane() {
        assert_eq!(said("250-mail\r\n250-AUTH PLAIN\r\n250 ok\r\n").await.unwrap(), "mail\nAUTH PLAIN\nok");
        for (text, reason, is_passing) in [
            ("451 later\r\n", "server_error", true),
            ("535 who are you\r\n", "forbidden", false),
            ("550-no\r\n550 such user\r\n", "refused", false),
            ("what?\r\n", "server_error", true),
            ("250 half an", "unreachable", true),
            ("", "unreachable", true),
        ] {
            let failure = said(text).await.unwrap_err();
            assert_eq!((failure.reason, failure.is_passing), (reason, is_passing), "{text:?}: {}", failure.why);
        }
        assert_eq!(said(&"250-x\r\n".repeat(1000)).await.unwrap_err().why, "the server's answer has no end");
        assert_eq!(said(&"2".repeat(100_000)).await.unwrap_err().reason, "unreachable");
    }

    #[tokio::test]
    async fn what_is_said_before_the_connection_is_encrypted_ends_it() {
        let (ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(b"220 go ahead\r\n250 injected\r\n").await.unwrap();
        let mut dialogue = Dialogue(BufReader::new(Box::new(ours)));
        dialogue.answer(&[220]).await.unwrap();
        assert_eq!(dialogue.into_wire().map(drop).unwrap_err().reason, "tls");
    }
}
