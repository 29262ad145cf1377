//! Putting this program where Ergo can start it, for releases that cannot ask a socket.

use std::io;
use std::path::Path;

/// Copies this program to `to`. A file that is half written is never seen under that name.
pub fn install(to: &Path) -> io::Result<()> {
    let own = std::env::current_exe()?;
    let part = to.with_extension("part");
    // The copy keeps the mode, so it can be run.
    std::fs::copy(own, &part)?;
    std::fs::rename(part, to)
}
