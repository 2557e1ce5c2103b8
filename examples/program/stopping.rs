//! What an example does when it is told to end.

use std::io::{self, Read};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Once};
use std::thread;

use explainer_core::{CoreError, StopFlag};
use explainer_performers::train::TrainError;
#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
#[cfg(unix)]
use signal_hook::iterator::Signals;

use super::Failure;
use super::say::aloud;

/// The exit status of a program that an interrupt ended, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Raised when the program is told to end.
static STOP: LazyLock<StopFlag> = LazyLock::new(StopFlag::new);
/// How many are at work that heed the flag.
static HEEDING: AtomicUsize = AtomicUsize::new(0);
static HANDLER: Once = Once::new();

/// As long as this is kept, an interrupt raises the flag and waits for what heeds it; otherwise it ends the program at
/// once, which loses nothing: files appear whole or not at all.
pub struct Heeding(());

impl Heeding {
    pub fn new() -> Self {
        HEEDING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Heeding {
    fn drop(&mut self) {
        HEEDING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The flag of this program, which SIGINT, SIGTERM and SIGHUP raise from now on. The second one ends the program at
/// once. Elsewhere than on Unix an interrupt always does.
pub fn flag() -> StopFlag {
    HANDLER.call_once(listen);
    STOP.clone()
}

/// Has signals raise the flag. Without a handler an interrupt ends the program, as it always did.
#[cfg(unix)]
fn listen() {
    match Signals::new([SIGINT, SIGTERM, SIGHUP]) {
        Ok(mut signals) => drop(thread::spawn(move || signals.forever().for_each(|_| interrupt(true)))),
        Err(error) => aloud(&format!("interrupts end the program at once: {error}")),
    }
}

#[cfg(not(unix))]
fn listen() {}

/// Tells the program to end; a second `signal` does not wait.
pub fn interrupt(signal: bool) {
    let again = STOP.is_raised();
    STOP.raise();
    let heeded = HEEDING.load(Ordering::SeqCst) > 0;
    if heeded && !again {
        aloud("stopping behind this step; once more to stop at once");
    } else if !heeded || (signal && again) {
        aloud("interrupted; what was finished is kept");
        process::exit(INTERRUPTED.into());
    }
}

/// What was at work has ended as it was told to.
#[derive(Debug, thiserror::Error)]
#[error("stopped; the same command goes on from what is finished")]
pub struct Stopped;

/// Ends what goes on behind something that heeded the flag, or was done too soon to.
pub fn check() -> Result<(), Failure> {
    if STOP.is_raised() { Err(Stopped.into()) } else { Ok(()) }
}

/// Ends this program when the one that started it closes its standard input, or is no more.
#[allow(dead_code, reason = "what only an example that is started by another does")]
pub fn end_with_parent() {
    flag();
    thread::spawn(|| {
        let mut input = io::stdin().lock();
        while input.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        interrupt(false);
    });
}

/// Whether an error says that the program was told to end.
pub fn is_stop(error: &Failure) -> bool {
    if error.is::<Stopped>() {
        return true;
    }
    let core = match error.downcast_ref() {
        Some(TrainError::Core(core)) => Some(core),
        _ => error.downcast_ref(),
    };
    matches!(core, Some(CoreError::Stopped { .. }))
}
