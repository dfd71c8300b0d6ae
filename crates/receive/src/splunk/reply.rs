//! Splunk's answers: a text and a code that senders tell apart.

use http::StatusCode;
use model::{Code, Error};
use serde_json::{Value, json};

use crate::state::told;

/// The codes that Splunk documents, of those that there is a reason for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Success,
    TokenRequired,
    InvalidAuthorization,
    NoData,
    InvalidDataFormat,
    InternalError,
    Busy,
    ChannelMissing,
    InvalidChannel,
    EventRequired,
    EventBlank,
    IndexedFields,
    Healthy,
}

impl Reply {
    const ALL: [(Self, u16, u16, &'static str); 13] = [
        (Self::Success, 0, 200, "Success"),
        (Self::TokenRequired, 2, 401, "Token is required"),
        (Self::InvalidAuthorization, 3, 401, "Invalid authorization"),
        (Self::NoData, 5, 400, "No data"),
        (Self::InvalidDataFormat, 6, 400, "Invalid data format"),
        (Self::InternalError, 8, 500, "Internal server error"),
        (Self::Busy, 9, 503, "Server is busy"),
        (Self::ChannelMissing, 10, 400, "Data channel is missing"),
        (Self::InvalidChannel, 11, 400, "Invalid data channel"),
        (Self::EventRequired, 12, 400, "Event field is required"),
        (Self::EventBlank, 13, 400, "Event field cannot be blank"),
        (Self::IndexedFields, 15, 400, "Error in handling indexed fields"),
        (Self::Healthy, 17, 200, "HEC is healthy"),
    ];

    fn row(self) -> (u16, u16, &'static str) {
        let (_, code, status, text) = Self::ALL.into_iter().find(|(reply, ..)| *reply == self).expect("ALL has them all");
        (code, status, text)
    }

    /// With what Tyto adds to the code: which event it was, and why.
    pub(super) fn body(self, details: Value) -> (StatusCode, Value) {
        let (code, status, text) = self.row();
        let mut body = json!({ "text": text, "code": code });
        if let (Some(body), Value::Object(details)) = (body.as_object_mut(), details) {
            body.extend(details);
        }
        (StatusCode::from_u16(status).expect("a status of HTTP"), body)
    }

    /// The code for why an event was refused.
    pub(super) fn of_reason(reason: &str) -> Self {
        match reason {
            "missing_event" => Self::EventRequired,
            "blank_event" => Self::EventBlank,
            "invalid_fields" => Self::IndexedFields,
            _ => Self::InvalidDataFormat,
        }
    }
}

/// An error of a whole request. What may be sent again is answered with 503, as Splunk does.
pub(super) fn error(error: &Error) -> (StatusCode, Value) {
    let details = json!({ "reason": told(error) });
    match error.code {
        Code::Overloaded { .. } | Code::LimitExceeded | Code::Unavailable | Code::Cancelled => Reply::Busy.body(details),
        Code::Corrupt | Code::Internal => Reply::InternalError.body(details),
        _ => {
            let (_, body) = Reply::InvalidDataFormat.body(details);
            (crate::state::http_status(error), body)
        }
    }
}
