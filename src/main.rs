//! The `tagline` command: arguments in, an exit code out. Everything else is the library's.

use std::process::ExitCode;

use clap::Parser;
use tagline::cli::{self, Arguments};

fn main() -> ExitCode {
    // clap itself ends with 2 on wrong arguments, and with 0 on --help and --version.
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tagline").build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tagline: the runtime cannot be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tagline: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
