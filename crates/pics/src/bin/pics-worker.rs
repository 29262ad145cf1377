//! The worker of `ircnow pics-worker` by itself, for the tests and benchmarks of this crate: its one argument is how many
//! bytes of memory it may take.

fn main() -> std::io::Result<()> {
    let memory = std::env::args().nth(1).and_then(|memory| memory.parse().ok());
    let memory = memory.ok_or_else(|| std::io::Error::other("say how many bytes of memory it may take"))?;
    pics::worker::child::run(memory)
}
