//! What happens when the operator dies, the API server goes away, or somebody else interferes.

mod interference;
mod kill;
mod leaders;
mod outage;
