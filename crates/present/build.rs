//! The web pages are embedded from `ui/dist`. A build without them compiles too, and serves a page that says how to build them.

fn main() {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    std::fs::create_dir_all(&dist).expect("the folder ui/dist can be made");
    println!("cargo:rerun-if-changed=../../ui/dist");
    println!("cargo:rerun-if-changed=build.rs");
}
