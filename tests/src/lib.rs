//! Black-box tests over HTTP, in both topologies.
