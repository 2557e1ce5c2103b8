//! Reproducible chance: draws by seed and index, and smooth noise over the plane.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random draws that are a pure function of a seed and a sample's index.
///
/// The floats come straight from the generator's bits, so that they do not depend on how a release of
/// `rand` fills a range.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Index `index` has a stream of its own under `seed`.
    pub fn new(seed: u64, index: u64) -> Dice {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(index);
        Dice(generator)
    }

    /// 32 random bits.
    pub fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 / (1 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// An angle in radians, uniform between two in degrees.
    pub fn angle(&mut self, low: f32, high: f32) -> f32 {
        self.between(low, high).to_radians()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A whole number from `low` to `high`, both included.
    pub fn count(&mut self, low: usize, high: usize) -> usize {
        low + (self.unit() * (high - low + 1) as f32) as usize
    }
}

/// The side of the noise lattice: a power of two, so that it repeats by masking.
const LATTICE: usize = 64;

/// Value noise: random numbers on a lattice, smoothly interpolated.
pub(super) struct Noise {
    lattice: Box<[f32; LATTICE * LATTICE]>,
}

impl Noise {
    /// Fills a lattice with numbers in `[-1, 1)`.
    pub fn new(dice: &mut Dice) -> Noise {
        Noise { lattice: Box::new(std::array::from_fn(|_| dice.between(-1.0, 1.0))) }
    }

    /// The noise at a position whose unit is one lattice cell; in `[-1, 1]`.
    #[inline]
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (floor(x), floor(y));
        let (u, v) = (ease(x - left as f32), ease(y - top as f32));
        let (column, row) = (left as usize % LATTICE, top as usize % LATTICE);
        let (next_column, next_row) = ((column + 1) % LATTICE, (row + 1) % LATTICE);
        let value = |row: usize, column: usize| self.lattice[row * LATTICE + column];
        let upper = value(row, column) + u * (value(row, next_column) - value(row, column));
        let lower = value(next_row, column) + u * (value(next_row, next_column) - value(next_row, column));
        upper + v * (lower - upper)
    }

    /// Octaves of noise, each twice as fine and half as strong as the one before.
    pub fn octaves(&self, x: f32, y: f32, octaves: usize) -> f32 {
        let (mut sum, mut weight, mut frequency) = (0.0, 0.5, 1.0);
        for octave in 0..octaves {
            let shift = 17.3 * octave as f32;
            sum += weight * self.at(x * frequency + shift, y * frequency - shift);
            weight *= 0.5;
            frequency *= 2.0;
        }
        sum
    }
}

/// The whole number below: without a call where the processor's base set lacks an instruction for it.
pub(super) fn floor(x: f32) -> i32 {
    let whole = x as i32;
    whole - i32::from(x < whole as f32)
}

/// The cubic that leaves 0 and reaches 1 with slope 0.
fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::{Dice, LATTICE, Noise, floor};

    #[test]
    fn a_stream_depends_on_seed_and_index_only() {
        let draw = |seed, index| {
            let mut dice = Dice::new(seed, index);
            [dice.bits(), dice.bits()]
        };
        assert_eq!(draw(3, 5), draw(3, 5));
        assert_ne!(draw(3, 5), draw(3, 6));
        assert_ne!(draw(3, 5), draw(4, 5));
    }

    #[test]
    fn draws_stay_in_their_ranges() {
        let mut dice = Dice::new(0, 0);
        let mut seen = [0; 4];
        for _ in 0..1000 {
            assert!((-2.0..3.0).contains(&dice.between(-2.0, 3.0)));
            seen[dice.count(1, 4) - 1] += 1;
        }
        assert!(seen.iter().all(|&n| n > 200), "{seen:?}");
    }

    #[test]
    fn floor_goes_down_on_both_sides_of_zero() {
        assert_eq!([-1.5, -1.0, -0.5, 0.0, 0.5, 2.0].map(floor), [-2, -1, -1, 0, 0, 2]);
    }

    #[test]
    fn noise_meets_its_lattice_is_continuous_and_repeats() {
        let noise = Noise::new(&mut Dice::new(1, 0));
        assert_eq!(noise.at(3.0, 2.0), noise.lattice[2 * LATTICE + 3]);
        assert!((noise.at(2.9999, 2.5) - noise.at(3.0001, 2.5)).abs() < 1e-3);
        assert!((noise.at(-1.0, -1.0) - noise.at(63.0, 63.0)).abs() < 1e-6);
    }
}
