use clap::CommandFactory;

use super::Arguments;

#[test]
fn the_arguments_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_has_a_description_and_the_help_has_examples() {
    let command = Arguments::command();
    for sub in command.get_subcommands() {
        assert!(sub.get_about().is_some(), "{} has no description", sub.get_name());
    }
    let help = command.clone().render_help().to_string();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
}
