//! A float image that fills outlines with antialiased edges and remembers what it painted where.
//!
//! Own code rather than a path-rendering crate: the fills below are one function, a texture is a closure
//! over the position instead of a bitmap pattern, and the labels (which part is on top at a pixel) come
//! out of the same pass.

use image::{Rgb, RgbImage};

use super::outline::{Bounds, at};
use super::random::Dice;
use super::species::Part;
use crate::Point;

/// Red, green and blue in `[0, 1]`.
pub(super) type Colour = [f32; 3];

/// What a pixel shows on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    /// The ground, or an object on it.
    Scenery,
    /// Torso, neck, head or eye.
    Body,
    Part(Part),
    Occluder,
}

/// Sub-scanlines per row of pixels; along a scanline the coverage is exact.
pub(super) const SCANLINES: usize = 4;

/// The picture being painted.
pub(super) struct Canvas {
    size: usize,
    pixels: Vec<Colour>,
    labels: Vec<Label>,
}

impl Canvas {
    /// Paints every pixel by its position.
    pub fn new(size: usize, colour: impl Fn(Point) -> Colour) -> Canvas {
        let pixels = (0..size * size).map(|i| colour(at((i % size) as f32, (i / size) as f32))).collect();
        Canvas { size, pixels, labels: vec![Label::Scenery; size * size] }
    }

    /// The side in pixels.
    pub fn size(&self) -> f32 {
        self.size as f32
    }

    /// What is on top at a pixel.
    pub fn label(&self, x: usize, y: usize) -> Label {
        self.labels[y * self.size + x]
    }

    /// Fills an outline (non-zero winding) with a colour and an opacity that depend on the position. A
    /// pixel takes the label when half of it is covered.
    pub fn fill(&mut self, outline: &[Point], label: Label, shade: impl Fn(Point) -> (Colour, f32)) {
        let size = self.size;
        scan(outline, [0, 0, size as i32, size as i32], |x, y, cover| {
            let i = y as usize * size + x as usize;
            let (colour, opacity) = shade(at(x as f32, y as f32));
            let weight = cover * opacity;
            for (pixel, colour) in self.pixels[i].iter_mut().zip(colour) {
                *pixel += weight * (colour - *pixel);
            }
            if weight >= 0.5 {
                self.labels[i] = label;
            }
        });
    }

    /// Mixes each pixel with its neighbours by the weights `(s, 1 - 2s, s)`, along rows, then columns.
    pub fn blur(&mut self, side_weight: f32) {
        for (count_step, line_step) in [(1, self.size), (self.size, 1)] {
            for line in 0..self.size {
                let mut previous = self.pixels[line * line_step];
                for k in 0..self.size {
                    let i = line * line_step + k * count_step;
                    let here = self.pixels[i];
                    let next = if k + 1 < self.size { self.pixels[i + count_step] } else { here };
                    for c in 0..3 {
                        self.pixels[i][c] += side_weight * (previous[c] - 2.0 * here[c] + next[c]);
                    }
                    previous = here;
                }
            }
        }
    }

    /// The 8-bit image: each pixel times `light`, plus the camera's noise.
    pub fn develop(&self, dice: &mut Dice, grain: f32, light: impl Fn(Point) -> Colour) -> RgbImage {
        let mut state = dice.bits() | 1;
        let mut bits = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        let side = self.size as u32;
        RgbImage::from_fn(side, side, |x, y| {
            let light = light(at(x as f32, y as f32));
            let pixel = self.pixels[y as usize * self.size + x as usize];
            let (shared, own) = (bits(), bits());
            // The difference of two 16-bit halves: triangular in (-1, 1).
            let grey = ((shared & 0xffff) as f32 - (shared >> 16) as f32) / 65536.0;
            let value = |c: usize| {
                let tinge = ((own >> (10 * c)) & 0x3ff) as f32 / 1023.0 - 0.5;
                ((pixel[c] * light[c] + grain * (grey + tinge)) * 255.0 + 0.5) as u8
            };
            Rgb([value(0), value(1), value(2)])
        })
    }
}

/// Number of pixels of which an outline covers half or more, within the frame or not.
pub(super) fn area(outlines: &[Vec<Point>]) -> usize {
    let bounds = Bounds::of(outlines.iter().flatten());
    if !(bounds.width() + bounds.height()).is_finite() {
        return 0;
    }
    let window = [bounds.left, bounds.top, bounds.right + 1.0, bounds.bottom + 1.0].map(|v| v.round() as i32);
    let width = (window[2] - window[0]) as usize;
    let mut covered = vec![false; width * (window[3] - window[1]) as usize];
    for outline in outlines {
        scan(outline, window, |x, y, cover| {
            covered[(y - window[1]) as usize * width + (x - window[0]) as usize] |= cover >= 0.5;
        });
    }
    covered.into_iter().filter(|&covered| covered).count()
}

/// Hands out the pixels that an outline (non-zero winding) touches within a window `left, top, right, bottom`, and the
/// share of each that it covers.
fn scan(outline: &[Point], window: [i32; 4], mut pixel: impl FnMut(i32, i32, f32)) {
    let bounds = Bounds::of(outline);
    let within = |v: f32, low: i32, high: i32| v.round().clamp(low as f32, high as f32) as i32;
    let (left, right) =
        (within(bounds.left, window[0], window[2]), within(bounds.right + 1.0, window[0], window[2]));
    let (top, bottom) =
        (within(bounds.top, window[1], window[3]), within(bounds.bottom + 1.0, window[1], window[3]));
    if left >= right || top >= bottom {
        return;
    }
    let mut cover = vec![0.0; (right - left) as usize];
    let mut crossings = Vec::new();
    for row in top..bottom {
        cover.fill(0.0);
        for scanline in 0..SCANLINES {
            let y = row as f32 - 0.5 + (scanline as f32 + 0.5) / SCANLINES as f32;
            find_crossings(outline, y, &mut crossings);
            add_spans(&crossings, left as f32, &mut cover);
        }
        for (x, &cover) in (left..).zip(&cover).filter(|(_, cover)| **cover > 0.0) {
            pixel(x, row, cover);
        }
    }
}

