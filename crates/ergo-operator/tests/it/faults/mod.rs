//! What happens when the operator dies, or somebody else interferes.

mod interference;
mod kill;
