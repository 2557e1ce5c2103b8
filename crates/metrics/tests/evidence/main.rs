//! Figures of evidence: worked by hand, against slow oracles, and of detectors whose figures are known.

mod contributions;
mod field;
mod interventions;
mod oracle;
mod rendered;
mod synthetic;

use explainer_metrics::{Figure, Responses};

/// Of all images, so that 10 px are no hit and 9 are one.
const DIAGONAL: f64 = 100.0;

/// One filter's strengths and peaks, image by image.
fn one_filter(of_image: &[(f64, [f64; 2])]) -> Responses {
    let mut responses = Responses::new(1);
    for &(strength, peak) in of_image {
        responses.push(&[strength], &[peak]).expect("finite responses of one filter");
    }
    responses
}

fn value(figure: &Option<Figure>) -> f64 {
    figure.as_ref().expect("a measured figure").value()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-12, "{a} is not {b}");
}
