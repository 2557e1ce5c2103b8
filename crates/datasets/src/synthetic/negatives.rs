//! Scenes without a bird, made of a bird's colours, textures and parts.
//!
//! No part alone tells a bird from these: there are whole heads without a torso, bodies without a head,
//! and all the parts of a bird in the wrong places.

use super::bird::{Bird, eye_rings};
use super::canvas::{Canvas, Part};
use super::outline::{Frame, at, disc, ellipse, limb, smooth};
use super::place;
use super::plumage::{Paint, Piece, hsv, plumage};
use super::random::{Dice, Noise};
use super::scenery::leaf_outline;
use crate::Point;

/// The least distance, in torso lengths, of a displaced head from its torso's middle.
const DISPLACED: f32 = 0.95;

/// Of the look-alikes, the share that has all of a bird's parts in another arrangement.
const SCRAMBLED: f32 = 0.6;

/// Paints a scene of distractors; the share `lookalikes` of all scenes has a bird's head or body.
pub(super) fn draw(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas, lookalikes: f32) {
    let choice = dice.unit();
    if choice < SCRAMBLED * lookalikes {
        scrambled_bird(dice, noise, canvas);
    } else if choice < lookalikes {
        partial_bird(dice, noise, canvas);
    }
    let extra = if choice < lookalikes { dice.count(0, 2) } else { dice.count(2, 5) };
    for _ in 0..extra {
        distractor(dice, noise, canvas, [0.2, 0.6], lookalikes > 0.0);
    }
}

/// A distractor that birds may have beside them too: never a head, and a bird's tail, wing or beak only
/// `with_parts`.
pub(super) fn distractor(
    dice: &mut Dice,
    noise: &Noise,
    canvas: &mut Canvas,
    [low, high]: [f32; 2],
    with_parts: bool,
) {
    let pieces = match dice.count(if with_parts { 0 } else { 3 }, 7) {
        0 => pieces_of(dice, &[Part::Tail]),
        1 => pieces_of(dice, &[Part::Wing]),
        2 => pieces_of(dice, &[Part::Beak]),
        3 => stone(dice),
        4 => fish(dice),
        5 => bottle(dice),
        6 => big_leaf(dice),
        _ => berries(dice),
    };
    let share = dice.between(low, high);
    draw_apart(dice, noise, canvas, &pieces, share);
}

/// A loose part of a bird, about as large as it would be on one.
pub(super) fn stray(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) {
    let (parts, [low, high]): (&[Part], [f32; 2]) = match dice.count(0, 5) {
        0..=2 => (&[Part::Head, Part::Beak, Part::Eye], [0.15, 0.4]),
        3 => (&[Part::Tail], [0.15, 0.4]),
        4 => (&[Part::Wing], [0.2, 0.5]),
        _ => (&[Part::Torso], [0.25, 0.5]),
    };
    let pieces = pieces_of(dice, parts);
    let share = dice.between(low, high);
    draw_apart(dice, noise, canvas, &pieces, share);
}

/// Draws pieces as scenery, their longer side the given share of the frame's.
fn draw_apart(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas, pieces: &[Piece], share: f32) {
    let frame = Frame::turned(dice.angle(-180.0, 180.0), dice.chance(0.5));
    let frame = place(dice, frame, pieces, share * canvas.size(), canvas.size());
    for piece in pieces {
        piece.draw(canvas, frame, Part::Scenery, noise);
    }
}

/// Those pieces of a new bird that are of the given parts.
fn pieces_of(dice: &mut Dice, parts: &[Part]) -> Vec<Piece> {
    Bird::draw(dice).pieces.into_iter().filter(|piece| parts.contains(&piece.part)).collect()
}

/// A head without a body, or a body without a head.
fn partial_bird(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) {
    let (parts, share): (&[Part], f32) = match dice.count(0, 3) {
        0 => (&[Part::Head, Part::Beak, Part::Eye], dice.between(0.2, 0.5)),
        1 => (&[Part::Torso, Part::Wing, Part::Leg], dice.between(0.35, 0.8)),
        _ => (&[Part::Torso, Part::Wing, Part::Tail, Part::Leg], dice.between(0.4, 0.9)),
    };
    let pieces = pieces_of(dice, parts);
    draw_apart(dice, noise, canvas, &pieces, share);
}

