//! The first contact sheet: strongest images of some filters, their peak marked, explainer beside
//! performer.

use explainer_datasets::Dataset;
use explainer_metrics::{Peak, Tracking};
use image::{Rgb, RgbImage, imageops};

use super::Failure;
use super::evaluate::{Layer, Layers};

/// Filters shown of each network, from the one that tracks best to the one that tracks least.
const FILTERS: usize = 8;
/// Strongest images shown of each filter.
const IMAGES: usize = 6;
/// Side of a thumbnail, gap between them, and gap between the networks, in pixels.
const SIDE: u32 = 96;
const GAP: u32 = 4;
const MIDDLE: u32 = 20;
/// Radius and width of the ring around a peak, relative to the image's side.
const RADIUS: f64 = 0.11;
const RING: f64 = 0.025;
const MARK: Rgb<u8> = Rgb([255, 40, 40]);
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);

/// Draws a row for each filter: on the left conv-interp-2 of the explainer, on the right the
/// performer's top conv. On either side the filters are evenly spaced by rank of tracking, the
/// best in the first row: neither side shows its best only.
pub fn draw(dataset: &dyn Dataset, layers: &Layers) -> Result<RgbImage, Failure> {
    let half = IMAGES as u32 * (SIDE + GAP);
    let mut sheet = RgbImage::from_pixel(2 * half + MIDDLE + GAP, FILTERS as u32 * (SIDE + GAP) + GAP, PAPER);
    for (layer, left) in [(&layers.conv_interp_2, GAP), (&layers.top_conv, half + MIDDLE + GAP)] {
        let chosen = spread_by_tracking(layer, &layers.tracking_of(layer));
        for (row, filter) in chosen.into_iter().enumerate() {
            for (column, image) in strongest(layer, filter).into_iter().enumerate() {
                let picture = dataset.sample(layers.images[image])?.image;
                let marked = marked(picture, layer, layer.peaks.get(filter, image));
                let x = left + column as u32 * (SIDE + GAP);
                let y = GAP + row as u32 * (SIDE + GAP);
                imageops::replace(&mut sheet, &marked, i64::from(x), i64::from(y));
            }
        }
    }
    Ok(sheet)
}

/// Live filters at evenly spaced ranks of tracking, the best first.
fn spread_by_tracking(layer: &Layer, tracking: &Tracking) -> Vec<usize> {
    let score = |filter: usize| tracking.per_filter[filter].unwrap_or(0.0);
    let mut live = layer.peaks.live_filters();
    live.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    let count = FILTERS.min(live.len());
    (0..count).map(|row| live[row * (live.len() - 1) / count.saturating_sub(1).max(1)]).collect()
}

/// The images on which a filter fires most strongly.
fn strongest(layer: &Layer, filter: usize) -> Vec<usize> {
    let mut images: Vec<usize> =
        (0..layer.peaks.images()).filter(|&image| layer.peaks.fired(filter, image)).collect();
    let strength = |image: usize| layer.peaks.get(filter, image).strength;
    images.sort_by(|&a, &b| strength(b).total_cmp(&strength(a)));
    images.truncate(IMAGES);
    images
}

/// A thumbnail with a ring around the peak.
fn marked(picture: RgbImage, layer: &Layer, peak: Peak) -> RgbImage {
    let scale = f64::from(SIDE) / f64::from(picture.width());
    let center = [peak.column, peak.row].map(|unit| layer.field.pixel(usize::from(unit)) * scale);
    let mut small = imageops::resize(&picture, SIDE, SIDE, imageops::FilterType::Triangle);
    for (x, y, pixel) in small.enumerate_pixels_mut() {
        let distance = (f64::from(x) - center[0]).hypot(f64::from(y) - center[1]) / f64::from(SIDE);
        if (distance - RADIUS).abs() < RING / 2.0 {
            *pixel = MARK;
        }
    }
    small
}
