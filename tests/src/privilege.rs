//! What a test does when it may not make namespaces.
//!
//! The libtest harness knows no "skipped at run time", and a test that returns early looks like one that
//! passed. So the line goes past libtest's capture straight to stderr, and in CI, where nobody reads it,
//! it is a failure.

use std::io::Write as _;

/// Whether this process may make namespaces; says so loudly on stderr if not.
///
/// # Panics
///
/// Without root where the environment variable `CI` is set.
#[must_use]
pub fn require_root(test: &str) -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none_or(|value| value.is_empty()),
        "{test} needs root to make network namespaces, and in CI it may not be skipped"
    );
    // Not eprintln!: libtest would capture it and show it only for failed tests.
    let _ = writeln!(
        std::io::stderr(),
        "\n!!! SKIPPED, NOT PASSED: {test} needs root to make network namespaces\n"
    );
    false
}
