//! What is known as bytes, for the next start: `docs/formats/patterns.md`.

use twox_hash::XxHash3_64;

use super::miner::Pattern;
use super::tokens::VARIABLE;
use super::{PatternLimits, Patterns};
use crate::{Code, Error, Result};

/// The first bytes of a file, with its version.
const MAGIC: &[u8; 8] = b"tytopat1";

impl Patterns {
    /// Every pattern, from the oldest to the youngest, and the other names.
    pub fn to_bytes(&self) -> Vec<u8> {
        let known = self.known();
        let mut patterns: Vec<&Pattern> = known.miner.patterns.values().collect();
        patterns.sort_by_key(|pattern| pattern.born);
        let mut bytes = MAGIC.to_vec();
        bytes.extend((patterns.len() as u32).to_le_bytes());
        for pattern in patterns {
            bytes.extend(pattern.id.to_le_bytes());
            bytes.extend(pattern.first_ns.to_le_bytes());
            bytes.extend(pattern.last_ns.to_le_bytes());
            bytes.push(u8::from(pattern.is_general));
            bytes.push(pattern.tokens.len() as u8);
            bytes.extend(pattern.tokens.iter().flat_map(|token| token.to_le_bytes()));
        }
        let mut names: Vec<(u64, u64)> = known.miner.older.pairs().collect();
        drop(known);
        names.sort_unstable();
        bytes.extend((names.len() as u32).to_le_bytes());
        bytes.extend(names.iter().flat_map(|(younger, older)| [younger.to_le_bytes(), older.to_le_bytes()]).flatten());
        bytes.extend(XxHash3_64::oneshot(&bytes).to_le_bytes());
        bytes
    }

    /// What was known once; refused as a whole when a byte of it has changed.
    pub fn from_bytes(bytes: &[u8], limits: PatternLimits) -> Result<Self> {
        let patterns = Self::new(limits);
        let (body, sum) = bytes.split_last_chunk::<8>().map(|(body, sum)| (body, u64::from_le_bytes(*sum))).ok_or_else(damaged)?;
        let mut rest = body.strip_prefix(MAGIC).filter(|_| XxHash3_64::oneshot(body) == sum).ok_or_else(damaged)?;
        let mut known = patterns.known();
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            let (id, first_ns, last_ns) =
                (u64::from_le_bytes(take(&mut rest)?), i64::from_le_bytes(take(&mut rest)?), i64::from_le_bytes(take(&mut rest)?));
            let [is_general, length] = take::<2>(&mut rest)?;
            let tokens = (0..length).map(|_| take(&mut rest).map(u64::from_le_bytes)).collect::<Result<Vec<u64>>>()?;
            if is_general == 1 && !tokens.contains(&VARIABLE) || known.miner.patterns.contains_key(&id) {
                return Err(damaged());
            }
            known.miner.insert(Pattern::new(id, &tokens, is_general == 1, (first_ns, last_ns)));
        }
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            let (younger, older) = (u64::from_le_bytes(take(&mut rest)?), u64::from_le_bytes(take(&mut rest)?));
            known.miner.older.set(younger, older);
        }
        drop(known);
        if rest.is_empty() { Ok(patterns) } else { Err(damaged()) }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or_else(damaged)?;
    *rest = after;
    Ok(*taken)
}

fn damaged() -> Error {
    Error::new(Code::Corrupt, "cannot read the saved log patterns: they are damaged, or of another version")
}
