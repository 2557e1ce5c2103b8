//! The species: which shape each part has in which of them.

/// The parts that tell the species apart, in the order of the landmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Beak,
    Crest,
    Wing,
    Tail,
    Feet,
}

impl Part {
    /// All of them, in the order of the landmarks.
    pub const ALL: [Part; PARTS] = [Part::Beak, Part::Crest, Part::Wing, Part::Tail, Part::Feet];

    /// Its landmark's name.
    pub fn name(self) -> &'static str {
        match self {
            Part::Beak => "beak",
            Part::Crest => "crest",
            Part::Wing => "wing",
            Part::Tail => "tail",
            Part::Feet => "feet",
        }
    }
}

/// What the two shapes of each part are called.
pub(super) const SHAPES: [[&str; 2]; PARTS] = [
    ["straight", "hooked"],
    ["spikes", "ball"],
    ["pointed", "scalloped"],
    ["forked", "fan"],
    ["webbed", "toed"],
];

/// Number of parts.
pub(super) const PARTS: usize = 5;

/// The categories. The first word goes with the crest, the second with beak and wing.
pub(super) const SPECIES: [&str; 8] = [
    "crowned-lancer",
    "crowned-piper",
    "tufted-lancer",
    "tufted-piper",
    "crowned-hawklet",
    "crowned-cracker",
    "tufted-hawklet",
    "tufted-cracker",
];

/// The shape, 0 or 1, of each part of a species.
///
/// With the species' number in bits, `abc`, it is `a` for the beak, `b` for the crest, `c` for the wing, `a xor b` for
/// the tail and `b xor c` for the feet: a linear code of least distance 2, in which four words have a 0 at each place.
pub(super) fn shapes(species: usize) -> [usize; PARTS] {
    let [a, b, c] = [2, 1, 0].map(|bit| species >> bit & 1);
    [a, b, c, a ^ b, b ^ c]
}

#[cfg(test)]
mod tests {
    use super::{PARTS, SPECIES, shapes};

    #[test]
    fn each_shape_is_shared_by_four_species() {
        for part in 0..PARTS {
            let with = |shape| (0..SPECIES.len()).filter(|&s| shapes(s)[part] == shape).count();
            assert_eq!([with(0), with(1)], [4, 4], "part {part}");
        }
    }

    #[test]
    fn two_species_differ_in_two_parts_at_least() {
        for a in 0..SPECIES.len() {
            for b in 0..a {
                let distance = shapes(a).iter().zip(shapes(b)).filter(|&(&a, b)| a != b).count();
                assert!(distance >= 2, "{a} and {b}: {distance}");
            }
        }
    }
}
