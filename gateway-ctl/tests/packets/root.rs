//! Whether programs can be loaded here.

use std::io::Write as _;

/// Whether this process may load programs; says so loudly if not, and fails where CI expects it.
pub(crate) fn is_root(test: &str) -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none_or(|value| value.is_empty()),
        "{test} needs root to load programs into the kernel, and in CI it may not be skipped"
    );
    // Not eprintln!: libtest would capture it and show it only for failed tests.
    let _ = writeln!(
        std::io::stderr(),
        "\n!!! SKIPPED, NOT PASSED: {test} needs root to load programs into the kernel\n"
    );
    false
}
