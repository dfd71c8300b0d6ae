//! Who is there: a client proves that it knows the shared key, and its user's password, without sending either; the server
//! proves the first too.

use std::fmt;

use model::{Error, Result};
use ring::digest::{Context, SHA512};

use super::msgpack::{Item, Reader};
use crate::outcome::shortened;

/// What clients must know.
#[derive(Clone, Default)]
pub struct FluentSecurity {
    pub shared_key: String,
    /// Names and passwords; without any, no user is asked for.
    pub users: Vec<(String, String)>,
}

impl fmt::Debug for FluentSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FluentSecurity").field("users", &self.users.len()).finish_non_exhaustive()
    }
}

/// How we call ourselves to clients; to Fluentd it must not be its own name.
const SERVER_NAME: &str = "tyto";

/// One connection's.
pub(super) struct Handshake<'s> {
    security: &'s FluentSecurity,
    /// Printable, so that it is the same bytes to every client, be it text or bytes to it.
    nonce: String,
    salt: String,
}

impl<'s> Handshake<'s> {
    pub(super) fn new(security: &'s FluentSecurity, random: [u8; 32]) -> Self {
        let (nonce, salt) = random.split_at(16);
        Self { security, nonce: hex(nonce), salt: if security.users.is_empty() { String::new() } else { hex(salt) } }
    }

    /// `["HELO", {"nonce": ..., "auth": salt or nothing, "keepalive": true}]`.
    pub(super) fn helo(&self) -> Vec<u8> {
        let mut out = vec![0x92];
        write_text("HELO", &mut out);
        out.push(0x83);
        for (name, value) in [("nonce", &self.nonce), ("auth", &self.salt)] {
            write_text(name, &mut out);
            write_text(value, &mut out);
        }
        write_text("keepalive", &mut out);
        out.push(0xc3);
        out
    }

    /// What to answer a client's `["PING", its name, salt, digest of the key, user, digest of the password]`, and whether it may
    /// go on.
    pub(super) fn pong(&self, ping: &[u8]) -> (Vec<u8>, Result<()>) {
        let mut out = vec![0x95];
        write_text("PONG", &mut out);
        match self.check(ping) {
            Ok(salt) => {
                out.push(0xc3);
                write_text("", &mut out);
                write_text(SERVER_NAME, &mut out);
                write_text(&digest(&[salt, SERVER_NAME.as_bytes(), self.nonce.as_bytes(), self.security.shared_key.as_bytes()]), &mut out);
                (out, Ok(()))
            }
            Err(error) => {
                out.push(0xc2);
                write_text(&error.what, &mut out);
                write_text("", &mut out);
                write_text("", &mut out);
                (out, Err(error))
            }
        }
    }

    /// The client's salt.
    fn check<'p>(&self, ping: &'p [u8]) -> Result<&'p [u8]> {
        let unreadable = || Error::invalid("cannot read PING: it is not five texts after its name");
        let mut reader = Reader::new(ping);
        let mut texts = [&[][..]; 6];
        if reader.next().ok() != Some(Item::List(6)) {
            return Err(unreadable());
        }
        for text in &mut texts {
            let (Ok(Item::Text(found)) | Ok(Item::Bytes(found))) = reader.next() else { return Err(unreadable()) };
            *text = found;
        }
        let [kind, host, salt, key, user, password] = texts;
        if kind != b"PING" {
            return Err(unreadable());
        }
        let expected = digest(&[salt, host, self.nonce.as_bytes(), self.security.shared_key.as_bytes()]);
        if !same(expected.as_bytes(), key) {
            return Err(refused("the shared key is another", host));
        }
        let known = self.security.users.is_empty()
            || self.security.users.iter().any(|(name, secret)| {
                let expected = digest(&[self.salt.as_bytes(), name.as_bytes(), secret.as_bytes()]);
                name.as_bytes() == user && same(expected.as_bytes(), password)
            });
        if known { Ok(salt) } else { Err(refused("the user is not known, or the password is another", host)) }
    }
}

fn refused(why: &str, host: &[u8]) -> Error {
    let host = shortened(&String::from_utf8_lossy(host));
    Error::new(model::Code::Unauthenticated, format!("cannot let {host} in: {why}"))
}

/// Lower-case hex of the SHA-512 of all parts.
fn digest(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA512);
    parts.iter().for_each(|part| context.update(part));
    hex(context.finish().as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes as long for any wrong digest.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    match u8::try_from(text.len()) {
        Ok(len @ 0..32) => out.push(0xa0 | len),
        Ok(len) => out.extend_from_slice(&[0xd9, len]),
        Err(_) => {
            let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
            out.push(0xda);
            out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(&text.as_bytes()[..text.len().min(usize::from(u16::MAX))]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping(texts: [&str; 6]) -> Vec<u8> {
        let mut out = vec![0x96];
        texts.iter().for_each(|text| write_text(text, &mut out));
        out
    }

    #[test]
    fn only_who_knows_the_key_and_the_password_gets_in() {
        let security = FluentSecurity { shared_key: "key".to_owned(), users: vec![("ann".to_owned(), "secret".to_owned())] };
        let handshake = Handshake::new(&security, [7; 32]);
        let (nonce, salt) = ("07".repeat(16), "07".repeat(16));
        let hash = |parts: &[&str]| digest(&parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        let (key, password) = (hash(&["s", "web", &nonce, "key"]), hash(&[&salt, "ann", "secret"]));
        let (answer, done) = handshake.pong(&ping(["PING", "web", "s", &key, "ann", &password]));
        done.expect("let in");
        let expect = hash(&["s", "tyto", &nonce, "key"]);
        assert!(answer.starts_with(b"\x95\xa4PONG\xc3\xa0\xa4tyto\xd9\x80") && answer.ends_with(expect.as_bytes()));
        for wrong in [
            ["PING", "web", "s", &hash(&["s", "web", &nonce, "other"]), "ann", &password],
            ["PING", "web", "s", &key, "bob", &password],
            ["PING", "web", "s", &key, "ann", &hash(&[&salt, "ann", "guess"])],
            ["PING", "web", "t", &key, "ann", &password],
            ["PING", "web", "s", "", "", ""],
            ["PONG", "web", "s", &key, "ann", &password],
        ] {
            let (answer, done) = handshake.pong(&ping(wrong));
            assert!(done.is_err() && answer.starts_with(b"\x95\xa4PONG\xc2"), "{wrong:?}");
        }
        assert!(handshake.pong(b"").1.is_err() && handshake.pong(b"\x96\x01").1.is_err());
        assert!(!format!("{security:?}").contains("secret"));
        // The standard vector of "abc".
        assert!(digest(&[b"a", b"bc"]).starts_with("ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn a_server_without_users_asks_for_none() {
        let security = FluentSecurity { shared_key: "key".to_owned(), users: Vec::new() };
        let handshake = Handshake::new(&security, [1; 32]);
        assert!(
            handshake.helo().starts_with(b"\x92\xa4HELO\x83\xa5nonce\xd9\x20")
                && handshake.helo().ends_with(b"\xa4auth\xa0\xa9keepalive\xc3")
        );
        let key = digest(&[b"s", b"web", "01".repeat(16).as_bytes(), b"key"]);
        handshake.pong(&ping(["PING", "web", "s", &key, "", ""])).1.expect("let in");
    }
}
