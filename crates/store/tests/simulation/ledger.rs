//! Knows every record that was ever sent, and what must become of it.

use std::collections::{BTreeMap, HashMap};

use model::Table;

/// One record as it was sent or found: what makes it this one, and all that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: String,
    pub value: String,
}

/// What one scan of a table gave.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub records: Vec<Record>,
    /// Points of the one series that several batches write at the same instants, in the order of the scan.
    pub contested: Vec<(i64, u64)>,
}

/// One request: there whole, once, or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    pub table: Table,
    pub records: Vec<Record>,
    pub contested: Vec<(i64, u64)>,
    pub state: State,
    /// The step that sent it.
    pub step: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Acknowledged, or seen by a later process: it is there and stays.
    Stored,
    /// Refused after it was given to the log. It is not shown by the process of this number, and may be found by the next.
    Refused { life: u64 },
    /// Refused before that, or not found by a later process.
    Gone,
}

/// Who looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eyes {
    /// The shard of this life.
    Own { life: u64 },
    /// A reader beside it: may see frames on their way into the log.
    Beside,
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub batches: Vec<Batch>,
    /// Batches of two tables that were one request.
    pub twins: Vec<(usize, usize)>,
    by_key: HashMap<String, usize>,
}

impl Ledger {
    pub fn add(&mut self, batch: Batch) -> usize {
        for record in &batch.records {
            self.by_key.insert(record.key.clone(), self.batches.len());
        }
        self.batches.push(batch);
        self.batches.len() - 1
    }

    pub fn stored(&self, table: Table) -> usize {
        let of_table = self.batches.iter().filter(|batch| batch.table == table && batch.state == State::Stored);
        of_table.map(|batch| batch.records.len()).sum()
    }

    /// Compares what a scan found with what was sent, and learns what became of refused batches.
    pub fn check(&mut self, table: Table, found: &Found, eyes: Eyes) -> Result<(), String> {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for record in &found.records {
            let sent = self.by_key.get(&record.key).map(|&at| &self.batches[at]).filter(|batch| batch.table == table);
            let Some(sent) = sent.and_then(|batch| batch.records.iter().find(|sent| sent.key == record.key)) else {
                return Err(format!("{} has {record:?}, which was never sent", table.name()));
            };
            if sent.value != record.value {
                return Err(format!("{} has another value than was sent: {record:?}, not {:?}", table.name(), sent.value));
            }
            *times.entry(&record.key).or_default() += 1;
        }
        for (at, batch) in self.batches.iter_mut().enumerate().filter(|(_, batch)| batch.table == table) {
            let there = |record: &Record| times.get(record.key.as_str()).copied().unwrap_or_default();
            let here = batch.records.iter().filter(|record| there(record) > 0).count();
            let what = || format!("batch {at} of {} (step {}, {:?})", table.name(), batch.step, batch.state);
            if let Some(record) = batch.records.iter().find(|record| there(record) > 1) {
                return Err(format!("{:?} of {} is there {} times", record.key, what(), there(record)));
            }
            match batch.state {
                State::Stored if here == 0 && !batch.records.is_empty() => return Err(format!("{} is missing", what())),
                State::Gone if here > 0 => return Err(format!("{} is there though it was refused", what())),
                State::Refused { life } if here > 0 && eyes == (Eyes::Own { life }) => {
                    return Err(format!("{} is there though it was refused", what()));
                }
                _ if here > 0 && here < batch.records.len() => {
                    return Err(format!("only {here} of {} records of {} are there", batch.records.len(), what()));
                }
                // A later process found it, or did not: so it stays.
                State::Refused { life } if matches!(eyes, Eyes::Own { life: now } if now > life) => {
                    // A request of samples may be two frames, and the crash may have kept the first only.
                    let contests = |point: &(i64, u64)| found.contested.contains(point);
                    if here > 0 && !batch.contested.iter().any(contests) {
                        batch.contested.clear();
                    } else if here == 0 && batch.contested.iter().any(contests) {
                        batch.records.clear();
                    }
                    batch.state = if here > 0 || batch.records.is_empty() { State::Stored } else { State::Gone };
                }
                _ => {}
            }
        }
        for (one, other) in &self.twins {
            let (one, other) = (&self.batches[*one], &self.batches[*other]);
            if matches!((one.state, other.state), (State::Stored, State::Gone) | (State::Gone, State::Stored)) {
                let (one, other) = ((one.table.name(), one.state), (other.table.name(), other.state));
                return Err(format!("a request to two tables is in one of them: {one:?}, {other:?}"));
            }
        }
        self.check_contested(table, found, eyes)
    }

