//! How an example ends.

use std::error::Error;
use std::process::ExitCode;

/// Whatever an example runs into.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The end of `main`: an error is told on standard error, with its causes.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// `error: …`, and a line `caused by: …` for each of its causes, but for those whose text the line above
/// ends with: some errors quote their cause.
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut above = error.to_string();
    let mut text = format!("error: {above}");
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let cause = cause.to_string();
        if !above.ends_with(&cause) {
            text += &format!("\ncaused by: {cause}");
        }
        above = cause;
    }
    text
}
