//! A part of what runs in the kernel, for machines on which all of it takes too long.

use std::io::Write as _;

/// With `n` in this environment variable, every `n`th row and frame runs in the kernel. A number that has no divisor
/// in common with 2 and 3 picks from all tags, checksums and inner frames.
const VARIABLE: &str = "ISTHMUS_MATRIX_EVERY";

fn every() -> usize {
    let Some(value) = std::env::var_os(VARIABLE) else { return 1 };
    let number = value.to_str().and_then(|value| value.parse().ok()).filter(|number| *number > 0);
    number.unwrap_or_else(|| panic!("{VARIABLE} must be a number from 1 on, not {}", value.display()))
}

/// Whether all of it runs.
pub(crate) fn is_all() -> bool {
    every() == 1
}

/// Those that run in the kernel; says so loudly if they are not all.
pub(crate) fn of<'a, T>(what: &str, all: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let all: Vec<&T> = all.collect();
    let part: Vec<&T> = all.iter().copied().step_by(every()).collect();
    if !is_all() {
        // Not eprintln!: libtest would capture it and show it only for failed tests.
        let _ = writeln!(
            std::io::stderr(),
            "\n!!! ONLY A PART: {} of {} {what}, for {VARIABLE} is {}\n",
            part.len(),
            all.len(),
            every()
        );
    }
    part
}
