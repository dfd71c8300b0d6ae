//! Messages to `logs` rows.

use std::net::IpAddr;

use model::{AttributeType, Decoded, Rejection, Result};

use super::frame::{Framer, Step};
use super::message::{Element, Message};
use crate::lines::{Field, Rows, Said, Value};
use crate::outcome::{ITEM_BYTES, Rules, unreadable};
use crate::protobuf::Read;

/// Decodes messages, each with the address that it came from.
pub fn decode_syslog<'m>(messages: impl Iterator<Item = (&'m [u8], Option<IpAddr>)>, rules: &Rules<'_>) -> Result<Decoded> {
    let mut rows = Rows::new(rules);
    for (number, (message, from)) in messages.enumerate() {
        let place = || format!("message {number}");
        take(message, from, &mut rows, place).map_err(|malformed| unreadable("syslog messages", malformed))?;
    }
    Ok(rows.finish())
}

/// Decodes a whole stream at once, as a connection frames it.
pub fn decode_syslog_stream(stream: &[u8], rules: &Rules<'_>) -> Result<Decoded> {
    let (mut framer, mut rest, mut messages, mut too_long) = (Framer::new(rules.limits.value_bytes_max), stream, Vec::new(), 0);
    loop {
        let (step, used) = framer.next(rest);
        rest = &rest[used..];
        match step {
            Step::Message(message) => messages.push((message, None)),
            Step::TooLong => too_long += 1,
            Step::More => break messages.extend(framer.last(rest).map(|last| (last, None))),
            Step::NotSyslog => break,
        }
    }
    let mut decoded = decode_syslog(messages.into_iter(), rules)?;
    if too_long > 0 {
        let why = format!("value_bytes_max is {}", rules.limits.value_bytes_max);
        decoded.rejections.push(Rejection { records: too_long, field: "stream".to_owned(), why, reason: "message_too_long" });
    }
    Ok(decoded)
}

fn take(message: &[u8], from: Option<IpAddr>, rows: &mut Rows<'_>, place: impl Fn() -> String) -> Read<()> {
    let text = rows.outcome.text(message);
    let message = Message::read(&text, rows.rules.now_unix_nano);
    // Before they are copied: a message can be thousands of parameters and nothing else.
    let parameters: usize = message.elements.iter().map(|element| element.parameters.len() + 1).sum();
    rows.outcome.spend(ITEM_BYTES * parameters)?;
    let from = from.map(|from| from.to_canonical().to_string());
    let (mut resource, mut attributes) = (Vec::new(), Vec::new());
    let host = if message.host.is_empty() { from.as_deref().unwrap_or_default() } else { message.host };
    let said = [("syslog.appname", message.app), ("syslog.procid", message.procid), ("syslog.msgid", message.msgid)];
    resource.extend((!host.is_empty()).then(|| Field::text("host.name", host)));
    attributes.extend(message.facility.map(|facility| Field::text("syslog.facility", facility)));
    attributes.extend(said.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| Field::text(name, value)));
    for element in &message.elements {
        structured(element, &mut resource, &mut attributes);
    }
    let said = Said {
        time_unix_nano: message.time_unix_nano,
        level: message.level,
        otherwise_service: message.app,
        resource: &resource,
        attributes: &attributes,
        ..Said::default()
    };
    if let Err(fault) = rows.line(message.body, &said, &place)? {
        rows.outcome.reject(1, fault, place);
    }
    Ok(())
}

/// `syslog.<id>.<name>`, apart from what OpenTelemetry has other names for. A name that comes again makes a list.
fn structured<'m>(element: &Element<'m>, resource: &mut Vec<Field<'m>>, attributes: &mut Vec<Field<'m>>) {
    /// An element with more names is nobody's, and comparing all of them takes its time.
    const COMPARED_MAX: usize = 64;
    if element.parameters.is_empty() {
        attributes.push(Field::text(format!("syslog.{}", element.id), ""));
    }
    for (index, (name, value)) in element.parameters.iter().enumerate() {
        let alike = || element.parameters.iter().filter(|(other, _)| other == name).map(|(_, value)| &**value);
        let compared = element.parameters.len() <= COMPARED_MAX;
        if compared && element.parameters[..index].iter().any(|(other, _)| other == name) {
            continue;
        }
        let value = if compared && alike().count() > 1 { list(alike()) } else { Value::Text(value.clone()) };
        let known = match (element.id, *name) {
            ("origin", "swVersion") => "service.version",
            ("origin", "ip") => "client.address",
            _ => {
                attributes.push(Field { name: format!("syslog.{}.{name}", element.id).into(), value });
                continue;
            }
        };
        let owner = if known == "service.version" { &mut *resource } else { &mut *attributes };
        owner.push(Field { name: known.into(), value });
    }
}

/// As OTLP's JSON writes a list.
fn list<'v>(values: impl Iterator<Item = &'v str>) -> Value<'static> {
    let values: Vec<_> = values.map(|value| serde_json::json!({ "stringValue": value })).collect();
    Value::Encoded(AttributeType::Array, serde_json::Value::from(values).to_string())
}
