//! How an example ends.

use std::error::Error;
use std::process::ExitCode;

use super::{say, stopping};

/// Whatever an example runs into.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The end of `main`: an error is told on standard error, with its causes; what was stopped, that it was.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    let said = say::finish();
    match result.and(said) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if stopping::is_stop(&error) => {
            say::aloud(&error.to_string());
            ExitCode::from(stopping::INTERRUPTED)
        }
        Err(error) => {
            say::aloud(&told(error.as_ref()));
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
