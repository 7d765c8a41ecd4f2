//! The `tagline` command: arguments in, an exit code out. Everything else is the library's.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tagline::cli::{self, Arguments};

/// How long the end waits for work that cannot be interrupted.
const LEFTOVERS: Duration = Duration::from_millis(500);

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
    let ended = runtime.block_on(cli::run(arguments));
    // What blocks is then nobody's any more: a log that is still read, bodies that were compressed for writes that were given up.
    runtime.shutdown_timeout(LEFTOVERS);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tagline: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
