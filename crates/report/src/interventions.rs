//! What becomes of peaks when a landmark is erased or moved, as pictures.

use explainer_evaluation::{Example, names};
use image::{Rgb, RgbImage};

use crate::draw;

/// Between the pictures, in pixels, and its colour.
const GAP: u32 = 4;
const PAPER: Rgb<u8> = Rgb([128, 128, 128]);

/// Layers whose peaks are drawn, what they are called, and their colours, told apart by people with any colour
/// vision (Okabe and Ito).
pub(crate) const DRAWN: [(&str, &str, Rgb<u8>); 3] = [
    (names::EXPLAINED, "the explainer's filter", Rgb([230, 159, 0])),
    (names::TOP_CONV, "the performer's channel", Rgb([86, 180, 233])),
    (names::CEILING, "the supervised detector", Rgb([0, 158, 115])),
];

/// A photo, the same with a landmark erased, and with it transplanted, side by side, each with a ring around the peak
/// of the best matched filter of the explainer (orange), of the performer's top conv (blue) and of the supervised
/// ceiling (green). A detector that does not fire has no ring. Each picture is a square of `side` pixels.
pub fn intervention_picture(example: &Example, side: u32) -> RgbImage {
    let pictures = [&example.original, &example.erased, &example.transplanted];
    let scale = f64::from(side) / f64::from(example.original.width().max(1));
    let marked: Vec<RgbImage> = pictures
        .into_iter()
        .enumerate()
        .map(|(at, picture)| {
            let mut drawn = draw::thumbnail(picture, side);
            for (rank, (layer, _, color)) in DRAWN.iter().enumerate() {
                let trace = example.traces.iter().find(|(name, _)| name == layer).map(|(_, trace)| trace);
                let peak = trace.and_then(|t| [t.original, t.erased, t.transplanted][at]);
                if let Some(peak) = peak {
                    drawn = draw::circled(drawn, peak.map(|at| at * scale), rank, *color);
                }
            }
            drawn
        })
        .collect();
    draw::tiled(&marked, 3, GAP, PAPER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use explainer_evaluation::Trace;

    #[test]
    fn each_picture_has_the_rings_of_its_peaks() {
        let plain = RgbImage::from_pixel(40, 40, Rgb([9, 9, 9]));
        let trace = Trace { original: Some([20.0, 20.0]), erased: None, transplanted: Some([10.0, 30.0]) };
        let example = Example {
            id: "one".to_string(),
            landmark: 0,
            original: plain.clone(),
            erased: plain.clone(),
            transplanted: plain,
            place: [20.0, 20.0],
            paste: [10.0, 30.0],
            traces: vec![(names::CEILING.to_string(), trace), ("another".to_string(), trace)],
        };
        let picture = intervention_picture(&example, 80);
        assert_eq!(picture.dimensions(), (3 * 80 + 2 * GAP, 80));
        let green = DRAWN[2].2;
        let columns = |from: u32| (from..from + 80).flat_map(|x| (0..80).map(move |y| (x, y)));
        let marks = |from: u32| columns(from).filter(|&(x, y)| *picture.get_pixel(x, y) == green).count();
        let [original, erased, transplanted] = [0, 84, 168].map(marks);
        assert!(original > 20 && transplanted > 20 && erased == 0, "{original} {erased} {transplanted}");
        assert!(
            columns(0).all(|(x, y)| *picture.get_pixel(x, y) != DRAWN[0].2),
            "no filter of the explainer"
        );
        let center = (40.0, 40.0);
        let far = columns(0).filter(|&(x, y)| *picture.get_pixel(x, y) == green);
        assert!(
            far.into_iter().all(|(x, y)| (f64::from(x) - center.0).hypot(f64::from(y) - center.1) < 14.0)
        );
    }
}
