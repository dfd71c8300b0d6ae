//! The handshake of a WebSocket as RFC 6455 (section 4.2) has it; the frames are `tokio-tungstenite`'s.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use model::{Error, Result};
use sha1::{Digest, Sha1};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub(crate) type WebSocket = WebSocketStream<TokioIo<Upgraded>>;

/// Clients of what is only told say little: a pong, a close.
const MESSAGE_BYTES_MAX: usize = 4096;

/// What the protocol appends to a client's key.
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A connection that becomes a WebSocket once the client has the response.
pub(crate) struct Handshake {
    pub(crate) response: Response,
    upgrade: OnUpgrade,
}

impl Handshake {
    pub(crate) fn read(request: &mut Request) -> Result<Self> {
        let refused = |why: &str| Error::invalid(format!("cannot open a WebSocket: {why}"));
        let has = |name: HeaderName, token: &str| {
            let values = request.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(token))
        };
        if !has(CONNECTION, "upgrade") || !has(UPGRADE, "websocket") {
            return Err(refused("the request does not ask for the upgrade to websocket"));
        }
        if !has(SEC_WEBSOCKET_VERSION, "13") {
            return Err(refused("Sec-WebSocket-Version is not 13"));
        }
        let key = request.headers().get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
        if BASE64_STANDARD.decode(key).map_or(0, |nonce| nonce.len()) != 16 {
            return Err(refused("Sec-WebSocket-Key is not 16 bytes in base64"));
        }
        let accept = BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize());
        let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| refused("the connection cannot be upgraded"))?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::try_from(accept).expect("base64 is a header's value"));
        Ok(Self { response, upgrade })
    }

    /// The response, and the WebSocket that the connection becomes.
    pub(crate) fn split(self) -> (Response, impl Future<Output = Result<WebSocket>> + Send) {
        let upgrade = self.upgrade;
        let socket = async move {
            let upgraded =
                upgrade.await.map_err(|error| Error::unavailable("cannot open a WebSocket: the client has gone").because(error))?;
            let config = WebSocketConfig::default().read_buffer_size(MESSAGE_BYTES_MAX);
            let config = config.max_message_size(Some(MESSAGE_BYTES_MAX)).max_frame_size(Some(MESSAGE_BYTES_MAX));
            Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await)
        };
        (self.response, socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(headers: &[(&str, &str)]) -> String {
        let mut request = Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let refused = Handshake::read(&mut request.body(Body::empty()).unwrap()).err().unwrap();
        refused.what.strip_prefix("cannot open a WebSocket: ").unwrap().to_owned()
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let (connection, upgrade, version) =
            (("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-version", "13"));
        assert!(refused(&[]).contains("upgrade"));
        assert!(refused(&[connection, version, key]).contains("upgrade"));
        assert!(refused(&[connection, upgrade, ("sec-websocket-version", "8"), key]).contains("Version"));
        assert!(refused(&[connection, upgrade, version]).contains("Key"));
        assert!(refused(&[connection, upgrade, version, ("sec-websocket-key", "c2hvcnQ=")]).contains("Key"));
        assert_eq!(refused(&[connection, upgrade, version, key]), "the connection cannot be upgraded");
    }

    /// The example of the protocol's text.
    #[test]
    fn the_answer_proves_that_the_key_was_read() {
        let accept = Sha1::new().chain_update("dGhlIHNhbXBsZSBub25jZQ==").chain_update(KEY_SUFFIX).finalize();
        assert_eq!(BASE64_STANDARD.encode(accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
