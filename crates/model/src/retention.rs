use std::time::Duration;

use crate::Table;

const HOUR_SECONDS: u64 = 3600;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;
/// A leap year, so that what must be kept for a year is never kept for less.
const YEAR_SECONDS: u64 = 366 * DAY_SECONDS;
/// The longest and the shortest time that rows may be kept for; for ever is what nobody limits.
const KEEP_MAX: Duration = Duration::from_secs(10 * YEAR_SECONDS);
const KEEP_MIN: Duration = Duration::from_secs(HOUR_SECONDS);

/// Business service, service and component; an empty text at the end leaves that level open, and three name everybody.
pub type Scope = [String; 3];

/// How long rows are kept, by table and by whose they are. Where nothing is said, for ever.
///
/// The most specific scope that speaks of a table wins: component, then service, then business service, then everybody. A
/// longer time further out does not lengthen it, and a shorter one does not shorten it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// By the place of the table in [`Table::ALL`], sorted by scope.
    tables: [Vec<(Scope, Duration)>; Table::ALL.len()],
}

impl Retention {
    /// Says how long rows of this scope are kept, instead of what was said before.
    pub fn keep(&mut self, table: Table, scope: [&str; 3], time: Duration) {
        let scopes = &mut self.tables[table as usize];
        match find(scopes, scope) {
            Ok(at) => scopes[at].1 = time,
            Err(at) => scopes.insert(at, (scope.map(str::to_owned), time)),
        }
    }

    /// How long a row of this business service, service and component is kept; none is for ever.
    pub fn of(&self, table: Table, [business_service, service, component]: [&str; 3]) -> Option<Duration> {
        let scopes = self.scopes(table);
        let levels = [[business_service, service, component], [business_service, service, ""], [business_service, "", ""], [""; 3]];
        levels.into_iter().find_map(|scope| find(scopes, scope).ok()).map(|at| scopes[at].1)
    }

    /// Everything that is said of a table, sorted by scope.
    pub fn scopes(&self, table: Table) -> &[(Scope, Duration)] {
        &self.tables[table as usize]
    }
}

fn find(scopes: &[(Scope, Duration)], scope: [&str; 3]) -> Result<usize, usize> {
    scopes.binary_search_by(|(other, _)| other.each_ref().map(String::as_str).cmp(&scope))
}

/// Reads `36h`, `30d`, `2w`, `10y`; the error says what is wrong and what to write. A year counts 366 days.
pub fn parse_keep(text: &str) -> Result<Duration, String> {
    let wrong = || format!("cannot read {text:?} as a time to keep rows: write a whole number of h, d, w or y, as in 36h, 30d, 2w, 10y");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let count: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match &text[digits..] {
        "h" => HOUR_SECONDS,
        "d" => DAY_SECONDS,
        "w" => 7 * DAY_SECONDS,
        "y" => YEAR_SECONDS,
        _ => return Err(wrong()),
    };
    let time = Duration::from_secs(count.saturating_mul(unit));
    match time {
        time if time < KEEP_MIN => Err(format!("cannot keep rows for {text:?}: 1h is the least")),
        time if time > KEEP_MAX => Err(format!("cannot keep rows for {text:?}: 10y is the most; leave it out to keep them for ever")),
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_scope_wins() {
        let days = |count: u64| Duration::from_secs(count * DAY_SECONDS);
        let mut retention = Retention::default();
        assert_eq!(retention.of(Table::Logs, ["a", "b", "c"]), None);
        for (scope, count) in [(["", "", ""], 30), (["a", "", ""], 7), (["a", "b", ""], 90), (["a", "b", "c"], 1), (["", "", ""], 31)] {
            retention.keep(Table::Logs, scope, days(count));
        }
        for (who, count) in [
            (["a", "b", "c"], 1),
            (["a", "b", "other"], 90),
            (["a", "b", ""], 90),
            (["a", "other", "c"], 7),
            (["a", "", ""], 7),
            (["other", "b", "c"], 31),
            (["", "", ""], 31),
        ] {
            assert_eq!(retention.of(Table::Logs, who), Some(days(count)), "{who:?}");
        }
        assert_eq!((retention.of(Table::Spans, ["a", "b", "c"]), retention.scopes(Table::Logs).len()), (None, 4));
    }

    #[test]
    fn times_have_a_unit_and_bounds() {
        assert_eq!(parse_keep("36h"), Ok(Duration::from_secs(36 * HOUR_SECONDS)));
        assert_eq!(parse_keep("2w"), Ok(Duration::from_secs(14 * DAY_SECONDS)));
        assert_eq!(parse_keep("10y"), Ok(KEEP_MAX));
        for text in ["", "30", "d", "-1d", "1.5d", "30 d", "1d12h", "30D", "0d", "11y", "99999999999999999999d", "184467440737095516y"] {
            let said = parse_keep(text).expect_err("refused");
            assert!(said.starts_with("cannot ") && said.contains(text), "{said}");
        }
    }
}
