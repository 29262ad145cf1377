//! The lines of a text, each with an address of its own.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::render::Coloured;

/// The lines as a page holds them, some of them marked. The number is drawn by the stylesheet, so that it is not copied
/// with the text; its link is for the mouse, the keyboard has `?lines=`.
pub fn page(lines: &Coloured, marked: Option<RangeInclusive<usize>>) -> String {
    let mut out = String::with_capacity(lines.weight() + lines.count() * 80);
    for (number, line) in (1..).zip(lines.lines()) {
        let on = if marked.as_ref().is_some_and(|marked| marked.contains(&number)) { " on" } else { "" };
        let _ = write!(
            out,
            "<span class=\"ln{on}\" id=\"L{number}\"><a href=\"#L{number}\" data-n=\"{number}\" tabindex=\"-1\" aria-hidden=\"true\"></a>"
        );
        out.push_str(line);
        out.push_str("\n</span>");
    }
    out
}

/// The lines `?lines=` names: `5`, `5-9`.
pub fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().trim_start_matches('L').parse::<usize>().ok().filter(|n| *n > 0);
    let (from, to) = (number(from)?, number(to)?);
    Some(from.min(to)..=from.max(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    #[test]
    fn each_line_has_its_address_and_the_named_ones_are_marked() {
        let html = page(&render::plain("a\n<b>\nc"), range("2-3"));
        assert!(html.contains("<span class=\"ln\" id=\"L1\">"));
        assert!(html.contains("<span class=\"ln on\" id=\"L2\"><a href=\"#L2\" data-n=\"2\" tabindex=\"-1\" aria-hidden=\"true\"></a>&lt;b&gt;\n</span>"));
        assert!(html.contains("<span class=\"ln on\" id=\"L3\">"));
    }

    #[test]
    fn a_range_is_one_line_or_two_numbers_in_any_order() {
        assert_eq!(range("5"), Some(5..=5));
        assert_eq!(range("L9-L5"), Some(5..=9));
        for bad in ["", "0", "a", "1-", "-1", "1-2-3", "\"><"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
