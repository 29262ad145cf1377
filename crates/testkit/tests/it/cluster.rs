//! The control plane and its stand-ins keep their promises.

mod plane;
