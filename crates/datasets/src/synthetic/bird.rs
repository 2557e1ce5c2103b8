//! A bird in its own coordinates: the torso lies around the origin and looks along x.
//!
//! Nothing here but [`Bird::part`] knows of a species: build, pose and paints are drawn without it.

use super::canvas::{Canvas, Colour, Label};
use super::outline::{Bounds, Frame, at, disc, ellipse, grown, limb, mix, smooth, toward};
use super::plumage::{Paint, hsv, plumage};
use super::random::{Dice, Noise};
use super::shape;
use super::species::{PARTS, Part};
use crate::Point;

/// The longer side over the image's, were both shapes of every part on the bird.
const EXTENT: (f32, f32) = (0.88, 1.06);
/// How far over the frame's edge it may reach, over the image's side.
const OVERHANG: f32 = 0.03;
/// Greatest tilt either way, in degrees.
const TILT: f32 = 30.0;

/// Build, pose and paints of a bird of any species.
pub(super) struct Bird {
    half_height: f32,
    neck_base: Point,
    head: Point,
    head_radius: f32,
    eye: Point,
    eye_radius: f32,
    torso: Paint,
    head_paint: Paint,
    iris: Colour,
    joints: [Joint; PARTS],
    frame: Frame,
}

/// How a part is joined, and what it looks like in either shape.
struct Joint {
    at: Point,
    angle: f32,
    /// Along and across.
    scale: [f32; 2],
    paint: Paint,
}

impl Bird {
    /// Any bird that stands off from the ground, in an image of this size.
    pub fn draw(pose: &mut Dice, paint: &mut Dice, ground: Colour, size: f32) -> Bird {
        let half_height = pose.between(0.25, 0.33);
        let neck_base = at(0.28, -0.4 * half_height);
        let head = toward(neck_base, pose.angle(15.0, 75.0), pose.between(0.3, 0.42));
        let head_radius = pose.between(0.19, 0.23);
        let gaze = pose.angle(-30.0, 25.0);
        let eye = toward(head, gaze + pose.angle(5.0, 30.0), 0.4 * head_radius);
        let torso = plumage(paint, &[ground]);
        let head_paint = plumage(paint, &[ground]);
        let mut joint = |at: Point, angle: f32| {
            let scale = [(); 2].map(|()| pose.between(0.9, 1.12));
            Joint { at, angle, scale, paint: plumage(paint, &[ground, torso.base, head_paint.base]) }
        };
        let quarter = std::f32::consts::FRAC_PI_2;
        let joints = Part::ALL.map(|part| match part {
            Part::Beak => joint(toward(head, gaze, 0.88 * head_radius), gaze),
            Part::Crest => {
                joint(toward(head, gaze + 1.3 * quarter, 0.9 * head_radius), gaze + 1.25 * quarter)
            }
            Part::Wing => joint(at(-0.02, -0.35 * half_height), 1.35 * quarter),
            Part::Tail => joint(at(-0.36, 0.1 * half_height), 2.0 * quarter),
            Part::Feet => joint(at(0.0, 0.85 * half_height), -quarter),
        });
        let mut bird = Bird {
            half_height,
            neck_base,
            head,
            head_radius,
            eye,
            eye_radius: head_radius * pose.between(0.26, 0.34),
            torso,
            head_paint,
            iris: hsv(paint.unit(), paint.between(0.0, 0.5), paint.between(0.75, 1.0)),
            joints,
            frame: Frame::turned(0.0, false),
        };
        for (joint, freedom) in bird.joints.iter_mut().zip([0.0, 20.0, 25.0, 28.0, 20.0]) {
            joint.angle += pose.angle(-freedom, freedom);
        }
        bird.frame = bird.placed(pose, size);
        bird
    }

    /// Tilts, mirrors and scales it, and puts it somewhere. The extent is that of all shapes together, so that it tells
    /// nothing of the species.
    fn placed(&self, pose: &mut Dice, size: f32) -> Frame {
        let turned = Frame::turned(pose.angle(-TILT, TILT), pose.chance(0.5));
        let extent = size * pose.between(EXTENT.0, EXTENT.1);
        let shown: Vec<Point> = Part::ALL
            .into_iter()
            .flat_map(|part| self.both_shapes(part))
            .chain(self.body().into_iter().map(|(outline, _)| outline))
            .flatten()
            .map(|p| turned.to_image(p))
            .collect();
        let bounds = Bounds::of(&shown);
        let scale = extent / bounds.width().max(bounds.height()).max(1e-6);
        let mut along = |low: f32, high: f32| {
            let over = OVERHANG * size;
            pose.between(-over - scale * low, size - 1.0 + over - scale * high)
        };
        let (x, y) = (along(bounds.left, bounds.right), along(bounds.top, bounds.bottom));
        Frame { scale, origin: at(x, y), ..turned }
    }

