//! A delivery's records to rows.

use std::borrow::Cow;
use std::io::Read as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Code, Decoded, Error, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cloudwatch::Message;
use crate::lines::{Field, Nesting, Rows, Said, fields, text};
use crate::otlp::{DeltaState, decode_metrics};
use crate::outcome::{Fault, ITEM_BYTES, Rules, unreadable, unreadable_json};
use crate::protobuf::{Read, varint};

/// What the headers of a delivery say of it.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// The header's; the body has the same.
    pub request_id: String,
    /// `arn:aws:firehose:<region>:<account>:deliverystream/<name>`.
    pub source_arn: String,
    /// Given by whoever made the stream.
    pub common_attributes: Vec<(String, String)>,
}

impl Delivery {
    fn resource(&self) -> Vec<Field<'_>> {
        let mut fields: Vec<_> = self.common_attributes.iter().map(|(name, value)| Field::text(name, value)).collect();
        let mut parts = self.source_arn.split(':').skip(3);
        if let (Some(region), Some(account)) = (parts.next(), parts.next()) {
            let said = [
                ("cloud.provider", "aws"),
                ("cloud.region", region),
                ("cloud.account.id", account),
                ("aws.firehose.arn", self.source_arn.as_str()),
            ];
            fields.extend(said.map(|(name, value)| Field::text(name, value)));
        }
        fields
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    /// Milliseconds since 1970.
    timestamp: i64,
    #[serde(borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    /// Base64.
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl<'a> Request<'a> {
    fn read(body: &'a [u8], delivery: &Delivery) -> Result<Self> {
        let request: Self = serde_json::from_slice(body).map_err(|source| unreadable_json("delivery", &source))?;
        if !delivery.request_id.is_empty() && delivery.request_id != request.request_id {
            return Err(Error::invalid("cannot accept delivery: the requestId of the body is not that of the header"));
        }
        Ok(request)
    }
}

/// Decodes CloudWatch Logs subscriptions, JSON documents, and lines of text.
pub fn decode_firehose_logs(body: &[u8], delivery: &Delivery, rules: &Rules<'_>) -> Result<Decoded> {
    let request = Request::read(body, delivery)?;
    let resource = delivery.resource();
    let mut records = Records {
        rows: Rows::new(rules),
        resource: &resource,
        time_unix_nano: request.timestamp.checked_mul(1_000_000),
        unpacked_bytes_left: rules.limits.decompressed_bytes_max,
    };
    for (index, record) in request.records.iter().enumerate() {
        let place = format!("records[{index}]");
        let taken = match records.data(&record.data) {
            Ok(data) => records.take(&data, &place),
            Err(fault) => {
                records.rows.outcome.reject(1, fault, || place);
                records.rows.outcome.spend(ITEM_BYTES)
            }
        };
        taken.map_err(|malformed| unreadable("delivery", malformed))?;
    }
    Ok(records.rows.finish())
}

struct Records<'r, 'f> {
    rows: Rows<'r>,
    resource: &'f [Field<'f>],
    /// When the delivery was made: of lines that say no time.
    time_unix_nano: Option<i64>,
    unpacked_bytes_left: usize,
}

impl Records<'_, '_> {
    fn data(&mut self, base64: &str) -> Result<Vec<u8>, Fault> {
        let data = unencoded(base64)?;
        if !data.starts_with(&[0x1f, 0x8b]) {
            return Ok(data);
        }
        let mut unpacked = Vec::new();
        let most = self.unpacked_bytes_left as u64;
        let read = flate2::bufread::MultiGzDecoder::new(&data[..]).take(most.saturating_add(1)).read_to_end(&mut unpacked);
        read.map_err(|source| Fault::new("invalid_gzip", format!("the record cannot be decompressed: {source}")))?;
        let over = || Fault::new("too_large", "the delivery is over decompressed_bytes_max: send smaller ones");
        self.unpacked_bytes_left = self.unpacked_bytes_left.checked_sub(unpacked.len()).ok_or_else(over)?;
        Ok(unpacked)
    }

    fn take(&mut self, data: &[u8], place: &str) -> Read<()> {
        self.rows.outcome.spend(ITEM_BYTES)?;
        let data = self.rows.outcome.text(data);
        if !is_documents(&data) {
            let (rows, resource, time) = (&mut self.rows, self.resource, self.time_unix_nano);
            return text::each(&data, rows.rules.limits.value_bytes_max, |entry| rows.entry(&entry, time, resource));
        }
        for document in documents(&data).flatten() {
            match Message::read(document) {
                Some(message) => message.take(&mut self.rows, self.resource, place)?,
                None => self.document(document, place)?,
            }
        }
        Ok(())
    }

    fn document(&mut self, document: &str, place: &str) -> Read<()> {
        self.rows.outcome.spend(ITEM_BYTES)?;
        let place = || place.to_owned();
        let said = Said { otherwise_unix_nano: self.time_unix_nano, resource: self.resource, ..Said::default() };
        let done = match fields::read(document, Nesting::Kept, self.rows.rules.limits) {
            Ok(fields) => self.rows.document(document, &fields, &said, place)?,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = done {
            self.rows.outcome.reject(1, fault, place);
        }
        Ok(())
    }
}

/// Whether the data is JSON objects, one after the other, and nothing else.
fn is_documents(data: &str) -> bool {
    data.trim_ascii_start().starts_with('{') && documents(data).all(|document| document.is_some())
}

/// None of what is no object; then it is the last.
fn documents(data: &str) -> impl Iterator<Item = Option<&str>> {
    let values = serde_json::Deserializer::from_str(data).into_iter::<&RawValue>();
    values.map(|value| value.ok().map(RawValue::get).filter(|value| value.starts_with('{')))
}

fn unencoded(base64: &str) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(base64.as_bytes()).map_err(|source| Fault::new("invalid_base64", format!("the record's data is no base64: {source}")))
}

/// Decodes a CloudWatch metric stream in OpenTelemetry's format 1.0: records of `ExportMetricsServiceRequest`s, each after its
/// length. One after the other without their lengths they are one message, as protobuf has it.
pub fn decode_firehose_metrics(body: &[u8], delivery: &Delivery, rules: &Rules<'_>, deltas: &DeltaState) -> Result<Decoded> {
    let request = Request::read(body, delivery)?;
    let mut joined = Vec::new();
    for (index, record) in request.records.iter().enumerate() {
        let cannot = |why: String| Error::new(Code::Invalid, format!("cannot decode records[{index}]")).because(why);
        let data = unencoded(&record.data).map_err(|fault| cannot(fault.why))?;
        if data.trim_ascii_start().starts_with(b"{") {
            return Err(cannot("it is JSON: choose the output format OpenTelemetry 1.0 for the metric stream".to_owned()));
        }
        let mut rest = &data[..];
        while !rest.is_empty() {
            let (len, behind) = varint(rest).map_err(|malformed| cannot(malformed.to_string()))?;
            let message = usize::try_from(len).ok().and_then(|len| behind.split_at_checked(len));
            let (message, behind) = message.ok_or_else(|| cannot("it ends in the middle of a message".to_owned()))?;
            joined.extend_from_slice(message);
            rest = behind;
        }
    }
    decode_metrics(&joined, rules, deltas)
}
