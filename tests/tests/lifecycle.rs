//! Roles come and go: what must stay stays, what must go goes.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result};
use isthmus_tests::{
    Federation, Isthmus, command,
    federation::{BLUE, NETWORKS, RED, mapping},
    isthmus::attached,
    traffic, wait,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use uuid::Uuid;

/// How long a change may take.
const SOON: Duration = Duration::from_secs(3);

fn join(federation: &Federation, isthmus: &Isthmus<'_>) -> Result<String> {
    let identifier = Uuid::new_v4();
    isthmus.apply_text(&format!("{NETWORKS}---\n{}", mapping(identifier, "full", None)))?;
    await_ping(federation, "the apply")?;
    Ok(identifier.to_string())
}

fn await_ping(federation: &Federation, what: &str) -> Result<()> {
    wait::until_true(SOON, || traffic::ping(&federation.red, BLUE).unwrap_or(false))
        .with_context(|| format!("no ping crosses within {SOON:?} after {what}"))?;
    Ok(())
}

fn both() -> Vec<String> {
    vec!["left".to_owned(), "right".to_owned()]
}

#[test]
fn a_terminated_gateway_leaves_nothing_attached() -> Result<()> {
    Federation::test("a_terminated_gateway_leaves_nothing_attached", |federation, isthmus| {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let broker = isthmus.start_broker()?;
            let gateway = isthmus.start_gateway(&["left", "right"])?;
            assert_eq!(isthmus.attached()?, both());
            gateway.signal(signal);
            let status = gateway.wait(SOON).context("it does not end")?;
            assert_eq!(status.code(), Some(0), "{signal}: {}", gateway.describe());
            assert_eq!(isthmus.attached()?, [""; 0], "{signal}");
            assert!(!isthmus.socket().exists(), "{signal}: the socket is gone");
            broker.signal(signal);
            let status = broker.wait(SOON).context("it does not end")?;
            assert_eq!(status.code(), Some(0), "{signal}: {}", broker.describe());
        }
        assert!(traffic::ping(&federation.red, isthmus_tests::federation::GATEWAY_LEFT)?, "the links work");
        Ok(())
    })
}

#[test]
fn a_killed_gateway_leaves_nothing_attached_and_can_be_started_again() -> Result<()> {
    Federation::test(
        "a_killed_gateway_leaves_nothing_attached_and_can_be_started_again",
        |federation, isthmus| {
            let (_broker, gateway) = isthmus.start()?;
            join(federation, isthmus)?;
            gateway.signal(Signal::SIGKILL);
            gateway.wait(SOON).context("it does not end")?;
            let gone =
                wait::until_true(SOON, || isthmus.attached().is_ok_and(|attached| attached.is_empty()));
            assert!(gone.is_some(), "{:?} still attached", isthmus.attached()?);
            assert!(!traffic::ping(&federation.red, BLUE)?);
            isthmus.start_gateway(&["left", "right"])?;
            await_ping(federation, "the gateway's restart, from the broker's state alone")
        },
    )
}

#[test]
fn a_second_gateway_on_the_same_interface_is_refused_and_harms_nothing() -> Result<()> {
    Federation::test(
        "a_second_gateway_on_the_same_interface_is_refused_and_harms_nothing",
        |federation, isthmus| {
            isthmus.start()?;
            join(federation, isthmus)?;
            let mut second = isthmus.command(&["gateway", "run", "--interface", "left", "--broker"]);
            second.arg(isthmus.broker_url()).arg("--socket");
            second.arg(federation.topology.directory().join("second.sock"));
            let output = command::run(&mut second, command::LIMIT)?;
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(output.stderr.contains("left"), "{}", output.stderr);
            assert_eq!(isthmus.attached()?, both());
            assert_eq!(traffic::pings(&federation.red, BLUE, 3)?, 3);
            Ok(())
        },
    )
}

