use std::cell::RefCell;

use lang::promql::Position;
use lang::promql::ast::Expr;

/// What is doubtful about an answer, in Prometheus's own words; each sentence once.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
}

/// Collects notes while a query is evaluated.
pub(super) struct Notebook<'a> {
    text: &'a str,
    notes: RefCell<Notes>,
    /// Place and metric of the last [`Self::info_of`].
    last: RefCell<(usize, String)>,
}

impl<'a> Notebook<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, notes: RefCell::default(), last: RefCell::default() }
    }

    /// Something is wrong with the data or the query.
    pub(super) fn warn(&self, at: &Expr, message: impl std::fmt::Display) {
        self.warn_at(at.span.start, message);
    }

    /// The same, with the place as a byte offset.
    pub(super) fn warn_at(&self, offset: usize, message: impl std::fmt::Display) {
        let text = format!("PromQL warning: {message} ({})", Position::of(self.text, offset));
        push_once(&mut self.notes.borrow_mut().warnings, text);
    }

    /// Something may be wrong.
    pub(super) fn info(&self, at: &Expr, message: impl std::fmt::Display) {
        let text = format!("PromQL info: {message} ({})", Position::of(self.text, at.span.start));
        push_once(&mut self.notes.borrow_mut().infos, text);
    }

    /// An info that every window of a metric may give: it is written down once and not once per window.
    pub(super) fn info_of(&self, at: &Expr, metric: &str, message: impl FnOnce() -> String) {
        let mut last = self.last.borrow_mut();
        if (last.0, last.1.as_str()) != (at.span.start, metric) {
            *last = (at.span.start, metric.to_owned());
            self.info(at, message());
        }
    }

    /// A piece of the query as it was written.
    pub(super) fn written(&self, expr: &Expr) -> &'a str {
        self.text.get(expr.span.start..expr.span.end).unwrap_or_default()
    }

    pub(super) fn finish(self) -> Notes {
        self.notes.into_inner()
    }
}

/// The most notes an answer carries: a query over 100,000 series must not answer with 100,000 sentences.
const NOTES_MAX: usize = 100;

fn push_once(notes: &mut Vec<String>, text: String) {
    if notes.len() < NOTES_MAX && !notes.contains(&text) {
        notes.push(text);
    }
}

/// `base for metric name "x"`, or the base alone when there is no name.
pub(super) fn named(base: &str, metric: &str) -> String {
    match metric {
        "" => base.to_owned(),
        metric => format!("{base} for metric name {metric:?}"),
    }
}
