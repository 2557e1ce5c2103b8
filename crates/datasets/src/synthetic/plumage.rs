//! Colours and textures, and the pieces they cover.

use super::canvas::{Canvas, Colour, Label};
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
        };
        let light = 1.0 - self.roundness * p.y + 0.12 * noise.octaves(14.0 * p.x, 14.0 * p.y, 2);
        blend(self.base, self.second, amount).map(|c| c * light)
    }

    /// Fills an outline of a figure that stands in a frame.
    pub fn fill(&self, canvas: &mut Canvas, frame: Frame, outline: &[Point], label: Label, noise: &Noise) {
        let outline: Vec<Point> = outline.iter().map(|&p| frame.to_image(p)).collect();
        let footprint = 1.0 / frame.scale;
        canvas.fill(&outline, label, |p| (self.at(frame.to_figure(p), footprint, noise), 1.0));
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

/// A colour of anything that is painted: of feathers, of every part, of the objects around.
pub(super) fn colour(dice: &mut Dice) -> Colour {
    let (hue, saturation, value) = (dice.unit(), dice.between(0.15, 0.95), dice.between(0.2, 1.0));
    hsv(hue, saturation, value)
}

/// Of a few colours the one that stands off most from all of the others.
pub(super) fn distinct(dice: &mut Dice, others: &[Colour]) -> Colour {
    const DRAWN: usize = 7;
    let distance = |a: Colour, b: &Colour| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let nearest = |a: Colour| others.iter().map(|b| distance(a, b)).fold(f32::INFINITY, f32::min);
    let drawn = [(); DRAWN].map(|()| colour(dice));
    drawn.into_iter().fold(drawn[0], |best, next| if nearest(next) > nearest(best) { next } else { best })
}

/// A surface of a colour that stands off from others, mostly with a texture of a second one.
pub(super) fn plumage(dice: &mut Dice, others: &[Colour]) -> Paint {
    let base = distinct(dice, others);
    let second = blend(base, colour(dice), dice.between(0.2, 0.6));
    Paint { base, second, pattern: pattern(dice), roundness: dice.between(0.1, 0.5) }
}

/// Any texture.
fn pattern(dice: &mut Dice) -> Pattern {
    let (sin, cos) = dice.angle(0.0, 180.0).sin_cos();
    match dice.count(0, 4) {
        0 | 1 => Pattern::Plain,
        2 => Pattern::Bars { cos, sin, period: dice.between(0.1, 0.2), share: dice.between(0.3, 0.5) },
        3 => Pattern::Spots { period: dice.between(0.1, 0.18), radius: dice.between(0.2, 0.38) },
        _ => Pattern::Mottle { period: dice.between(0.08, 0.25) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Paint, Pattern, blend, distinct, hsv};
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
    fn bars_alternate_between_the_two_colours() {
        let noise = Noise::new(&mut Dice::new(0, 0));
        let pattern = Pattern::Bars { cos: 0.0, sin: 1.0, period: 1.0, share: 0.5 };
        let paint = Paint { base: [0.2; 3], second: [1.0; 3], pattern, roundness: 0.0 };
        let values: Vec<f32> =
            (0..200).map(|i| paint.at(at(0.3, 0.02 * i as f32), 0.01, &noise)[0]).collect();
        let second = values.iter().filter(|&&v| v > 0.6).count();
        assert!((70..130).contains(&second), "{second} of 200");
    }

    #[test]
    fn a_distinct_colour_keeps_away() {
        let mut dice = Dice::new(2, 0);
        let near = |dice: &mut Dice, others: &[[f32; 3]]| {
            let c = distinct(dice, others);
            c.iter().map(|v| (v - 0.5).powi(2)).sum::<f32>() < 0.04
        };
        let free = (0..300).filter(|_| near(&mut dice, &[])).count();
        let away = (0..300).filter(|_| near(&mut dice, &[[0.5; 3]])).count();
        assert!(free > 10 && away == 0, "{free}, {away}");
    }
}
