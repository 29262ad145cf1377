//! What a running soju reads again is told apart from what it has read.

use serde_json::json;
use soju_operator::controller::build::config_text;
use soju_operator::soju;

use crate::paper::{bouncer, valid};

#[test]
fn a_new_message_of_the_day_is_a_new_configuration_and_no_new_pod() {
    let of = |motd: &str| valid(&bouncer(json!({ "motd": motd }))).unwrap();
    let (one, other) = (of("the first words"), of("other words\nlisten irc://"));
    // The text that the server's answer is compared with changes, though the words stand in a file of their own.
    let texts = [&one, &other].map(|valid| config_text(valid).unwrap());
    assert_ne!(texts[0], texts[1]);
    let changed: Vec<_> =
        texts[0].lines().zip(texts[1].lines()).filter(|(one, other)| one != other).collect();
    assert!(changed.iter().all(|(one, other)| one.starts_with('#') && other.starts_with('#')), "{changed:?}");
    assert_eq!(changed.len(), 1);
    let fixed = [&one, &other].map(|valid| soju::config(valid).unwrap().fixed);
    assert_eq!(fixed[0], fixed[1]);
}
