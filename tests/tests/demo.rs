//! The demo holds what it promises: it passes, and leaves nothing behind when it is interrupted.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use isthmus_tests::{Topology, command, privilege::require_root, wait};
use nix::sys::signal::Signal;

/// The whole demo, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const DEMO: &str = env!("CARGO_BIN_EXE_isthmus-demo");

/// What the process of this id has made and not removed.
fn left_behind(pid: i32) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for directory in ["/run/netns", "/tmp"] {
        for entry in fs::read_dir(directory).with_context(|| directory.to_owned())? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    names.retain(|name| name.starts_with(&format!("isth-{pid}-")));
    Ok(names)
}

#[test]
fn the_demo_passes() -> Result<()> {
    if !require_root("the_demo_passes") {
        return Ok(());
    }
    let output = command::run(&mut Command::new(DEMO), LIMIT)?.success()?;
    assert!(output.stdout.contains(" verified, 0 failed, in "), "{}", output.stdout);
    assert!(!output.stdout.contains('✗'), "{}", output.stdout);
    Ok(())
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() -> Result<()> {
    if !require_root("an_interrupted_demo_leaves_nothing_behind") {
        return Ok(());
    }
    let topology = Topology::new()?;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let demo = topology.spawn("demo", &mut Command::new(DEMO))?;
        // In the middle of its work: broker and gateway run.
        let started = wait::until_true(LIMIT, || demo.stdout().contains("\n3. ") || demo.status().is_some());
        assert!(started.is_some() && demo.status().is_none(), "{}", demo.describe());
        assert!(left_behind(demo.pid())?.len() >= 4, "three namespaces and a directory");
        demo.signal(signal);
        let status = demo.wait(Duration::from_secs(15)).context("it does not end")?;
        assert_eq!(status.code(), Some(128 + signal as i32), "{}", demo.describe());
        assert_eq!(left_behind(demo.pid())?, [""; 0]);
        let processes = Command::new("pgrep").args(["-f", &format!("isth-{}-", demo.pid())]).output()?;
        assert_eq!(String::from_utf8_lossy(&processes.stdout), "", "processes");
    }
    Ok(())
}

#[test]
fn without_root_the_demo_says_so_in_one_sentence() -> Result<()> {
    if !require_root("without_root_the_demo_says_so_in_one_sentence") {
        return Ok(());
    }
    // Nobody may not look into root's target directory, but runs what it is handed.
    let directory = tempfile::tempdir_in("/tmp")?;
    let copy = directory.path().join("isthmus-demo");
    fs::copy(DEMO, &copy)?;
    for path in [directory.path(), &copy] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let mut demo = Command::new(copy);
    let output = command::run(demo.uid(65_534).gid(65_534).stdin(Stdio::null()), LIMIT)?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.contains("root"), "{}", output.stderr);
    Ok(())
}
