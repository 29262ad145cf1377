//! What the operators make really runs: their own Pods by the manifests of `deploy/operators`, bouncers and networks in
//! Pods of the test node, and IRC clients that talk through each.

mod doors;
mod early;
mod ergo;
mod ordered;
mod own;
mod rows;
mod soju;
mod world;
