//! What a CloudWatch Logs subscription sends: a group's log events, gzipped JSON in a record.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html>.

use std::borrow::Cow;

use model::AttributeType;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lines::{Field, Nesting, Rows, Said, Value, fields};
use crate::outcome::Fault;
use crate::protobuf::Read;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow)]
    owner: Cow<'a, str>,
    #[serde(borrow)]
    log_group: Cow<'a, str>,
    #[serde(borrow)]
    log_stream: Cow<'a, str>,
    #[serde(borrow)]
    log_events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// Milliseconds since 1970.
    timestamp: i64,
    #[serde(borrow)]
    message: Cow<'a, str>,
    /// What the subscription's filter took out of the message.
    #[serde(borrow, default)]
    extracted_fields: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// None when the JSON is something else.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        json.contains("\"messageType\"").then(|| serde_json::from_str(json).ok()).flatten()
    }

    /// Each log event is a log. A control message says only that somebody is there.
    pub(super) fn take(&self, rows: &mut Rows<'_>, delivery: &[Field<'_>], place: &str) -> Read<()> {
        if self.message_type != "DATA_MESSAGE" {
            return Ok(());
        }
        let one = |text: &str| Value::Encoded(AttributeType::Array, format!("[{{\"stringValue\":{}}}]", serde_json::json!(text)));
        let mut resource = vec![
            Field::text("cloud.provider", "aws"),
            Field::text("cloud.account.id", &*self.owner),
            Field { name: "aws.log.group.names".into(), value: one(&self.log_group) },
            Field { name: "aws.log.stream.names".into(), value: one(&self.log_stream) },
        ];
        resource
            .extend(delivery.iter().filter(|field| !field.name.starts_with("cloud.account") && field.name != "cloud.provider").cloned());
        for (index, event) in self.log_events.iter().enumerate() {
            let place = || format!("{place}.logEvents[{index}]");
            let mut attributes = vec![Field::text("aws.log.event.id", &*event.id)];
            if let Some(Ok(extracted)) = event.extracted_fields.map(|raw| fields::read(raw.get(), Nesting::Kept, rows.rules.limits)) {
                attributes.extend(extracted.own);
            }
            let done = match event.timestamp.checked_mul(1_000_000) {
                None => Err(Fault::new("invalid_timestamp", "the time is out of range: send milliseconds since 1970")),
                time_unix_nano => {
                    let said = Said { time_unix_nano, resource: &resource, attributes: &attributes, ..Said::default() };
                    rows.line(&event.message, &said, place)?
                }
            };
            if let Err(fault) = done {
                rows.outcome.reject(1, fault, place);
            }
        }
        Ok(())
    }
}