#[test]
fn forwarding_goes_on_without_the_broker_and_says_how_stale_it_is() -> Result<()> {
    Federation::test(
        "forwarding_goes_on_without_the_broker_and_says_how_stale_it_is",
        |federation, isthmus| {
            let (broker, _gateway) = isthmus.start()?;
            let identifier = join(federation, isthmus)?;
            broker.signal(Signal::SIGKILL);
            broker.wait(SOON).context("it does not end")?;
            let stale = wait::until(SOON, || {
                let status = isthmus.status().ok()?;
                (status["connected"] == false && status["stale_seconds"].as_u64()? >= 1).then_some(status)
            });
            assert!(stale.is_some(), "{}", isthmus.status()?);
            assert_eq!(traffic::pings(&federation.red, BLUE, 20)?, 20);
            assert_eq!(traffic::pings(&federation.blue, RED, 5)?, 5);

            // The broker comes back with what it had, and the gateway to it.
            isthmus.start_broker()?;
            let back = wait::until_true(Duration::from_secs(10), || {
                isthmus.status().is_ok_and(|status| status["connected"] == true)
            });
            assert!(back.is_some(), "{}", isthmus.status()?);
            assert_eq!(traffic::pings(&federation.red, BLUE, 5)?, 5);
            isthmus.delete_mapping(&identifier)?;
            let stopped = wait::until_true(SOON, || !traffic::ping(&federation.red, BLUE).unwrap_or(true));
            assert!(stopped.is_some(), "a change after the restart arrives");
            Ok(())
        },
    )
}

#[test]
fn a_restarted_broker_keeps_objects_and_revision() -> Result<()> {
    Federation::test("a_restarted_broker_keeps_objects_and_revision", |_federation, isthmus| {
        let broker = isthmus.start_broker()?;
        let identifier = Uuid::new_v4();
        isthmus.apply_text(&format!("{NETWORKS}---\n{}", mapping(identifier, "full", None)))?;
        let list = || -> Result<Vec<Value>> {
            ["network", "resource", "mapping"]
                .into_iter()
                .map(|kind| {
                    let output = isthmus.try_broker(&[kind, "list", "-o", "json"])?.success()?;
                    serde_json::from_str(&output.stdout).with_context(|| output.stdout)
                })
                .collect()
        };
        let before = list()?;
        assert!(before[2].to_string().contains(&identifier.to_string()), "{}", before[2]);
        broker.signal(Signal::SIGKILL);
        broker.wait(SOON).context("it does not end")?;
        isthmus.start_broker()?;
        assert_eq!(list()?, before);
        Ok(())
    })
}

#[test]
fn an_interface_without_native_xdp_is_refused_and_nothing_stays_attached() -> Result<()> {
    Federation::test(
        "an_interface_without_native_xdp_is_refused_and_nothing_stays_attached",
        |federation, isthmus| {
            isthmus.start_broker()?;
            federation.gateway.run("ip link add nonative type ifb")?;
            federation.gateway.run("ip link set nonative up")?;
            let output = command::run(&mut isthmus.gateway_command(&["left", "nonative"]), command::LIMIT)?;
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            for word in ["nonative", "native"] {
                assert!(
                    output.stderr.replacen("nonative", "", usize::from(word == "native")).contains(word),
                    "{}",
                    output.stderr
                );
            }
            assert_eq!(attached(&federation.gateway)?, [""; 0]);
            Ok(())
        },
    )
}

#[test]
fn a_missing_interface_is_refused_by_name() -> Result<()> {
    Federation::test("a_missing_interface_is_refused_by_name", |federation, isthmus| {
        isthmus.start_broker()?;
        let output = command::run(&mut isthmus.gateway_command(&["left", "nosuch0"]), command::LIMIT)?;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.contains("nosuch0"), "{}", output.stderr);
        assert_eq!(attached(&federation.gateway)?, [""; 0]);
        Ok(())
    })
}

#[test]
fn a_refused_manifest_changes_nothing() -> Result<()> {
    Federation::test("a_refused_manifest_changes_nothing", |federation, isthmus| {
        isthmus.start()?;
        join(federation, isthmus)?;
        let broken = NETWORKS.replace("network: blue", "network: nowhere");
        let output = isthmus.try_broker(&["apply", "-f", &write(federation, &broken)?])?;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.contains("nowhere"), "{}", output.stderr);
        thread::sleep(Duration::from_millis(300));
        assert_eq!(traffic::pings(&federation.red, BLUE, 3)?, 3);
        Ok(())
    })
}

fn write(federation: &Federation, text: &str) -> Result<String> {
    let path = federation.topology.directory().join("broken.yaml");
    fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}
