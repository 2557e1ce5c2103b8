//! What an example tells on standard output.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};

use super::Failure;

/// Why standard output takes no more, if it does not.
static BROKEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line. `println!` panics where nobody reads any more or the disk is full, in the middle of the work; this
/// goes on without a word, and [`finish`] tells in the end.
///
/// With the macro the module is imported, whose function it calls.
macro_rules! say {
    ($($text:tt)*) => {
        say::line(format_args!($($text)*))
    };
}
pub(crate) use say;

/// Prints a line, unless standard output took none before.
pub fn line(text: Arguments<'_>) {
    write(&mut io::stdout(), &BROKEN, text);
}

fn write(out: &mut impl Write, broken: &Mutex<Option<io::Error>>, text: Arguments<'_>) {
    let mut broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
    if broken.is_none() {
        *broken = writeln!(out, "{text}").and_then(|()| out.flush()).err();
    }
}

/// Why not all that was said was written. A reader that went away wanted no more, and is no error.
pub fn finish() -> Result<(), Failure> {
    told(&mut BROKEN.lock().unwrap_or_else(PoisonError::into_inner))
}

fn told(broken: &mut Option<io::Error>) -> Result<(), Failure> {
    match broken.take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("standard output: not everything could be written: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Prints a line on standard error, if it can be.
pub fn aloud(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes one line.
    struct Full(ErrorKind, usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1 > 2 { Err(self.0.into()) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_said_is_told_in_the_end_and_tried_once() {
        for (kind, expected) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let (mut out, broken) = (Full(kind, 0), Mutex::new(None));
            for number in 0..5 {
                write(&mut out, &broken, format_args!("{number}"));
            }
            assert_eq!(out.1, 3, "the first line and its end, and a second try");
            let told = told(&mut broken.lock().expect("no panic"));
            assert_eq!(told.is_err(), expected, "{kind}");
        }
    }
}
