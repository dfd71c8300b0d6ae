use std::net::IpAddr;

/// What `ip("...")` matches: one address, an inclusive range, or a CIDR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPattern {
    first: IpAddr,
    last: IpAddr,
}

impl IpPattern {
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((address, prefix)) = text.split_once('/') {
            return Self::block(address.parse().ok()?, prefix.parse().ok()?);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    fn block(address: IpAddr, prefix: u32) -> Option<Self> {
        match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
                let bits = u32::from(address);
                (prefix <= 32).then(|| Self { first: IpAddr::V4((bits & !host).into()), last: IpAddr::V4((bits | host).into()) })
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
                let bits = u128::from(address);
                (prefix <= 128).then(|| Self { first: IpAddr::V6((bits & !host).into()), last: IpAddr::V6((bits | host).into()) })
            }
        }
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether an address of the pattern stands anywhere in the text, alone or with a port behind it.
    pub fn found_in(&self, text: &str) -> bool {
        let member = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        text.split(|c| !member(c)).filter(|run| run.contains(['.', ':'])).any(|run| {
            let whole = run.trim_matches('.');
            let whole = if whole.ends_with("::") { whole } else { whole.trim_end_matches(':') };
            if let Ok(address) = whole.parse() {
                return self.contains(address);
            }
            let dotted = |c: char| c.is_ascii_digit() || c == '.';
            run.split(|c| !dotted(c)).filter_map(|part| part.trim_matches('.').parse().ok()).any(|address| self.contains(address))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expect: bool) {
        assert_eq!(IpPattern::parse(pattern).expect("a pattern").found_in(text), expect, "{pattern} in {text}");
    }

    #[test]
    fn addresses_are_found_inside_text() {
        check("192.168.0.0/16", "src 192.168.1.5:80 ok", true);
        check("192.168.0.0/16", "src 10.0.0.1.", false);
        check("10.0.0.1-10.0.0.9", "(10.0.0.9).", true);
        check("2001:db8::/32", "from [2001:db8::1]:443", true);
        check("::1", "127.0.0.1", false);
        check("0.0.0.0/0", "no address", false);
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in ["", "x", "1.2.3", "1.2.3.4/33", "1.2.3.9-1.2.3.1", "1.2.3.4-::1"] {
            assert_eq!(IpPattern::parse(text), None, "{text}");
        }
    }
}
