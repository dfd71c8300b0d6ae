use std::collections::BTreeMap;

use model::samples::SeriesRow;

/// Bytes of a family besides its texts.
pub(super) const FAMILY_BYTES: usize = 128;
/// Metric families remembered at a flush; those that nobody spoke of since the last one are forgotten first.
pub(super) const FAMILIES_MAX: usize = 100_000;

/// What is known of a metric family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) unit: String,
    pub(crate) help: String,
    /// Heard of, or changed, since the last flush.
    changed: bool,
}

/// Metric families by name, sorted so that files come out the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Families {
    by_name: BTreeMap<String, Family>,
    /// Of those that changed since the last flush. The others are as many as `FAMILIES_MAX` allows, and a head that begins
    /// with them must not look full.
    changed_bytes: usize,
}

impl Families {
    /// Bytes of the families that a flush would write.
    pub(super) fn changed_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// Those that a flush would write.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.by_name.iter().filter(|(_, family)| family.changed).map(|(name, family)| (name.as_str(), family))
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn knows(&self, name: &str, kind: &str, unit: &str, help: &str) -> bool {
        self.by_name.get(name).is_some_and(|known| known.kind == kind && known.unit == unit && known.help == help)
    }

    pub(super) fn is_full_for(&self, name: &str) -> bool {
        self.by_name.len() >= FAMILIES_MAX && !self.by_name.contains_key(name)
    }

    pub(super) fn learn(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let family = Family { kind: kind.to_owned(), unit: unit.to_owned(), help: help.to_owned(), changed: true };
        self.changed_bytes += family.bytes(name);
        if let Some(before) = self.by_name.insert(name.to_owned(), family).filter(|before| before.changed) {
            self.changed_bytes -= before.bytes(name);
        }
    }

    /// What the next head knows from the start. One that is full keeps only what was new in this one: else the first
    /// families that were ever heard of would keep out all others.
    pub(super) fn successor(&self) -> Self {
        let full = self.by_name.len() >= FAMILIES_MAX;
        let kept = self.by_name.iter().filter(|(_, family)| family.changed || !full);
        Self { by_name: kept.map(|(name, family)| (name.clone(), Family { changed: false, ..family.clone() })).collect(), changed_bytes: 0 }
    }

    /// The family of a series' name: its own, or for the parts of histograms, summaries and counters that of their whole.
    pub(crate) fn of(&self, name: &str) -> Option<&Family> {
        const PARTS: [(&str, &[&str]); 6] = [
            ("_bucket", &["histogram", "gaugehistogram"]),
            ("_count", &["histogram", "gaugehistogram", "summary"]),
            ("_sum", &["histogram", "gaugehistogram", "summary"]),
            ("_total", &["counter"]),
            ("_created", &["counter", "histogram", "summary"]),
            ("_info", &["info"]),
        ];
        self.by_name.get(name).or_else(|| {
            PARTS.iter().find_map(|(suffix, kinds)| {
                let family = self.by_name.get(name.strip_suffix(suffix)?)?;
                kinds.contains(&family.kind.as_str()).then_some(family)
            })
        })
    }
}

impl Family {
    fn bytes(&self, name: &str) -> usize {
        FAMILY_BYTES + name.len() + self.kind.len() + self.unit.len() + self.help.len()
    }

    pub(super) fn row<'a>(&'a self, name: &'a str) -> SeriesRow<'a> {
        SeriesRow { name, kind: &self.kind, unit: &self.unit, help: &self.help }
    }
}
