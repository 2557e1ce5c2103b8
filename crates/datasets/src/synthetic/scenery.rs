//! What stands around and before a bird, and in its place: ground, blobs, twigs and leaves.

use super::canvas::{Canvas, Colour, Part};
use super::outline::{at, disc, limb, mix, smooth, toward};
use super::plumage::{blend, feather_colour, hsv};
use super::random::{Dice, Noise};
use crate::Point;

/// A canvas with a ground: two colours along a direction, clouded by a third.
pub(super) fn ground(dice: &mut Dice, noise: &Noise, size: usize) -> Canvas {
    let [near, far, clouds] = [0; 3].map(|_| ground_colour(dice));
    let (sin, cos) = dice.angle(0.0, 360.0).sin_cos();
    let (cells, strength) = (dice.between(1.5, 9.0), dice.between(0.3, 1.6));
    let (x0, y0) = (dice.between(0.0, 64.0), dice.between(0.0, 64.0));
    let side = size as f32;
    Canvas::new(size, |p| {
        let (u, v) = (p.x / side, p.y / side);
        let along = (0.5 + (u - 0.5) * cos + (v - 0.5) * sin).clamp(0.0, 1.0);
        let cloud = noise.octaves(x0 + u * cells, y0 + v * cells, 3);
        blend(blend(near, far, along), clouds, (strength * (0.3 + cloud)).clamp(0.0, 1.0))
    })
}

/// Sky, foliage, water, bark, or the colour of feathers.
fn ground_colour(dice: &mut Dice) -> Colour {
    match dice.count(0, 4) {
        0 => hsv(dice.between(0.52, 0.65), dice.between(0.05, 0.6), dice.between(0.6, 1.0)),
        1 | 2 => hsv(dice.between(0.18, 0.4), dice.between(0.15, 0.8), dice.between(0.15, 0.8)),
        3 => hsv(dice.between(0.04, 0.13), dice.between(0.1, 0.6), dice.between(0.2, 0.85)),
        _ => feather_colour(dice),
    }
}

/// Blurred lights and bushes, twigs and leaves behind everything else.
pub(super) fn clutter(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) {
    for _ in 0..dice.count(2, 6) {
        soft_blob(dice, canvas);
    }
    for _ in 0..dice.count(1, 4) {
        twig(dice, noise, canvas, Part::Scenery);
    }
    for _ in 0..dice.count(0, 10) {
        leaf(dice, noise, canvas, Part::Scenery);
    }
}

/// A few leaves, and at times a twig, before everything else.
pub(super) fn occluders(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) {
    for _ in 0..dice.count(0, 4) {
        leaf(dice, noise, canvas, Part::Occluder);
    }
    if dice.chance(0.35) {
        twig(dice, noise, canvas, Part::Occluder);
    }
}

fn anywhere(dice: &mut Dice, size: f32) -> Point {
    at(dice.between(0.0, size), dice.between(0.0, size))
}

fn soft_blob(dice: &mut Dice, canvas: &mut Canvas) {
    let size = canvas.size();
    let (center, radius) = (anywhere(dice, size), size * dice.between(0.06, 0.25));
    let (colour, opacity) = (ground_colour(dice), dice.between(0.3, 0.9));
    canvas.fill(&disc(center, radius), Part::Scenery, |p| {
        let (dx, dy) = ((p.x - center.x) / radius, (p.y - center.y) / radius);
        (colour, opacity * (1.0 - dx * dx - dy * dy).clamp(0.0, 1.0))
    });
}

/// A crooked twig from one edge of the frame inwards or across.
fn twig(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas, part: Part) {
    let size = canvas.size();
    let along = dice.between(0.0, size);
    let start = match dice.count(0, 3) {
        0 => at(-0.05 * size, along),
        1 => at(1.05 * size, along),
        2 => at(along, 1.05 * size),
        _ => at(along, -0.05 * size),
    };
    let inside = at(dice.between(0.2, 0.8) * size, dice.between(0.2, 0.8) * size);
    let end = mix(start, inside, dice.between(0.8, 2.2));
    let bend = |dice: &mut Dice| size * dice.between(-0.05, 0.05);
    let one_third = mix(start, end, 0.35);
    let two_thirds = mix(start, end, 0.7);
    let path = [
        start,
        at(one_third.x + bend(dice), one_third.y + bend(dice)),
        at(two_thirds.x + bend(dice), two_thirds.y + bend(dice)),
        end,
    ];
    let thick =
        size * if part == Part::Occluder { dice.between(0.01, 0.02) } else { dice.between(0.012, 0.05) };
    let bark = hsv(dice.between(0.03, 0.12), dice.between(0.1, 0.6), dice.between(0.12, 0.6));
    let grain = dice.between(20.0, 40.0) / size;
    canvas.fill(&limb(&path, &[thick, 0.9 * thick, 0.7 * thick, 0.4 * thick]), part, |p| {
        (bark.map(|c| c * (1.0 + 0.3 * noise.at(grain * p.x, grain * p.y))), 1.0)
    });
}

/// A pointed leaf with a midrib.
fn leaf(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas, part: Part) {
    let size = canvas.size();
    let (center, angle) = (anywhere(dice, size), dice.angle(0.0, 360.0));
    let length = size * dice.between(0.06, 0.2);
    let outline = leaf_outline(center, angle, length, length * dice.between(0.2, 0.5));
    let green = if dice.chance(0.75) {
        hsv(dice.between(0.17, 0.38), dice.between(0.3, 0.85), dice.between(0.2, 0.85))
    } else {
        hsv(dice.between(0.02, 0.14), dice.between(0.4, 0.9), dice.between(0.3, 0.9))
    };
    let (sin, cos) = angle.sin_cos();
    canvas.fill(&outline, part, |p| {
        let across = (p.x - center.x) * sin + (p.y - center.y) * cos;
        let rib = if across.abs() < 0.025 * length { 1.25 } else { 1.0 };
        let side = if across > 0.0 { 1.08 } else { 0.92 };
        let cells = 40.0 / size;
        (green.map(|c| c * rib * side * (1.0 + 0.1 * noise.at(p.x * cells, p.y * cells))), 1.0)
    });
}

/// The outline of a leaf, `width` across, its tip along `angle`.
pub(super) fn leaf_outline(center: Point, angle: f32, length: f32, width: f32) -> Vec<Point> {
    let quarter = std::f32::consts::FRAC_PI_2;
    let (tip, stalk) = (toward(center, angle, 0.5 * length), toward(center, angle, -0.5 * length));
    let left = toward(toward(center, angle, -0.08 * length), angle + quarter, 0.5 * width);
    let right = toward(toward(center, angle, -0.08 * length), angle - quarter, 0.5 * width);
    smooth(&[tip, left, stalk, right])
}
