//! The one binary: every role of the platform, all of them at once, and the administrator's commands.

fn main() {}
