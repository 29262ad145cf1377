//! What the pages of every service share beside the templates: a form that keeps what was typed, moments in words,
//! the colour of a nick, sparklines. `design/templates/ui.html` draws them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use time::OffsetDateTime;
use time::macros::format_description;

/// A form as typed, with what is wrong with it. The error of the empty name belongs to the whole form.
#[derive(Clone, Default)]
pub struct Form {
    values: BTreeMap<String, String>,
    errors: BTreeMap<String, String>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets: only the names are told.
        f.debug_struct("Form")
            .field("fields", &self.values.keys().collect::<Vec<_>>())
            .field("errors", &self.errors)
            .finish()
    }
}

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self::default()
    }

    /// A form as the browser sent it (`axum::Form<Vec<(String, String)>>`). Of a name that comes twice the last counts.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { values: pairs.into_iter().collect(), errors: BTreeMap::new() }
    }

    /// The same form with `value` in the field `name`.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// What is in the field, as typed; empty if it was not sent.
    pub fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// What is in the field without the spaces around it.
    pub fn trimmed(&self, name: &str) -> &str {
        self.value(name).trim()
    }

    /// Whether a checkbox is ticked.
    pub fn is_on(&self, name: &str) -> bool {
        self.value(name) == "on"
    }

    /// Notes what is wrong with a field, in a whole sentence. The first word on a field stays.
    pub fn refuse(&mut self, name: &str, message: impl Into<String>) {
        self.errors.entry(name.to_owned()).or_insert_with(|| message.into());
    }

    /// What is wrong with a field.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// Whether nothing is wrong.
    pub fn is_fine(&self) -> bool {
        self.errors.is_empty()
    }
}

/// A moment as pages show it: relative words, the exact time on hover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// "4 minutes ago".
    pub words: String,
    /// RFC 3339, for `datetime`.
    pub iso: String,
    /// "2026-11-21 09:31:07 UTC".
    pub exact: String,
    /// Whether a script may keep the words up to date.
    pub live: bool,
}

impl Moment {
    /// The moment `at`, seen from `now` (seconds since 1970).
    pub fn new(at: i64, now: i64) -> Self {
        Self { words: ago(at, now), live: true, ..Self::clock(at) }
    }

    /// The moment `at` as a time of day, "09:31" in UTC.
    pub fn clock(at: i64) -> Self {
        let when = OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let exact = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
        let iso = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let short = format_description!("[hour]:[minute]");
        Self {
            words: when.format(short).unwrap_or_default(),
            iso: when.format(iso).unwrap_or_default(),
            exact: when.format(exact).unwrap_or_default(),
            live: false,
        }
    }
}

/// How long ago `at` is at `now`, in words: "now", "9 minutes ago", "in 12 seconds".
pub fn ago(at: i64, now: i64) -> String {
    match now.saturating_sub(at) {
        -4..=4 => "now".to_owned(),
        passed if passed < 0 => format!("in {}", span(-passed)),
        passed => format!("{} ago", span(passed)),
    }
}

/// A span of seconds in its largest whole unit: "41 days", "1 minute".
pub fn span(seconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let seconds = seconds.max(0);
    let (size, name) = UNITS.into_iter().find(|(size, _)| seconds >= *size).unwrap_or((1, "second"));
    let count = seconds / size;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// A number in groups of three: "1,204,118".
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: "1 network", "3 networks".
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// The class of a nick's colour, `h0` to `h15`: the same for every spelling that IRC holds equal (rfc1459), on every
/// page of every service (FNV-1a, 32 bits, modulo 16).
pub fn nick_class(nick: &str) -> &'static str {
    const CLASSES: [&str; 16] = [
        "h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10", "h11", "h12", "h13", "h14", "h15",
    ];
    let hash = nick.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        let folded = match byte {
            b'[' => b'{',
            b']' => b'}',
            b'\\' => b'|',
            b'~' => b'^',
            other => other.to_ascii_lowercase(),
        };
        (hash ^ u32::from(folded)).wrapping_mul(0x0100_0193)
    });
    // The low bits of FNV mix least: fold the high half in.
    CLASSES[((hash ^ (hash >> 16)) & 15) as usize]
}

/// The paths of a sparkline in a box of `width` by `height`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparkline {
    /// `d` of the line.
    pub line: String,
    /// `d` of the area under it.
    pub area: String,
    /// Width of the view box.
    pub width: u32,
    /// Height of the view box.
    pub height: u32,
    /// The smallest value.
    pub least: u64,
    /// The largest value.
    pub most: u64,
}

impl Sparkline {
    /// Draws `values`, oldest first; `None` for fewer than two. The base is zero, so that heights compare.
    pub fn new(values: &[u64], width: u32, height: u32) -> Option<Self> {
        let (least, most) = (*values.iter().min()?, *values.iter().max()?);
        if values.len() < 2 {
            return None;
        }
        // More points than half the pixels say nothing: keep the largest of each bucket.
        let buckets = values.len().min(width as usize / 2).max(2);
        let points: Vec<u64> = (0..buckets)
            .map(|i| {
                let from = i * values.len() / buckets;
                let to = ((i + 1) * values.len() / buckets).max(from + 1);
                values[from..to].iter().copied().max().unwrap_or(0)
            })
            .collect();
        let top = most.max(1) as f64;
        let mut line = String::new();
        for (i, value) in points.iter().enumerate() {
            let x = i as f64 * f64::from(width) / (points.len() - 1) as f64;
            let y = f64::from(height) - 1.0 - (*value as f64 / top) * (f64::from(height) - 3.0);
            let _ = write!(line, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
        }
        let area = format!("{line}V{height}H0Z");
        Some(Self { line, area, width, height, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_largest_whole_unit() {
        assert_eq!(ago(100, 103), "now");
        assert_eq!(ago(0, 61), "1 minute ago");
        assert_eq!(ago(0, 41 * 86_400 + 5), "41 days ago");
        assert_eq!(ago(112, 100), "in 12 seconds");
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!([grouped(7), grouped(1_204), grouped(1_204_118)], ["7", "1,204", "1,204,118"]);
        assert_eq!(count(1, "network", "networks"), "1 network");
    }

    #[test]
    fn a_nick_keeps_its_colour_however_it_is_spelt() {
        assert_eq!(nick_class("Alice[m]"), nick_class("aLICE{M}"));
        let classes: std::collections::HashSet<_> =
            (0..200).map(|i| nick_class(&format!("nick{i}"))).collect();
        assert_eq!(classes.len(), 16);
    }

    #[test]
    fn a_sparkline_starts_left_ends_right_and_stays_in_its_box() {
        let line = Sparkline::new(&[1, 5, 3], 96, 28).map(|s| s.line);
        assert_eq!(line.as_deref(), Some("M0.0 22.0L48.0 2.0L96.0 12.0"));
        assert_eq!(Sparkline::new(&[1], 96, 28), None);
    }

    #[test]
    fn a_form_keeps_what_was_typed_and_the_first_word_on_each_field() {
        let mut form = Form::from_pairs([("nick".to_owned(), " al ice ".to_owned())]);
        form.refuse("nick", "A nick has no spaces.");
        form.refuse("nick", "something else");
        assert_eq!((form.value("nick"), form.trimmed("nick")), (" al ice ", "al ice"));
        assert_eq!(form.error("nick"), Some("A nick has no spaces."));
        assert!(!form.is_fine());
    }
}
