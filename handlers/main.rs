//! The one binary for every type.
fn main() {}
