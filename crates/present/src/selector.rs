//! Series selectors, as `match[]` and Loki's label APIs take them: `up{job="a", env=~"b|c"}`, `{"a.name", "b.c"!="d"}`.

use model::{MatchOp, Matcher};

/// Matchers of one selector.
const MATCHERS_MAX: usize = 256;

/// The matchers; the metric's name is one on `__name__`. The error says what is wrong and at which byte.
pub(crate) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let mut reader = Reader { text, at: 0 };
    let mut matchers = Vec::new();
    reader.space();
    let name = reader.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if !name.is_empty() {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("{name:?} is not the name of a metric"));
        }
        matchers.push(Matcher::new("__name__", MatchOp::Equal, name));
    }
    reader.space();
    if reader.eat("{") {
        reader.braces(&mut matchers)?;
    } else if name.is_empty() {
        return reader.fail("a metric's name or { is missing");
    }
    reader.space();
    if reader.at < text.len() {
        return reader.fail("the selector ends here");
    }
    for matcher in &matchers {
        if matches!(matcher.op, MatchOp::Regex | MatchOp::NotRegex)
            && let Err(error) = regex::Regex::new(&format!("^(?s:{})$", matcher.value))
        {
            let why = error.to_string();
            return Err(format!("the regular expression {:?} does not compile: {}", matcher.value, why.lines().last().unwrap_or_default()));
        }
    }
    Ok(matchers)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("{why} (byte {})", self.at))
    }

    fn space(&mut self) {
        self.take(char::is_whitespace);
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn braces(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), String> {
        loop {
            self.space();
            if self.eat("}") {
                return Ok(());
            }
            if matchers.len() >= MATCHERS_MAX {
                return self.fail(&format!("more matchers than matchers_max, {MATCHERS_MAX}"));
            }
            matchers.push(self.matcher()?);
            self.space();
            if !self.eat(",") && !self.rest().starts_with('}') {
                return self.fail("a , or } is missing");
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let quoted = self.rest().starts_with(['"', '\'', '`']);
        let name = match quoted {
            true => self.string()?,
            false => self.take(|c| c.is_ascii_alphanumeric() || c == '_').to_owned(),
        };
        if name.is_empty() || !quoted && name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.fail("the name of a label is missing");
        }
        self.space();
        let op = match () {
            () if self.eat("=~") => MatchOp::Regex,
            () if self.eat("!~") => MatchOp::NotRegex,
            () if self.eat("!=") => MatchOp::NotEqual,
            () if self.eat("=") => MatchOp::Equal,
            // A quoted name alone is the metric's.
            () if quoted => return Ok(Matcher::new("__name__", MatchOp::Equal, name)),
            () => return self.fail("one of = != =~ !~ is missing"),
        };
        self.space();
        Ok(Matcher::new(name, op, self.string()?))
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => quote,
            _ => return self.fail("a quoted text is missing"),
        };
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(c) = self.rest().chars().next() else { return self.fail("a quoted text does not end") };
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\\' if quote != '`' => self.escape(&mut bytes)?,
                '\n' if quote != '`' => return self.fail("a quoted text does not end before its line does"),
                c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(bytes).or_else(|_| self.fail("a quoted text is not UTF-8"))
    }

    /// As in Go: `\n`, `\x41`, `\101`, `\u00e9`, `\U0001f989`.
    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), String> {
        let Some(c) = self.rest().chars().next() else { return self.fail("an escape does not end") };
        self.at += c.len_utf8();
        let plain = match c {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '\'' | '"' => c as u8,
            'x' => self.number(2, 16)? as u8,
            '0'..='7' => {
                self.at -= 1;
                match u8::try_from(self.number(3, 8)?) {
                    Ok(byte) => byte,
                    Err(_) => return self.fail("an escape is over \\377"),
                }
            }
            'u' | 'U' => {
                let code = self.number(if c == 'u' { 4 } else { 8 }, 16)?;
                let Some(c) = char::from_u32(code) else { return self.fail("an escape is no character") };
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return self.fail("an escape is not known"),
        };
        bytes.push(plain);
        Ok(())
    }

    fn number(&mut self, digits: usize, radix: u32) -> Result<u32, String> {
        let number = self.rest().get(..digits).and_then(|text| match text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            true => u32::from_str_radix(text, radix).ok(),
            false => None,
        });
        let Some(number) = number else { return self.fail("an escape has too few digits") };
        self.at += digits;
        Ok(number)
    }
}

/// Whether a label set passes; a missing label is the empty text. For the few sets that are matched here and not by
/// the engine.
pub(crate) fn matches(matchers: &[Matcher], labels: &model::Labels) -> bool {
    matchers.iter().all(|matcher| {
        let value = labels.get(&matcher.name).unwrap_or_default();
        let regex = || regex::Regex::new(&format!("^(?s:{})$", matcher.value)).is_ok_and(|regex| regex.is_match(value));
        match matcher.op {
            MatchOp::Equal => value == matcher.value,
            MatchOp::NotEqual => value != matcher.value,
            MatchOp::Regex => regex(),
            MatchOp::NotRegex => !regex(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let shown = match parse(text) {
            Ok(matchers) => matchers.iter().map(|m| format!("{}{}{:?}", m.name, m.op, m.value)).collect::<Vec<_>>().join(","),
            Err(why) => why,
        };
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn selectors() {
        check("up", r#"__name__="up""#);
        check(r#" a:b { c = "d" , e =~ 'f|g', } "#, r#"__name__="a:b",c="d",e=~"f|g""#);
        check(r#"{"http.requests", "a.b"!="x", c!~`\d+`}"#, r#"__name__="http.requests",a.b!="x",c!~"\\d+""#);
        check(r#"{a="\n\x41\101\u00e9\U0001f989\"\\"}"#, r#"a="\nAAé🦉\"\\""#);
        check("{}", "");
        check("", "a metric's name or { is missing (byte 0)");
        check("1a{}", r#""1a" is not the name of a metric"#);
        check("{a", "one of = != =~ !~ is missing (byte 2)");
        check("{a=b}", "a quoted text is missing (byte 3)");
        check(r#"{a="b"#, "a quoted text does not end (byte 5)");
        check(r#"{a="b" c="d"}"#, "a , or } is missing (byte 7)");
        check("up[5m]", "the selector ends here (byte 2)");
        check(r#"{a="\é"}"#, "an escape is not known (byte 7)");
        check(r#"{a="\u00é"}"#, "an escape has too few digits (byte 6)");
        check(r#"{a="\777"}"#, "an escape is over \\377 (byte 8)");
        check(r#"{a="\xff"}"#, "a quoted text is not UTF-8 (byte 9)");
        check(r#"{a=~"("}"#, r#"the regular expression "(" does not compile: error: unclosed group"#);
    }
}
