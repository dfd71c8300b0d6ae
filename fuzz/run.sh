#!/bin/sh
# Runs every fuzz target for SECONDS (default 300), one after the other. Needs cargo-fuzz: cargo install cargo-fuzz.
# It works on stable Rust: no sanitizer is needed, there is no unsafe code of ours to watch.
set -eu
cd "$(dirname "$0")/.."
seconds="${1:-300}"
for target in $(cargo fuzz list); do
    echo "== $target for $seconds s"
    RUSTC_BOOTSTRAP=1 cargo fuzz run -s none "$target" -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1
done
