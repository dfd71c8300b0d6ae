//! Signature Version 4. Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::fmt;

use chrono::{DateTime, Utc};
use ring::{digest, hmac};

/// What a request is signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Of keys that end.
    pub(crate) token: Option<String>,
}

/// Without the secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a signature is good for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) time: DateTime<Utc>,
}

/// Signs a POST without a query: adds the headers that belong to the signature and gives the value of `Authorization`.
/// Header names are in lower case.
pub(super) fn sign(keys: &Keys, scope: &Scope<'_>, path: &str, headers: &mut Vec<(&'static str, String)>, body: &[u8]) -> String {
    let (time, date) = (scope.time.format("%Y%m%dT%H%M%SZ").to_string(), scope.time.format("%Y%m%d").to_string());
    headers.push(("x-amz-date", time.clone()));
    if let Some(token) = &keys.token {
        headers.push(("x-amz-security-token", token.clone()));
    }
    headers.sort();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = format!("POST\n{path}\n\n{lines}\n{names}\n{}", hex(digest::digest(&digest::SHA256, body).as_ref()));
    let within = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{within}\n{}", hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref()));
    let mut key = format!("AWS4{}", keys.secret).into_bytes();
    for part in [date.as_str(), scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    format!("AWS4-HMAC-SHA256 Credential={}/{within}, SignedHeaders={names}, Signature={}", keys.id, hex(&mac(&key, &text)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values from botocore 1.44's `SigV4Auth` for the same request.
    #[test]
    fn signatures_are_those_of_awss_own_client() {
        let time = DateTime::parse_from_rfc3339("2015-08-30T12:36:00Z").unwrap().to_utc();
        let scope = Scope { region: "us-east-1", service: "service", time };
        let check = |token: Option<&str>, signature: &str| {
            let keys = Keys {
                id: "AKIDEXAMPLE".to_owned(),
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                token: token.map(str::to_owned),
            };
            let mut headers =
                vec![("host", "example.amazonaws.com".to_owned()), ("content-type", "application/x-www-form-urlencoded".to_owned())];
            let signed = sign(&keys, &scope, "/", &mut headers, b"Param1=value1");
            assert!(signed.ends_with(&format!("Signature={signature}")), "{signed}");
            assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders="));
            assert_eq!(headers.iter().any(|(name, _)| *name == "x-amz-security-token"), token.is_some());
        };
        check(None, "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
        check(Some("a+token/of=STS"), "d11815bb44605b010ef00223e1e17e9f683a7a7c747300b68df3498ed4c22add");
    }
}
