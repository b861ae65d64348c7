//! What a test does when it may not make namespaces.
//!
//! The libtest harness knows no "skipped at run time", and a test that returns early looks like one that
//! passed. So the line goes past libtest's capture straight to stderr, and in CI, where nobody reads it,
//! it is a failure.

use std::io::Write as _;

use anyhow::Result;

use crate::Namespace;

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
    tell_skipped(test, "needs root to make network namespaces");
    false
}

/// Whether this kernel has VLAN devices; says so loudly on stderr if not. Some kernels of virtual
/// machines are built without them.
///
/// # Errors
///
/// If `ip` can't be run.
pub fn require_vlans(test: &str, namespace: &Namespace) -> Result<bool> {
    let made = namespace.try_run("ip link add link lo name probe type vlan id 1")?;
    if made.stderr.contains("Unknown device type") {
        tell_skipped(test, "needs a kernel with VLAN devices (CONFIG_VLAN_8021Q)");
        return Ok(false);
    }
    // The loopback takes no VLAN device where there are any: that refusal is the proof.
    Ok(true)
}

fn tell_skipped(test: &str, why: &str) {
    // Not eprintln!: libtest would capture it and show it only for failed tests.
    let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED, NOT PASSED: {test} {why}\n");
}
