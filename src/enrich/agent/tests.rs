use super::*;

fn families(header: &str) -> [&str; 3] {
    let agent = Agent::read(header);
    [agent.browser, agent.os, agent.device].map(Option::unwrap_or_default)
}

#[test]
fn the_browsers_of_today_are_told_apart() {
    let chrome = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0";
    let webkit = "AppleWebKit/605.1.15 (KHTML, like Gecko)";
    for (header, wanted) in [
        (format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {chrome} Safari/537.36"), ["Chrome", "Windows", "desktop"]),
        (
            format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {chrome} Safari/537.36 Edg/131.0.0.0"),
            ["Edge", "Windows", "desktop"],
        ),
        (
            format!("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {webkit} Version/18.1 Safari/605.1.15"),
            ["Safari", "macOS", "desktop"],
        ),
        (
            format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {webkit} Version/18.1 Mobile/15E148 Safari/604.1"
            ),
            ["Safari", "iOS", "mobile"],
        ),
        (
            format!("Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) {webkit} Version/12.1.2 Mobile/15E148 Safari/604.1"),
            ["Safari", "iOS", "tablet"],
        ),
        (format!("Mozilla/5.0 (Linux; Android 10; K) {chrome} Mobile Safari/537.36"), ["Chrome", "Android", "mobile"]),
        (format!("Mozilla/5.0 (Linux; Android 10; K) {chrome} Safari/537.36"), ["Chrome", "Android", "tablet"]),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0".to_owned(),
            ["Firefox", "Linux", "desktop"],
        ),
        (
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)".to_owned(),
            ["Googlebot", "", "bot"],
        ),
    ] {
        assert_eq!(families(&header), wanted, "{header}");
    }
}

#[test]
fn what_is_no_browser_says_nothing_or_little() {
    assert_eq!(families(""), ["", "", ""]);
    assert_eq!(families("-"), ["", "", ""]);
    assert_eq!(families("own client \u{1F600}"), ["", "", ""]);
}

#[test]
fn the_values_are_of_a_closed_list_however_the_header_looks() {
    for header in ["Chrome/evil\n,x=1", "Windows NT evil;)", "Firefox/\u{0}\u{1}", &"x😀".repeat(5_000)] {
        for value in families(header) {
            assert!(value.len() < 30 && value.is_ascii() && !value.contains("evil"), "{value}");
        }
    }
}
