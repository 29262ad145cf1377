//! Kubernetes quantities: `100m`, `1.5`, `64Mi`, `1e3`.

/// The number, in units (bytes, cores). `None` if it is none.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_f64.powi(exponent)
        }
    };
    Some(number * factor).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_mean_what_kubernetes_says() {
        let table = [
            ("1", 1.0),
            ("100m", 0.1),
            ("1.5", 1.5),
            ("64Mi", 67_108_864.0),
            ("1Gi", 1_073_741_824.0),
            ("2k", 2000.0),
            ("1e3", 1000.0),
            ("1E3", 1000.0),
            ("1E", 1e18),
            ("-1", -1.0),
        ];
        for (text, value) in table {
            let close = |parsed: f64| (parsed - value).abs() <= value.abs() * 1e-12;
            assert!(parse(text).is_some_and(close), "{text}");
        }
        for text in ["", "Mi", "1Q", "1 Mi", "1ee3", "--1", "1e400"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn whole_numbers_are_themselves(number in 0_u32..) {
            proptest::prop_assert_eq!(parse(&number.to_string()), Some(f64::from(number)));
        }
    }
}
