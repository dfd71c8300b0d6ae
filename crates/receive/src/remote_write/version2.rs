//! `io.prometheus.write.v2.Request`: texts stand once, and series refer to them.
//! Source: <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>.

use model::KnownSeries;

use super::decode::{Decoder, KINDS, Series};
use super::symbols::{read_refs, resolve};
use crate::memo::Fingerprint;
use crate::outcome::{Fault, ITEM_BYTES, SLICE_BYTES};
use crate::protobuf::{Read, Reader};
use crate::series::{Metric, When};

/// What a metric's type, unit and help refer to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Metadata<'b> {
    kind: &'static str,
    help: &'b str,
    unit: &'b str,
}

/// A series before its points are read.
#[derive(Default)]
struct Sight {
    fingerprint: Option<Fingerprint>,
    known: Option<(KnownSeries, bool)>,
}

impl<'b> Decoder<'_, 'b> {
    pub(super) fn request_2(&mut self, body: &'b [u8]) -> Read<()> {
        let (mut reader, mut told) = (Reader::new(body), Vec::new());
        while let Some((number, value)) = reader.next()? {
            match number {
                4 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    self.symbols.push(std::str::from_utf8(value.bytes()?).ok());
                }
                5 => {
                    self.outcome.spend(ITEM_BYTES + size_of::<Sight>())?;
                    told.push(value.bytes()?);
                }
                // The fields of 1.0, which 2.0 never uses.
                1 | 3 => {
                    let why = "it holds a message of 1.0: send Content-Type application/x-protobuf;proto=prometheus.WriteRequest";
                    self.outcome.reject(1, Fault::new("wrong_message", why), || format!("field {number}"));
                }
                _ => {}
            }
        }
        // All look-ups before all else: each waits for memory, and so they wait together.
        let (mut refs, mut key) = (Vec::new(), Vec::new());
        let mut sights = Vec::with_capacity(told.len());
        for bytes in &told {
            sights.push(self.sight(bytes, &mut refs, &mut key)?);
        }
        let (mut series, mut described) = (Series::default(), None);
        for (index, (bytes, sight)) in told.into_iter().zip(sights).enumerate() {
            let metadata = self.read_series(bytes, &mut refs, &mut series)?;
            if !self.take_if_known(&sight, &series)? {
                self.labels.clear();
                let fault = resolve(&refs, &self.symbols, &mut self.labels).err();
                self.labels.retain(|(name, value)| name.is_empty() || !value.is_empty());
                self.describe(metadata, &mut described)?;
                self.tell_whole(index, fault, sight.fingerprint, &series)?;
            }
        }
        Ok(())
    }

    /// What is known of a series by its labels and its metadata: who changes its help is told whole once more.
    fn sight(&mut self, bytes: &'b [u8], refs: &mut Vec<u64>, key: &mut Vec<u8>) -> Read<Sight> {
        let Some(memo) = self.memo else { return Ok(Sight::default()) };
        refs.clear();
        let (mut reader, mut metadata) = (Reader::new(bytes), Metadata::default());
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => read_refs(value, refs, &mut self.outcome)?,
                5 => metadata = self.metadata_2(value.bytes()?)?,
                _ => {}
            }
        }
        key.clear();
        // The labels of 1.0 begin with another byte.
        key.push(2);
        for &at in &*refs {
            let Some(text) = usize::try_from(at).ok().and_then(|at| self.symbols.get(at).copied().flatten()) else {
                return Ok(Sight::default());
            };
            add_text(key, text);
        }
        key.push(0xff);
        [metadata.kind, metadata.help, metadata.unit].into_iter().for_each(|text| add_text(key, text));
        let fingerprint = memo.fingerprint(key);
        Ok(Sight { fingerprint: Some(fingerprint), known: self.known.and_then(|known| known.get(fingerprint)) })
    }

    fn read_series(&mut self, bytes: &'b [u8], refs: &mut Vec<u64>, series: &mut Series<'b>) -> Read<Metadata<'b>> {
        refs.clear();
        series.clear();
        let (mut reader, mut metadata) = (Reader::new(bytes), Metadata::default());
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => read_refs(value, refs, &mut self.outcome)?,
                2 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    series.floats.push(read_sample(value.bytes()?)?);
                }
                3 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    series.histograms.push(value.bytes()?);
                }
                4 => {
                    self.outcome.spend(SLICE_BYTES)?;
                    series.exemplars.push(value.bytes()?);
                }
                5 => metadata = self.metadata_2(value.bytes()?)?,
                6 => series.start_ms = value.varint()?.cast_signed(),
                _ => {}
            }
        }
        Ok(metadata)
    }

    fn metadata_2(&self, bytes: &[u8]) -> Read<Metadata<'b>> {
        let text = |at: u64| usize::try_from(at).ok().and_then(|at| self.symbols.get(at).copied().flatten()).unwrap_or_default();
        let (mut reader, mut metadata) = (Reader::new(bytes), Metadata::default());
        while let Some((number, value)) = reader.next()? {
            match number {
                1 => metadata.kind = usize::try_from(value.varint()?).ok().and_then(|kind| KINDS.get(kind)).copied().unwrap_or_default(),
                3 => metadata.help = text(value.varint()?),
                4 => metadata.unit = text(value.varint()?),
                _ => {}
            }
        }
        Ok(metadata)
    }

    /// Takes a series that is known and brings nothing but floats that do not say since when they count.
    fn take_if_known(&mut self, sight: &Sight, series: &Series<'b>) -> Read<bool> {
        let (Some(fingerprint), Some(known)) = (sight.fingerprint, sight.known) else { return Ok(false) };
        let more = !series.histograms.is_empty() || !series.exemplars.is_empty() || series.start_ms != 0;
        if more || series.floats.iter().any(|(when, _)| *when != When::from(when.time_ms)) {
            return Ok(false);
        }
        self.take_points(fingerprint, known, |each| series.floats.iter().try_for_each(|(when, value)| each(when.time_ms, *value)))
    }

    /// Says what the series that follows is, unless the one before was said to be the same.
    fn describe(&mut self, metadata: Metadata<'b>, last: &mut Option<(Metadata<'b>, &'b str)>) -> Read<()> {
        let name = self.labels.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, name)| name);
        let parts: &[&str] = match metadata.kind {
            "histogram" => &["_bucket", "_count", "_sum"],
            "gaugehistogram" => &["_bucket", "_gcount", "_gsum"],
            "summary" => &["_count", "_sum"],
            _ => &[],
        };
        let family = parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or_default();
        if *last != Some((metadata, family)) {
            *last = Some((metadata, family));
            let help = self.outcome.help(metadata.help.as_bytes(), self.rules);
            let unit = self.outcome.help(metadata.unit.as_bytes(), self.rules);
            let described = Metric { kind: metadata.kind, unit: &unit, help: &help, family };
            self.table.begin_metric(&described, &mut self.outcome)?;
        }
        Ok(())
    }
}

/// Length and text, so that no two lists of texts are the same bytes.
fn add_text(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&(text.len() as u64).to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

fn read_sample(bytes: &[u8]) -> Read<(When, f64)> {
    let (mut reader, mut when, mut number) = (Reader::new(bytes), When::from(0), 0.0);
    while let Some((field, value)) = reader.next()? {
        match field {
            1 => number = value.double()?,
            2 => when.time_ms = value.varint()?.cast_signed(),
            3 => when.start_ms = value.varint()?.cast_signed(),
            _ => {}
        }
    }
    Ok((when, number))
}
