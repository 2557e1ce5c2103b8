//! Downloads from a server that truncates, corrupts, redirects, stalls and refuses.
#![cfg(feature = "download")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use explainer_performers::download::{DownloadError, Downloads, PublicFile};
use sha2::{Digest, Sha256};

const NAME: &str = "net.pth";
/// After which a stalled transfer is given up: long for a busy machine, short for a test.
const STALL: Duration = Duration::from_secs(1);

/// The file on the server.
fn contents() -> Vec<u8> {
    (0..200_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect()
}

fn file() -> PublicFile {
    let digits: String = Sha256::digest(contents()).iter().map(|byte| format!("{byte:02x}")).collect();
    PublicFile::new(NAME, &digits)
}

/// What the server does with one request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The file, or the part that is asked for.
    Serve,
    /// The whole of it, whatever is asked for.
    Whole,
    /// Its beginning: so many bytes, with the length of all of it, and the end of the connection.
    CutAfter(usize),
    /// So many bytes, and then nothing, with an open connection.
    StallAfter(usize),
    /// As many other bytes.
    Corrupt,
    /// It is somewhere else.
    Redirect,
    /// No.
    Status(u16),
    /// All of it, in a response that does not say how long it is.
    Endless,
    /// The end of the connection instead of an answer.
    HangUp,
    /// Another part than that which is asked for.
    WrongPart,
}

/// A server that gives these answers, one to each request, and then stops listening.
struct Server {
    url: String,
    /// The first byte that each request asked for.
    asked: Arc<Mutex<Vec<usize>>>,
    thread: thread::JoinHandle<()>,
}

impl Server {
    fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/models", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answers, log) = (answers.to_vec(), asked.clone());
        let thread = thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().expect("a connection");
                log.lock().expect("the log").push(serve(stream, answer));
            }
        });
        Self { url, asked, thread }
    }

    fn downloads(&self, folder: &Path) -> Downloads {
        Downloads::in_folder(folder).with_server(&self.url).with_patience(STALL)
    }

    /// The first byte that each request asked for, once all have been made.
    fn asked(self) -> Vec<usize> {
        self.thread.join().expect("the server");
        Arc::into_inner(self.asked).expect("no other").into_inner().expect("the log")
    }
}

/// Answers one request; the first byte that it asks for.
fn serve(mut stream: TcpStream, answer: Answer) -> usize {
    let mut start = 0;
    for line in BufReader::new(stream.try_clone().expect("the stream")).lines() {
        let line = line.expect("a line of the request").to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().expect("a first byte");
        }
    }
    let whole = contents();
    let part = |from: usize, bytes: &[u8]| {
        let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
        let range = match from {
            0 => String::new(),
            _ => format!("Content-Range: bytes {from}-{}/{}\r\n", whole.len() - 1, whole.len()),
        };
        let length = whole.len() - from;
        let head =
            format!("HTTP/1.1 {status}\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), bytes].concat()
    };
    let response = match answer {
        Answer::Serve if start >= whole.len() => {
            b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
        }
        Answer::Serve => part(start, &whole[start..]),
        Answer::Whole => part(0, &whole),
        Answer::CutAfter(bytes) | Answer::StallAfter(bytes) => part(start, &whole[start..start + bytes]),
        Answer::Corrupt => {
            let other: Vec<u8> = whole[start..].iter().map(|byte| !byte).collect();
            part(start, &other)
        }
        Answer::Redirect => {
            let local = stream.local_addr().expect("an address");
            let head = format!("HTTP/1.1 302 Found\r\nLocation: http://{local}/elsewhere/{NAME}\r\n");
            format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
        }
        Answer::Status(status) => {
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").into_bytes()
        }
        Answer::Endless => [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &whole[..]].concat(),
        Answer::HangUp => Vec::new(),
        Answer::WrongPart => part(start + 1, &whole[start + 1..]),
    };
    // The other side may have gone away by then.
    let _ = stream.write_all(&response).and_then(|()| stream.flush());
    if matches!(answer, Answer::StallAfter(_)) {
        // The connection stays open while other requests are answered.
        thread::spawn(move || {
            thread::sleep(10 * STALL);
            drop(stream);
        });
    }
    start
}

/// Fetches from a server of these answers into an empty folder; the file's name must mean that it is whole.
fn fetch(answers: &[Answer], before: &[u8]) -> (Result<(), DownloadError>, Vec<usize>) {
    let folder = tempfile::tempdir().expect("a folder");
    let part = folder.path().join(format!("{NAME}.part"));
    if !before.is_empty() {
        fs::write(&part, before).expect("a part");
    }
    let server = Server::start(answers);
    let result = server.downloads(folder.path()).fetch(&file());
    let asked = server.asked();
    match &result {
        Ok(path) => {
            assert_eq!(path, &folder.path().join(NAME));
            assert_eq!(fs::read(path).expect("the file"), contents());
            assert!(!part.exists());
        }
        Err(_) => assert!(!folder.path().join(NAME).exists()),
    }
    (result.map(drop), asked)
}

#[test]
fn a_file_is_fetched_once_and_checked_ever_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&[Answer::Serve]);
    let downloads = server.downloads(&folder.path().join("made/for it"));
    let offline = downloads.clone().offline();
    let error = offline.fetch(&file()).expect_err("nothing is there");
    assert!(matches!(error, DownloadError::Offline { found: "absent", .. }), "{error}");
    let path = downloads.fetch(&file()).expect("a file");
    assert_eq!(server.asked(), [0]);
    // The server is gone.
    assert_eq!(downloads.fetch(&file()).expect("the file is there"), path);
    assert_eq!(offline.fetch(&file()).expect("the file is there"), path);

    fs::write(&path, "damaged").expect("a damaged file");
    let error = offline.fetch(&file()).expect_err("not this one");
    assert!(matches!(error, DownloadError::Offline { found: "damaged", .. }), "{error}");
    let server = Server::start(&[Answer::Serve]);
    server.downloads(&folder.path().join("made/for it")).fetch(&file()).expect("another download");
    assert_eq!(fs::read(&path).expect("the file"), contents());
}

