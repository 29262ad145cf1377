//! How long a line may be (RFC 2812 §2.3, ircv3 `message-tags` "Size limit"), and cutting a byte stream into lines.

use memchr::memchr;

/// Bytes of the tag section from a server, `@` and the space behind it included.
pub const MAX_TAGS: usize = 8191;
/// Bytes of the tag section from a client, `@` and the space behind it included.
pub const MAX_CLIENT_TAGS: usize = 4096;
/// Bytes of tag data, without `@` and space, that a server may add of its own.
pub const MAX_SERVER_TAG_DATA: usize = 4094;
/// Bytes of everything after the tags, CR LF included.
pub const MAX_REST: usize = 512;

/// Who wrote the line, which decides how long its tags may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// A client: 4096 bytes of tags.
    Client,
    /// A server: 8191 bytes of tags.
    Server,
}

impl From {
    /// Bytes its tag section may have.
    pub fn max_tags(self) -> usize {
        match self {
            From::Client => MAX_CLIENT_TAGS,
            From::Server => MAX_TAGS,
        }
    }

    /// Bytes a whole line may have, line ending included.
    pub fn max_line(self) -> usize {
        self.max_tags() + MAX_REST
    }
}

/// Which part of a line is too long (answered with `417 ERR_INPUTTOOLONG`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLong {
    /// The tags.
    #[error("{len} bytes of tags are more than the {max} allowed")]
    Tags {
        /// Bytes there are.
        len: usize,
        /// Bytes there may be.
        max: usize,
    },
    /// Everything after the tags.
    #[error("{len} bytes after the tags are more than the {max} allowed")]
    Rest {
        /// Bytes there are, line ending included.
        len: usize,
        /// Bytes there may be.
        max: usize,
    },
}

/// Checks both parts of a line. A missing line ending is counted as if it were there.
pub fn check(line: &[u8], from: From) -> Result<(), TooLong> {
    check_with(line, from.max_tags(), MAX_REST)
}

/// Checks against limits of your own, for servers that take longer lines.
pub fn check_with(line: &[u8], max_tags: usize, max_rest: usize) -> Result<(), TooLong> {
    let line = crate::message::strip_line_ending(line);
    let tags = match line.first() {
        Some(b'@') => memchr(b' ', line).map_or(line.len(), |space| space + 1),
        _ => 0,
    };
    if tags > max_tags {
        return Err(TooLong::Tags { len: tags, max: max_tags });
    }
    let rest = line.len() - tags + 2;
    if rest > max_rest {
        return Err(TooLong::Rest { len: rest, max: max_rest });
    }
    Ok(())
}

/// Cuts a stream of bytes into lines in bounded memory: [`Lines::push`] what was read, then take lines with
/// [`Lines::next_line`] until there is none.
///
/// A line longer than `max` is given up to its end and told of once; what follows it is read as usual.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    start: usize,
    scanned: usize,
    skipping: bool,
    max: usize,
}

/// A line was longer than the buffer may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {max} bytes")]
pub struct LineTooLong {
    /// Bytes there may be.
    pub max: usize,
}

impl Lines {
    /// A cutter for lines of at most `max` bytes, line ending included.
    pub fn new(max: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, scanned: 0, skipping: false, max }
    }

    /// Takes in what was read. Empty the cutter with [`Lines::next_line`] after each push: memory then stays
    /// below `max` and one read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line without its ending, empty ones left out; `None` until more is pushed.
    pub fn next_line(&mut self) -> Option<Result<&[u8], LineTooLong>> {
        loop {
            let Some(found) = memchr(b'\n', &self.buffer[self.scanned..]) else {
                return self.wait_for_more();
            };
            let (from, end) = (self.start, self.scanned + found);
            self.start = end + 1;
            self.scanned = end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if end + 1 - from > self.max {
                return Some(Err(LineTooLong { max: self.max }));
            }
            let line = crate::message::strip_line_ending(&self.buffer[from..end]);
            if line.is_empty() {
                continue;
            }
            let len = line.len();
            return Some(Ok(&self.buffer[from..from + len]));
        }
    }

    fn wait_for_more(&mut self) -> Option<Result<&[u8], LineTooLong>> {
        self.scanned = self.buffer.len();
        let waiting = self.buffer.len() - self.start;
        let too_long = !self.skipping && waiting > self.max;
        self.skipping |= too_long;
        if self.skipping || waiting == 0 {
            self.buffer.clear();
            (self.start, self.scanned) = (0, 0);
        }
        too_long.then_some(Err(LineTooLong { max: self.max }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_own_limit() {
        let line = |tags: usize, rest: usize| {
            let mut line = Vec::new();
            if tags > 0 {
                line = [b"@".as_slice(), &vec![b'a'; tags - 2], b" "].concat();
            }
            line.extend(vec![b'x'; rest - 2]);
            line.extend(b"\r\n");
            line
        };
        assert_eq!(check(&line(4096, 512), From::Client), Ok(()));
        assert_eq!(check(&line(4097, 512), From::Client), Err(TooLong::Tags { len: 4097, max: 4096 }));
        assert_eq!(check(&line(8191, 512), From::Server), Ok(()));
        assert_eq!(check(&line(8192, 5), From::Server), Err(TooLong::Tags { len: 8192, max: 8191 }));
        assert_eq!(check(&line(0, 513), From::Server), Err(TooLong::Rest { len: 513, max: 512 }));
        assert_eq!(check(b"@only-tags", From::Client), Ok(()));
    }

    fn take(lines: &mut Lines) -> Vec<Result<Vec<u8>, LineTooLong>> {
        let mut all = Vec::new();
        while let Some(line) = lines.next_line() {
            all.push(line.map(<[u8]>::to_vec));
        }
        all
    }

    #[test]
    fn lines_are_cut_wherever_the_reads_end() {
        let mut lines = Lines::new(20);
        let mut got = Vec::new();
        for byte in b"PING a\r\n\r\n\nPONG b\nX" {
            lines.push(&[*byte]);
            got.extend(take(&mut lines));
        }
        assert_eq!(got, [Ok(b"PING a".to_vec()), Ok(b"PONG b".to_vec())]);
        lines.push(b"Y\n");
        assert_eq!(take(&mut lines), [Ok(b"XY".to_vec())]);
    }

    #[test]
    fn an_endless_line_is_told_of_once_and_kept_nowhere() {
        let mut lines = Lines::new(8);
        let mut got = Vec::new();
        for _ in 0..100 {
            lines.push(&[b'x'; 16]);
            got.extend(take(&mut lines));
            assert!(lines.buffer.capacity() < 64);
        }
        lines.push(b"\r\nPING\r\n123456789\r\nPONG\r\n");
        got.extend(take(&mut lines));
        let long = Err(LineTooLong { max: 8 });
        assert_eq!(got, [long.clone(), Ok(b"PING".to_vec()), long, Ok(b"PONG".to_vec())]);
    }
}
