//! `cargo sandbox`.
fn main() {}
