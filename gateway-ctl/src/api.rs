//! The gRPC contracts, generated from `proto/` by the build script.
#![expect(missing_docs, clippy::pedantic, reason = "generated code; the .proto files hold the documentation")]

tonic::include_proto!("isthmus.v1");

/// The contracts' descriptors, for the reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("isthmus");