    /// Moves it as little as needed to bring a part, whatever its shape, mostly out of view.
    pub fn push_out(&mut self, part: Part, size: f32) {
        /// How far over the edge the part's middle goes, over its extent.
        const BEYOND: f32 = 0.25;
        let bounds = self.bounds(part);
        let center = bounds.center();
        let (right, down) = (BEYOND * bounds.width(), BEYOND * bounds.height());
        let ways = [
            [-(center.x + right), 0.0],
            [size - 1.0 - center.x + right, 0.0],
            [0.0, -(center.y + down)],
            [0.0, size - 1.0 - center.y + down],
        ];
        let length = |way: [f32; 2]| way[0].abs() + way[1].abs();
        let way =
            ways.into_iter().fold(ways[0], |best, way| if length(way) < length(best) { way } else { best });
        self.frame = self.frame.moved(way);
    }

    /// The box in the image of both shapes of a part.
    pub fn bounds(&self, part: Part) -> Bounds {
        let shown: Vec<Point> =
            self.both_shapes(part).into_iter().flatten().map(|p| self.frame.to_image(p)).collect();
        Bounds::of(&shown)
    }

    fn both_shapes(&self, part: Part) -> Vec<Vec<Point>> {
        [0, 1].into_iter().flat_map(|shape| self.part(part, shape)).collect()
    }

    /// The outlines of a part in one of its shapes.
    fn part(&self, part: Part, shape: usize) -> Vec<Vec<Point>> {
        let joint = &self.joints[part as usize];
        let grown = |outline: &Vec<Point>| grown(outline, joint.at, joint.angle, joint.scale);
        shape::outlines(part, shape).iter().map(grown).collect()
    }

    /// A part's outlines in the image, `moved` by so many pixels.
    pub fn shown(&self, part: Part, shape: usize, moved: [f32; 2]) -> Vec<Vec<Point>> {
        let frame = self.frame.moved(moved);
        let shown = |outline: Vec<Point>| outline.into_iter().map(|p| frame.to_image(p)).collect();
        self.part(part, shape).into_iter().map(shown).collect()
    }

    /// Paints a part.
    pub fn paint_part(&self, canvas: &mut Canvas, noise: &Noise, part: Part, shape: usize, moved: [f32; 2]) {
        let frame = self.frame.moved(moved);
        for outline in self.part(part, shape) {
            self.joints[part as usize].paint.fill(canvas, frame, &outline, Label::Part(part), noise);
        }
    }

    /// Paints torso and neck.
    pub fn paint_torso(&self, canvas: &mut Canvas, noise: &Noise, label: Label) {
        for (outline, paint) in &self.body()[..2] {
            paint.fill(canvas, self.frame, outline, label, noise);
        }
    }

    /// Paints the head with its eye.
    pub fn paint_head(&self, canvas: &mut Canvas, noise: &Noise, label: Label) {
        for (outline, paint) in &self.body()[2..] {
            paint.fill(canvas, self.frame, outline, label, noise);
        }
    }

    /// The body's outlines in the image.
    pub fn shown_body(&self) -> impl Iterator<Item = Point> {
        self.body().into_iter().flat_map(|(outline, _)| outline).map(|p| self.frame.to_image(p))
    }

    /// Torso, neck, head and three discs of the eye.
    fn body(&self) -> [(Vec<Point>, Paint); 6] {
        let h = self.half_height;
        let torso = smooth(&[
            at(0.44, -0.1 * h),
            at(0.26, -0.8 * h),
            at(-0.08, -h),
            at(-0.34, -0.5 * h),
            at(-0.42, 0.1 * h),
            at(-0.26, 0.75 * h),
            at(0.08, 1.05 * h),
            at(0.34, 0.65 * h),
        ]);
        let widths = [1.4 * h, 1.7 * self.head_radius, 1.3 * self.head_radius];
        let base = mix(self.neck_base, at(0.0, 0.0), 0.35);
        let neck = limb(&[base, mix(self.neck_base, self.head, 0.45), self.head], &widths);
        let head = ellipse(self.head, 1.04 * self.head_radius, 0.98 * self.head_radius, 0.0);
        let r = self.eye_radius;
        let glint = at(self.eye.x - 0.2 * r, self.eye.y - 0.25 * r);
        [
            (torso, self.torso),
            (neck, self.torso),
            (head, self.head_paint),
            (disc(self.eye, r), Paint::plain(self.iris)),
            (disc(self.eye, 0.65 * r), Paint::plain([0.03; 3])),
            (disc(glint, 0.22 * r), Paint::plain([0.95; 3])),
        ]
    }
}
