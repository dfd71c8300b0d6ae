//! What a target exposes, in the formats that Prometheus 3 scrapes: [`text`] (0.0.4 and 1.0.0), [`openmetrics`] (0.0.1 and
//! 1.0.0) and [`protobuf`]. Each reader walks the body once and tells a [`Sink`] what it finds; what is told borrows from the
//! body, so a sample of a known series costs no memory of its own.

mod lex;
mod openmetrics;
mod protobuf;
mod text;

use std::borrow::Cow;

use model::{Error, NativeHistogram, Result};

use crate::outcome::shortened;

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    PrometheusText,
    OpenMetricsText,
    /// `io.prometheus.client.MetricFamily` messages, each behind its length.
    PrometheusProto,
}

impl Format {
    /// As the target says. A target that says nothing that is known is read only when a format is configured for that case:
    /// guessing turned web pages into metrics.
    pub(crate) fn of(content_type: &str, fallback: Option<Self>) -> Result<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let known = match media_type.as_str() {
            "text/plain" => Some(Self::PrometheusText),
            "application/openmetrics-text" => Some(Self::OpenMetricsText),
            "application/vnd.google.protobuf" => Some(Self::PrometheusProto),
            _ => None,
        };
        known.or(fallback).ok_or_else(|| {
            let said = match media_type.as_str() {
                "" => "says no Content-Type".to_owned(),
                other => format!("says Content-Type {}", shortened(other)),
            };
            Error::unsupported(format!("cannot read metrics: the target {said}, and fallback_scrape_protocol is not set"))
        })
    }
}

/// How native and classic histograms are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histograms {
    /// Read native histograms; else their classic buckets, if any.
    pub(crate) native: bool,
    /// Read classic buckets also where there is a native histogram.
    pub(crate) classic_too: bool,
    /// Of each sign of a native histogram.
    pub(crate) buckets_max: usize,
}

/// Reads a whole body. An error means that the body as a whole is not to be believed; what was told before it must be undone.
pub(crate) fn read(body: &[u8], format: Format, histograms: &Histograms, sink: &mut impl Sink) -> Result<()> {
    match format {
        Format::PrometheusText => text::read(utf8(body)?, sink),
        Format::OpenMetricsText => openmetrics::read(utf8(body)?, sink),
        Format::PrometheusProto => protobuf::read(body, histograms, sink),
    }
}

fn utf8(body: &[u8]) -> Result<&str> {
    std::str::from_utf8(body).map_err(|error| {
        let line = 1 + body[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Error::invalid(format!("cannot parse metrics at line {line}: it is not UTF-8"))
    })
}

/// Takes what a body says, in its order.
pub(crate) trait Sink {
    fn kind(&mut self, family: &str, kind: &'static str) -> Result<()>;
    fn help(&mut self, family: &str, help: &str) -> Result<()>;
    fn unit(&mut self, family: &str, unit: &str) -> Result<()>;
    fn float(&mut self, series: &Series<'_>, sample: &Sample<'_>) -> Result<()>;
    fn histogram(
        &mut self,
        series: &Series<'_>,
        time_ms: Option<i64>,
        histogram: NativeHistogram,
        exemplars: &[Exemplar<'_>],
    ) -> Result<()>;
}

/// The series of a sample, as its body writes it.
pub(crate) struct Series<'a> {
    /// Bytes that no other series of the target is written with; the same from scrape to scrape.
    pub(crate) key: &'a [u8],
    name: &'a str,
    labels: &'a [(&'a str, &'a str)],
    /// A label that stands beside the others: `le` or `quantile` of a part of a family.
    part: Option<(&'a str, &'a str)>,
    /// Names and values hold the escapes of the text formats.
    escaped: bool,
    /// The label whose value is a number, and is written as OpenMetrics writes it.
    number: Option<&'static str>,
}

impl<'a> Series<'a> {
    pub(crate) fn name(&self) -> Cow<'a, str> {
        self.plain(self.name)
    }

    /// Every label but the name, in the body's order.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        self.labels.iter().copied().chain(self.part).map(|(name, value)| {
            let (name, value) = (self.plain(name), self.plain(value));
            let number = self.number.filter(|number| *number == name).and_then(|_| lex::number(&value));
            (name, number.map_or(value, |number| go_float(number).into()))
        })
    }

    fn plain(&self, text: &'a str) -> Cow<'a, str> {
        if self.escaped { lex::unescaped(text) } else { text.into() }
    }
}

pub(crate) struct Sample<'a> {
    pub(crate) time_ms: Option<i64>,
    /// Never a staleness marker: what is no number comes as one NaN.
    pub(crate) value: f64,
    pub(crate) exemplar: Option<Exemplar<'a>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Exemplar<'a> {
    labels: &'a [(&'a str, &'a str)],
    escaped: bool,
    pub(crate) value: f64,
    pub(crate) time_ms: Option<i64>,
}

impl<'a> Exemplar<'a> {
    pub(crate) fn labels(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        let plain = |text: &'a str| if self.escaped { lex::unescaped(text) } else { Cow::Borrowed(text) };
        self.labels.iter().map(move |(name, value)| (plain(name), plain(value)))
    }
}

/// Prometheus's NaN. Others could be its staleness marker.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

fn settled(value: f64) -> f64 {
    if value.is_nan() { NAN } else { value }
}

/// The label that tells the parts of a family of this kind apart, and whose value is a number.
fn part_label(kind: &str) -> Option<&'static str> {
    match kind {
        "histogram" => Some("le"),
        "summary" => Some("quantile"),
        _ => None,
    }
}

/// A number as Go writes it by `%g`, with `.0` where that would look like an integer: the values of `le` and `quantile`.
fn go_float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = value.to_string();
    if plain.contains('.') { plain } else { format!("{plain}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let numbers = [
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.0, "0.0"),
            (0.5, "0.5"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1e21, "1e+21"),
            (1_234_567.0, "1.234567e+06"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-8.999_999_999_999_979e-5, "-8.999999999999979e-05"),
            (123_456.75, "123456.75"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (number, text) in numbers {
            assert_eq!(go_float(number), text);
        }
    }

    #[test]
    fn a_format_is_known_by_its_media_type_or_configured() {
        let of = |text| Format::of(text, None).ok();
        assert_eq!(of("text/plain; version=0.0.4; charset=utf-8"), Some(Format::PrometheusText));
        assert_eq!(of("Application/OpenMetrics-Text;version=1.0.0"), Some(Format::OpenMetricsText));
        assert_eq!(of("application/vnd.google.protobuf;encoding=delimited"), Some(Format::PrometheusProto));
        assert_eq!(Format::of("text/html", Some(Format::PrometheusText)).ok(), Some(Format::PrometheusText));
        let refused = Format::of("", None).expect_err("nothing said");
        assert!(refused.what.contains("fallback_scrape_protocol"), "{refused}");
    }
}
