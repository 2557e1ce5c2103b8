//! One request, and what comes of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ureq::Body;
use ureq::http::{Response, header};

/// What is read at a time.
const CHUNK: usize = 1 << 16;

const OK: u16 = 200;
const PARTIAL: u16 = 206;
/// The server has no more than there is already.
const UNSATISFIABLE: u16 = 416;

pub(super) struct Agent {
    agent: ureq::Agent,
    /// The most bytes of a file.
    limit: u64,
}

/// How a request ended.
pub(super) enum Outcome {
    /// Everything the server has is there.
    Complete,
    /// It broke off, or never came about: what happened.
    Broken(String),
    /// HTTP's status code.
    Refused(u16),
    /// The file is larger than the limit.
    TooLarge,
}

impl Agent {
    /// `secure`: nothing but https, redirects among it.
    pub(super) fn new(patience: Duration, limit: u64, secure: bool) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .https_only(secure)
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build();
        Self { agent: config.into(), limit }
    }

    /// Appends to `received` what the server has beyond it.
    ///
    /// # Errors
    /// The disk's; the network's are an outcome.
    pub(super) fn transfer(&self, url: &str, name: &str, received: &mut File) -> io::Result<Outcome> {
        let there = received.metadata()?.len();
        let mut request = self.agent.get(url);
        if there > 0 {
            request = request.header(header::RANGE, format!("bytes={there}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(Outcome::Broken(error.to_string())),
        };
        let start = match response.status().as_u16() {
            OK => 0,
            PARTIAL if starts_at(&response) == Some(there) => there,
            PARTIAL => {
                return Ok(Outcome::Broken(format!("another part than that from byte {there} on")));
            }
            UNSATISFIABLE => return Ok(Outcome::Complete),
            status => return Ok(Outcome::Refused(status)),
        };
        received.set_len(start)?;
        received.seek(SeekFrom::Start(start))?;
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
        if start.saturating_add(length.unwrap_or(0)) > self.limit {
            return Ok(Outcome::TooLarge);
        }
        let bar = bar(name, start, length);
        let outcome = copy(response, start, self.limit, length, received, &bar);
        bar.finish_and_clear();
        outcome
    }
}

/// Writes a response's body behind the `start` bytes that are there, as far as they make up no more than `limit`.
fn copy(
    response: Response<Body>,
    start: u64,
    limit: u64,
    length: Option<u64>,
    received: &mut File,
    bar: &ProgressBar,
) -> io::Result<Outcome> {
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    let mut buffer = [0; CHUNK];
    let mut bytes = 0;
    let reason = loop {
        match body.read(&mut buffer) {
            Ok(0) if length.is_none_or(|length| length == bytes) => return Ok(Outcome::Complete),
            Ok(0) => break format!("the server broke off after {bytes} of {} bytes", length.unwrap_or(0)),
            Ok(read) if start + bytes + read as u64 > limit => return Ok(Outcome::TooLarge),
            Ok(read) => {
                received.write_all(&buffer[..read])?;
                bytes += read as u64;
                bar.set_position(start + bytes);
            }
            Err(error) => break error.to_string(),
        }
    };
    Ok(Outcome::Broken(reason))
}

/// The first byte of a partial response.
fn starts_at(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// A progress bar of bytes; not shown where standard error is not a terminal.
fn bar(name: &str, start: u64, length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::new(start + length.unwrap_or(0));
    if let Ok(style) =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar.set_message(name.to_string());
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_by_https_is_never_asked_for_by_http() {
        // The check stands before each request, those that follow a redirect among them: nobody is connected to.
        let agent = Agent::new(Duration::from_secs(1), u64::MAX, true);
        let mut file = tempfile::tempfile().unwrap();
        match agent.transfer("http://127.0.0.1:9/net.pth", "net.pth", &mut file).unwrap() {
            Outcome::Broken(reason) => assert!(reason.contains("https"), "{reason}"),
            _ => panic!("expected a refusal"),
        }
    }
}
