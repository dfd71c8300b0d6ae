//! The words of spans and lines: attribute sets after the semantic conventions, names of callees, and what a failure's reason means.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::operations::{Access, System, Target};
use crate::wire::attribute;

impl Target {
    /// The name of who is called, as the caller's lines have it.
    pub(crate) fn peer(&self) -> &'static str {
        match self {
            Self::Service(operation) => operation.component.spec().name,
            Self::Store(access) => access.system.name(),
            Self::Queue(consumer) => consumer.route,
            Self::Provider => "paywise",
        }
    }
}

impl Access {
    pub(crate) fn span_name(&self) -> String {
        match self.system {
            System::Postgres => format!("{} {}", self.operation, self.collection),
            System::DynamoDb => format!("DynamoDB.{}", self.operation),
            System::Redis => self.operation.to_owned(),
        }
    }
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::DynamoDb => "aws.dynamodb",
            Self::Redis => "redis",
        }
    }

    pub(crate) fn host(self) -> &'static str {
        match self {
            Self::Postgres => "ledger-db.internal",
            Self::DynamoDb => "dynamodb.amazonaws.com",
            Self::Redis => "redis.internal",
        }
    }
}

/// What a caller answers when a call it needs failed: the member's own mistakes pass through, the rest is a bad gateway.
pub(crate) fn passed_on(status: u16) -> u16 {
    match status {
        402 | 422 | 504 => status,
        404 => 500,
        _ => 502,
    }
}

/// What the reason means, for people.
pub(crate) fn explanation(reason: &'static str) -> &'static str {
    match reason {
        "ResourceNotFoundException" => "Requested resource not found",
        "57014" => "canceling statement due to statement timeout",
        "amount_mismatch" => "the amount does not fit the basket",
        "card_declined" => "the card was declined",
        "provider_unavailable" => "the payment provider does not answer",
        "IllegalState" => "unexpected state in request handler",
        other => other,
    }
}

pub(crate) fn http_client_attributes(method: &'static str, host: &str, port: i64, path: &str, status: u16) -> Vec<KeyValue> {
    let scheme = if port == 443 { "https" } else { "http" };
    let mut attributes = vec![
        attribute("http.request.method", method),
        attribute("server.address", host),
        attribute("server.port", port),
        attribute("url.full", format!("{scheme}://{host}:{port}{path}")),
        attribute("http.response.status_code", i64::from(status)),
    ];
    if status >= 400 {
        attributes.push(attribute("error.type", status.to_string()));
    }
    attributes
}

pub(crate) fn messaging_attributes(queue: &'static str, operation: &'static str, kind: &'static str) -> Vec<KeyValue> {
    vec![
        attribute("messaging.system", "aws_sqs"),
        attribute("messaging.destination.name", queue),
        attribute("messaging.operation.name", operation),
        attribute("messaging.operation.type", kind),
    ]
}
