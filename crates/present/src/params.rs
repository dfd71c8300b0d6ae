//! Parameters from the query string and from a form body, as Go's `ParseForm` joins them: the body's come first.

use std::time::Duration;

use axum::extract::Request;
use axum::extract::rejection::PathRejection;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use model::{Code, Error, Matcher, Result};

use crate::error::SlowBody;
use crate::selector;

/// Of a form body: dashboards send long selectors.
pub(crate) const FORM_BYTES_MAX: usize = 4 << 20;

/// Selectors of one request.
const SELECTORS_MAX: usize = 64;

/// For a request's body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) async fn read(request: Request) -> Result<Self> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let form = request.headers().get(CONTENT_TYPE).is_some_and(|found| media_type(found) == "application/x-www-form-urlencoded");
        let mut pairs = Vec::new();
        if form && *request.method() == Method::POST {
            pairs = decode(&read_body(request, "form_bytes_max", FORM_BYTES_MAX).await?)?;
        }
        pairs.extend(decode(query.as_bytes())?);
        Ok(Self(pairs))
    }

    /// Of the address alone.
    pub(crate) fn of_address(address: &http::Uri) -> Result<Self> {
        Ok(Self(decode(address.query().unwrap_or_default().as_bytes())?))
    }

    /// The first of that name; an empty one is as if it were not there.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::invalid(format!("invalid parameter {name:?}: it is missing or empty")))
    }

    /// What `parse` makes of the parameter; the error quotes it and says what it should be.
    pub(crate) fn parsed<T>(&self, name: &str, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let fail = |value: &str| Error::invalid(format!("invalid parameter {name:?}: cannot parse {value:?} to a valid {wanted}"));
        self.get(name).map(|value| parse(value).ok_or_else(|| fail(value))).transpose()
    }

    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>> {
        self.parsed(name, "whole number from 0", |text| text.parse::<u32>().ok().map(|count| count as usize))
    }

    /// Every selector of that name, read by `read`.
    pub(crate) async fn selectors(&self, name: &str, read: fn(&str) -> Result<Vec<Matcher>, String>) -> Result<Vec<Vec<Matcher>>> {
        let texts: Vec<String> = self.all(name).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        if texts.len() > SELECTORS_MAX {
            let count = texts.len();
            return Err(Error::invalid(format!(
                "invalid parameter {name:?}: {count} selectors are more than selectors_max, {SELECTORS_MAX}"
            )));
        }
        let name = name.to_owned();
        selector::off_loop(texts.iter().all(|text| lang::is_brief(text)), move || {
            let fail = |why| Error::invalid(format!("invalid parameter {name:?}: {why}"));
            texts.iter().map(|text| read(text).map_err(fail)).collect()
        })
        .await
    }
}

/// The type without its parameters, in lower case.
pub(crate) fn media_type(header: &HeaderValue) -> String {
    let text = header.to_str().unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The whole body, up to `bytes_max`, the limit called `limit`.
pub(crate) async fn read_body(request: Request, limit: &str, bytes_max: usize) -> Result<bytes::Bytes> {
    match tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), bytes_max)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if caused_by_limit(&error) => {
            Err(Error::new(Code::TooLarge, format!("cannot read a request body of more than {limit}, {bytes_max}")))
        }
        Ok(Err(error)) => Err(Error::invalid("cannot read the request's body").because(error)),
        Err(_) => Err(Error::new(Code::Timeout, "cannot read the request's body").because(SlowBody(BODY_TIMEOUT))),
    }
}

fn caused_by_limit(error: &axum::Error) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        next = error.source();
    }
    false
}

/// A part of the path; the router refuses what is not UTF-8.
pub(crate) fn path(path: Result<axum::extract::Path<String>, PathRejection>) -> Result<String> {
    path.map(|path| path.0).map_err(|error| Error::invalid("cannot read the path").because(error))
}

fn decode(encoded: &[u8]) -> Result<Vec<(String, String)>> {
    let pairs = encoded.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let equals = pair.iter().position(|&byte| byte == b'=');
            let (key, value) = equals.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            Ok((decode_part(key)?, decode_part(value)?))
        })
        .collect()
}

pub(crate) fn decode_part(part: &[u8]) -> Result<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part;
    while let [first, more @ ..] = rest {
        rest = more;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digit = |at: usize| more.get(at).and_then(|byte| char::from(*byte).to_digit(16));
                let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                    return Err(Error::invalid("cannot decode a parameter: a % is not followed by two hexadecimal digits"));
                };
                bytes.push((high * 16 + low) as u8);
                rest = &more[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid("cannot decode a parameter: it is not UTF-8"))
}
