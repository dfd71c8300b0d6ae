//! What a run finds on its disk. Most of the time of a short run would go into making tables, were they not there.

use tokio::runtime::Runtime;

use model::Table;

use crate::ledger::Ledger;
use crate::world::World;

/// Directories as earlier, quiet runs left them, and who knows what is in them.
pub struct Starts(Vec<Start>);

struct Start {
    files: Vec<(String, Vec<u8>)>,
    ledger: Ledger,
    /// Of a hundred runs.
    share: u64,
}

impl Starts {
    pub fn make(runtime: &Runtime) -> Self {
        // Flushes of all tables, merges behind them.
        let make = |flushes, merges, share| runtime.block_on(make(flushes, merges, share));
        Self(vec![make(0, false, 74), make(1, false, 14), make(3, false, 7), make(4, true, 3)])
    }

    /// Puts one of them under the run; a few find nothing at all.
    pub fn begin(&self, world: &mut World) {
        let mut chosen = world.rng.below(100);
        for start in &self.0 {
            match chosen.checked_sub(start.share) {
                Some(rest) => chosen = rest,
                None => {
                    start.files.iter().for_each(|(name, bytes)| world.disk.put(name, bytes));
                    world.ledger = start.ledger.clone();
                    return;
                }
            }
        }
    }
}

async fn make(flushes: u64, merges: bool, share: u64) -> Start {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::new(dir.path().to_owned(), flushes, None);
    world.options.head_bytes_max = 512 << 20;
    world.options.tiers.clear();
    world.open().await.unwrap();
    for _ in 0..flushes {
        for table in Table::ALL {
            world.ingest(table).await.unwrap();
            world.ingest(table).await.unwrap();
        }
        world.flush().await.unwrap();
    }
    if merges {
        world.compact().await.unwrap();
    }
    world.shutdown().await.unwrap();
    Start { files: world.disk.files(), ledger: world.ledger, share }
}
