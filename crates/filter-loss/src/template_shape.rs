//! How a template falls off around its centre.

use serde::{Deserialize, Serialize};

/// How fast a template falls off around its centre (arXiv:1710.00935).
pub const BETA: f64 = 4.0;

/// The form of a positive template; implement it for a form of your own.
///
/// Source: ours. arXiv:1710.00935 has one form, [`Shape::PUBLISHED`].
pub trait TemplateShape {
    /// T / τ at a unit that lies `rows` below and `columns` to the right of the centre, both as
    /// fractions of n, the side of the map: 1 where both are 0, in −1..=1 everywhere.
    fn value(&self, rows: f64, columns: f64) -> f64;
}

/// The forms the crate has. d is the distance of a unit from the centre as a fraction of n.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Shape {
    /// `max(1 − β · d₁, −1)`, d₁ the city-block distance (arXiv:1710.00935).
    Pyramid {
        /// β, how fast the template falls off: 0 is crossed at d₁ = 1/β.
        beta: f64,
    },
    /// `max(1 − β · d₂, −1)`, d₂ the Euclidean distance: alike in all directions.
    Cone {
        /// β, how fast the template falls off: 0 is crossed at d₂ = 1/β.
        beta: f64,
    },
    /// `2 · exp(−d₂² / (2 w²)) − 1`, d₂ the Euclidean distance: flat at the centre and far away.
    Gaussian {
        /// w, the width as a fraction of n: 0 is crossed at d₂ = 1.18 w.
        width: f64,
    },
}

impl Shape {
    /// The paper's (arXiv:1710.00935): a pyramid of β = 4.
    pub const PUBLISHED: Self = Self::Pyramid { beta: BETA };

    /// # Panics
    /// If β or the width is not a finite positive number.
    pub(crate) fn check(self) {
        let (name, value) = match self {
            Self::Pyramid { beta } | Self::Cone { beta } => ("beta", beta),
            Self::Gaussian { width } => ("the width", width),
        };
        assert!(value.is_finite() && value > 0.0, "{name} is {value}, but must be positive");
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self::PUBLISHED
    }
}

impl TemplateShape for Shape {
    fn value(&self, rows: f64, columns: f64) -> f64 {
        match *self {
            Self::Pyramid { beta } => (1.0 - beta * (rows.abs() + columns.abs())).max(-1.0),
            Self::Cone { beta } => (1.0 - beta * rows.hypot(columns)).max(-1.0),
            Self::Gaussian { width } => 2.0 * (-(rows.hypot(columns) / width).powi(2) / 2.0).exp() - 1.0,
        }
    }
}

/// `value` of every unit's offset from every centre, the centres as rows: `[n², n²]`.
pub(crate) fn by_offset(length: usize, value: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let units = length * length;
    let offset = |from: usize, to: usize| (to as f64 - from as f64) / length as f64;
    let mut values = Vec::with_capacity(units * units);
    for center in 0..units {
        for unit in 0..units {
            let rows = offset(center / length, unit / length);
            values.push(value(rows, offset(center % length, unit % length)));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_its_values() {
        // At an offset of 3 rows and 4 columns on a map of 20: d₁ = 0.35, d₂ = 0.25.
        for (shape, expected) in [
            (Shape::PUBLISHED, -0.4),
            (Shape::Pyramid { beta: 2.0 }, 0.3),
            (Shape::Cone { beta: 2.0 }, 0.5),
            (Shape::Cone { beta: 9.0 }, -1.0),
            (Shape::Gaussian { width: 0.25 }, 0.213_061_319_425_266_8),
        ] {
            for (rows, columns) in [(0.15, 0.2), (-0.15, 0.2), (0.2, -0.15)] {
                let value = shape.value(rows, columns);
                assert!((value - expected).abs() < 1e-12, "{shape:?}: {value} {expected}");
            }
            assert_eq!(shape.value(0.0, 0.0), 1.0, "{shape:?}");
        }
        assert_eq!(Shape::default(), Shape::Pyramid { beta: BETA });
    }

    #[test]
    fn offsets_point_from_the_centre_to_the_unit() {
        let values = by_offset(4, |rows, columns| 10.0 * rows + columns);
        // Centre (1, 2), unit (3, 1): two rows below, one column to the left.
        assert_eq!(values[6 * 16 + 13], 5.0 - 0.25);
        assert_eq!(values.len(), 256);
    }

    #[test]
    fn shapes_survive_json() {
        for shape in [Shape::PUBLISHED, Shape::Cone { beta: 3.5 }, Shape::Gaussian { width: 0.1 }] {
            let json = serde_json::to_string(&shape).unwrap();
            assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), shape);
        }
    }

    #[test]
    #[should_panic(expected = "the width is 0")]
    fn a_gaussian_without_a_width_is_refused() {
        Shape::Gaussian { width: 0.0 }.check();
    }
}
