//! What happens when a test process dies without dropping its handles: a shell of its own ends what was started and
//! takes away what was written.
//!
//! It learns of the death by the end of its standard input, which no other process holds open. Statics are never
//! dropped, and a test that aborts or is killed drops nothing: both end here.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Reads `+ GROUP`, `- GROUP`, `/ FOLDER` and `! COMMAND` until the test process is gone.
const SCRIPT: &str = r#"
groups=" "
orders=
while read -r word what; do
  case $word in
  +) groups="$groups$what " ;;
  -) case $groups in *" $what "*) groups="${groups%%" $what "*} ${groups#*" $what "}" ;; esac ;;
  /) set -- "$@" "$what" ;;
  !) orders="$orders$what
" ;;
  esac
done
for group in $groups; do kill -9 "-$group" 2>/dev/null; done
eval "$orders" >/dev/null 2>&1
sleep 0.2
rm -rf -- "$@"
"#;

static WATCH: OnceLock<Option<Mutex<ChildStdin>>> = OnceLock::new();

/// Kills the process group when this process is gone.
pub fn group(id: u32) {
    tell('+', id);
}

/// The process group is gone already: its number may soon be another's.
pub fn forget_group(id: u32) {
    tell('-', id);
}

/// Removes the folder when this process is gone.
pub fn folder(path: &Path) {
    tell('/', path.display());
}

/// Runs a shell command (one line) when this process is gone and the watched groups are killed.
pub fn command(line: &str) {
    tell('!', line);
}

fn tell(word: char, what: impl std::fmt::Display) {
    if let Some(pipe) = WATCH.get_or_init(start) {
        let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the watcher a test still works; only its death is untidy.
        let _ = writeln!(pipe, "{word} {what}");
    }
}

fn start() -> Option<Mutex<ChildStdin>> {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", SCRIPT, "watch"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut watcher: Child = command.spawn().ok()?;
    watcher.stdin.take().map(Mutex::new)
}
