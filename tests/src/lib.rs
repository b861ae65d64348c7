//! Network topologies made of namespaces, for tests and the demo.
