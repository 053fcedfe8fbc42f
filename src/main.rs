//! The hookwheel binary.
fn main() {}
