//! One request, and what comes of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use ureq::Body;
use ureq::http::{Response, header};

/// The largest file that is received: 4 GiB, several times the largest of torchvision's.
const MAX_BYTES: u64 = 4 << 30;
/// What is read at a time.
const CHUNK: usize = 1 << 16;

const OK: u16 = 200;
const PARTIAL: u16 = 206;
/// The server has no more than there is already.
const UNSATISFIABLE: u16 = 416;

pub(super) struct Agent(ureq::Agent);

/// How a request ended.
pub(super) enum Outcome {
    /// Everything the server has is there.
    Complete,
    /// It broke off, or never came about: what happened.
    Broken(String),
    /// HTTP's status code.
    Refused(u16),
}

impl Agent {
    pub(super) fn new(patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build();
        Self(config.into())
    }

    /// Appends to `received` what the server has beyond it.
    ///
    /// # Errors
    /// The disk's; the network's are an outcome.
    pub(super) fn transfer(&self, url: &str, name: &str, received: &mut File) -> io::Result<Outcome> {
        let there = received.metadata()?.len();
        let mut request = self.0.get(url);
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
        let bar = bar(name, start, length);
        let outcome = copy(response, start, length, received, &bar);
        bar.finish_and_clear();
        outcome
    }
}

/// Writes a response's body behind what is there, up to what is sensible.
fn copy(
    response: Response<Body>,
    start: u64,
    length: Option<u64>,
    received: &mut File,
    bar: &ProgressBar,
) -> io::Result<Outcome> {
    let mut body = response.into_body().into_with_config().limit(MAX_BYTES).reader();
    let mut buffer = [0; CHUNK];
    let mut bytes = 0;
    let reason = loop {
        match body.read(&mut buffer) {
            Ok(0) if length.is_none_or(|length| length == bytes) => return Ok(Outcome::Complete),
            Ok(0) => break format!("the server broke off after {bytes} of {} bytes", length.unwrap_or(0)),
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
