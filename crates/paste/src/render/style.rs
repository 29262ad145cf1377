//! How a run of text looks, whichever control codes said so: mIRC's or a terminal's. Colours are the sixteen the design
//! has in both themes; every other is shown as the nearest of them.

use super::html::span_into;

/// The sixteen, in the order terminals count them, as they are on most of them: only distances are taken from here.
const PALETTE: [(u8, u8, u8); 16] = [
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
];

/// Of the sixteen, the nearest to a colour.
pub fn nearest(red: u8, green: u8, blue: u8) -> u8 {
    let distance = |(r, g, b): (u8, u8, u8)| {
        let part = |a: u8, b: u8| (i32::from(a) - i32::from(b)).pow(2);
        part(r, red) + part(g, green) + part(b, blue)
    };
    let best = (0_u8..16).min_by_key(|index| distance(PALETTE[usize::from(*index)]));
    best.unwrap_or_default()
}

/// How a run of text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
    pub reverse: bool,
    /// 0 to 15, as terminals count.
    pub fore: Option<u8>,
    /// 0 to 15, as terminals count.
    pub back: Option<u8>,
}

impl Style {
    /// Writes a run in it.
    pub fn write(self, out: &mut String, text: &str) {
        if self == Self::default() {
            return super::html::escape_into(out, text);
        }
        let mut class = String::new();
        for (set, name) in [
            (self.bold, "sb"),
            (self.dim, "sd"),
            (self.italic, "si"),
            (self.underline, "su"),
            (self.strike, "ss"),
        ] {
            if set {
                push(&mut class, name);
            }
        }
        let (fore, back) = if self.reverse { (self.back, self.fore) } else { (self.fore, self.back) };
        if let Some(fore) = fore {
            push(&mut class, &format!("cf{}", fore & 15));
        }
        if let Some(back) = back {
            push(&mut class, &format!("cb{}", back & 15));
        }
        if self.reverse && (fore.is_none() || back.is_none()) {
            push(&mut class, "sr-v");
        }
        span_into(out, &class, text);
    }
}

fn push(class: &mut String, name: &str) {
    if !class.is_empty() {
        class.push(' ');
    }
    class.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_the_palette_is_its_own_nearest() {
        for (index, (r, g, b)) in PALETTE.into_iter().enumerate() {
            assert_eq!(usize::from(nearest(r, g, b)), index);
        }
        assert_eq!(nearest(250, 10, 5), 9);
    }

    #[test]
    fn a_style_is_classes_and_none_is_bare_text() {
        let mut out = String::new();
        Style::default().write(&mut out, "<a>");
        Style { bold: true, fore: Some(1), ..Style::default() }.write(&mut out, "b");
        Style { reverse: true, fore: Some(1), back: Some(2), ..Style::default() }.write(&mut out, "c");
        assert_eq!(out, "&lt;a&gt;<span class=\"sb cf1\">b</span><span class=\"cf2 cb1\">c</span>");
    }
}
