//! The worker itself: reads a file, answers, reads the next, until its input ends.

use std::io::{self, BufWriter, Read, Write};

use pics_core::Limits;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::frames::{self, Tag, Told};
use super::views;

/// Runs the worker on its standard input and output, with at most `memory` bytes beyond what it has now.
pub fn run(memory: u64) -> io::Result<()> {
    confine(memory)?;
    let mut input = io::stdin().lock();
    let mut output = BufWriter::new(io::stdout().lock());
    while let Some((tag, file)) = frames::read(&mut input)? {
        if tag != Tag::File {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "only files are sent here"));
        }
        answer(file, &mut output)?;
        output.flush()?;
    }
    Ok(())
}

/// Takes from this process what decoding does not need: more memory, other files, room on a disk, core dumps. What a
/// picture makes of a decoder's faults ends here.
fn confine(memory: u64) -> io::Result<()> {
    let limit = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    let most = mapped()?.saturating_add(memory);
    setrlimit(Resource::As, limit(most))?;
    setrlimit(Resource::Core, limit(0))?;
    setrlimit(Resource::Fsize, limit(0))?;
    // Input, output and errors are open; nothing else ever will be.
    setrlimit(Resource::Nofile, limit(3))?;
    Ok(())
}

/// Bytes of address space this process has, the binary itself among them.
fn mapped() -> io::Result<u64> {
    let mut status = String::new();
    std::fs::File::open("/proc/self/status")?.read_to_string(&mut status)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("the system does not tell how much memory is used"))
}

/// Answers for one file.
pub fn answer(file: Vec<u8>, output: &mut impl Write) -> io::Result<()> {
    let cleaned = pics_core::clean(&file).and_then(|cleaned| {
        Limits::default().check(&cleaned.header)?;
        Ok(cleaned)
    });
    drop(file);
    let cleaned = match cleaned {
        Ok(cleaned) => cleaned,
        Err(refused) => return frames::write(output, Tag::Refused, refused.to_string().as_bytes()),
    };
    // Before anything is sent: what cannot be decoded is refused as a whole.
    let made = match views::of(&cleaned.header, &cleaned.bytes) {
        Ok(made) => made,
        Err(error) => {
            let words = format!(
                "The {} file cannot be decoded ({error}). Open it in a picture editor, save it anew and send that.",
                cleaned.header.kind
            );
            return frames::write(output, Tag::Refused, words.as_bytes());
        }
    };
    frames::write_json(output, Tag::Told, &Told::of(&cleaned.header))?;
    frames::write(output, Tag::Clean, &cleaned.bytes)?;
    for (view, pixels) in made {
        frames::write_json(output, Tag::View, &view)?;
        frames::write(output, Tag::Pixels, &pixels)?;
    }
    frames::write(output, Tag::End, &[])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use pics_core::samples;

    use super::*;

    fn first(file: &[u8]) -> (Tag, String) {
        let mut out = Vec::new();
        answer(file.to_vec(), &mut out).unwrap();
        let (tag, bytes) = frames::read(&mut &out[..]).unwrap().unwrap();
        (tag, String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_decoded() {
        let (tag, words) = first(&samples::png(65_535, 65_535, &[]));
        assert_eq!(tag, Tag::Refused);
        assert!(words.contains("65535 by 65535"), "{words}");
        let (tag, words) = first(&samples::gif(9, 9, &vec![samples::gif_frame(1, 1); 100_000]));
        assert_eq!(tag, Tag::Refused);
        assert!(words.contains("100000 frames"), "{words}");
    }

    #[test]
    fn what_only_looks_right_from_outside_is_refused_in_words() {
        let (tag, words) = first(&samples::png(40, 30, &[]));
        assert_eq!(tag, Tag::Refused);
        assert!(words.starts_with("The PNG file cannot be decoded"), "{words}");
    }

    #[test]
    fn an_avif_is_cleaned_and_has_no_views() {
        let mut out = Vec::new();
        answer(samples::avif(40, 30), &mut out).unwrap();
        let mut out = &out[..];
        let tags: Vec<_> =
            std::iter::from_fn(|| frames::read(&mut out).unwrap()).map(|(tag, _)| tag).collect();
        assert_eq!(tags, [Tag::Told, Tag::Clean, Tag::End]);
    }
}
