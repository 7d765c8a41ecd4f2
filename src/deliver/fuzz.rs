//! The fuzz target of this room: see [`crate::fuzz`].

use super::answer;

/// Reads InfluxDB's refusal of a batch: only lines of the batch are taken for named, and what the admin listener shows holds no line.
///
/// The input is the batch's lines, an empty line, and then the message; `{}` in the message stands for the first line.
pub fn refusal(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let (batch, message) = text.split_once("\n\n").unwrap_or(("", &text));
    let lines: Vec<&str> = batch.lines().filter(|line| !line.trim().is_empty()).collect();
    let message = message.replace("{}", lines.first().unwrap_or(&""));

    let named = answer::named(&message, lines.iter().map(|line| line.as_bytes()));
    assert_eq!(named.len(), lines.len());
    for (line, why) in lines.iter().zip(&named) {
        if let Some(why) = why {
            let line = line.trim_ascii_start();
            assert!(message.contains(&format!("unable to parse '{line}': ")), "{line:?} is not named in {message:?}");
            assert!(message.contains(why.as_str()) && why.trim_end() == why, "{why:?} does not stand in {message:?}");
        }
    }
    if let Some(dropped) = answer::dropped(&message) {
        assert!(message.contains("dropped="), "{dropped} dropped, by {message:?}");
    }
    for status in [400, 422] {
        let brief = answer::brief(status, &message);
        assert!(brief.starts_with(&format!("{status}: ")) && brief.chars().count() <= 230, "{brief}");
    }
    // As InfluxDB words it, whatever a tenant's line holds: the line stays out.
    if let Some(line) = lines.first().filter(|line| line.len() > 8) {
        let why = "invalid field format";
        let told = answer::brief(400, &format!("unable to parse '{line}': {why}"));
        assert_eq!(told, format!("400: unable to parse: {why}"), "{line:?}");
    }
    named.iter().any(Option::is_some)
}
