//! Isthmus' developer commands.

fn main() {}
