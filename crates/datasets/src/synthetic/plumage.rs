//! Colours and textures, and the pieces they cover.

use super::canvas::{Canvas, Colour, Part};
use super::outline::Frame;
use super::random::{Dice, Noise, floor};
use crate::Point;

/// A texture of two colours, in the coordinates of the figure that wears it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pattern {
    Plain,
    /// Bars across a direction.
    Bars {
        cos: f32,
        sin: f32,
        period: f32,
        share: f32,
    },
    /// Dots on a staggered grid.
    Spots {
        period: f32,
        radius: f32,
    },
    /// Clouds of the second colour.
    Mottle {
        period: f32,
    },
    /// The second colour beyond a straight edge: where `x cos + y sin > offset`.
    Beyond {
        cos: f32,
        sin: f32,
        offset: f32,
    },
}

/// How a piece is coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub base: Colour,
    pub second: Colour,
    pub pattern: Pattern,
    /// How much darker it gets per unit downwards.
    pub roundness: f32,
}

impl Paint {
    /// One colour.
    pub fn plain(base: Colour) -> Paint {
        Paint { base, second: base, pattern: Pattern::Plain, roundness: 0.0 }
    }

    /// The colour at a point of the figure, where a pixel is `footprint` wide: over so much the edges of
    /// a texture are softened.
    pub fn at(&self, p: Point, footprint: f32, noise: &Noise) -> Colour {
        let soft = |inside: f32| (0.5 + inside / footprint).clamp(0.0, 1.0);
        let amount = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Bars { cos, sin, period, share } => {
                let phase = (p.x * cos + p.y * sin) / period + 0.25 * noise.at(4.0 * p.x, 4.0 * p.y);
                let from_middle = (phase - floor(phase) as f32 - 0.5).abs();
                soft(period * (0.5 * share - from_middle))
            }
            Pattern::Spots { period, radius } => {
                let row = floor(p.y / period);
                let x = p.x / period + if row % 2 == 0 { 0.0 } else { 0.5 };
                let (u, v) = (x - floor(x) as f32 - 0.5, p.y / period - row as f32 - 0.5);
                soft(period * (radius - (u * u + v * v).sqrt()))
            }
            Pattern::Mottle { period } => {
                (0.5 + 1.5 * noise.octaves(p.x / period, p.y / period, 2)).clamp(0.0, 1.0)
            }
            Pattern::Beyond { cos, sin, offset } => soft(p.x * cos + p.y * sin - offset),
        };
        let light = 1.0 - self.roundness * p.y + 0.12 * noise.octaves(14.0 * p.x, 14.0 * p.y, 2);
        blend(self.base, self.second, amount).map(|c| c * light)
    }
}

/// An outline of a figure and its paint.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub part: Part,
    pub outline: Vec<Point>,
    pub paint: Paint,
}

impl Piece {
    /// Paints it; `part` is its label, which is not its own where a piece is mere scenery.
    pub fn draw(&self, canvas: &mut Canvas, frame: Frame, part: Part, noise: &Noise) {
        let outline: Vec<Point> = self.outline.iter().map(|&p| frame.to_image(p)).collect();
        let footprint = 1.0 / frame.scale;
        canvas.fill(&outline, part, |p| (self.paint.at(frame.to_figure(p), footprint, noise), 1.0));
    }
}

/// The colour a share `t` of the way from `a` to `b`.
#[inline]
pub(super) fn blend(a: Colour, b: Colour, t: f32) -> Colour {
    [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2])]
}

/// A colour by hue (in turns), saturation and value.
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Colour {
    [5.0_f32, 3.0, 1.0].map(|offset| {
        let k = (offset + 6.0 * hue).rem_euclid(6.0);
        value * (1.0 - saturation * k.min(4.0 - k).clamp(0.0, 1.0))
    })
}

/// A colour of feathers, and as often of the things that birds are mistaken for: earths and greys more
/// than bright hues.
pub(super) fn feather_colour(dice: &mut Dice) -> Colour {
    let value = dice.between(0.15, 0.95);
    if dice.chance(0.6) {
        hsv(dice.between(0.02, 0.16), dice.between(0.1, 0.75), value)
    } else {
        hsv(dice.unit(), dice.between(0.1, 0.85), value)
    }
}

/// A colour that stands off from another in lightness.
pub(super) fn contrasting(dice: &mut Dice, from: Colour) -> Colour {
    let lightness = (from[0] + from[1] + from[2]) / 3.0;
    let (low, high) = if lightness > 0.5 { (0.05, 0.35) } else { (0.65, 0.98) };
    hsv(dice.unit(), dice.between(0.0, 0.6), dice.between(low, high))
}

/// A feathered surface: a colour, mostly with a texture of a second.
pub(super) fn plumage(dice: &mut Dice) -> Paint {
    let base = feather_colour(dice);
    let second = blend(base, contrasting(dice, base), dice.between(0.35, 0.9));
    Paint { base, second, pattern: pattern(dice), roundness: dice.between(0.3, 0.9) }
}

/// Any texture.
fn pattern(dice: &mut Dice) -> Pattern {
    let (sin, cos) = dice.angle(0.0, 180.0).sin_cos();
    match dice.count(0, 4) {
        0 => Pattern::Plain,
        1 => Pattern::Bars { cos, sin, period: dice.between(0.08, 0.2), share: dice.between(0.2, 0.5) },
        2 => Pattern::Spots { period: dice.between(0.08, 0.16), radius: dice.between(0.2, 0.38) },
        3 => Pattern::Beyond { cos: 0.3 * cos, sin: 1.0, offset: dice.between(-0.1, 0.15) },
        _ => Pattern::Mottle { period: dice.between(0.06, 0.25) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Paint, Pattern, blend, hsv};
    use crate::synthetic::outline::at;
    use crate::synthetic::random::{Dice, Noise};

    #[test]
    fn hues_have_their_known_colours() {
        assert_eq!(hsv(0.0, 1.0, 1.0), [1.0, 0.0, 0.0]);
        assert_eq!(hsv(1.0 / 3.0, 1.0, 0.5).map(|c| (c * 100.0).round()), [0.0, 50.0, 0.0]);
        assert_eq!(hsv(0.7, 0.0, 0.25), [0.25; 3]);
        assert_eq!(blend([0.0; 3], [1.0; 3], 0.25), [0.25; 3]);
    }

    #[test]
    fn an_edge_divides_the_two_colours() {
        let noise = Noise::new(&mut Dice::new(0, 0));
        let pattern = Pattern::Beyond { cos: 0.0, sin: 1.0, offset: 0.2 };
        let paint = Paint { base: [0.0; 3], second: [1.0; 3], pattern, roundness: 0.0 };
        assert_eq!(paint.at(at(0.0, 0.1), 0.01, &noise)[0], 0.0);
        assert!(paint.at(at(0.0, 0.3), 0.01, &noise)[0] > 0.8);
        let edge = paint.at(at(0.0, 0.2), 0.01, &noise)[0];
        assert!((0.4..0.6).contains(&edge), "{edge}");
    }
}
