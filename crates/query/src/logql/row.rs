//! What a pipeline knows of one line: its stream's labels, and what came on top of them.

use std::borrow::Cow;

use model::Labels;

use super::streams::legal_name;

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
}

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
    pub(super) extra: Vec<Extra<'a>>,
    pub(super) failure: Option<Failure>,
    /// Where the labels of the running parser start: the first of two equal keys of one line wins.
    stage_start: usize,
}

impl<'a> Row<'a> {
    pub(super) fn new(stream: &'a Labels) -> Self {
        Self { time_ns: 0, line: Cow::Borrowed(""), stream, hidden: Vec::new(), extra: Vec::new(), failure: None, stage_start: 0 }
    }

    pub(super) fn reset(&mut self, time_ns: i64, line: &'a str, stream: &'a Labels) {
        (self.time_ns, self.line, self.stream) = (time_ns, Cow::Borrowed(line), stream);
        self.hidden.clear();
        self.extra.clear();
        self.failure = None;
        self.stage_start = 0;
    }

    fn extra_index(&self, name: &str) -> Option<usize> {
        self.extra.iter().position(|extra| extra.name == name)
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

    pub(super) fn add_metadata(&mut self, name: &'a str, value: &'a str) {
        let name = legal_name(name);
        let name = if self.stream.get(&name).is_some() { Cow::Owned(format!("{name}_extracted")) } else { name };
        if self.extra_index(&name).is_none() {
            self.extra.push(Extra { name, value: Cow::Borrowed(value), source: Source::Metadata });
        }
    }

    pub(super) fn start_stage(&mut self) {
        self.stage_start = self.extra.len();
    }

    pub(super) fn add_parsed(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        let name = match name {
            Cow::Borrowed(name) => legal_name(name),
            Cow::Owned(name) => Cow::Owned(legal_name(&name).into_owned()),
        };
        if name.is_empty() {
            return;
        }
        let base = |extra: &Extra<'_>| extra.name == name && extra.source != Source::Parsed;
        let clash = self.stream_value(&name).is_some() || self.extra.iter().any(base);
        let name = if clash { Cow::Owned(format!("{name}_extracted")) } else { name };
        match self.extra_index(&name) {
            Some(index) if index >= self.stage_start => return,
            Some(index) => {
                self.extra.remove(index);
                self.stage_start -= 1;
            }
            None => {}
        }
        self.extra.push(Extra { name, value, source: Source::Parsed });
    }

    /// Sets a label whatever it was before.
    pub(super) fn set(&mut self, name: &str, value: String, source: Source) {
        self.remove(name);
        self.extra.push(Extra { name: Cow::Owned(name.to_owned()), value: Cow::Owned(value), source });
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
                self.extra.retain(|extra| extra.name != name);
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
        self.extra.retain(|extra| keeps(&extra.name, &extra.value));
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
        row.add_metadata("k", "m");
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
}
