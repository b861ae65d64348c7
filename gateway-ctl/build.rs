//! Compiles the gRPC contracts.

use std::{env, path::PathBuf};

use prost::Message as _;

fn main() -> anyhow::Result<()> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(
        ["isthmus/v1/objects.proto", "isthmus/v1/broker.proto", "isthmus/v1/gateway.proto"],
        ["proto"],
    )?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    std::fs::write(out.join("isthmus.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