#[test]
fn a_transfer_that_breaks_off_or_stalls_goes_on_where_it_was() {
    let (result, asked) = fetch(&[Answer::CutAfter(70_000), Answer::CutAfter(1000), Answer::Serve], &[]);
    result.expect("a file");
    assert_eq!(asked, [0, 70_000, 71_000]);
    let (result, asked) = fetch(&[Answer::HangUp, Answer::StallAfter(5000), Answer::Serve], &[]);
    result.expect("a file");
    assert_eq!(asked, [0, 0, 5000]);
    // A server that knows no parts sends all of it again.
    let (result, asked) = fetch(&[Answer::CutAfter(500), Answer::Whole], &[]);
    result.expect("a file");
    assert_eq!(asked, [0, 500]);
}

#[test]
fn what_an_earlier_run_received_is_used_if_it_is_right() {
    let whole = contents();
    let (result, asked) = fetch(&[Answer::Serve], &whole[..123_456]);
    result.expect("a file");
    assert_eq!(asked, [123_456]);
    let (result, asked) = fetch(&[Answer::Serve], &whole);
    result.expect("a file");
    assert_eq!(asked, [200_000], "all of it was there");
    let (result, asked) = fetch(&[Answer::Serve, Answer::Serve], &[7; 1000]);
    result.expect("a file");
    assert_eq!(asked, [1000, 0], "it was of something else");
}

#[test]
fn a_redirect_is_followed() {
    let (result, asked) = fetch(&[Answer::Redirect, Answer::Serve], &[]);
    result.expect("a file");
    assert_eq!(asked.len(), 2);
}

#[test]
fn other_contents_are_refused_and_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&[Answer::Corrupt]);
    let error = server.downloads(folder.path()).fetch(&file()).expect_err("not the file");
    let DownloadError::Checksum { expected, found, .. } = &error else { panic!("{error}") };
    assert_ne!(expected, found);
    assert!(error.to_string().contains("/models/net.pth: expected the SHA-256"), "{error}");
    assert_eq!(names(folder.path()), [".net.pth.lock"]);
}

#[test]
fn servers_that_refuse_break_off_for_good_or_are_not_there_are_told() {
    for status in [403, 404, 500] {
        let (result, _) = fetch(&[Answer::Status(status)], &[]);
        let error = result.expect_err("refused");
        assert!(matches!(error, DownloadError::Refused { status: found, .. } if found == status), "{error}");
    }
    // Three more tries after the one that brought something, and what it brought stays.
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&[Answer::CutAfter(900), Answer::HangUp, Answer::WrongPart, Answer::HangUp]);
    let error = server.downloads(folder.path()).fetch(&file()).expect_err("broken off");
    assert!(matches!(error, DownloadError::Transfer { .. }), "{error}");
    assert_eq!(server.asked(), [0, 900, 900, 900]);
    assert_eq!(fs::read(folder.path().join("net.pth.part")).expect("a part"), contents()[..900]);
    // A server that ends every transfer at the same place is not asked for ever.
    let (result, asked) = fetch(&[Answer::CutAfter(0); 4], &[]);
    assert!(matches!(result, Err(DownloadError::Transfer { .. })));
    assert_eq!(asked.len(), 4);

    let gone = Server::start(&[]);
    let downloads = gone.downloads(folder.path());
    gone.asked();
    let error = downloads.fetch(&file()).expect_err("nobody listens");
    assert!(matches!(error, DownloadError::Transfer { .. }), "{error}");
}

/// What is in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn the_limit_holds_for_the_file_and_not_for_a_response() {
    for (answers, limit) in [
        // By its length; by what comes; by what came before and what comes now.
        (&[Answer::Serve][..], 199_999),
        (&[Answer::Endless], 199_999),
        (&[Answer::CutAfter(150_000), Answer::Serve], 199_999),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Server::start(answers);
        let downloads = server.downloads(folder.path()).with_limit(limit);
        let error = downloads.fetch(&file()).expect_err("too large");
        assert!(matches!(error, DownloadError::TooLarge { limit: 199_999, .. }), "{answers:?}: {error}");
        assert_eq!(names(folder.path()), [".net.pth.lock"], "{answers:?}");
        // The server is not waited for: a length that is stated is refused before all answers were asked for.
    }
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&[Answer::CutAfter(150_000), Answer::Serve]);
    server.downloads(folder.path()).with_limit(200_000).fetch(&file()).expect("as large as may be");
}

#[test]
fn of_many_that_fetch_at_once_one_downloads() {
    let folder = tempfile::tempdir().expect("a folder");
    // The first to come is cut short once: the others wait meanwhile, and find the file with its name.
    let server = Server::start(&[Answer::CutAfter(1000), Answer::Serve]);
    let downloads = server.downloads(folder.path());
    thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| downloads.fetch(&file()))).collect();
        for one in all {
            let path = one.join().expect("no panic").expect("the file");
            assert_eq!(fs::read(path).expect("the file"), contents());
        }
    });
    assert_eq!(server.asked(), [0, 1000]);
    assert_eq!(names(folder.path()), [".net.pth.lock", NAME]);
}