    /// Of several points at one instant the one written last counts, and a reader takes the last that it sees.
    fn check_contested(&self, table: Table, found: &Found, eyes: Eyes) -> Result<(), String> {
        let batches = || self.batches.iter().filter(|batch| batch.table == table);
        let doubtful = batches().any(|batch| matches!(batch.state, State::Refused { .. }));
        if eyes == Eyes::Beside && doubtful {
            return Ok(());
        }
        let stored = batches().filter(|batch| batch.state == State::Stored);
        let expect: BTreeMap<i64, u64> = stored.flat_map(|batch| batch.contested.iter().copied()).collect();
        let seen: BTreeMap<i64, u64> = found.contested.iter().copied().collect();
        match expect == seen {
            true => Ok(()),
            false => Err(format!("of points at one instant the last written does not win: {seen:?}, not {expect:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        Record { key: text.to_owned(), value: text.to_owned() }
    }

    fn check(state: State, found: &[&str], eyes: Eyes) -> Result<State, String> {
        let mut ledger = Ledger::default();
        let records = vec![record("a"), record("b")];
        ledger.add(Batch { table: Table::Logs, records, contested: Vec::new(), state, step: 7 });
        let found = Found { records: found.iter().map(|text| record(text)).collect(), contested: Vec::new() };
        ledger.check(Table::Logs, &found, eyes).map(|()| ledger.batches[0].state)
    }

    #[test]
    fn a_batch_is_there_once_whole_and_for_good_or_not_at_all() {
        let (now, refused) = (Eyes::Own { life: 3 }, State::Refused { life: 3 });
        let later = Eyes::Own { life: 4 };
        assert_eq!(check(State::Stored, &["b", "a"], now), Ok(State::Stored));
        assert_eq!(check(refused, &[], now), Ok(refused));
        assert_eq!(check(refused, &[], later), Ok(State::Gone));
        assert_eq!(check(refused, &["a", "b"], later), Ok(State::Stored));
        assert_eq!(check(refused, &["a", "b"], Eyes::Beside), Ok(refused));
        for (state, found, eyes, says) in [
            (State::Stored, &[][..], now, "is missing"),
            (State::Stored, &["a"], now, "only 1 of 2 records"),
            (State::Stored, &["a", "b", "a"], now, "is there 2 times"),
            (State::Stored, &["a", "b", "c"], now, "never sent"),
            (State::Gone, &["a", "b"], now, "though it was refused"),
            (refused, &["a", "b"], now, "though it was refused"),
            (refused, &["a"], later, "only 1 of 2 records"),
        ] {
            let said = check(state, found, eyes).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_request_to_two_tables_is_in_both_or_in_neither() {
        let refused = State::Refused { life: 3 };
        let mut ledger = Ledger::default();
        for (table, key) in [(Table::Logs, "a"), (Table::Quarantine, "b")] {
            ledger.add(Batch { table, records: vec![record(key)], contested: Vec::new(), state: refused, step: 1 });
        }
        ledger.twins.push((0, 1));
        let found = Found { records: vec![record("a")], contested: Vec::new() };
        ledger.check(Table::Logs, &found, Eyes::Own { life: 4 }).unwrap();
        let said = ledger.check(Table::Quarantine, &Found::default(), Eyes::Own { life: 4 }).unwrap_err();
        assert!(said.contains("is in one of them"), "{said}");
    }

    #[test]
    fn the_last_written_of_two_points_wins() {
        let mut ledger = Ledger::default();
        for (at, state) in [(1, State::Stored), (2, State::Stored), (3, State::Gone)] {
            let records = vec![record(&at.to_string())];
            ledger.add(Batch { table: Table::Samples, records, contested: vec![(0, at)], state, step: 0 });
        }
        let mut check = |contested: &[(i64, u64)]| {
            let found = Found { records: vec![record("1"), record("2")], contested: contested.to_vec() };
            ledger.check(Table::Samples, &found, Eyes::Own { life: 1 })
        };
        check(&[(0, 1), (0, 2)]).unwrap();
        assert!(check(&[(0, 2), (0, 1)]).unwrap_err().contains("the last written does not win"));
    }
}
