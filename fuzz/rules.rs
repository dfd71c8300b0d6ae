//! What holds for every decoder: an answer or an error for any bytes, and the same answer for the same bytes.

use model::{Decoded, ReceiveLimits, Result};
use receive::Rules;

pub fn check(decode: impl Fn(&[u8], &Rules<'_>) -> Result<Decoded>, body: &[u8]) {
    let limits = ReceiveLimits {
        depth_max: 8,
        value_bytes_max: 1 << 10,
        attributes_max: 16,
        buckets_max: 32,
        help_bytes_max: 64,
        batch_bytes_max: 1 << 24,
        ..ReceiveLimits::default()
    };
    let rules = Rules { limits: &limits, now_unix_nano: 1_700_000_000_000_000_000, protocol: "fuzz" };
    let (first, second) = (decode(body, &rules), decode(body, &rules));
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.records, second.records, "decoding is deterministic");
            assert_eq!((first.rejections, first.tally), (second.rejections, second.tally), "decoding is deterministic");
        }
        (Err(first), Err(second)) => assert_eq!(first.chain(), second.chain(), "decoding is deterministic"),
        _ => panic!("decoding is deterministic"),
    }
}
