//! Closed outlines, and the frame that carries them from a figure's own coordinates into the image.

use crate::Point;

/// Shorthand for a [`Point`].
pub(super) fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

/// The point `length` away from `from`; the angle is counted upwards from the x axis, though y points
/// down.
pub(super) fn toward(from: Point, angle: f32, length: f32) -> Point {
    at(from.x + length * angle.cos(), from.y - length * angle.sin())
}

/// The point a share `t` of the way from `a` to `b`.
pub(super) fn mix(a: Point, b: Point, t: f32) -> Point {
    at(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y))
}

/// An ellipse, its first radius along `angle`.
pub(super) fn ellipse(center: Point, along: f32, across: f32, angle: f32) -> Vec<Point> {
    const CORNERS: usize = 28;
    let (sin, cos) = angle.sin_cos();
    (0..CORNERS)
        .map(|k| {
            let (s, c) = (k as f32 * std::f32::consts::TAU / CORNERS as f32).sin_cos();
            at(center.x + along * c * cos - across * s * sin, center.y - along * c * sin - across * s * cos)
        })
        .collect()
}

/// A circle.
pub(super) fn disc(center: Point, radius: f32) -> Vec<Point> {
    ellipse(center, radius, radius, 0.0)
}

/// The closed Catmull-Rom curve through the given points.
pub(super) fn smooth(points: &[Point]) -> Vec<Point> {
    const STEPS: usize = 5;
    let n = points.len();
    let curve = |p: [f32; 4], t: f32| {
        let [before, from, to, after] = p;
        from + 0.5
            * t
            * (to - before
                + t * (2.0 * before - 5.0 * from + 4.0 * to - after
                    + t * (3.0 * (from - to) + after - before)))
    };
    (0..n * STEPS)
        .map(|k| {
            let (i, t) = (k / STEPS, (k % STEPS) as f32 / STEPS as f32);
            let p = [points[(i + n - 1) % n], points[i], points[(i + 1) % n], points[(i + 2) % n]];
            at(curve(p.map(|p| p.x), t), curve(p.map(|p| p.y), t))
        })
        .collect()
}

/// A band along a path, with a width at each of its points.
pub(super) fn limb(path: &[Point], widths: &[f32]) -> Vec<Point> {
    assert_eq!(path.len(), widths.len(), "a limb has one width for each point of its path");
    let side = |i: usize, sign: f32| {
        let (a, b) = (path[i.saturating_sub(1)], path[(i + 1).min(path.len() - 1)]);
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let reach = sign * 0.5 * widths[i] / (dx * dx + dy * dy).sqrt().max(1e-6);
        at(path[i].x - dy * reach, path[i].y + dx * reach)
    };
    (0..path.len()).map(|i| side(i, 1.0)).chain((0..path.len()).rev().map(|i| side(i, -1.0))).collect()
}

/// An outline that grows along x from the origin, with its origin at `joint` and its x axis along `angle`.
pub(super) fn grown(outline: &[Point], joint: Point, angle: f32, [along, across]: [f32; 2]) -> Vec<Point> {
    let (sin, cos) = angle.sin_cos();
    let point = |p: &Point| {
        let (x, y) = (along * p.x, across * p.y);
        at(joint.x + x * cos + y * sin, joint.y - x * sin + y * cos)
    };
    outline.iter().map(point).collect()
}

/// The least upright box around points.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
}

impl Bounds {
    pub fn of<'a>(points: impl IntoIterator<Item = &'a Point>) -> Bounds {
        let nothing = Bounds {
            left: f32::INFINITY,
            top: f32::INFINITY,
            right: f32::NEG_INFINITY,
            bottom: f32::NEG_INFINITY,
        };
        points.into_iter().fold(nothing, |b, p| Bounds {
            left: b.left.min(p.x),
            top: b.top.min(p.y),
            right: b.right.max(p.x),
            bottom: b.bottom.max(p.y),
        })
    }

    pub fn width(&self) -> f32 {
        self.right - self.left
    }

    pub fn height(&self) -> f32 {
        self.bottom - self.top
    }

    pub fn center(&self) -> Point {
        at(0.5 * (self.left + self.right), 0.5 * (self.top + self.bottom))
    }
}

