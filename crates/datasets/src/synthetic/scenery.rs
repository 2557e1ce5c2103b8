//! What stands around a bird, before it and in its place: the ground, objects on it, and leaves that hide.

use super::canvas::{Canvas, Colour, Label};
use super::outline::{Frame, at, disc, limb, smooth, toward};
use super::plumage::{Paint, blend, colour, hsv, plumage};
use super::random::{Dice, Noise};
use crate::Point;

/// Lights and bushes that the ground shows out of focus, at most.
const BLOBS: usize = 5;

/// The ground: two colours along a direction, clouded by a third, with soft blobs.
pub(super) struct Ground {
    near: Colour,
    far: Colour,
    cloud: Colour,
    direction: f32,
    cells: f32,
    strength: f32,
    corner: Point,
    blobs: Vec<Blob>,
}

/// A disc that fades towards its edge; place and radius over the image's side.
struct Blob {
    center: Point,
    radius: f32,
    colour: Colour,
    opacity: f32,
}

impl Ground {
    /// Any ground.
    pub fn draw(dice: &mut Dice) -> Ground {
        let [near, far, cloud] = [(); 3].map(|()| ground_colour(dice));
        let far = blend(near, far, 0.6);
        let direction = dice.angle(0.0, 360.0);
        let (cells, strength) = (dice.between(1.5, 8.0), dice.between(0.2, 0.9));
        let corner = at(dice.between(0.0, 64.0), dice.between(0.0, 64.0));
        let blobs = (0..dice.count(1, BLOBS)).map(|_| Blob::draw(dice)).collect();
        Ground { near, far, cloud, direction, cells, strength, corner, blobs }
    }

    /// The colour in the middle.
    pub fn colour(&self) -> Colour {
        blend(self.near, self.far, 0.5)
    }

    /// A canvas of it.
    pub fn paint(&self, noise: &Noise, size: usize) -> Canvas {
        let side = size as f32;
        let (sin, cos) = self.direction.sin_cos();
        let clouds = self.clouds(noise);
        let mut canvas = Canvas::new(size, |p| {
            let (u, v) = (p.x / side, p.y / side);
            let along = (0.5 + (u - 0.5) * cos + (v - 0.5) * sin).clamp(0.0, 1.0);
            blend(blend(self.near, self.far, along), self.cloud, between(&clouds, u, v))
        });
        for blob in &self.blobs {
            blob.paint(&mut canvas);
        }
        canvas
    }
}

/// Nodes to a side of the grid on which the clouds are worked out.
const NODES: usize = 65;

impl Ground {
    /// How much of the third colour there is at each node.
    fn clouds(&self, noise: &Noise) -> Vec<f32> {
        let step = self.cells / (NODES - 1) as f32;
        let node = |i: usize| {
            let (x, y) = (step * (i % NODES) as f32, step * (i / NODES) as f32);
            let cloud = noise.octaves(self.corner.x + x, self.corner.y + y, 3);
            (self.strength * (0.3 + cloud)).clamp(0.0, 1.0)
        };
        (0..NODES * NODES).map(node).collect()
    }
}

/// The value between a grid's nodes, at a place in `[0, 1)` of either side.
fn between(grid: &[f32], u: f32, v: f32) -> f32 {
    let (x, y) = (u * (NODES - 1) as f32, v * (NODES - 1) as f32);
    let (column, row) = (x as usize, y as usize);
    let (x, y) = (x - column as f32, y - row as f32);
    let i = row * NODES + column;
    let upper = grid[i] + x * (grid[i + 1] - grid[i]);
    let lower = grid[i + NODES] + x * (grid[i + NODES + 1] - grid[i + NODES]);
    upper + y * (lower - upper)
}

impl Blob {
    fn draw(dice: &mut Dice) -> Blob {
        let (center, radius) = (at(dice.unit(), dice.unit()), dice.between(0.08, 0.25));
        Blob { center, radius, colour: ground_colour(dice), opacity: dice.between(0.2, 0.7) }
    }

    fn paint(&self, canvas: &mut Canvas) {
        let size = canvas.size();
        let (center, radius) = (at(size * self.center.x, size * self.center.y), size * self.radius);
        canvas.fill(&disc(center, radius), Label::Scenery, |p| {
            let (dx, dy) = ((p.x - center.x) / radius, (p.y - center.y) / radius);
            (self.colour, self.opacity * (1.0 - dx * dx - dy * dy).clamp(0.0, 1.0))
        });
    }
}

/// Sky, foliage, water, bark, or anything.
fn ground_colour(dice: &mut Dice) -> Colour {
    match dice.count(0, 4) {
        0 => hsv(dice.between(0.52, 0.65), dice.between(0.05, 0.6), dice.between(0.6, 1.0)),
        1 => hsv(dice.between(0.18, 0.4), dice.between(0.15, 0.7), dice.between(0.2, 0.8)),
        2 => hsv(dice.between(0.04, 0.13), dice.between(0.1, 0.6), dice.between(0.2, 0.85)),
        _ => colour(dice),
    }
}

/// Outlines with one paint, in their own coordinates: about one unit long.
struct Thing {
    outlines: Vec<Vec<Point>>,
    paint: Paint,
}

/// Paints an object, none of which has the shape of a bird's part, somewhere.
pub(super) fn object(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) {
    let size = canvas.size();
    let center = at(dice.unit() * (size - 1.0), dice.unit() * (size - 1.0));
    let scale = size * dice.between(0.16, 0.3);
    let turned = Frame::turned(dice.angle(-180.0, 180.0), dice.chance(0.5));
    let frame = Frame { origin: center, scale, ..turned };
    let things = match dice.count(0, 6) {
        0 => stone(dice),
        1 => leaf(dice),
        2 => twig(dice),
        3 => berries(dice),
        4 => ring(dice),
        5 => cross(dice),
        _ => brick(dice),
    };
    for thing in &things {
        thing.paint(canvas, frame, Label::Scenery, noise);
    }
}

