//! What the broker promises over gRPC, with a real process on a loopback port.

use std::time::{Duration, Instant};

use crate::support::{Broker, MANIFEST, apply, delete_network, network, put, run, state, stderr};
use isthmus::api::{self, broker_client::BrokerClient, watch_response::Event};
use nix::sys::signal::Signal;
use tokio_stream::StreamExt as _;
use tonic::{Code, Streaming, transport::Channel};

async fn watch(
    client: &mut BrokerClient<Channel>,
    from_revision: u64,
    epoch: &str,
) -> Streaming<api::WatchResponse> {
    let request = api::WatchRequest { from_revision, epoch: epoch.to_owned() };
    client.watch(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<api::WatchResponse>) -> Event {
    let answer =
        tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("no event within 5 s");
    answer.unwrap().unwrap().event.unwrap()
}

async fn snapshot(stream: &mut Streaming<api::WatchResponse>) -> api::Snapshot {
    match next(stream).await {
        Event::Snapshot(snapshot) => snapshot,
        Event::Delta(delta) => panic!("a delta instead of a snapshot: {delta:?}"),
    }
}

async fn delta(stream: &mut Streaming<api::WatchResponse>) -> api::Delta {
    match next(stream).await {
        Event::Delta(delta) => delta,
        Event::Snapshot(snapshot) => panic!("a snapshot instead of a delta: {snapshot:?}"),
    }
}

fn names(objects: &[api::Object]) -> Vec<&str> {
    let name = |object: &'_ api::Object| match &object.spec {
        Some(api::object::Spec::Network(network)) => network.name.clone(),
        other => panic!("{other:?}"),
    };
    let mut names: Vec<_> = objects.iter().map(|object| name(object).leak() as &str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_watch_begins_with_a_snapshot_and_goes_on_with_deltas() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let mut client = broker.client().await;
    assert!(broker.apply(MANIFEST).status.success());
    let mut stream = watch(&mut client, 0, "").await;
    let first = snapshot(&mut stream).await;
    assert_eq!((first.revision, first.objects.len()), (1, 4));
    assert_eq!(first.label_range, Some(api::LabelRange { first: 15_728_640, last: 16_777_215 }));

    client.apply(apply(vec![put(network(100, 1)), put(network(101, 1))])).await.unwrap();
    let change = delta(&mut stream).await;
    assert_eq!((change.from, change.to, names(&change.upserts)), (1, 2, vec!["n100", "n101"]));
    assert_eq!(change.upserts[0].metadata, Some(api::Metadata { version: 1, revision: 2 }));

    client.apply(apply(vec![delete_network("n100")])).await.unwrap();
    let change = delta(&mut stream).await;
    assert_eq!((change.from, change.to, change.upserts.len()), (2, 3, 0));
    assert_eq!(
        change.tombstones,
        [api::ObjectRef { kind: api::Kind::Network.into(), name: "n100".to_owned() }]
    );

    // What changes nothing is not told.
    client.apply(apply(vec![put(network(101, 1))])).await.unwrap();
    client.apply(apply(vec![put(network(102, 1))])).await.unwrap();
    assert_eq!(delta(&mut stream).await.to, 4);
}

#[tokio::test]
async fn a_watch_resumes_where_it_was_and_falls_back_to_a_snapshot() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &["--keep-revisions", "5"]);
    let mut client = broker.client().await;
    for number in 0..6 {
        client.apply(apply(vec![put(network(number, 1))])).await.unwrap();
    }
    client.apply(apply(vec![delete_network("n5")])).await.unwrap();
    let epoch = client.status(api::BrokerStatusRequest {}).await.unwrap().into_inner().epoch;

    // Five revisions are kept: 3 to 7. Merged, n5 is only known to be gone.
    let change = delta(&mut watch(&mut client, 2, &epoch).await).await;
    assert_eq!((change.from, change.to, names(&change.upserts)), (2, 7, vec!["n2", "n3", "n4"]));
    assert_eq!(change.tombstones.len(), 1);

    // It survives a restart.
    drop(client);
    assert!(broker.stop().success());
    let broker = Broker::start(&state, &["--keep-revisions", "5"]);
    let mut client = broker.client().await;
    assert_eq!(delta(&mut watch(&mut client, 6, &epoch).await).await.to, 7);

    for (case, from, epoch) in [
        ("compacted", 1, epoch.as_str()),
        ("foreign epoch", 6, "00000000-0000-4000-8000-000000000000"),
        ("no epoch", 6, ""),
        ("from the future", 99, &epoch),
    ] {
        let snapshot = snapshot(&mut watch(&mut client, from, epoch).await).await;
        assert_eq!((snapshot.revision, snapshot.objects.len()), (7, 5), "{case}");
    }

    // Up to date: nothing until something happens.
    let mut stream = watch(&mut client, 7, &epoch).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), stream.next()).await.is_err());
    client.apply(apply(vec![put(network(9, 1))])).await.unwrap();
    assert_eq!(delta(&mut stream).await.to, 8);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_catches_up_with_merged_deltas_or_a_snapshot() {
    for (kept, writes) in [("10000", 300), ("10", 300)] {
        let (_dir, state) = state();
        let broker = Broker::start(&state, &["--keep-revisions", kept]);
        let mut client = broker.client().await;
        let mut stream = watch(&mut client, 0, "").await;
        let mut position = snapshot(&mut stream).await.revision;
        // Each write replaces a network by one of 1,000 endpoints, far more than a window holds.
        for number in 0..writes {
            client.apply(apply(vec![put(network(number % 3, 500 + number))])).await.unwrap();
        }
        let mut events = 0;
        while position < u64::from(writes) {
            events += 1;
            position = match next(&mut stream).await {
                Event::Delta(delta) => {
                    assert_eq!(delta.from, position, "a gap");
                    delta.to
                }
                Event::Snapshot(snapshot) => {
                    assert_eq!(kept, "10", "no snapshot while the log holds everything");
                    snapshot.revision
                }
            };
        }
        assert!(events < writes, "{events} events are one a write: nothing was merged");
        assert_eq!(client.status(api::BrokerStatusRequest {}).await.unwrap().into_inner().watchers, 1);
    }
}

