//! Compiles what the crate embeds: the gRPC contracts and the XDP program.

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use prost::Message as _;

#[path = "build/ebpf.rs"]
mod ebpf;

fn main() -> ExitCode {
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Returned from `main`, it would be buried under a backtrace where those are on.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compile() -> anyhow::Result<()> {
    let out =
        PathBuf::from(env::var_os("OUT_DIR").context("OUT_DIR is not set: this runs under cargo only")?);

    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(
        ["isthmus/v1/objects.proto", "isthmus/v1/broker.proto", "isthmus/v1/gateway.proto"],
        ["proto"],
    )?;
    std::fs::write(out.join("isthmus.bin"), descriptors.encode_to_vec())?;
    let mut contracts = tonic_prost_build::configure();
    for shown_as_json in [
        "GatewayStatusResponse",
        "Interface",
        "Refusal",
        "NextHop",
        "CountersResponse",
        "ReasonCounter",
        "MappingCounter",
        "EndpointsResponse",
        "LearnedEndpoint",
        "Event",
    ] {
        contracts =
            contracts.type_attribute(format!(".isthmus.v1.{shown_as_json}"), "#[derive(serde::Serialize)]");
    }
    contracts.compile_fds(descriptors)?;

    ebpf::compile(&out)
}
