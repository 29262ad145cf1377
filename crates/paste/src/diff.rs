//! What was changed between two texts, line by line: pure.

use std::time::{Duration, Instant};

use similar::{Algorithm, ChangeTag, DiffOp, TextDiff};

/// Lines that stay, around what was changed.
const CONTEXT: usize = 3;
/// No page shows more.
const MOST_ROWS: usize = 5_000;
/// How long the best comparison is looked for; a coarser one is taken then.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It stayed.
    Same,
    /// It was there.
    Removed,
    /// It is new.
    Added,
    /// Lines are left out here.
    Gap,
}

/// A line of a comparison. Unified, only one side is filled where something was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: Kind,
    pub old: Option<(usize, String)>,
    pub new: Option<(usize, String)>,
}

impl Row {
    /// The class of a side.
    pub fn class(&self, new: bool) -> &'static str {
        match (self.kind, new) {
            (Kind::Same | Kind::Gap, _) => "",
            (Kind::Removed, true) if self.new.is_none() => "",
            (Kind::Added, false) if self.old.is_none() => "",
            (_, false) => "was",
            (_, true) => "is",
        }
    }

    /// The sign before a line of a unified comparison.
    pub fn sign(&self) -> &'static str {
        match self.kind {
            Kind::Removed => "-",
            Kind::Added => "+",
            Kind::Same | Kind::Gap => " ",
        }
    }

    /// Whether lines are left out here.
    pub fn is_gap(&self) -> bool {
        self.kind == Kind::Gap
    }
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    pub rows: Vec<Row>,
    pub added: usize,
    pub removed: usize,
    /// Whether it was longer than a page shows.
    pub cut: bool,
}

/// Compares two texts; side by side, what was there stands beside what is there now.
pub fn compare(old: &str, new: &str, side: bool) -> Compared {
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .deadline(Instant::now() + PATIENCE)
        .diff_lines(old, new);
    let (mut rows, mut added, mut removed) = (Vec::new(), 0, 0);
    for (index, group) in diff.grouped_ops(CONTEXT).into_iter().enumerate() {
        if index > 0 {
            rows.push(Row { kind: Kind::Gap, old: None, new: None });
        }
        for op in group {
            let before = rows.len();
            for change in diff.iter_changes(&op) {
                let line = |index: Option<usize>| index.map(|index| (index + 1, shown(change.value())));
                let (old, new) = (line(change.old_index()), line(change.new_index()));
                rows.push(match change.tag() {
                    ChangeTag::Equal => Row { kind: Kind::Same, old, new },
                    ChangeTag::Delete => {
                        removed += 1;
                        Row { kind: Kind::Removed, old, new: None }
                    }
                    ChangeTag::Insert => {
                        added += 1;
                        Row { kind: Kind::Added, old: None, new }
                    }
                });
            }
            if side && matches!(op, DiffOp::Replace { .. }) {
                beside(&mut rows, before);
            }
        }
    }
    let cut = rows.len() > MOST_ROWS;
    rows.truncate(MOST_ROWS);
    Compared { rows, added, removed, cut }
}

/// Puts the lines that were added from `from` on beside those that were removed.
fn beside(rows: &mut Vec<Row>, from: usize) {
    let changed = rows.split_off(from);
    let (removed, added): (Vec<Row>, Vec<Row>) =
        changed.into_iter().partition(|row| row.kind == Kind::Removed);
    let (mut removed, mut added) = (removed.into_iter(), added.into_iter());
    loop {
        match (removed.next(), added.next()) {
            (Some(was), Some(is)) => rows.push(Row { new: is.new, ..was }),
            (Some(row), None) | (None, Some(row)) => rows.push(row),
            (None, None) => return,
        }
    }
}

/// A line without its end and without what cannot be seen.
fn shown(line: &str) -> String {
    line.trim_end_matches(['\n', '\r']).chars().filter(|c| !c.is_ascii_control() || *c == '\t').collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "a\nb\nc\nd\ne\nf\ng\nh\n";
    const NEW: &str = "a\nB\nC\nc2\nd\ne\nf\ng\nh\n";

    #[test]
    fn unified_says_what_went_before_what_came() {
        let compared = compare(OLD, NEW, false);
        let text: Vec<String> = compared
            .rows
            .iter()
            .map(|row| {
                format!(
                    "{}{}",
                    row.sign(),
                    row.old.as_ref().or(row.new.as_ref()).map_or("", |(_, line)| line)
                )
            })
            .collect();
        assert_eq!(text, [" a", "-b", "-c", "+B", "+C", "+c2", " d", " e", " f"]);
        assert_eq!((compared.added, compared.removed, compared.cut), (3, 2, false));
    }

    #[test]
    fn side_by_side_a_changed_line_stands_beside_what_it_was() {
        let compared = compare(OLD, NEW, true);
        let changed: Vec<_> = compared.rows.iter().filter(|row| row.kind != Kind::Same).collect();
        assert_eq!(changed.len(), 3);
        assert_eq!(changed[0].old, Some((2, "b".to_owned())));
        assert_eq!(changed[0].new, Some((2, "B".to_owned())));
        assert_eq!((changed[2].old.clone(), changed[2].new.clone()), (None, Some((4, "c2".to_owned()))));
        assert_eq!((changed[2].class(false), changed[2].class(true)), ("", "is"));
    }

    #[test]
    fn far_apart_changes_have_a_gap_between_them() {
        let old: String = (0..50).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n5\n", "\nfive\n").replace("\n45\n", "\nfortyfive\n");
        let gaps = compare(&old, &new, false).rows.iter().filter(|row| row.is_gap()).count();
        assert_eq!(gaps, 1);
        assert_eq!(compare(&old, &old, false).rows, []);
    }

    proptest! {
        #[test]
        fn both_views_hold_the_same_lines(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let (unified, side) = (compare(&old, &new, false), compare(&old, &new, true));
            prop_assert_eq!((unified.added, unified.removed), (side.added, side.removed));
            let lines = |compared: &Compared, new: bool| -> Vec<(usize, String)> {
                compared.rows.iter().filter_map(|row| if new { row.new.clone() } else { row.old.clone() }).collect()
            };
            prop_assert_eq!(lines(&unified, true), lines(&side, true));
            prop_assert_eq!(lines(&unified, false), lines(&side, false));
        }
    }
}
