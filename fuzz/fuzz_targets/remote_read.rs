#![no_main]

use libfuzzer_sys::fuzz_target;

// The bytes are taken as they come and, so that the message behind the packing is met too, packed.
fuzz_target!(|body: &[u8]| {
    let packed = snap::raw::Encoder::new().compress_vec(body).expect("an input is short");
    for body in [body, &packed] {
        let decode = || present::decode_remote_read(body).map_err(|error| error.chain());
        let first = decode();
        assert_eq!(format!("{first:?}"), format!("{:?}", decode()), "decoding is deterministic");
        if let Err(told) = first {
            assert!(told.len() < 1000, "who asked wrongly gets a sentence: {told}");
        }
    }
});