/// Where a figure stands in the image: mirrored or not, turned, scaled, moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub origin: Point,
    pub scale: f32,
    pub cos: f32,
    pub sin: f32,
    /// 1, or -1 where mirrored.
    pub side: f32,
}

impl Frame {
    /// Turned by `angle` with the nose upwards, at the image's corner with one pixel for one unit.
    pub fn turned(angle: f32, mirrored: bool) -> Frame {
        let (sin, cos) = angle.sin_cos();
        Frame { origin: at(0.0, 0.0), scale: 1.0, cos, sin, side: if mirrored { -1.0 } else { 1.0 } }
    }

    /// The frame so many pixels to the right and down.
    pub fn moved(self, [x, y]: [f32; 2]) -> Frame {
        Frame { origin: at(self.origin.x + x, self.origin.y + y), ..self }
    }

    /// The image position of a figure's point.
    pub fn to_image(self, p: Point) -> Point {
        at(
            self.origin.x + self.scale * self.side * (p.x * self.cos + p.y * self.sin),
            self.origin.y + self.scale * (p.y * self.cos - p.x * self.sin),
        )
    }

    /// The figure's point at an image position.
    pub fn to_figure(self, p: Point) -> Point {
        let x = (p.x - self.origin.x) * self.side / self.scale;
        let y = (p.y - self.origin.y) / self.scale;
        at(x * self.cos - y * self.sin, y * self.cos + x * self.sin)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Frame, at, ellipse, grown, limb, smooth, toward};

    #[test]
    fn a_frame_and_its_inverse_cancel() {
        for mirrored in [false, true] {
            let frame = Frame { origin: at(40.0, -7.0), scale: 31.0, ..Frame::turned(0.7, mirrored) };
            let back = frame.to_figure(frame.to_image(at(0.3, -1.2)));
            assert!((back.x - 0.3).abs() < 1e-5 && (back.y + 1.2).abs() < 1e-5, "{back:?}");
        }
    }

    #[test]
    fn a_turned_frame_lifts_the_nose_on_both_sides() {
        for mirrored in [false, true] {
            let nose = Frame::turned(0.5, mirrored).to_image(at(1.0, 0.0));
            assert!(nose.y < -0.4);
            assert_eq!(nose.x < 0.0, mirrored);
        }
    }

    #[test]
    fn outlines_have_the_stated_extent() {
        let b = Bounds::of(&ellipse(at(1.0, 2.0), 3.0, 1.0, std::f32::consts::FRAC_PI_2));
        assert!((b.width() - 2.0).abs() < 1e-4 && (b.height() - 6.0).abs() < 1e-4, "{b:?}");
        let b = Bounds::of(&limb(&[at(0.0, 0.0), at(10.0, 0.0)], &[2.0, 4.0]));
        assert_eq!((b.left, b.right, b.top, b.bottom), (0.0, 10.0, -2.0, 2.0));
    }

    #[test]
    fn what_is_grown_lies_along_its_angle() {
        let tip = grown(&[at(1.0, 0.0)], at(3.0, 4.0), 0.7, [2.0, 1.0])[0];
        let expected = toward(at(3.0, 4.0), 0.7, 2.0);
        assert!((tip.x - expected.x).abs() < 1e-5 && (tip.y - expected.y).abs() < 1e-5, "{tip:?}");
    }

    #[test]
    fn a_smooth_curve_passes_through_its_points() {
        let corners = [at(0.0, 0.0), at(4.0, 1.0), at(2.0, 5.0)];
        let curve = smooth(&corners);
        assert!(corners.iter().all(|c| curve.contains(c)));
    }
}
