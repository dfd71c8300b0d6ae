//! What a pipeline knows of one line: its stream's labels, and what came on top of them.

use std::borrow::Cow;

use hashbrown::HashMap;
use model::{Labels, legal_name};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A stream label under another name.
    Stream,
    Metadata,
    Parsed,
}

#[derive(Debug)]
pub(super) struct Extra<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
    pub(super) source: Source,
    /// The parser that found it: of two equal keys of one line the first wins, of two parsers the second.
    stage: usize,
}

/// Labels that one line may have beside its stream's.
const LABELS_MAX: usize = 1_000;
/// With more labels than this, names are looked up in a map.
const SEARCHED_MAX: usize = 32;

/// Why a stage could not do its work; the line goes on with the labels `__error__` and `__error_details__`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure {
    pub(super) kind: &'static str,
    pub(super) details: String,
}

impl Failure {
    pub(super) const NAME: &'static str = "__error__";
    pub(super) const DETAILS: &'static str = "__error_details__";

    pub(super) fn new(kind: &'static str, details: impl Into<String>) -> Self {
        Self { kind, details: details.into() }
    }
}

/// Reused for all lines of a batch. A name is answered by the highest of stream label, structured metadata, parsed label;
/// the loser of such a clash is found under `<name>_extracted`, where a parsed label wins.
pub(super) struct Row<'a> {
    pub(super) time_ns: i64,
    pub(super) line: Cow<'a, str>,
    pub(super) stream: &'a Labels,
    /// Stream labels that a stage took away.
    pub(super) hidden: Vec<String>,
    /// Their names differ, from each other and from those of the stream that are not hidden.
    pub(super) extra: Vec<Extra<'a>>,
    /// Places in `extra` by name; as long as that when there are many labels, else empty.
    places: HashMap<String, usize>,
    pub(super) failure: Option<Failure>,
    stage: usize,
}

impl<'a> Row<'a> {
    pub(super) fn new(stream: &'a Labels) -> Self {
        let (line, hidden, extra, places) = (Cow::Borrowed(""), Vec::new(), Vec::new(), HashMap::new());
        Self { time_ns: 0, line, stream, hidden, extra, places, failure: None, stage: 0 }
    }

    pub(super) fn reset(&mut self, time_ns: i64, line: &'a str, stream: &'a Labels) {
        (self.time_ns, self.line, self.stream) = (time_ns, Cow::Borrowed(line), stream);
        self.hidden.clear();
        self.extra.clear();
        self.places.clear();
        self.failure = None;
        self.stage = 0;
    }

    fn extra_index(&self, name: &str) -> Option<usize> {
        match self.places.is_empty() {
            true => self.extra.iter().position(|extra| extra.name == name),
            false => self.places.get(name).copied(),
        }
    }

    fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>, source: Source) {
        if self.extra.len() >= LABELS_MAX {
            return self.fail(Failure::new("LabelsLimitErr", format!("the line has more than {LABELS_MAX} labels")));
        }
        self.extra.push(Extra { name, value, source, stage: self.stage });
        if self.extra.len() > SEARCHED_MAX {
            for (place, extra) in self.extra.iter().enumerate().skip(self.places.len()) {
                self.places.insert(extra.name.clone().into_owned(), place);
            }
        }
    }

    fn retain(&mut self, keeps: impl Fn(&Extra<'a>) -> bool) {
        self.extra.retain(keeps);
        self.places.clear();
    }

    fn stream_value(&self, name: &str) -> Option<&str> {
        if self.hidden.iter().any(|hidden| hidden == name) { None } else { self.stream.get(name) }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.stream_value(name).or_else(|| self.extra_index(name).map(|index| &*self.extra[index].value))
    }

    /// Also answers for the labels of a failure, which only comparisons of text see.
    pub(super) fn text(&self, name: &str) -> &str {
        match (name, &self.failure) {
            (Failure::NAME, failure) => failure.as_ref().map_or("", |failure| failure.kind),
            (Failure::DETAILS, failure) => failure.as_ref().map_or("", |failure| &failure.details),
            _ => self.get(name).unwrap_or(""),
        }
    }

    /// The first failure is the one that is told.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    /// Where the value of a label that lost to another goes; nowhere when the stream has that name as well.
    fn extracted(&self, name: &str) -> Option<Cow<'a, str>> {
        let name = format!("{name}_extracted");
        self.stream_value(&name).is_none().then_some(Cow::Owned(name))
    }

    pub(super) fn add_metadata(&mut self, name: &'a str, value: Cow<'a, str>) {
        let name = legal_name(name);
        let name = if self.stream_value(&name).is_some() { self.extracted(&name) } else { Some(name) };
        if let Some(name) = name.filter(|name| self.extra_index(name).is_none()) {
            self.push(name, value, Source::Metadata);
        }
    }

    pub(super) fn start_stage(&mut self) {
        self.stage += 1;
    }

    pub(super) fn add_parsed(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let name = match name {
            Cow::Borrowed(name) => legal_name(name),
            Cow::Owned(name) => Cow::Owned(legal_name(&name).into_owned()),
        };
        if name.is_empty() {
            return;
        }
        let is_base = |place: usize| self.extra[place].source != Source::Parsed;
        let clash = self.stream_value(&name).is_some() || self.extra_index(&name).is_some_and(is_base);
        let Some(name) = (if clash { self.extracted(&name) } else { Some(name) }) else { return };
        match self.extra_index(&name) {
            Some(place) if self.extra[place].stage == self.stage => {}
            Some(place) => {
                let stage = self.stage;
                self.extra[place] = Extra { name, value, source: Source::Parsed, stage };
            }
            None => self.push(name, value, Source::Parsed),
        }
    }

    /// Sets a label whatever it was before.
    pub(super) fn set(&mut self, name: &str, value: String, source: Source) {
        self.remove(name);
        self.push(Cow::Owned(name.to_owned()), Cow::Owned(value), source);
    }

    pub(super) fn remove(&mut self, name: &str) {
        match name {
            Failure::NAME => self.failure = None,
            Failure::DETAILS => {
                if let Some(failure) = &mut self.failure {
                    failure.details.clear();
                }
            }
            _ => {
                if self.stream_value(name).is_some() {
                    self.hidden.push(name.to_owned());
                }
                self.retain(|extra| extra.name != name);
            }
        }
    }

    /// Renames a label; it stays what it was.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let source = match self.stream_value(from) {
            Some(_) => Source::Stream,
            None => match self.extra_index(from) {
                Some(index) => self.extra[index].source,
                None => return,
            },
        };
        let value = self.get(from).unwrap_or("").to_owned();
        self.remove(from);
        self.set(to, value, source);
    }

    pub(super) fn keep(&mut self, keeps: impl Fn(&str, &str) -> bool) {
        for (name, value) in self.stream.iter() {
            if !keeps(name, value) && self.stream_value(name).is_some() {
                self.hidden.push(name.to_owned());
            }
        }
        self.retain(|extra| keeps(&extra.name, &extra.value));
    }

    /// Every label, in no order.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let stream = self.stream.iter().filter(|(name, _)| !self.hidden.iter().any(|hidden| hidden == name));
        stream.chain(self.extra.iter().map(|extra| (&*extra.name, &*extra.value)))
    }

    /// The labels of one source, with the failure among the parsed ones.
    pub(super) fn labels_of(&self, source: Source) -> Labels {
        let mut pairs: Vec<(&str, &str)> = match source {
            Source::Stream => self.stream.iter().filter(|(name, _)| !self.hidden.iter().any(|hidden| hidden == name)).collect(),
            _ => Vec::new(),
        };
        pairs.extend(self.extra.iter().filter(|extra| extra.source == source).map(|extra| (&*extra.name, &*extra.value)));
        if let (Source::Parsed, Some(failure)) = (source, &self.failure) {
            pairs.push((Failure::NAME, failure.kind));
            if !failure.details.is_empty() {
                pairs.push((Failure::DETAILS, &failure.details));
            }
        }
        pairs.sort_unstable();
        Labels::from_sorted(pairs.into_iter())
    }

    /// Whether the stream's own labels are all there is.
    pub(super) fn is_plain(&self) -> bool {
        self.hidden.is_empty() && self.extra.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashes_spill_under_extracted() {
        let stream = Labels::from_pairs([("app", "a"), ("k", "s")]);
        let mut row = Row::new(&stream);
        row.add_metadata("k", "m".into());
        assert_eq!((row.get("k"), row.get("k_extracted")), (Some("s"), Some("m")));
        row.start_stage();
        row.add_parsed("k".into(), "p".into());
        row.add_parsed("k".into(), "second".into());
        row.add_parsed("a.b".into(), "1".into());
        assert_eq!((row.get("k_extracted"), row.get("a_b")), (Some("p"), Some("1")));
        row.rename("app", "name");
        row.remove("k");
        assert_eq!(row.labels_of(Source::Stream).to_string(), r#"{name="a"}"#);
        assert_eq!(row.labels_of(Source::Parsed).to_string(), r#"{a_b="1", k_extracted="p"}"#);
    }

    #[test]
    fn a_name_stands_once() {
        let stream = Labels::from_pairs([("k", "s"), ("k_extracted", "t")]);
        let mut row = Row::new(&stream);
        row.add_metadata("k", "m".into());
        row.start_stage();
        row.add_parsed("k".into(), "p".into());
        row.add_parsed("k_extracted".into(), "q".into());
        assert_eq!(row.labels().collect::<Vec<_>>(), [("k", "s"), ("k_extracted", "t"), ("k_extracted_extracted", "q")]);
    }

    #[test]
    fn a_line_has_so_many_labels_and_no_more() {
        let nothing = Labels::empty();
        let mut row = Row::new(&nothing);
        for stage in 0..2 {
            row.start_stage();
            (0..5_000).for_each(|key| row.add_parsed(format!("k{key}").into(), format!("{stage}").into()));
        }
        assert_eq!((row.extra.len(), row.get("k999"), row.get("k1000")), (1_000, Some("1"), None));
        assert_eq!(row.text(Failure::NAME), "LabelsLimitErr");
        row.remove("k500");
        row.add_parsed("late".into(), "x".into());
        assert_eq!((row.get("k999"), row.get("k500"), row.get("late")), (Some("1"), None, Some("x")));
    }
}
