use super::ast::{AggregateOp, BinaryOp, Span};
use super::error::Failure;
use super::text::{quote, unquote};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Keywords too: only their place tells them from names, since labels and metrics may be called `by` or `sum`.
    Name(String),
    Number(f64),
    /// A duration in seconds.
    Duration(f64),
    Text(String),
    /// Operators and brackets.
    Sign(&'static str),
    End,
}

impl Token {
    /// As Prometheus names it in messages; `raw` is how it was written.
    pub(super) fn describe(&self, raw: &str) -> String {
        const KEYWORDS: [&str; 14] = [
            "anchored",
            "bool",
            "by",
            "end",
            "group_left",
            "group_right",
            "ignoring",
            "offset",
            "on",
            "smoothed",
            "start",
            "step",
            "range",
            "without",
        ];
        let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(raw));
        match self {
            Self::Name(_) if is_one_of(&KEYWORDS) => format!("<{raw}>"),
            Self::Name(_) if BinaryOp::of_word(raw).is_some() => format!("<op:{raw}>"),
            Self::Name(_) if AggregateOp::ALL.iter().any(|op| op.text().eq_ignore_ascii_case(raw)) => format!("<aggr:{raw}>"),
            Self::Name(_) if raw.contains(':') => format!("metric identifier {raw:?}"),
            Self::Name(_) => format!("identifier {raw:?}"),
            Self::Number(_) => format!("number {}", shortened(raw)),
            Self::Duration(_) => format!("duration {}", shortened(raw)),
            Self::Text(_) => format!("string {}", shortened(raw)),
            Self::Sign(sign @ ("(" | ")" | "{" | "}" | "[" | "]" | "," | ":" | "=")) => format!("{sign:?}"),
            Self::Sign(sign) => format!("<op:{sign}>"),
            Self::End => "end of input".to_owned(),
        }
    }

    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self, Self::Name(name) if name.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(other) if *other == sign)
    }
}

/// In quotes, at most ten characters of it.
fn shortened(raw: &str) -> String {
    match raw.char_indices().nth(10) {
        Some((end, _)) => format!("{}...", quote(&raw[..end])),
        None => quote(raw),
    }
}

const SIGNS: [&str; 26] = [
    "=~", "!~", "==", "!=", "<=", ">=", "</", ">/", "(", ")", "{", "}", "[", "]", ",", ":", "=", "<", ">", "+", "-", "*", "/", "%", "^",
    "@",
];

/// Cuts a query into tokens. Inside braces and brackets a colon stands alone, elsewhere it is part of names.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Span)>, Failure> {
    let mut lexer = Lexer { text, at: 0, braces: 0, brackets: 0, parens: 0, tokens: Vec::new() };
    while lexer.next()? {}
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    braces: usize,
    brackets: usize,
    parens: usize,
    tokens: Vec<(Token, Span)>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// Reads one token; false after the end of input.
    fn next(&mut self) -> Result<bool, Failure> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else { return self.end() };
        let token = match first {
            '"' | '\'' | '`' => {
                let (value, length) = unquote(self.rest()).map_err(|message| Failure::at(start, message))?;
                self.at += length;
                Token::Text(value)
            }
            '0'..='9' => self.number()?,
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            'a'..='z' | 'A'..='Z' | '_' => self.name(),
            ':' if self.braces == 0 && self.brackets == 0 => self.name(),
            _ => self.sign(first)?,
        };
        self.tokens.push((token, Span { start, end: self.at }));
        Ok(true)
    }

    fn end(&mut self) -> Result<bool, Failure> {
        let message = match () {
            () if self.braces > 0 => "unexpected end of input inside braces",
            () if self.brackets > 0 => "unexpected end of input in duration expression",
            () if self.parens > 0 => "unclosed left parenthesis",
            () => {
                self.tokens.push((Token::End, Span { start: self.at, end: self.at }));
                return Ok(false);
            }
        };
        Err(Failure::at(self.at, message))
    }

    fn skip_blanks(&mut self) {
        loop {
            let blank = self.rest().len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn name(&mut self) -> Token {
        let colon = self.braces == 0 && self.brackets == 0;
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let name = self.rest()[..length].to_owned();
        self.at += length;
        // In braces every name is a label, whatever it would mean elsewhere.
        if self.braces == 0 {
            if name.eq_ignore_ascii_case("inf") {
                return Token::Number(f64::INFINITY);
            }
            if name.eq_ignore_ascii_case("nan") {
                return Token::Number(f64::NAN);
            }
        }
        Token::Name(name)
    }

    fn sign(&mut self, first: char) -> Result<Token, Failure> {
        let unexpected = |message: String| Failure::at(self.at, message);
        let Some(sign) = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign)) else {
            return Err(match first {
                '!' => match self.rest()[1..].chars().next() {
                    Some(next) => unexpected(format!("unexpected character after '!': {next:?}")),
                    None => unexpected("unexpected character after '!': '\u{fffd}'".to_owned()),
                },
                _ if self.braces > 0 => unexpected(format!("unexpected character inside braces: {first:?}")),
                _ => unexpected(format!("unexpected character: {first:?}")),
            });
        };
        let in_braces = matches!(sign, "}" | "," | "=" | "!=" | "=~" | "!~" | "==");
        if self.braces > 0 && !in_braces {
            return Err(unexpected(format!("unexpected character inside braces: {first:?}")));
        }
        if self.braces == 0 && matches!(sign, "=~" | "!~") {
            let (before, after) = sign.split_at(1);
            return Err(unexpected(format!("unexpected character after '{before}': '{after}'")));
        }
        match sign {
            "{" => self.braces += 1,
            "}" if self.braces == 0 => return Err(unexpected("unexpected character: '}'".to_owned())),
            "}" => self.braces -= 1,
            "[" if self.brackets > 0 => return Err(unexpected("unexpected left bracket '['".to_owned())),
            "[" => self.brackets += 1,
            "]" if self.brackets == 0 => return Err(unexpected("unexpected right bracket ']'".to_owned())),
            "]" => self.brackets -= 1,
            "(" => self.parens += 1,
            // Prometheus has read it when it finds that nothing was opened.
            ")" if self.parens == 0 => return Err(Failure::at(self.at + 1, "unexpected right parenthesis ')'")),
            ")" => self.parens -= 1,
            _ => {}
        }
        // `==` inside braces is two signs, so that the error names the second.
        let length = if self.braces > 0 && sign == "==" { 1 } else { sign.len() };
        self.at += length;
        Ok(Token::Sign(if length < sign.len() { "=" } else { sign }))
    }

    /// A number or a duration; letters directly after it are a mistake.
    fn number(&mut self) -> Result<Token, Failure> {
        let start = self.at;
        if self.braces > 0 {
            let first = self.rest().chars().next().unwrap_or(' ');
            return Err(Failure::at(start, format!("unexpected character inside braces: {first:?}")));
        }
        let length = number_length(self.rest());
        let digits = self.rest()[..length].bytes().all(|byte| byte.is_ascii_digit());
        let whole = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        let text = &self.rest()[..whole.max(length)];
        let bad = || Failure::at(start, format!("bad number or duration syntax: {text:?}"));
        if text.len() > length {
            let unit = text[length..].chars().next().is_some_and(|c| "smhdwy".contains(c));
            if !digits || !unit || !is_duration_shaped(text) {
                return Err(bad());
            }
            let message = format!("not a valid duration string: {text:?}");
            let seconds = parse_duration(text).ok_or_else(|| Failure::at(start, message))?;
            self.at += text.len();
            return Ok(Token::Duration(seconds));
        }
        let value = parse_number(text).ok_or_else(|| {
            let message = format!("error parsing number: strconv.ParseFloat: parsing {}: value out of range", quote(text));
            Failure::at(start, message)
        })?;
        self.at += length;
        Ok(Token::Number(value))
    }
}

fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize, accept: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| accept(byte)).count();
    if text.len() > 2 && (text.starts_with("0x") || text.starts_with("0X")) {
        return 2 + run(2, u8::is_ascii_hexdigit);
    }
    let mut length = run(0, u8::is_ascii_digit);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + run(length + 1, u8::is_ascii_digit);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = run(length + 1 + sign, u8::is_ascii_digit);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    length
}

/// A number as Prometheus reads it: hexadecimal, octal with a leading 0, or decimal. None when out of range.
pub fn parse_number(text: &str) -> Option<f64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(hex) = hex {
        return i64::from_str_radix(hex, 16).ok().map(|value| value as f64);
    }
    if text.len() > 1
        && text.starts_with('0')
        && let Ok(octal) = i64::from_str_radix(text, 8)
    {
        return Some(octal as f64);
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn is_duration_shaped(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        if digits == 0 || !matches!(&rest[digits..digits + letters], "ms" | "s" | "m" | "h" | "d" | "w" | "y") {
            return false;
        }
        rest = &rest[digits + letters..];
    }
    true
}

/// `1h30m` in seconds: units once each, from large to small.
pub fn parse_duration(text: &str) -> Option<f64> {
    const UNITS: [(&str, u64); 7] =
        [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut millis, mut next) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = UNITS.iter().position(|(name, _)| *name == &rest[digits..digits + letters])?;
        if unit < next {
            return None;
        }
        next = unit + 1;
        let count: u64 = rest[..digits].parse().ok()?;
        millis = millis.checked_add(count.checked_mul(UNITS[unit].1)?)?;
        rest = &rest[digits + letters..];
    }
    (!text.is_empty() && millis <= i64::MAX as u64 / 1_000_000).then_some(millis as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations() {
        assert_eq!(parse_number("0755"), Some(493.0));
        assert_eq!(parse_number("0x1F"), Some(31.0));
        assert_eq!(parse_number("08"), Some(8.0));
        assert_eq!(parse_duration("1h30m"), Some(5400.0));
        assert_eq!(parse_duration("4s18ms"), Some(4.018));
        assert_eq!(parse_duration("5m1h"), None);
    }

    #[test]
    fn a_colon_is_part_of_names_outside_braces_and_brackets() {
        let names = |text: &str| lex(text).expect("lexes").len();
        assert_eq!(names("job:rate:5m"), 2);
        assert_eq!(names("a[5m:1m]"), 7);
    }
}
