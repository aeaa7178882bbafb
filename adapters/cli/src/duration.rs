//! Time that is left, in words.

const UNITS: [(i64, &str); 4] = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];

/// The two largest units of a number of microseconds, such as "13 days and 23 hours"; "less than a second" for none.
pub(crate) fn in_words(micros: i64) -> String {
    let mut seconds = micros / 1_000_000;
    let mut words = Vec::new();
    for (length, name) in UNITS {
        let count = seconds / length;
        seconds %= length;
        if count > 0 {
            words.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        } else if !words.is_empty() {
            // Only neighbours: "1 day and 5 seconds" pretends to a precision that nobody wants.
            break;
        }
        if words.len() == 2 {
            break;
        }
    }
    if words.is_empty() { "less than a second".to_owned() } else { words.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn the_two_largest_neighbouring_units_are_said() {
        const SECOND: i64 = 1_000_000;
        for (micros, words) in [
            (14 * 86_400 * SECOND, "14 days"),
            (14 * 86_400 * SECOND - 1, "13 days and 23 hours"),
            (86_400 * SECOND + 5 * SECOND, "1 day"),
            (3_661 * SECOND, "1 hour and 1 minute"),
            (61 * SECOND, "1 minute and 1 second"),
            (59 * SECOND, "59 seconds"),
            (SECOND - 1, "less than a second"),
            (0, "less than a second"),
            (-5, "less than a second"),
        ] {
            assert_eq!(in_words(micros), words);
        }
    }
}
