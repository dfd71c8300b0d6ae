//! The formats that are enforced. Those that do not stand here say something to people only, as JSON Schema has it.

use std::net::{Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, NaiveDate};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    DateTime,
    Date,
    Ipv4,
    Ipv6,
    Uuid,
    Email,
    Hostname,
    Uri,
}

impl Format {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "date-time" => Self::DateTime,
            "date" => Self::Date,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "uuid" => Self::Uuid,
            "email" => Self::Email,
            "hostname" => Self::Hostname,
            "uri" => Self::Uri,
            _ => return None,
        })
    }

    pub(crate) fn holds(self, text: &str) -> bool {
        let bytes = text.as_bytes();
        match self {
            Self::DateTime => matches!(bytes.get(10), Some(b'T' | b't')) && DateTime::parse_from_rfc3339(text).is_ok(),
            Self::Date => bytes.len() == 10 && bytes[0].is_ascii_digit() && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok(),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Uuid => {
                let fits = |(at, byte): (usize, &u8)| match at {
                    8 | 13 | 18 | 23 => *byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                };
                bytes.len() == 36 && bytes.iter().enumerate().all(fits)
            }
            Self::Email => text.rsplit_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && local.len() <= 64 && !local.contains(char::is_whitespace) && is_hostname(domain)
            }),
            Self::Hostname => is_hostname(text),
            Self::Uri => text.split_once(':').is_some_and(|(scheme, rest)| {
                let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
                is_scheme
                    && rest.bytes().all(|byte| {
                        byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'{' | b'}' | b'|' | b'\\' | b'^' | b'`')
                    })
            }),
        }
    }
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (name, good, bad) in [
            ("date-time", "2026-11-23T12:00:00.5+01:00", "2026-11-23 12:00:00Z"),
            ("date-time", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00"),
            ("date", "2024-02-29", "2026-02-29"),
            ("date", "2026-11-23", "+026-11-23"),
            ("ipv4", "10.0.0.1", "10.0.0.01"),
            ("ipv6", "::1", "10.0.0.1"),
            ("uuid", "6f1d2c1e-0000-4000-8000-000000000001", "6f1d2c1e00004000-8000-000000000001-1"),
            ("email", "a@example.com", "a b@example.com"),
            ("hostname", "pay-1.example", "-pay.example"),
            ("uri", "https://example.com/?a=b", "example.com/a"),
            ("uri", "urn:a", "http://a b"),
        ] {
            let format = Format::of_name(name).unwrap();
            assert!(format.holds(good), "{name} {good}");
            assert!(!format.holds(bad), "{name} {bad}");
        }
        assert_eq!(Format::of_name("colour"), None);
    }
}
