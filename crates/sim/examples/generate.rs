//! Writes input for measurements to a file.
//!
//! `generate lines COUNT FILE` writes log lines as JSON, one a line.
//! `generate otlp COUNT FILE` writes the same lines as OTLP requests of 5000 records, each a protobuf message after its length (varint).
//! `generate world MINUTES FILE` writes what the company sends in so many minutes as such messages: spans only.

use std::fs::File;
use std::io::{BufWriter, Write};

use prost::Message;
use sim::bench::LogLines;
use sim::{Telemetry, World, WorldOptions, pack};

const SEED: u64 = 7;
const START_UNIX_SECONDS: u64 = 1_760_000_000;
const RECORDS_PER_REQUEST: usize = 5_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, amount, path] = arguments.as_slice() else {
        return Err("usage: generate lines|otlp|world AMOUNT FILE".into());
    };
    let amount: usize = amount.parse()?;
    let mut file = BufWriter::new(File::create(path)?);
    let lines = LogLines::new(SEED, START_UNIX_SECONDS * 1_000_000_000);
    match what.as_str() {
        "lines" => {
            for line in lines.take(amount) {
                writeln!(file, "{}", line.json)?;
            }
        }
        "otlp" => {
            for request in lines.requests(amount, RECORDS_PER_REQUEST) {
                file.write_all(&request.encode_length_delimited_to_vec())?;
            }
        }
        "world" => {
            let mut world = World::new(WorldOptions::new(SEED, START_UNIX_SECONDS));
            for minute in 1..=amount as u64 {
                for load in pack(world.tick(START_UNIX_SECONDS + 60 * minute), RECORDS_PER_REQUEST) {
                    if let Telemetry::Spans(request) = load.telemetry {
                        file.write_all(&request.encode_length_delimited_to_vec())?;
                    }
                }
            }
        }
        other => return Err(format!("cannot generate {other}: choose lines, otlp or world").into()),
    }
    Ok(file.flush()?)
}