impl Thing {
    fn paint(&self, canvas: &mut Canvas, frame: Frame, label: Label, noise: &Noise) {
        for outline in &self.outlines {
            self.paint.fill(canvas, frame, outline, label, noise);
        }
    }
}

fn stone(dice: &mut Dice) -> Vec<Thing> {
    let corners: Vec<Point> = (0..7)
        .map(|k| {
            let (sin, cos) = (k as f32 * std::f32::consts::TAU / 7.0).sin_cos();
            let r = dice.between(0.38, 0.55);
            at(r * cos, 0.75 * r * sin)
        })
        .collect();
    vec![Thing { outlines: vec![smooth(&corners)], paint: plumage(dice, &[]) }]
}

/// A leaf, pointed at both ends, with a midrib.
fn leaf(dice: &mut Dice) -> Vec<Thing> {
    let (paint, width) = (plumage(dice, &[]), dice.between(0.35, 0.5));
    let rib = Paint::plain(blend(paint.base, [0.0; 3], 0.5));
    vec![
        Thing { outlines: vec![leaf_outline(at(0.0, 0.0), 0.0, 1.0, width)], paint },
        Thing { outlines: vec![limb(&[at(-0.62, 0.0), at(0.4, 0.0)], &[0.06, 0.03])], paint: rib },
    ]
}

/// A crooked twig with a side twig, longer than the other objects.
fn twig(dice: &mut Dice) -> Vec<Thing> {
    let bend = dice.between(-0.15, 0.15);
    let main = limb(&[at(-1.0, 0.0), at(-0.1, bend), at(0.9, -bend)], &[0.11, 0.09, 0.05]);
    let side = limb(&[at(-0.1, bend), at(0.35, bend + 0.3)], &[0.07, 0.04]);
    vec![Thing { outlines: vec![main, side], paint: Paint::plain(colour(dice)) }]
}

/// Three discs that touch.
fn berries(dice: &mut Dice) -> Vec<Thing> {
    let radius = dice.between(0.22, 0.28);
    let berry = |dice: &mut Dice, degrees: f32| Thing {
        outlines: vec![disc(toward(at(0.0, 0.0), degrees.to_radians(), 0.27), radius)],
        paint: plumage(dice, &[]),
    };
    [90.0, 210.0, 330.0].into_iter().map(|degrees| berry(dice, degrees)).collect()
}

/// A ring: its hole is wound the other way round.
fn ring(dice: &mut Dice) -> Vec<Thing> {
    let mut outline = disc(at(0.0, 0.0), 0.45);
    outline.push(outline[0]);
    let mut hole = disc(at(0.0, 0.0), dice.between(0.22, 0.3));
    hole.push(hole[0]);
    outline.extend(hole.into_iter().rev());
    vec![Thing { outlines: vec![outline], paint: plumage(dice, &[]) }]
}

fn cross(dice: &mut Dice) -> Vec<Thing> {
    let width = dice.between(0.16, 0.26);
    let bar = |from: Point, to: Point| limb(&[from, to], &[width, width]);
    let outlines = vec![bar(at(-0.45, 0.0), at(0.45, 0.0)), bar(at(0.0, -0.45), at(0.0, 0.45))];
    vec![Thing { outlines, paint: plumage(dice, &[]) }]
}

fn brick(dice: &mut Dice) -> Vec<Thing> {
    let height = dice.between(0.4, 0.7);
    vec![Thing {
        outlines: vec![limb(&[at(-0.45, 0.0), at(0.45, 0.0)], &[height, height])],
        paint: plumage(dice, &[]),
    }]
}

/// Paints leaves, so dense that they hide a disc.
pub(super) fn bush(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas, center: Point, radius: f32) {
    const LEAVES: usize = 9;
    let hue = dice.between(0.17, 0.4);
    let green = |dice: &mut Dice| {
        hsv(hue + dice.between(-0.03, 0.03), dice.between(0.3, 0.85), dice.between(0.25, 0.8))
    };
    let frame = Frame { origin: center, scale: radius, ..Frame::turned(dice.angle(-180.0, 180.0), false) };
    let inner = Thing { outlines: vec![disc(at(0.0, 0.0), 0.85)], paint: Paint::plain(green(dice)) };
    inner.paint(canvas, frame, Label::Occluder, noise);
    for k in 0..LEAVES {
        let around = (k as f32 + dice.between(-0.3, 0.3)) * std::f32::consts::TAU / LEAVES as f32;
        let middle = toward(at(0.0, 0.0), around, dice.between(0.6, 0.75));
        let outline = leaf_outline(middle, around + dice.angle(-35.0, 35.0), 0.95, dice.between(0.4, 0.55));
        let leaf = Thing { outlines: vec![outline], paint: Paint::plain(green(dice)) };
        leaf.paint(canvas, frame, Label::Occluder, noise);
    }
}

/// The outline of a leaf, `width` across, its tip along `angle`.
fn leaf_outline(center: Point, angle: f32, length: f32, width: f32) -> Vec<Point> {
    let quarter = std::f32::consts::FRAC_PI_2;
    let (tip, stalk) = (toward(center, angle, 0.5 * length), toward(center, angle, -0.5 * length));
    let left = toward(toward(center, angle, -0.08 * length), angle + quarter, 0.5 * width);
    let right = toward(toward(center, angle, -0.08 * length), angle - quarter, 0.5 * width);
    smooth(&[tip, left, stalk, right])
}