/// Where the outline crosses the line at `y`, and in which direction, from left to right.
fn find_crossings(outline: &[Point], y: f32, crossings: &mut Vec<(f32, i32)>) {
    crossings.clear();
    for (i, &b) in outline.iter().enumerate() {
        let a = outline[(i + outline.len() - 1) % outline.len()];
        if (a.y <= y) != (b.y <= y) {
            let x = a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y);
            crossings.push((x, if a.y < b.y { 1 } else { -1 }));
        }
    }
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
}

/// Adds the spans between crossings, as shares of each pixel, to a row that starts at pixel `first`.
fn add_spans(crossings: &[(f32, i32)], first: f32, cover: &mut [f32]) {
    let share = 1.0 / SCANLINES as f32;
    let (mut winding, mut start) = (0, 0.0);
    for &(x, direction) in crossings {
        if winding == 0 {
            start = x;
        }
        winding += direction;
        if winding != 0 {
            continue;
        }
        let from = (start - first + 0.5).max(0.0);
        let to = (x - first + 0.5).min(cover.len() as f32);
        if to <= from {
            continue;
        }
        let touched = from as usize..(to.ceil() as usize).min(cover.len());
        for (i, cover) in touched.clone().zip(&mut cover[touched]) {
            *cover += share * (((i + 1) as f32).min(to) - (i as f32).max(from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Canvas, Label, area};
    use crate::synthetic::outline::{at, disc};
    use crate::synthetic::random::Dice;

    fn black(size: usize) -> Canvas {
        Canvas::new(size, |_| [0.0; 3])
    }

    fn total(canvas: &Canvas) -> f32 {
        canvas.pixels.iter().map(|p| p[0]).sum()
    }

    #[test]
    fn coverage_sums_to_the_area() {
        let mut canvas = black(20);
        let corners = [at(2.25, 3.25), at(7.5, 3.25), at(7.5, 5.0), at(2.25, 5.0)];
        canvas.fill(&corners, Label::Body, |_| ([1.0; 3], 1.0));
        assert!((total(&canvas) - 5.25 * 1.75).abs() < 1e-4, "{}", total(&canvas));

        let mut canvas = black(40);
        canvas.fill(&disc(at(20.0, 19.0), 12.0), Label::Body, |_| ([1.0; 3], 1.0));
        let area = std::f32::consts::PI * 144.0;
        assert!((total(&canvas) / area - 1.0).abs() < 0.02, "{} for {area}", total(&canvas));
    }

    #[test]
    fn an_area_counts_each_pixel_once_and_knows_no_frame() {
        let square = |x: f32| vec![at(x, -3.5), at(x + 4.0, -3.5), at(x + 4.0, 0.5), at(x, 0.5)];
        assert_eq!(area(&[square(-2.5)]), 16);
        assert_eq!(area(&[square(-2.5), square(-0.5)]), 24);
        assert_eq!(area(&[]), 0);
    }

    #[test]
    fn a_fill_is_clipped_by_the_frame() {
        let mut canvas = black(8);
        let beyond = [at(-9.0, -9.0), at(30.0, -9.0), at(30.0, 30.0), at(-9.0, 30.0)];
        canvas.fill(&beyond, Label::Body, |_| ([1.0; 3], 1.0));
        assert!((total(&canvas) - 64.0).abs() < 1e-3);
        canvas.fill(&disc(at(-20.0, 4.0), 3.0), Label::Body, |_| ([0.0; 3], 1.0));
        assert!((total(&canvas) - 64.0).abs() < 1e-3);
    }

    #[test]
    fn either_direction_fills_and_labels_where_half_covered() {
        let mut corners = vec![at(1.0, 1.0), at(4.4, 1.0), at(4.4, 4.0), at(1.0, 4.0)];
        for _ in 0..2 {
            let mut canvas = black(8);
            canvas.fill(&corners, Label::Body, |_| ([1.0; 3], 1.0));
            assert!((total(&canvas) - 10.2).abs() < 1e-4);
            assert_eq!(canvas.label(4, 2), Label::Body);
            assert_eq!(canvas.label(5, 2), Label::Scenery);
            corners.reverse();
        }
    }

    #[test]
    fn blur_keeps_the_sum_away_from_the_border() {
        let mut canvas = black(9);
        canvas.pixels[4 * 9 + 4] = [1.0; 3];
        canvas.blur(0.25);
        assert!((total(&canvas) - 1.0).abs() < 1e-6);
        assert!((canvas.pixels[4 * 9 + 4][0] - 0.25).abs() < 1e-6);
        assert!((canvas.pixels[3 * 9 + 4][0] - 0.125).abs() < 1e-6);
    }

    #[test]
    fn development_without_grain_is_the_painted_colour() {
        let canvas = Canvas::new(4, |_| [0.2, 0.4, 1.0]);
        let image = canvas.develop(&mut Dice::new(0, 0), 0.0, |_| [1.0; 3]);
        assert_eq!(image.get_pixel(3, 1).0, [51, 102, 255]);
    }
}
