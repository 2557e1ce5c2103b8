//! Mean and standard deviation of channels, in the range and the order in which people state them.

use explainer_core::{ChannelOrder, Preprocessing};
use serde::Deserialize;

/// The range of the pixels that statistics are of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "[f64; 2]")]
pub enum Range {
    #[default]
    One,
    Bytes,
}

impl TryFrom<[f64; 2]> for Range {
    type Error = String;

    fn try_from(range: [f64; 2]) -> Result<Self, String> {
        match range {
            [0.0, 1.0] => Ok(Self::One),
            [0.0, 255.0] => Ok(Self::Bytes),
            other => Err(format!("range: expected [0, 1] or [0, 255], found {other:?}")),
        }
    }
}

impl Range {
    fn highest(self) -> f32 {
        match self {
            Self::One => 1.0,
            Self::Bytes => 255.0,
        }
    }
}

/// The order of the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Order {
    #[default]
    #[serde(rename = "rgb", alias = "RGB", alias = "Rgb")]
    Rgb,
    #[serde(rename = "bgr", alias = "BGR", alias = "Bgr")]
    Bgr,
}

impl From<Order> for ChannelOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Rgb => Self::Rgb,
            Order::Bgr => Self::Bgr,
        }
    }
}

/// A number for red, green and blue, in this order or by name.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected numbers of red, green and blue: [R, G, B], or by these names")]
pub enum Channels {
    InOrder([f32; 3]),
    Named(Named),
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    red: f32,
    green: f32,
    blue: f32,
}

impl Channels {
    fn values(self) -> [f32; 3] {
        match self {
            Self::InOrder(values) => values,
            Self::Named(Named { red, green, blue }) => [red, green, blue],
        }
    }
}

/// Mean and standard deviation of red, green and blue in 0..1; the usual ones where they are not stated.
pub fn stated(
    [mean, std]: [Option<&Channels>; 2],
    range: Range,
    order: Order,
    usual: &Preprocessing,
) -> Result<[[f32; 3]; 2], String> {
    // Photographs have more red than blue. Who states a network of BGR may have its mean in that order.
    if let (Order::Bgr, Some(&Channels::InOrder([first, _, last]))) = (order, mean)
        && first < last
    {
        let named = r#"{"red": R, "green": G, "blue": B}"#;
        return Err(format!(
            "mean: expected red, green and blue in this order, whatever the network's; found {first} before \
             {last}, which looks like blue first: write {named}"
        ));
    }
    let scale = |values: [f32; 3]| values.map(|value| value / range.highest());
    let own = |values: Option<&Channels>| values.map(|values| values.values());
    let whole = |values: [f32; 3]| values.map(|value| value * range.highest());
    let [mean, std] = [(own(mean), usual.mean), (own(std), usual.std)];
    check([mean, std].map(|(own, usual)| own.unwrap_or_else(|| whole(usual))), range)?;
    Ok([mean, std].map(|(own, usual)| own.map_or(usual, scale)))
}

/// Refuses statistics that pixels of this range cannot have, and says what to write.
pub fn check([mean, std]: [[f32; 3]; 2], range: Range) -> Result<(), String> {
    let highest = range.highest();
    let bytes = r#"for statistics of pixels in 0..255 write "range": [0, 255] beside them"#;
    let wrong = |name: &str, expected: &str, found: [f32; 3], instead: &str| {
        Err(format!("{name}: expected {expected} of pixels in 0..{highest}, found {found:?}; {instead}"))
    };
    if !mean.iter().all(|value| (0.0..=highest).contains(value)) {
        let instead = if range == Range::One { bytes } else { "is it a mean?" };
        return wrong("mean", &format!("means from 0 to {highest}"), mean, instead);
    }
    if !std.iter().all(|&value| value > 0.0 && value <= highest) {
        let above = std.iter().all(|&value| value > 0.0);
        let instead = if range == Range::One && above { bytes } else { "each divides a channel" };
        return wrong("std", &format!("standard deviations above 0, at most {highest}"), std, instead);
    }
    if range == Range::Bytes {
        let instead = r#"for statistics of pixels in 0..1 leave "range" out"#;
        if mean.iter().all(|&value| value <= 1.0) && mean.iter().any(|&value| value > 0.0) {
            return wrong("mean", "means", mean, instead);
        }
        if std.iter().all(|&value| value < 1.0) {
            return wrong("std", "standard deviations of 1 or more", std, instead);
        }
    }
    Ok(())
}
