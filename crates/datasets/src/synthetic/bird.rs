//! A bird in its own coordinates: the torso is one unit long, centred at the origin, and looks along x.

use super::canvas::{Colour, Part};
use super::outline::{at, disc, ellipse, limb, mix, smooth, toward};
use super::plumage::{Paint, Pattern, Piece, blend, contrasting, feather_colour, hsv, plumage};
use super::random::Dice;
use crate::Point;

/// A drawn bird: its pieces from back to front, and its landmarks.
pub(super) struct Bird {
    pub pieces: Vec<Piece>,
    /// The centre of the head's disc.
    pub head: Point,
    pub head_radius: f32,
    /// The middle of the torso's upper edge, a little inside.
    pub back: Point,
    /// On the tail's axis, three quarters of the way to the tip.
    pub tail: Point,
    /// Whether it flies, and so may be turned more freely.
    pub flying: bool,
}

/// Where along its axis the tail's landmark lies.
const TAIL_LANDMARK: f32 = 0.75;
/// Where between the torso's middle and its upper edge the back's landmark lies.
const BACK_LANDMARK: f32 = 0.82;

/// What the pieces are built from.
struct Build {
    half_height: f32,
    neck_base: Point,
    head: Point,
    head_radius: f32,
    /// The beak's direction, as [`toward`] counts angles.
    gaze: f32,
    /// -1 where the head looks over the back.
    facing: f32,
    tail_base: Point,
    tail_angle: f32,
    tail_length: f32,
}

impl Bird {
    /// A bird of random kind, pose and colours.
    pub fn draw(dice: &mut Dice) -> Bird {
        let build = Build::draw(dice);
        let flying = dice.chance(0.35);
        let coat = plumage(dice);
        let wing_paint = wing_paint(dice, &coat);
        let mut pieces = Vec::new();
        let wing_angle = dice.angle(35.0, 150.0) * if dice.chance(0.7) { 1.0 } else { -1.0 };
        let span = dice.between(0.75, 1.15);
        if flying {
            let far = Paint { base: wing_paint.base.map(|c| 0.7 * c), ..wing_paint };
            pieces.push(open_wing(wing_angle - dice.angle(10.0, 35.0), 0.9 * span, at(0.12, -0.06), far));
        }
        pieces.extend(tail(dice, &build, &coat));
        if !flying || dice.chance(0.4) {
            pieces.extend(legs(dice, &build, flying));
        }
        pieces.push(torso(dice, &build, coat));
        let head_coat = head_paint(dice, &build);
        pieces.push(neck(&build, if dice.chance(0.6) { coat } else { Paint::plain(head_coat.base) }));
        if flying {
            pieces.push(open_wing(wing_angle, span, at(0.05, 0.02), wing_paint));
        } else {
            pieces.push(folded_wing(dice, &build, wing_paint));
        }
        pieces.extend(head(dice, &build, head_coat));
        Bird {
            pieces,
            head: build.head,
            head_radius: build.head_radius,
            back: at(-0.08, -BACK_LANDMARK * build.half_height),
            tail: toward(build.tail_base, build.tail_angle, TAIL_LANDMARK * build.tail_length),
            flying,
        }
    }
}

impl Build {
    fn draw(dice: &mut Dice) -> Build {
        let half_height = dice.between(0.24, 0.36);
        let neck_base = at(0.36, -0.35 * half_height);
        let long_neck = dice.chance(0.25);
        let reach = if long_neck { dice.between(0.45, 0.75) } else { dice.between(0.26, 0.4) };
        let facing = if dice.chance(0.15) { -1.0 } else { 1.0 };
        let raised = if facing < 0.0 { dice.angle(40.0, 95.0) } else { dice.angle(-45.0, 90.0) };
        let pitch = dice.angle(-40.0, 25.0);
        Build {
            half_height,
            neck_base,
            head: toward(neck_base, raised, reach),
            head_radius: dice.between(0.18, 0.24),
            gaze: if facing < 0.0 { std::f32::consts::PI - pitch } else { pitch },
            facing,
            tail_base: at(-0.4, 0.0),
            tail_angle: std::f32::consts::PI + dice.angle(-40.0, 40.0),
            tail_length: dice.between(0.4, 0.8),
        }
    }
}

fn wing_paint(dice: &mut Dice, coat: &Paint) -> Paint {
    let base = if dice.chance(0.5) { coat.base.map(|c| 0.65 * c) } else { feather_colour(dice) };
    let second = blend(base, contrasting(dice, base), dice.between(0.3, 0.8));
    let (sin, cos) = dice.angle(-15.0, 35.0).sin_cos();
    let pattern = match dice.count(0, 3) {
        0 => Pattern::Beyond { cos: -1.0, sin: 0.0, offset: dice.between(0.05, 0.3) },
        1 => Pattern::Spots { period: dice.between(0.09, 0.14), radius: dice.between(0.2, 0.35) },
        _ => Pattern::Bars { cos: sin, sin: cos, period: dice.between(0.07, 0.13), share: 0.35 },
    };
    Paint { base, second, pattern, roundness: 0.3 }
}

