//! Frames, built by etherparse from the fields wanted; VXLAN, Geneve and their options byte by byte.
//!
//! An expected frame is built the same way from the fields expected, its checksums computed from nothing:
//! this is the oracle of the packet tests, and it shares no line with the pipeline.

pub(crate) mod checksum;
pub(crate) mod geneve;
pub(crate) mod inner;
pub(crate) mod outer;
pub(crate) mod tag;

pub(crate) use checksum::Checksum;
pub(crate) use geneve::Geneve;
pub(crate) use outer::Outer;
pub(crate) use tag::Tag;
