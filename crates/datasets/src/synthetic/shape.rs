//! The two shapes of each part, each a few outlines in the part's own coordinates.
//!
//! A part grows along x from its joint at the origin; a torso is 0.85 long. Where it points straight ahead, y points
//! down.

use super::outline::{at, disc, limb, smooth, toward};
use super::species::Part;
use crate::Point;

/// The outlines of a part in one of its two shapes.
pub(super) fn outlines(part: Part, shape: usize) -> Vec<Vec<Point>> {
    match (part, shape) {
        (Part::Beak, 0) => needle(),
        (Part::Beak, _) => hook(),
        (Part::Crest, 0) => spikes(),
        (Part::Crest, _) => pompom(),
        (Part::Wing, 0) => blade(),
        (Part::Wing, _) => scallops(),
        (Part::Tail, 0) => fork(),
        (Part::Tail, _) => fan(),
        (Part::Feet, 0) => webs(),
        (Part::Feet, _) => toes(),
    }
}

/// A long thin straight beak.
fn needle() -> Vec<Vec<Point>> {
    vec![vec![at(-0.06, -0.09), at(0.56, 0.0), at(-0.06, 0.09)]]
}

/// A short thick beak, bent down at its end.
fn hook() -> Vec<Vec<Point>> {
    vec![smooth(&[
        at(-0.08, -0.17),
        at(0.1, -0.2),
        at(0.27, -0.1),
        at(0.34, 0.1),
        at(0.28, 0.31),
        at(0.22, 0.13),
        at(0.1, 0.15),
        at(-0.08, 0.17),
    ])]
}

/// A fan of three spikes.
fn spikes() -> Vec<Vec<Point>> {
    let root = at(0.0, 0.0);
    let spoke = |degrees: f32, length: f32| toward(root, degrees.to_radians(), length);
    vec![vec![
        at(-0.06, 0.1),
        spoke(-48.0, 0.42),
        spoke(-22.0, 0.19),
        spoke(0.0, 0.5),
        spoke(22.0, 0.19),
        spoke(48.0, 0.42),
        at(-0.06, -0.1),
    ]]
}

/// A ball on a stalk.
fn pompom() -> Vec<Vec<Point>> {
    vec![limb(&[at(-0.06, 0.0), at(0.26, 0.0)], &[0.06, 0.06]), disc(at(0.35, 0.0), 0.16)]
}

/// A long pointed wing.
fn blade() -> Vec<Vec<Point>> {
    vec![vec![
        at(-0.1, -0.1),
        at(0.05, -0.17),
        at(0.32, -0.19),
        at(0.54, -0.13),
        at(0.8, 0.08),
        at(0.45, 0.13),
        at(0.1, 0.18),
        at(-0.1, 0.1),
    ]]
}

/// A round wing with a scalloped edge.
fn scallops() -> Vec<Vec<Point>> {
    const LOBES: usize = 6;
    const STEPS: usize = 8;
    let center = at(0.27, 0.0);
    let edge = |k: usize| {
        // The root's side is plain.
        let around = (k as f32 / (LOBES * STEPS) as f32 - 0.5) * 290_f32.to_radians();
        let lobe = ((k % STEPS) as f32 / STEPS as f32 * std::f32::consts::PI).sin();
        toward(center, around, 0.25 + 0.1 * lobe)
    };
    vec![(0..=LOBES * STEPS).map(edge).collect()]
}

/// A long forked tail.
fn fork() -> Vec<Vec<Point>> {
    let side = |sign: f32| {
        [at(-0.08, 0.09 * sign), at(0.28, 0.21 * sign), at(0.68, 0.33 * sign), at(0.45, 0.12 * sign)]
    };
    let mut outline = side(1.0).to_vec();
    outline.push(at(0.2, 0.0));
    outline.extend(side(-1.0).into_iter().rev());
    vec![outline]
}

/// A broad round fan.
fn fan() -> Vec<Vec<Point>> {
    const STEPS: usize = 14;
    let arc = (0..=STEPS).map(|k| {
        let around = (k as f32 / STEPS as f32 - 0.5) * 124_f32.to_radians();
        toward(at(0.02, 0.0), around, 0.46)
    });
    vec![[at(-0.08, 0.08)].into_iter().chain(arc).chain([at(-0.08, -0.08)]).collect()]
}

/// Where the two legs stand, across.
const STANCE: [f32; 2] = [-0.15, 0.15];

/// Long thin legs with webs. The front is at negative y.
fn webs() -> Vec<Vec<Point>> {
    let leg = |y: f32| limb(&[at(-0.1, 0.6 * y), at(0.38, y)], &[0.06, 0.06]);
    let web = |y: f32| vec![at(0.3, y), at(0.5, y - 0.22), at(0.5, y + 0.07)];
    STANCE.into_iter().flat_map(|y| [leg(y), web(y)]).collect()
}

/// Short thick legs with three long toes each.
fn toes() -> Vec<Vec<Point>> {
    let leg = |y: f32| limb(&[at(-0.1, y), at(0.16, y)], &[0.15, 0.12]);
    let toe = |y: f32, degrees: f32| {
        let ankle = at(0.12, y);
        limb(&[ankle, toward(ankle, degrees.to_radians(), 0.25)], &[0.07, 0.05])
    };
    let foot = |y: f32| [leg(y), toe(y, -42.0), toe(y, 0.0), toe(y, 42.0)];
    STANCE.into_iter().flat_map(foot).collect()
}