/// All of a bird, each part moved and turned on its own, the head away from the torso.
fn scrambled_bird(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) {
    let bird = Bird::draw(dice);
    let size = canvas.size();
    let scale = size * dice.between(0.3, 0.5);
    let whole_head = dice.chance(0.3);
    let torso = at(dice.between(0.15, 0.85) * size, dice.between(0.15, 0.85) * size);
    let mut previous: Option<(Part, Frame)> = None;
    for piece in &bird.pieces {
        let group = match piece.part {
            Part::Beak | Part::Eye if whole_head => Part::Head,
            part => part,
        };
        let frame = match previous {
            Some((last, frame)) if last == group => frame,
            _ => {
                let center = middle(&piece.outline);
                let spot =
                    if group == Part::Torso { torso } else { apart(dice, torso, DISPLACED * scale, size) };
                let turned = Frame::turned(dice.angle(-180.0, 180.0), dice.chance(0.5));
                let frame = Frame { scale: scale * dice.between(0.85, 1.2), ..turned };
                let shown = frame.to_image(center);
                Frame { origin: at(spot.x - shown.x, spot.y - shown.y), ..frame }
            }
        };
        previous = Some((group, frame));
        piece.draw(canvas, frame, Part::Scenery, noise);
    }
}

/// A spot in the frame at a distance from another, as far as a few draws find one.
fn apart(dice: &mut Dice, from: Point, distance: f32, size: f32) -> Point {
    let mut farthest = from;
    let mut reached = 0.0;
    for _ in 0..12 {
        let spot = at(dice.between(0.05, 0.95) * size, dice.between(0.05, 0.95) * size);
        let away = (spot.x - from.x).hypot(spot.y - from.y);
        if away > reached {
            (farthest, reached) = (spot, away);
        }
        if reached >= distance {
            break;
        }
    }
    farthest
}

fn middle(outline: &[Point]) -> Point {
    let n = outline.len() as f32;
    at(outline.iter().map(|p| p.x).sum::<f32>() / n, outline.iter().map(|p| p.y).sum::<f32>() / n)
}

fn scenery(outline: Vec<Point>, paint: Paint) -> Piece {
    Piece { part: Part::Scenery, outline, paint }
}

fn stone(dice: &mut Dice) -> Vec<Piece> {
    let corners: Vec<Point> = (0..7)
        .map(|k| {
            let (sin, cos) = (k as f32 * std::f32::consts::TAU / 7.0).sin_cos();
            let r = dice.between(0.35, 0.55);
            at(r * cos, 0.7 * r * sin)
        })
        .collect();
    vec![scenery(smooth(&corners), plumage(dice))]
}

/// A body with an eye and a fin in a tail's place.
fn fish(dice: &mut Dice) -> Vec<Piece> {
    let paint = plumage(dice);
    let height = dice.between(0.15, 0.3);
    let fin = [at(-0.35, 0.0), at(-0.75, -0.22), at(-0.65, 0.0), at(-0.75, 0.22)];
    let fin_paint = plumage(dice);
    let eye_radius = dice.between(0.035, 0.06);
    let mut pieces =
        vec![scenery(fin.to_vec(), fin_paint), scenery(ellipse(at(0.0, 0.0), 0.5, height, 0.0), paint)];
    if dice.chance(0.6) {
        pieces.extend(eye_rings(dice, at(0.34, -0.2 * height), eye_radius));
    }
    pieces
}

fn bottle(dice: &mut Dice) -> Vec<Piece> {
    let paint = plumage(dice);
    let neck = dice.between(0.06, 0.1);
    let path = [at(-0.5, 0.0), at(0.1, 0.0), at(0.25, 0.0), at(0.5, 0.0)];
    let cap_colour = hsv(dice.between(0.02, 0.15), dice.between(0.3, 0.95), dice.between(0.25, 0.95));
    let cap = [at(0.5, -neck), at(dice.between(0.6, 0.85), 0.0), at(0.5, neck)];
    let widths = [0.36, 0.36, 2.0 * neck, 2.0 * neck];
    vec![scenery(limb(&path, &widths), paint), scenery(cap.to_vec(), Paint::plain(cap_colour))]
}

fn big_leaf(dice: &mut Dice) -> Vec<Piece> {
    let outline = leaf_outline(at(0.0, 0.0), 0.0, 1.0, dice.between(0.25, 0.5));
    vec![scenery(outline, plumage(dice))]
}

/// Discs, some with an eye's rings.
fn berries(dice: &mut Dice) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for _ in 0..dice.count(1, 4) {
        let (center, radius) = (at(dice.between(-0.4, 0.4), dice.between(-0.4, 0.4)), dice.between(0.1, 0.2));
        if dice.chance(0.4) {
            pieces.extend(eye_rings(dice, center, 0.6 * radius));
        } else {
            pieces.push(scenery(disc(center, radius), plumage(dice)));
        }
    }
    pieces
}
