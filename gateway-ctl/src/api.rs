//! The gRPC contracts, generated from `proto/` by the build script.
#![expect(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the .proto files hold the documentation"
)]

tonic::include_proto!("isthmus.v1");

/// The contracts' descriptors, for the reflection service.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("isthmus");

/// Largest message either side accepts, in bytes: a snapshot or an apply of some 100,000 objects.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