/// A wing lifted from its root to a tip at `angle`.
fn open_wing(angle: f32, span: f32, root: Point, paint: Paint) -> Piece {
    let front = at(root.x + 0.2, root.y);
    let rear = at(root.x - 0.26, root.y + 0.03);
    let tip = toward(root, angle, span);
    let leading = toward(mix(front, tip, 0.5), 0.3, 0.12);
    let trailing = mix(rear, tip, 0.55);
    let outline = smooth(&[front, leading, tip, toward(trailing, angle + 1.7, 0.16), rear]);
    let (sin, cos) = angle.sin_cos();
    // Whatever runs along a folded wing runs along this one.
    let pattern = match paint.pattern {
        Pattern::Bars { period, share, .. } => Pattern::Bars { cos: sin, sin: cos, period, share },
        Pattern::Beyond { offset, .. } => Pattern::Beyond { cos, sin: -sin, offset: offset + 0.35 },
        other => other,
    };
    Piece { part: Part::Wing, outline, paint: Paint { pattern, roundness: 0.0, ..paint } }
}

fn folded_wing(dice: &mut Dice, build: &Build, paint: Paint) -> Piece {
    let h = build.half_height;
    let tip = at(dice.between(-0.72, -0.48), dice.between(-0.2, 0.5) * h);
    let droop = dice.between(0.3, 0.6) * h;
    let outline = smooth(&[at(0.28, -0.1 * h), at(0.05, -0.5 * h), tip, at(-0.12, droop), at(0.16, 0.4 * h)]);
    Piece { part: Part::Wing, outline, paint }
}

/// A wedge of feathers: mostly barred, square, round or forked at its end.
fn tail(dice: &mut Dice, build: &Build, coat: &Paint) -> Vec<Piece> {
    let (base, angle, length) = (build.tail_base, build.tail_angle, build.tail_length);
    let half_width = dice.between(0.08, 0.2);
    let corner = |side: f32| {
        toward(toward(base, angle, length), angle + side * std::f32::consts::FRAC_PI_2, half_width)
    };
    let middle = toward(base, angle, length * dice.between(0.85, 1.12));
    let (left, right) = (corner(1.0), corner(-1.0));
    let root = |side: f32| toward(base, angle + side * std::f32::consts::FRAC_PI_2, 0.09);
    let colour: Colour = if dice.chance(0.4) { coat.base.map(|c| 0.8 * c) } else { feather_colour(dice) };
    let second = contrasting(dice, colour);
    let (sin, cos) = angle.sin_cos();
    let pattern = if dice.chance(0.8) {
        Pattern::Bars { cos, sin: -sin, period: dice.between(0.1, 0.18), share: dice.between(0.3, 0.5) }
    } else {
        Pattern::Beyond { cos, sin: -sin, offset: 0.4 + 0.7 * length }
    };
    let paint = Paint { base: colour, second, pattern, roundness: 0.0 };
    vec![Piece { part: Part::Tail, outline: vec![root(1.0), left, middle, right, root(-1.0)], paint }]
}

fn legs(dice: &mut Dice, build: &Build, flying: bool) -> Vec<Piece> {
    let colour = hsv(dice.between(0.02, 0.14), dice.between(0.2, 0.8), dice.between(0.2, 0.8));
    let length = dice.between(0.2, 0.5);
    let lean = if flying { dice.angle(-160.0, -120.0) } else { dice.angle(-115.0, -75.0) };
    let stance = dice.between(0.1, 0.2);
    let mut pieces = Vec::new();
    for (x, shade) in [(stance - 0.05, 0.7), (-0.05, 1.0)] {
        let hip = at(x, 0.75 * build.half_height);
        let foot = toward(hip, lean + dice.angle(-8.0, 8.0), length);
        let paint = Paint::plain(colour.map(|c| shade * c));
        let toe = at(foot.x + 0.12, foot.y + 0.02);
        let heel = at(foot.x - 0.07, foot.y + 0.02);
        for (path, widths) in [(vec![hip, foot], [0.06, 0.04]), (vec![heel, toe], [0.04, 0.03])] {
            pieces.push(Piece { part: Part::Leg, outline: limb(&path, &widths), paint });
        }
    }
    pieces
}

