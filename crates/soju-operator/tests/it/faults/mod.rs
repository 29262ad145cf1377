//! What happens when the operator dies, or when there are two.

mod leaders;
mod life;
