//! A bar while images are looked at.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of `length` steps with the time left; hidden if not wanted or if the standard error is not a terminal.
pub(crate) fn progress_bar(length: usize, name: &'static str, wanted: bool) -> ProgressBar {
    if !wanted {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix:>9} {bar:32} {pos}/{len}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length as u64).with_style(style).with_prefix(name)
}
