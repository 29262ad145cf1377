//! Amounts as Kubernetes writes them, so that two can be compared.

/// An amount in billionths, or `None` for what is none or has too many digits to be one.
pub fn billionths(text: &str) -> Option<u128> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (factor, divisor): (u128, u128) = match &text[digits.len()..] {
        "" => (1, 1),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1000_u128.pow(2), 1),
        "G" => (1000_u128.pow(3), 1),
        "T" => (1000_u128.pow(4), 1),
        "Ki" => (1024, 1),
        "Mi" => (1024_u128.pow(2), 1),
        "Gi" => (1024_u128.pow(3), 1),
        "Ti" => (1024_u128.pow(4), 1),
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 9 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let number: u128 = format!("{whole}{fraction:0<9}").parse().ok()?;
    Some(number.checked_mul(factor)? / divisor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_compared_whatever_they_are_counted_in() {
        for (less, more) in
            [("999M", "1G"), ("1G", "1Gi"), ("1.5Gi", "1.6Gi"), ("999m", "1"), ("1", "1.000000001")]
        {
            assert!(billionths(less).unwrap() < billionths(more).unwrap(), "{less} {more}");
        }
        for (one, same) in [("1024Mi", "1Gi"), ("1.0", "1"), ("1000m", "1"), ("0.5Ki", "512")] {
            assert_eq!(billionths(one).unwrap(), billionths(same).unwrap(), "{one} {same}");
        }
        for none in ["", "Gi", ".5", "-1", "+1", "1e3", "1 Gi", "1Pi", "1.0000000001", "1.2.3"] {
            assert_eq!(billionths(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_schema_lets_through_is_read(whole in "[0-9]{1,12}", fraction in prop::option::of("[0-9]{1,9}"), unit in "(m|k|M|G|T|Ki|Mi|Gi|Ti)?") {
            let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
            let amount = format!("{whole}{fraction}{unit}");
            prop_assert!(billionths(&amount).is_some());
        }

        #[test]
        fn more_digits_are_never_less(number in 0..u64::MAX / 10, unit in "(m|k|M|G|T|Ki|Mi|Gi|Ti)?") {
            let of = |number: u64| billionths(&format!("{number}{unit}"));
            prop_assert!(of(number) <= of(number + 1));
        }
    }
}
