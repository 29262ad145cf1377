//! The control codes people colour IRC with (mIRC's, as <https://modern.ircdocs.horse/formatting.html> has them).

use super::style::{Style, nearest};

/// The first sixteen colours, as terminals count them.
const BASIC: [u8; 16] = [15, 0, 4, 2, 9, 1, 5, 3, 11, 10, 6, 14, 12, 13, 8, 7];
/// Colours 16 to 98 in red, green and blue.
const MORE: [u32; 83] = [
    0x47_00_00, 0x47_21_00, 0x47_47_00, 0x32_47_00, 0x00_47_00, 0x00_47_2c, 0x00_47_47, 0x00_27_47,
    0x00_00_47, 0x2e_00_47, 0x47_00_47, 0x47_00_2a, 0x74_00_00, 0x74_3a_00, 0x74_74_00, 0x51_74_00,
    0x00_74_00, 0x00_74_49, 0x00_74_74, 0x00_40_74, 0x00_00_74, 0x4b_00_74, 0x74_00_74, 0x74_00_45,
    0xb5_00_00, 0xb5_63_00, 0xb5_b5_00, 0x7d_b5_00, 0x00_b5_00, 0x00_b5_71, 0x00_b5_b5, 0x00_63_b5,
    0x00_00_b5, 0x75_00_b5, 0xb5_00_b5, 0xb5_00_6b, 0xff_00_00, 0xff_8c_00, 0xff_ff_00, 0xb2_ff_00,
    0x00_ff_00, 0x00_ff_a0, 0x00_ff_ff, 0x00_8c_ff, 0x00_00_ff, 0xa5_00_ff, 0xff_00_ff, 0xff_00_98,
    0xff_59_59, 0xff_b4_59, 0xff_ff_71, 0xcf_ff_60, 0x6f_ff_6f, 0x65_ff_c9, 0x6d_ff_ff, 0x59_b4_ff,
    0x59_59_ff, 0xc4_59_ff, 0xff_66_ff, 0xff_59_bc, 0xff_9c_9c, 0xff_d3_9c, 0xff_ff_9c, 0xe2_ff_9c,
    0x9c_ff_9c, 0x9c_ff_db, 0x9c_ff_ff, 0x9c_d3_ff, 0x9c_9c_ff, 0xdc_9c_ff, 0xff_9c_ff, 0xff_94_d3,
    0x00_00_00, 0x13_13_13, 0x28_28_28, 0x36_36_36, 0x4d_4d_4d, 0x65_65_65, 0x81_81_81, 0x9f_9f_9f,
    0xbc_bc_bc, 0xe2_e2_e2, 0xff_ff_ff,
];

/// Whether a text has any of the codes.
pub fn has_codes(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, 2 | 3 | 4 | 0x0f | 0x11 | 0x16 | 0x1d | 0x1e | 0x1f))
}

/// What somebody said, from a plain beginning: IRC forgets styles at the end of a line. Other control characters are left
/// out.
pub fn said_into(out: &mut String, said: &str) {
    let mut style = Style::default();
    let mut rest = said;
    while !rest.is_empty() {
        let plain = rest.find(|c: char| c.is_ascii_control() && c != '\t').unwrap_or(rest.len());
        if plain > 0 {
            style.write(out, &rest[..plain]);
            rest = &rest[plain..];
            continue;
        }
        let code = rest.as_bytes()[0];
        rest = &rest[1..];
        match code {
            0x02 => style.bold = !style.bold,
            0x1d => style.italic = !style.italic,
            0x1f => style.underline = !style.underline,
            0x1e => style.strike = !style.strike,
            0x16 => style.reverse = !style.reverse,
            0x0f => style = Style::default(),
            0x03 => rest = colours(rest, &mut style, two_digits),
            0x04 => rest = colours(rest, &mut style, six_digits),
            _ => {}
        }
    }
}

/// What reads one colour, and gives what comes after it.
type Read<'a> = fn(&'a str) -> Option<(Option<u8>, &'a str)>;

/// A colour, and with a comma a second one behind it; neither means none from here on.
fn colours<'a>(rest: &'a str, style: &mut Style, read: Read<'a>) -> &'a str {
    let Some((fore, after)) = read(rest) else {
        (style.fore, style.back) = (None, None);
        return rest;
    };
    style.fore = fore;
    match after.strip_prefix(',').and_then(read) {
        Some((back, after)) => {
            style.back = back;
            after
        }
        None => after,
    }
}

fn two_digits(rest: &str) -> Option<(Option<u8>, &str)> {
    let length = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let number: usize = rest[..length].parse().ok()?;
    let colour = match number {
        0..=15 => Some(BASIC[number]),
        16..=98 => Some(of_rgb(MORE[number - 16])),
        _ => None,
    };
    Some((colour, &rest[length..]))
}

fn six_digits(rest: &str) -> Option<(Option<u8>, &str)> {
    let digits = rest.get(..6).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    Some((Some(of_rgb(u32::from_str_radix(digits, 16).ok()?)), &rest[6..]))
}

fn of_rgb(rgb: u32) -> u8 {
    let [_, red, green, blue] = rgb.to_be_bytes();
    nearest(red, green, blue)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::html::shown;
    use super::*;

    fn html(said: &str) -> String {
        let mut out = String::new();
        said_into(&mut out, said);
        out
    }

    #[test]
    fn codes_are_styles_as_clients_show_them() {
        assert_eq!(html("\u{2}a\u{2}b"), "<span class=\"sb\">a</span>b");
        assert_eq!(html("\u{3}4,1a\u{f}b"), "<span class=\"cf9 cb0\">a</span>b");
        assert_eq!(html("\u{3}04123"), "<span class=\"cf9\">123</span>");
        assert_eq!(html("\u{3}5,a"), "<span class=\"cf1\">,a</span>");
        assert_eq!(html("\u{3}a\u{3}3b\u{3}c"), "a<span class=\"cf2\">b</span>c");
        assert_eq!(html("\u{4}ff0000a"), "<span class=\"cf9\">a</span>");
        assert_eq!(html("\u{3}99a\u{3}52b"), "a<span class=\"cf9\">b</span>");
        assert_eq!(html("\u{1}\u{7}<"), "&lt;");
    }

    proptest! {
        #[test]
        fn nothing_said_becomes_html(said in "([\u{2}\u{3}\u{4}\u{f}\u{16}\u{1d},0-9a-f<>&\"]|\\PC){0,60}") {
            let text = shown(&html(&said));
            prop_assert!(text.chars().all(|c| !c.is_control()));
        }

        #[test]
        fn plain_words_stay_as_they_are(said in "\\PC{0,60}") {
            prop_assert_eq!(shown(&html(&said)), said);
        }
    }
}