fn torso(dice: &mut Dice, build: &Build, paint: Paint) -> Piece {
    let h = build.half_height;
    let belly = dice.between(0.95, 1.15) * h;
    let outline = smooth(&[
        at(0.5, -0.1 * h),
        at(0.3, -0.8 * h),
        at(-0.08, -h),
        at(-0.4, -0.55 * h),
        at(-0.52, 0.05 * h),
        at(-0.3, 0.75 * h),
        at(0.08, belly),
        at(0.38, 0.65 * h),
    ]);
    Piece { part: Part::Torso, outline, paint }
}

fn neck(build: &Build, paint: Paint) -> Piece {
    let base = mix(build.neck_base, at(0.0, 0.0), 0.35);
    let widths = [1.5 * build.half_height, 1.75 * build.head_radius, 1.3 * build.head_radius];
    let path = [base, mix(build.neck_base, build.head, 0.45), build.head];
    Piece { part: Part::Neck, outline: limb(&path, &widths), paint }
}

/// A dark cap over a pale cheek: what the heads of all kinds have in common, in any two hues.
fn head_paint(dice: &mut Dice, build: &Build) -> Paint {
    let cap = hsv(dice.unit(), dice.between(0.1, 0.8), dice.between(0.08, 0.45));
    let cheek = hsv(dice.unit(), dice.between(0.0, 0.4), dice.between(0.75, 1.0));
    let slope = 0.5 * build.facing * dice.between(-0.4, 1.0);
    let line = build.head.x * slope + build.head.y + build.head_radius * dice.between(-0.25, 0.45);
    let pattern = Pattern::Beyond { cos: slope, sin: 1.0, offset: line };
    Paint { base: cap, second: cheek, pattern, roundness: 0.0 }
}

/// The head from back to front: crest, beak, disc, eye.
fn head(dice: &mut Dice, build: &Build, paint: Paint) -> Vec<Piece> {
    let (center, r, gaze, facing) = (build.head, build.head_radius, build.gaze, build.facing);
    let mut pieces = Vec::new();
    if dice.chance(0.25) {
        let back = std::f32::consts::PI;
        let tip = toward(center, gaze + facing * (back - 0.7), r * dice.between(1.5, 2.1));
        let outline = vec![
            toward(center, gaze + facing * (back - 1.5), r * 0.9),
            tip,
            toward(center, gaze + facing * (back - 0.2), r * 0.9),
        ];
        pieces.push(Piece { part: Part::Head, outline, paint: Paint::plain(paint.base) });
    }
    pieces.extend(beak(dice, build));
    pieces.push(Piece { part: Part::Head, outline: ellipse(center, 1.06 * r, 0.96 * r, gaze), paint });
    let eye = toward(center, gaze + facing * dice.angle(10.0, 45.0), 0.42 * r);
    let eye_radius = r * dice.between(0.27, 0.36);
    pieces.extend(eye_rings(dice, eye, eye_radius));
    pieces
}

/// Two mandibles of a beak, short or long, straight or hooked.
fn beak(dice: &mut Dice, build: &Build) -> Vec<Piece> {
    let (center, r, gaze, facing) = (build.head, build.head_radius, build.gaze, build.facing);
    let tip = toward(center, gaze - facing * dice.angle(0.0, 9.0), r + dice.between(0.15, 0.4));
    let upper = toward(center, gaze + facing * 0.35, 0.9 * r);
    let corner = toward(center, gaze - facing * 0.1, 0.85 * r);
    let lower = toward(center, gaze - facing * 0.55, 0.9 * r);
    let horn = hsv(dice.between(0.04, 0.14), dice.between(0.6, 0.95), dice.between(0.5, 1.0));
    let ridge = toward(mix(upper, tip, 0.6), gaze + facing * std::f32::consts::FRAC_PI_2, 0.03);
    vec![
        Piece {
            part: Part::Beak,
            outline: vec![corner, mix(corner, tip, 0.85), lower],
            paint: Paint::plain(horn.map(|c| 0.7 * c)),
        },
        Piece { part: Part::Beak, outline: vec![upper, ridge, tip, corner], paint: Paint::plain(horn) },
    ]
}

/// An eye: iris, pupil and glint.
pub(super) fn eye_rings(dice: &mut Dice, center: Point, radius: f32) -> Vec<Piece> {
    let iris = hsv(dice.between(0.0, 0.18), dice.between(0.0, 0.7), dice.between(0.75, 1.0));
    let glint = at(center.x - 0.2 * radius, center.y - 0.25 * radius);
    [(center, radius, iris), (center, 0.68 * radius, [0.03; 3]), (glint, 0.22 * radius, [0.95; 3])]
        .into_iter()
        .map(|(center, radius, colour)| Piece {
            part: Part::Eye,
            outline: disc(center, radius),
            paint: Paint::plain(colour),
        })
        .collect()
}
