//! Programs that are killed, told to stop, or run side by side: what they leave, and what the next run makes of it.
//!
//! A program is this test's own binary, started once more for [`program`] alone, which does a job that is named in its
//! environment. `EXPLAINER_KILLS=200` kills 200 instead of a few.

mod jobs;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use jobs::{FOLDER, JOB, Job};

/// How many programs are killed in all, where the environment says nothing else.
const KILLS: usize = 12;
/// After which a program has failed.
const PATIENCE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(5);

/// The job of a program that another test started; nothing otherwise.
#[test]
fn program() {
    jobs::run();
}

/// A job under way; killed when it is dropped.
struct Running(Child);

impl Running {
    fn start(job: Job, folder: &Path) -> Self {
        let binary = std::env::current_exe().expect("this test");
        let mut command = Command::new(binary);
        command.args(["--exact", "kill::program", "--nocapture"]).env(JOB, job.name()).env(FOLDER, folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().expect("a process"))
    }

    /// Waits for it to end, as long as `limit`; its status, if it did.
    fn wait(&mut self, limit: Duration) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("a status") {
                return Some(status.code().unwrap_or(-1));
            }
            if started.elapsed() > limit {
                return None;
            }
            thread::sleep(POLL);
        }
    }

    /// Its status and what it said on standard error. (Little enough for a pipe.)
    fn end(mut self) -> (i32, String) {
        let status = self.wait(PATIENCE).expect("it ends");
        let mut said = String::new();
        self.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("UTF-8");
        (status, said)
    }

    fn kill(mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("a status");
    }

    #[cfg(unix)]
    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn finish(job: Job, folder: &Path) {
    let (status, said) = Running::start(job, folder).end();
    assert_eq!(status, 0, "{}: {said}", job.name());
}

/// All files below a folder by their names, without what differs from run to run: seconds, memory, locks.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "claims") {
                collect(root, &path, files);
            }
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        // What a killed process of a plan was writing stays: others may be at work in the folder.
        let hidden = path
            .file_name()
            .is_some_and(|name| name == ".lock" || name.to_string_lossy().starts_with(".writing-"));
        if ending == "lock" || hidden {
            continue;
        }
        // An optimiser's file names parameters by numbers that each process draws; what is in it shows in the weights
        // of the steps that follow.
        if path.file_name().is_some_and(|name| name == "optimizer.bpk") {
            continue;
        }
        let mut bytes = fs::read(&path).expect("a file");
        match ending {
            "bpk" => nameless(&mut bytes),
            "html" => bytes = without_training(&bytes),
            "safetensors" => bytes = with_sorted_header(&bytes),
            "md" => bytes = without_last_column(&bytes),
            _ => {}
        }
        if ending == "json" || ending == "jsonl" {
            let text = String::from_utf8(bytes).expect("UTF-8");
            let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            let mut lines: Vec<String> =
                values.map(|value| timeless(value.expect("JSON")).to_string()).collect();
            lines.sort();
            bytes = lines.join("\n").into_bytes();
        }
        files.insert(path.strip_prefix(root).expect("below it").to_path_buf(), bytes);
    }
}

/// Blanks the numbers that Burn gives to parameters, other ones in each process: 8 bytes behind their name and kind.
fn nameless(bytes: &mut [u8]) {
    const NAME: &[u8] = b"param_id\x1b";
    let places: Vec<usize> =
        (0..bytes.len()).filter(|&at| bytes[at..].starts_with(NAME)).map(|at| at + NAME.len()).collect();
    assert!(!places.is_empty(), "a file of weights");
    for at in places {
        bytes[at..at + 8].fill(0);
    }
}

/// A file of safetensors whose header has its keys in order.
fn with_sorted_header(bytes: &[u8]) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk().expect("a length");
    let (header, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: Value = serde_json::from_slice(header).expect("JSON");
    [header.to_string().as_bytes(), tensors].concat()
}

/// A report without the section of curves, which states seconds; the record beside it has the rest.
fn without_training(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let (before, rest) = text.split_once("<section id=\"training\">").expect("the section");
    let (_, after) = rest.split_once("</section>").expect("its end");
    format!("{before}{after}").into_bytes()
}

/// Tables without their last column, of seconds.
fn without_last_column(bytes: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let rows = text.lines().map(|row| row.rsplitn(3, '|').last().unwrap_or_default());
    rows.collect::<Vec<_>>().join("\n").into_bytes()
}

/// A value without what differs from run to run.
fn timeless(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(key, _)| key != "seconds" && key != "peak_rss_mib");
            Value::Object(kept.map(|(key, value)| (key, timeless(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(timeless).collect()),
        other => other,
    }
}

fn assert_alike(found: &Path, expected: &BTreeMap<PathBuf, Vec<u8>>, what: &str) {
    let found = contents(found);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{what}: {} differs", name.display());
    }
}

/// Where a run ends that nobody disturbs, and how long it takes.
fn undisturbed(job: Job) -> (BTreeMap<PathBuf, Vec<u8>>, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    finish(job, folder.path());
    (contents(folder.path()), started.elapsed())
}

