//! OpenTelemetry's severity numbers (1 to 24) for what loggers say.
//!
//! Source: <https://opentelemetry.io/docs/specs/otel/logs/data-model-appendix/#appendix-b-severitynumber-example-mappings>.

/// A severity: the sender's own word for it, and its number where the word is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level<'a> {
    pub text: &'a str,
    pub number: Option<i32>,
}

impl<'a> Level<'a> {
    pub fn named(text: &'a str) -> Self {
        Self { text, number: number_of(text) }
    }

    /// Of syslog's 0 (emergency) to 7 (debug), by its keyword.
    pub fn of_syslog(severity: i64) -> Option<Level<'static>> {
        const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
        let text = NAMES.get(usize::try_from(severity).ok()?)?;
        Some(Level { text, number: number_of_syslog(severity) })
    }
}

const NAME_BYTES_MAX: usize = 16;

/// Of a level's name, in any case.
pub fn number_of(name: &str) -> Option<i32> {
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"trace" | b"trc" | b"verbose" | b"finest" | b"all" => 1,
        b"finer" => 3,
        b"debug" | b"dbg" | b"fine" => 5,
        b"config" => 6,
        b"info" | b"inf" | b"information" | b"informational" => 9,
        b"notice" => 10,
        b"warn" | b"wrn" | b"warning" => 13,
        b"err" | b"error" | b"eror" | b"severe" => 17,
        b"crit" => 18,
        b"alert" => 19,
        b"critical" | b"fatal" | b"ftl" | b"panic" | b"dpanic" | b"emerg" | b"emergency" => 21,
        [word @ .., digit @ b'2'..=b'4'] => {
            let first = match word {
                b"trace" => 1,
                b"debug" => 5,
                b"info" => 9,
                b"warn" => 13,
                b"error" => 17,
                b"fatal" => 21,
                _ => return None,
            };
            first + i32::from(digit - b'1')
        }
        _ => return None,
    })
}

/// Of syslog's 0 (emergency) to 7 (debug), as journald, GELF and syslog itself send them.
pub fn number_of_syslog(severity: i64) -> Option<i32> {
    const NUMBERS: [i32; 8] = [21, 19, 18, 17, 13, 10, 9, 5];
    NUMBERS.get(usize::try_from(severity).ok()?).copied()
}

/// Of a level that is a number: bunyan's and pino's 10 to 60, else syslog's.
pub fn number_of_number(level: i64) -> Option<i32> {
    match level {
        10 => Some(1),
        20 => Some(5),
        30 => Some(9),
        40 => Some(13),
        50 => Some(17),
        60 => Some(21),
        _ => number_of_syslog(level),
    }
}

/// How far into a line its level is looked for.
const LOOKED_AT_BYTES: usize = 160;

/// The level that a line says near its beginning: klog's letter, `level=warn`, a word in capitals (`ERROR`), or one that
/// stands alone in brackets (`[error]`, `<info>`).
pub fn in_line(line: &str) -> Option<Level<'_>> {
    let text = &line[..line.floor_char_boundary(LOOKED_AT_BYTES)];
    if let [letter @ (b'I' | b'W' | b'E' | b'F' | b'D'), a, b, c, d, b' ', ..] = text.as_bytes()
        && [a, b, c, d].iter().all(|digit| digit.is_ascii_digit())
    {
        let number = match letter {
            b'D' => 5,
            b'I' => 9,
            b'W' => 13,
            b'E' => 17,
            _ => 21,
        };
        return Some(Level { text: &text[..1], number: Some(number) });
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut from = 0;
    while let Some(start) = text[from..].find(|c: char| c.is_ascii_alphabetic()).map(|at| from + at) {
        let end = text[start..].find(|c| !is_word(c)).map_or(text.len(), |at| start + at);
        let word = &text[start..end];
        let before = text[..start].chars().next_back();
        let after = text[end..].chars().next();
        if let Some(value) = named_value(word, &text[end..]) {
            return Some(Level::named(value));
        }
        let alone = matches!((before, after), (Some('['), Some(']')) | (Some('<'), Some('>')) | (Some('|'), Some('|')));
        // A word that goes on behind the part that is looked at may be another.
        let whole = !before.is_some_and(is_word) && (end < text.len() || text.len() == line.len());
        if whole && (alone || word.bytes().all(|byte| byte.is_ascii_uppercase())) && word.len() > 2 && word != "ALL" {
            let level = Level::named(word);
            if level.number.is_some() {
                return Some(level);
            }
        }
        from = end;
    }
    None
}

/// The known level in `level=warn` or `severity="warn"`.
fn named_value<'t>(name: &str, rest: &'t str) -> Option<&'t str> {
    if !["level", "lvl", "severity", "loglevel"].iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return None;
    }
    let value = rest.strip_prefix('=')?.trim_start_matches('"');
    let end = value.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(value.len());
    Some(&value[..end]).filter(|value| number_of(value).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_levels() {
        let names = [
            "TRACE",
            "debug",
            "Information",
            "notice",
            "WARNING",
            "severe",
            "crit",
            "alert",
            "Critical",
            "ERROR3",
            "debug4",
            "loud",
            "",
            "informationally speaking",
        ];
        let numbers = [1, 5, 9, 10, 13, 17, 18, 19, 21, 19, 8].map(Some);
        assert_eq!(names.map(number_of)[..11], numbers);
        assert_eq!(names.map(number_of)[11..], [None; 3]);
        assert_eq!([0, 3, 4, 6, 7, 8, -1].map(number_of_syslog), [Some(21), Some(17), Some(13), Some(9), Some(5), None, None]);
        assert_eq!([10, 30, 60, 3, 70].map(number_of_number), [Some(1), Some(9), Some(21), Some(17), None]);
    }

    #[test]
    fn a_line_says_its_level_near_its_beginning() {
        for (line, expect) in [
            ("2026-11-22 10:00:00,123 ERROR [main] c.e.Shop - gone", Some(("ERROR", 17))),
            ("W1122 10:00:00.1 1 a.go:1] slow", Some(("W", 13))),
            ("ts=1 level=warn msg=x", Some(("warn", 13))),
            ("level=\"Error\"", Some(("Error", 17))),
            ("[Sun Nov 22 10:00:00 2026] [error] gone", Some(("error", 17))),
            ("WARNING:root:careful", Some(("WARNING", 13))),
            ("<info> up", Some(("info", 9))),
            ("no error here", None),
            ("X-ERROR-Y and INFORM", None),
            ("level=loud", None),
            ("ALL OK", None),
            ("", None),
        ] {
            assert_eq!(in_line(line).map(|level| (level.text, level.number.expect("known"))), expect, "{line}");
        }
        let far = format!("{} ERROR", "x".repeat(LOOKED_AT_BYTES));
        assert_eq!(in_line(&far), None);
        assert_eq!(in_line(&format!("{} INFORMAL", "x".repeat(LOOKED_AT_BYTES - 5))), None, "half a word");
    }
}
