//! Reads a stream's label string, `{app="cart", env="prod"}`, strictly.

/// The pairs in the order in which they came; why it is no label string otherwise. More than `labels_max` are refused at once.
pub(super) fn parse(text: &str, labels_max: usize) -> Result<Vec<(String, String)>, String> {
    let mut parser = Parser { rest: text.trim_start() };
    let mut pairs = Vec::new();
    parser.expect('{')?;
    if !parser.accept('}') {
        loop {
            let name = parser.name()?;
            parser.expect('=')?;
            let value = parser.quoted()?;
            // An empty value is no label.
            if !value.is_empty() {
                pairs.push((name, value));
            }
            if pairs.len() > labels_max {
                return Err(format!("there are more labels than labels_per_series_max, {labels_max}"));
            }
            if parser.accept('}') {
                break;
            }
            parser.expect(',')?;
            // A comma may stand before the end.
            if parser.accept('}') {
                break;
            }
        }
    }
    if parser.rest.is_empty() { Ok(pairs) } else { Err(format!("unexpected {:?} after the closing brace", parser.next_char())) }
}

struct Parser<'t> {
    /// Never begins with white space.
    rest: &'t str,
}

impl Parser<'_> {
    fn next_char(&self) -> String {
        self.rest.chars().next().map_or_else(|| "end".to_owned(), String::from)
    }

    fn accept(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.map_or(self.rest, str::trim_start);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.accept(c) { Ok(()) } else { Err(format!("expected {c:?}, found {:?}", self.next_char())) }
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("expected a label name, found {:?}", self.next_char()));
        }
        self.rest = rest.trim_start();
        Ok(name.to_owned())
    }

    /// A value in double quotes with escapes, or in backquotes without.
    fn quoted(&mut self) -> Result<String, String> {
        if let Some(raw) = self.rest.strip_prefix('`') {
            let (value, rest) = raw.split_once('`').ok_or("a backquoted value has no end")?;
            self.rest = rest.trim_start();
            return Ok(value.to_owned());
        }
        let quoted = self.rest.strip_prefix('"').ok_or_else(|| format!("expected a quoted value, found {:?}", self.next_char()))?;
        let (mut value, mut chars) = (Vec::new(), quoted.chars());
        loop {
            match chars.next() {
                None | Some('\n') => return Err("a quoted value has no end".to_owned()),
                Some('"') => break,
                Some('\\') => escape(&mut chars, &mut value)?,
                Some(c) => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.rest = chars.as_str().trim_start();
        String::from_utf8(value).map_err(|_| "escapes in a value do not make UTF-8".to_owned())
    }
}

/// What follows a backslash, as Go writes it.
fn escape(chars: &mut std::str::Chars<'_>, value: &mut Vec<u8>) -> Result<(), String> {
    let simple = match chars.next() {
        Some('a') => b'\x07',
        Some('b') => b'\x08',
        Some('f') => b'\x0c',
        Some('n') => b'\n',
        Some('r') => b'\r',
        Some('t') => b'\t',
        Some('v') => b'\x0b',
        Some('\\') => b'\\',
        Some('"') => b'"',
        Some('x') => u8::try_from(digits(chars, 2, 16, 0)?).map_err(|_| "an escape is over a byte")?,
        Some(first @ '0'..='7') => {
            u8::try_from(digits(chars, 2, 8, first.to_digit(8).unwrap_or_default())?).map_err(|_| "an octal escape is over a byte")?
        }
        Some(kind @ ('u' | 'U')) => {
            let code = digits(chars, if kind == 'u' { 4 } else { 8 }, 16, 0)?;
            let c = char::from_u32(code).ok_or("an escape is no character")?;
            value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        Some(other) => return Err(format!("unknown escape \\{other}")),
        None => return Err("a quoted value has no end".to_owned()),
    };
    value.push(simple);
    Ok(())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, radix: u32, first: u32) -> Result<u32, String> {
    (0..count).try_fold(first, |number, _| {
        let digit = chars.next().and_then(|c| c.to_digit(radix)).ok_or("an escape is cut off")?;
        number.checked_mul(radix).and_then(|number| number.checked_add(digit)).ok_or_else(|| "an escape is no character".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_strings_are_read_strictly() {
        let check = |text: &str, expect: Result<&[(&str, &str)], &str>| {
            let parsed = parse(text, 2);
            let pairs = parsed.as_ref().map(|pairs| pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect::<Vec<_>>());
            assert_eq!(pairs.as_deref().map_err(|why| why.as_str()), expect, "{text}");
        };
        check("{}", Ok(&[]));
        check(r#" { a = "b" , c="d", } "#, Ok(&[("a", "b"), ("c", "d")]));
        check(r#"{a="x\"y\\\n\u00e9\x41\101"}"#, Ok(&[("a", "x\"y\\\n\u{e9}AA")]));
        check("{a=`raw\\n`}", Ok(&[("a", "raw\\n")]));
        check(r#"{a="1",b="",c="3"}"#, Ok(&[("a", "1"), ("c", "3")]));
        check(r#"{a="1"} x"#, Err("unexpected \"x\" after the closing brace"));
        check(r#"{a="1" b="2"}"#, Err("expected ',', found \"b\""));
        check(r#"{1a="1"}"#, Err("expected a label name, found \"1\""));
        check(r#"{a=~"1"}"#, Err("expected a quoted value, found \"~\""));
        check(r#"{a="1}"#, Err("a quoted value has no end"));
        check(r#"{a="\q"}"#, Err("unknown escape \\q"));
        check(r#"{a="\xff"}"#, Err("escapes in a value do not make UTF-8"));
        check(r#"{a="\u12"}"#, Err("an escape is cut off"));
        check(r#"{a="1",b="2",c="3"}"#, Err("there are more labels than labels_per_series_max, 2"));
        check("", Err("expected '{', found \"end\""));
    }
}