#[test]
fn whatever_is_killed_goes_on_to_the_same_bits() {
    let kills = std::env::var("EXPLAINER_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut rng = ChaCha8Rng::seed_from_u64(kills as u64);
    let mut killed = 0;
    for (index, job) in Job::ALL.into_iter().enumerate() {
        let (expected, duration) = undisturbed(job);
        // Shares of the kills that differ by one at most.
        let share = kills * (index + 1) / Job::ALL.len() - kills * index / Job::ALL.len();
        let mut left = share;
        while left > 0 {
            let folder = tempfile::tempdir().expect("a folder");
            // Several in a row, each somewhere in what a whole run takes; what they leave is finished then.
            for _ in 0..left.min(3) {
                let mut run = Running::start(job, folder.path());
                let after = duration.mul_f64(rng.random_range(0.0..1.0));
                match run.wait(after) {
                    None => {
                        run.kill();
                        killed += 1;
                        left -= 1;
                    }
                    Some(status) => {
                        assert_eq!(status, 0, "{}: {}", job.name(), run.end().1);
                        break;
                    }
                }
            }
            finish(job, folder.path());
            assert_alike(folder.path(), &expected, job.name());
        }
    }
    println!("killed and gone on: {killed} of {}", Job::ALL.map(Job::name).join(", "));
    assert_eq!(killed, kills);
}

#[test]
fn of_two_runs_in_one_folder_one_is_refused() {
    let (expected, _) = undisturbed(Job::Explain);
    let folder = tempfile::tempdir().expect("a folder");
    let both = [(); 2].map(|()| Running::start(Job::Explain, folder.path()));
    let ends = both.map(Running::end);
    let refused: Vec<_> = ends.iter().filter(|(status, _)| *status != 0).collect();
    assert_eq!(refused.len(), 1, "{ends:?}");
    assert!(refused[0].1.contains("in use by another run"), "{}", refused[0].1);
    assert_alike(folder.path(), &expected, "the one that was first");
}

/// Waits until a checkpoint is there.
fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < PATIENCE, "{}", path.display());
        thread::sleep(POLL);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_a_checkpoint_to_go_on_from() {
    let (expected, _) = undisturbed(Job::Explain);
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().expect("a folder");
        let run = Running::start(Job::Explain, folder.path());
        wait_for(&folder.path().join("checkpoints/epoch-0001"));
        run.signal(signal);
        let (status, said) = run.end();
        assert_eq!(status, 130, "{signal}: {said}");
        let told = said.contains("the same command goes on") || said.contains("what was finished is kept");
        assert!(told && !said.contains("panicked"), "{signal}: {said}");
        finish(Job::Explain, folder.path());
        assert_alike(folder.path(), &expected, signal);
    }
}

#[test]
fn a_reader_that_goes_away_costs_nothing() {
    let (expected, _) = undisturbed(Job::Explain);
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = Running::start(Job::Explain, folder.path());
    // The first line of the program's own, behind those of the test's harness.
    let mut lines = BufReader::new(run.0.stdout.take().expect("a pipe")).lines();
    let first = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(jobs::FIRST)));
    assert!(first.is_some());
    drop(lines);
    let (status, said) = run.end();
    assert!(status == 0 && !said.contains("panicked") && !said.contains("error"), "{status}: {said}");
    assert_alike(folder.path(), &expected, "all of it is written");
}

#[cfg(target_os = "linux")]
#[test]
fn workers_end_with_the_process_that_started_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let workers = || fs::read_dir(folder.path()).expect("the folder").count();
    for kill in [true, false] {
        let run = Running::start(Job::Parent, folder.path());
        let started = Instant::now();
        while workers() < jobs::WORKERS {
            assert!(started.elapsed() < PATIENCE, "the workers start");
            thread::sleep(POLL);
        }
        if kill {
            run.kill();
        } else {
            run.signal("TERM");
            let (status, said) = run.end();
            assert_eq!(status, 130, "{said}");
            assert_eq!(workers(), 0, "they end before it does");
        }
        // A worker removes its file when it ends.
        while workers() > 0 {
            assert!(started.elapsed() < PATIENCE, "the workers end");
            thread::sleep(POLL);
        }
    }
}

/// A small file system in memory, mounted until it is dropped.
#[cfg(target_os = "linux")]
struct Disk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Disk {
    /// `None` where this process may not mount one.
    fn of(kib: u64) -> Option<Self> {
        let disk = Self(tempfile::tempdir().expect("a folder"));
        disk.mount(&format!("size={kib}k")).then_some(disk)
    }

    fn mount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0.path()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).stderr(Stdio::null()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_costs_nothing_that_was_finished() {
    const ROOMY: u64 = 1 << 16;
    let sizes = std::env::var("EXPLAINER_DISKS").map_or(3, |sizes| sizes.parse().expect("a number"));
    if Disk::of(ROOMY).is_none() {
        println!("skipped: no file system can be mounted here");
        return;
    }
    for job in Job::ALL {
        let (expected, _) = undisturbed(job);
        let needed = expected.values().map(|bytes| bytes.len() as u64).sum::<u64>().div_ceil(1024);
        let mut full = 0;
        for size in 1..=sizes {
            // From a fraction of what a whole run leaves to all of it; on the way it takes more.
            let disk = Disk::of((needed * size / sizes).max(8)).expect("as before");
            let (status, said) = Running::start(job, disk.0.path()).end();
            if status != 0 {
                full += 1;
                assert!(status == 1 && !said.contains("panicked"), "{}: {status}: {said}", job.name());
                assert!(said.contains("No space left"), "{}: {said}", job.name());
            }
            assert!(disk.mount(&format!("remount,size={ROOMY}k")), "it grows");
            finish(job, disk.0.path());
            assert_alike(disk.0.path(), &expected, job.name());
        }
        println!("{}: {full} of {sizes} disks were full", job.name());
        assert!(full > 0, "{}: the disks were too large for a test", job.name());
    }
}
