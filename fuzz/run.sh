#!/bin/sh
# Runs every fuzz target for SECONDS (default 300), one after the other, from the inputs that seeds.py plants. Needs
# cargo-fuzz: cargo install cargo-fuzz. It works on stable Rust: no sanitizer is needed, there is no unsafe code of ours.
# usage: run.sh [SECONDS] [PYTHON of the e2e tests]
set -eu
cd "$(dirname "$0")/.."
seconds="${1:-300}"
"${2:-python3}" fuzz/seeds.py "${TYTO_DATA:-../shared/data}"
for target in $(cargo fuzz list); do
    echo "== $target for $seconds s"
    RUSTC_BOOTSTRAP=1 cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1
done
