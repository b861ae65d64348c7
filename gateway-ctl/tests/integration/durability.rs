//! What the broker promises about its state file, with a real file and a real process.

use std::{os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

use crate::support::{Broker, MANIFEST, apply, network, put, run, state, stderr, stdout};
use isthmus::api;
use nix::sys::signal::Signal;

#[test]
fn a_restart_keeps_objects_revision_and_epoch() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    assert!(broker.apply(MANIFEST).status.success());
    let everything = |broker: &Broker| {
        ["network", "resource", "mapping"].map(|noun| stdout(&broker.run(&[noun, "list", "-o", "json"])))
    };
    let epoch = |broker: &Broker| {
        let status: serde_json::Value =
            serde_json::from_str(&stdout(&broker.run(&["status", "-o", "json"]))).unwrap();
        (status["broker"]["epoch"].clone(), status["broker"]["revision"].clone())
    };
    let before = (everything(&broker), epoch(&broker));
    assert!(broker.stop().success());
    let broker = Broker::start(&state, &[]);
    assert_eq!((everything(&broker), epoch(&broker)), before);
    assert!(before.0[2].contains("\"label\": 15728640"), "{}", before.0[2]);
    let again = broker.apply(MANIFEST);
    assert!(stdout(&again).ends_with(" unchanged\nrevision 1\n"), "{}", stdout(&again));
}

#[test]
fn only_the_owner_can_read_the_state() {
    let (_dir, state) = state();
    let _broker = Broker::start(&state, &[]);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(state.parent().unwrap())), (0o600, 0o700));
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_during_writes_keeps_what_was_acknowledged() {
    let (_dir, state) = state();
    let mut next = 0;
    for round in 0..4 {
        let broker = Broker::start(&state, &[]);
        let mut client = broker.client().await;
        let first = next;
        let deadline = tokio::time::sleep(Duration::from_millis(150 + 70 * round));
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                answer = client.apply(apply(vec![put(network(next, 3))])) => {
                    answer.unwrap();
                    next += 1;
                }
                () = &mut deadline => {
                    broker.signal(Signal::SIGKILL);
                    break;
                }
            }
        }
        drop(broker);
        assert!(next > first, "nothing was acknowledged in round {round}");
        let broker = Broker::start(&state, &[]);
        let listed = broker.client().await.list(api::ListRequest::default()).await.unwrap().into_inner();
        // The one in flight may or may not have made it.
        let count = u32::try_from(listed.objects.len()).unwrap();
        assert!(count == next || count == next + 1, "{count} objects after {next} acknowledged writes");
        assert_eq!(listed.revision, u64::from(count));
        next = count;
        assert!(broker.stop().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let mut client = broker.client().await;
    let limit = |bytes: &str| {
        let status = Command::new("prlimit")
            .args([format!("--pid={}", broker.pid()), format!("--fsize={bytes}:")])
            .status();
        assert!(status.unwrap().success(), "prlimit is part of util-linux");
    };
    limit(&state.metadata().unwrap().len().to_string());
    let mut stored = 0;
    let refusal = loop {
        match client.apply(apply(vec![put(network(stored, 1000))])).await {
            Ok(_) => stored += 1,
            Err(status) => break status,
        }
        assert!(stored < 200, "the file size limit never took hold");
    };
    assert_eq!(refusal.code(), tonic::Code::Unavailable);
    let expected =
        format!("nothing was changed, because it cannot be stored: write state file {}: ", state.display());
    assert!(refusal.message().starts_with(&expected), "{}", refusal.message());

    // Again, and it still answers with what was acknowledged.
    assert!(client.apply(apply(vec![put(network(stored, 1000))])).await.is_err());
    let listed = client.list(api::ListRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.objects.len(), listed.revision), (stored as usize, u64::from(stored)));

    limit("unlimited");
    client.apply(apply(vec![put(network(stored, 1000))])).await.unwrap();
    let listed = client.list(api::ListRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.revision, u64::from(stored) + 1);
    drop(client);
    assert!(broker.stop().success());
    let broker = Broker::start(&state, &[]);
    assert_eq!(broker.client().await.list(api::ListRequest::default()).await.unwrap().into_inner(), listed);
}

/// Runs a broker that is expected to give up.
fn refused(state: &std::path::Path, more: &[&str]) -> String {
    let mut args = vec!["broker", "run", "--listen", "127.0.0.1:0", "--state", state.to_str().unwrap()];
    args.extend(more);
    let output = run(&args);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
    let text = stderr(&output);
    text.lines().filter(|line| line.starts_with("isthmus: ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_state_file_that_cannot_be_used_is_named() {
    let (dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let name = state.display();
    assert_eq!(
        refused(&state, &[]),
        format!(
            "isthmus: state file {name} is in use by another broker; stop that one, or name another file with --state"
        )
    );
    assert!(broker.apply(MANIFEST).status.success());
    assert!(broker.stop().success());

    let whole = std::fs::read(&state).unwrap();
    let garbage: Vec<u8> = b"this is no database. ".iter().copied().cycle().take(100_000).collect();
    let mut flipped = whole.clone();
    for byte in flipped.iter_mut().skip(4096).step_by(7) {
        *byte ^= 0x55;
    }
    for (case, bytes) in [("garbage", garbage), ("truncated", whole[..5000].to_vec()), ("flipped", flipped)] {
        let path = dir.path().join(case);
        std::fs::write(&path, bytes).unwrap();
        let message = refused(&path, &[]);
        assert!(
            message.starts_with(&format!("isthmus: state file {} is damaged: ", path.display())),
            "{case}: {message}"
        );
        assert!(
            message.ends_with("; restore a copy, or move it away and apply your manifests anew"),
            "{case}: {message}"
        );
    }
    let message = refused(dir.path(), &[]);
    assert_eq!(
        message,
        format!("isthmus: open state file {}: Is a directory (os error 21)", dir.path().display())
    );
}

#[test]
fn another_label_range_starts_a_new_epoch_unless_objects_are_in_the_way() {
    let (_dir, state) = state();
    let status = |broker: &Broker| -> serde_json::Value {
        serde_json::from_str(&stdout(&broker.run(&["status", "-o", "json"]))).unwrap()
    };
    let broker = Broker::start(&state, &["--label-range", "1000-1999"]);
    assert!(broker.apply(MANIFEST).status.success());
    let before = status(&broker);
    assert_eq!(before["broker"]["label_range"]["first"], 1000);
    assert!(broker.stop().success());

    let broker = Broker::start(&state, &[]);
    assert_eq!(status(&broker)["broker"]["epoch"], before["broker"]["epoch"]);
    assert_eq!(status(&broker)["broker"]["label_range"]["last"], 1999);
    assert!(broker.stop().success());

    assert_eq!(
        refused(&state, &["--label-range", "50-100"]),
        format!(
            "isthmus: cannot change the label range of {}:\n\
             isthmus: network/blue: its VNI 77 lies inside 50-100\n\
             isthmus: mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11: its label 1000 lies outside 50-100",
            state.display()
        )
    );
    let broker = Broker::start(&state, &["--label-range", "1000-3000"]);
    assert_ne!(status(&broker)["broker"]["epoch"], before["broker"]["epoch"]);
    assert_eq!(status(&broker)["broker"]["revision"], before["broker"]["revision"]);
}
