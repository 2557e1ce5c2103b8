//! Runs of a parser on mutations of sound input that depend on a seed alone, for the tests of several crates.
//! `EXPLAINER_FUZZ_RUNS` asks for more than the few of an ordinary test.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest input, in bytes.
const LONGEST: usize = 1 << 16;

/// Runs a parser on mutated seeds, and prints how many of them it read.
pub fn fuzz(name: &str, usual: usize, seeds: &[Vec<u8>], parse: impl Fn(&[u8]) -> bool) {
    let runs = std::env::var("EXPLAINER_FUZZ_RUNS").map_or(usual, |runs| runs.parse().expect("a number"));
    for seed in seeds {
        assert!(parse(seed), "{name}: a sound seed of {} bytes", seed.len());
    }
    let mut rng = ChaCha8Rng::seed_from_u64(2018);
    let mut read = 0;
    for _ in 0..runs {
        let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
        for _ in 0..rng.random_range(1..=4) {
            mutate(&mut bytes, seeds, &mut rng);
        }
        bytes.truncate(LONGEST);
        read += usize::from(parse(&bytes));
    }
    println!("{name}: {runs} runs, {read} read");
    assert!(runs < 1000 || (read > 0 && read < runs), "{name}: {read} of {runs} read");
}

/// One change: of a bit, a byte, a number, a length, or a piece.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    const NUMBERS: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 60, u64::MAX];
    if bytes.is_empty() {
        bytes.push(rng.random());
    }
    let at = rng.random_range(0..bytes.len());
    let end = rng.random_range(at..=bytes.len().min(at + 64));
    match rng.random_range(0..8) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => {
            let width = [1, 2, 4, 8][rng.random_range(0..4)];
            let number = NUMBERS[rng.random_range(0..NUMBERS.len())].to_le_bytes();
            for (byte, value) in bytes[at..].iter_mut().zip(&number[..width]) {
                *byte = *value;
            }
        }
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let piece = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, piece);
        }
        6 => {
            // What stands in another sound file.
            let other = &seeds[rng.random_range(0..seeds.len())];
            let from = rng.random_range(0..other.len());
            let piece = &other[from..other.len().min(from + 64)];
            for (byte, value) in bytes[at..].iter_mut().zip(piece) {
                *byte = *value;
            }
        }
        _ => {
            let word: &[u8] = [&b"\n"[..], b",", b" ", b"nan", b"-1", b"1e39", b"\0", b"\"", b"[", b"\xff"]
                [rng.random_range(0..10)];
            bytes.splice(at..at, word.iter().copied());
        }
    }
}
