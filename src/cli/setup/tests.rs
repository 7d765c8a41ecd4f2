use super::onboard::password;
use super::*;

#[test]
fn a_retention_that_influxdb_would_not_take_is_refused_before_it_is_asked() {
    assert_eq!(retention("0"), Ok(Duration::ZERO));
    assert_eq!(retention("30d"), Ok(Duration::from_secs(30 * 86_400)));
    for bad in ["", "30", "59m", "0s500ms", "100years", "-1d"] {
        assert!(retention(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_pasted_into_a_shell_is_one_word() {
    assert_eq!(quoted("a b$(x)'c"), r"'a b$(x)'\''c'");
}

#[test]
fn passwords_that_are_made_up_are_long_and_differ() {
    let (one, two) = (password(), password());
    assert!(one.len() == 48 && one != two);
}
