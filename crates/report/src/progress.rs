//! How long a report takes, told before, and a bar while it is made.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of a number of steps, or silence.
pub(crate) struct Progress {
    /// `None`: silence.
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(name: &'static str, steps: usize, wanted: bool) -> Self {
        let style = ProgressStyle::with_template("{prefix:>9} {bar:32} {pos}/{len}, {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = || ProgressBar::new(steps as u64).with_style(style).with_prefix(name);
        Self { bar: wanted.then(bar) }
    }

    pub(crate) fn wanted(&self) -> bool {
        self.bar.is_some()
    }

    pub(crate) fn advance(&self, steps: usize) {
        if let Some(bar) = &self.bar {
            bar.inc(steps as u64);
        }
    }

    /// Says something on standard error: above the bar, or alone where that is no terminal.
    pub(crate) fn tell(&self, text: &str) {
        match &self.bar {
            Some(bar) if bar.is_hidden() => eprintln!("{text}"),
            Some(bar) => bar.println(text),
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A time as one would say it.
pub(crate) fn about(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => "less than a second".to_string(),
        seconds if seconds < 90.0 => format!("about {seconds:.0} s"),
        seconds => format!("about {:.0} min", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_seconds_or_minutes() {
        for (seconds, expected) in [
            (0.2, "less than a second"),
            (1.4, "about 1 s"),
            (89.4, "about 89 s"),
            (90.0, "about 2 min"),
            (700.0, "about 12 min"),
        ] {
            assert_eq!(about(Duration::from_secs_f64(seconds)), expected);
        }
    }
}