#[tokio::test]
async fn one_of_many_writers_wins_each_version() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let client = broker.client().await;
    client.clone().apply(apply(vec![put(network(1, 0))])).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..8_u32 {
        let mut client = client.clone();
        writers.push(tokio::spawn(async move {
            let mut won = 0;
            for attempt in 0..10_u32 {
                let name = api::ObjectRef { kind: api::Kind::Network.into(), name: "n1".to_owned() };
                let seen = client.get(api::GetRequest { r#ref: Some(name) }).await.unwrap().into_inner();
                let mut change = put(network(1, 1 + writer * 10 + attempt));
                change.expected_version = Some(seen.metadata.unwrap().version);
                match client.apply(apply(vec![change])).await {
                    Ok(_) => won += 1,
                    Err(status) => assert_eq!(status.code(), Code::Aborted, "{status}"),
                }
            }
            won
        }));
    }
    let mut won = 0;
    for writer in writers {
        won += writer.await.unwrap();
    }
    let listed = client.clone().list(api::ListRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.objects[0].metadata.unwrap().version, 1 + won);
    assert_eq!(listed.revision, 1 + won);
}

#[tokio::test]
async fn refusals_have_codes_and_name_their_fields() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    assert!(broker.apply(MANIFEST).status.success());
    let mut client = broker.client().await;
    let mut wrong = network(1, 1);
    if let Some(api::object::Spec::Network(network)) = &mut wrong.spec {
        network.prefixes = vec!["10.0.0.5/8".to_owned()];
        network.name = "N".to_owned();
    }
    let status = client.apply(apply(vec![put(network(5, 0)), put(wrong)])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let fields = |status: &tonic::Status| -> Vec<String> {
        let details = tonic_types::StatusExt::get_details_bad_request(status).unwrap();
        details.field_violations.into_iter().map(|violation| violation.field).collect()
    };
    assert_eq!(fields(&status), ["changes[1].network.name", "changes[1].network.prefixes[0]"]);

    let mut outdated = put(network(5, 0));
    outdated.expected_version = Some(3);
    for (changes, code) in [
        (vec![put(network(41, 0))], Code::InvalidArgument),
        (vec![outdated], Code::Aborted),
        (vec![delete_network("rad")], Code::NotFound),
        (vec![delete_network("red")], Code::FailedPrecondition),
        (vec![api::Change::default()], Code::InvalidArgument),
    ] {
        let status = client.apply(apply(changes)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert_eq!(fields(&status).len(), 1, "{status}");
    }
    // Nothing of all that has left a trace.
    assert_eq!(client.list(api::ListRequest::default()).await.unwrap().into_inner().revision, 1);

    // More mistakes than a header holds are cut short, not lost in transport.
    let many = (0..2000).map(|_| put(api::Object { metadata: None, spec: network(0, 0).spec })).collect();
    let status = client.apply(apply(many)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().ends_with("(and 1998 more)"), "{status}");
}

#[tokio::test]
async fn health_and_reflection_answer() {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let request = HealthCheckRequest { service: "isthmus.v1.Broker".to_owned() };
    let mut health = HealthClient::new(broker.channel().await);
    assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::Serving);

    let mut reflection = ServerReflectionClient::new(broker.channel().await);
    let mut ask = async |message| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(message) };
        let mut answers =
            reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
        answers.next().await.unwrap().unwrap().message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services")
    };
    let services: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(services.contains(&"isthmus.v1.Broker".to_owned()), "{services:?}");
    assert!(!services.contains(&"isthmus.v1.Gateway".to_owned()), "{services:?}");
    let symbol = MessageRequest::FileContainingSymbol("isthmus.v1.Broker.Watch".to_owned());
    assert!(matches!(ask(symbol).await, MessageResponse::FileDescriptorResponse(_)));
}

// Blocks one thread to wait for the process; the client has to answer pings on another.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_watches_and_the_broker() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let mut client = broker.client().await;
    let mut stream = watch(&mut client, 0, "").await;
    snapshot(&mut stream).await;
    broker.signal(Signal::SIGTERM);
    let status = stream.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "the broker is stopping"));
    let started = Instant::now();
    drop((stream, client));
    assert!(broker.stop().success());
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let (_dir, state) = state();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:6190"] {
        let output = run(&["broker", "run", "--listen", address, "--state", state.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            stderr(&output),
            format!(
                "isthmus: refusing to listen on {address}: without TLS, which the broker does not have yet, anybody \
                 who reaches it could change mappings; listen on a loopback address, e.g. 127.0.0.1:6190\n"
            )
        );
        assert!(!state.exists());
    }
}
