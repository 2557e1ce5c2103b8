//! Erasing and transplanting, worked by hand; and what is refused.

use explainer_metrics::{
    Figure, Halves, LandmarkEvidence, LandmarkImages, LandmarkMatching, LandmarkResponses, MetricsError,
    Peaks, ReceptiveField, Responses, filter_evidence, landmark_evidence, rank_filters,
};

use crate::{DIAGONAL, close, one_filter, value};

/// Four images of three photographs; the landmark at x = 10, pasted 20 to the right.
fn by_hand() -> (LandmarkImages, LandmarkResponses) {
    let images = LandmarkImages::new(vec![[10.0, 0.0]; 4], vec![7, 7, 3, 5], DIAGONAL)
        .and_then(|images| images.with_pasted(vec![[30.0, 0.0]; 4]))
        .expect("points and photographs of four images");
    let at = |x: f64| (1.0, [x, 0.0]);
    let silent = (0.0, [10.0, 0.0]);
    let responses = LandmarkResponses::new(one_filter(&[at(10.0), at(19.9), at(20.0), silent]))
        .with_erased(
            one_filter(&[at(0.0), (2.0, [0.0; 2]), at(0.0), silent]),
            one_filter(&[(3.0, [0.0; 2]), at(0.0), at(0.0), silent]),
        )
        .with_transplanted(one_filter(&[at(30.0), at(24.9), at(10.0), at(30.0)]));
    (images, responses)
}

#[test]
fn figures_of_one_filter_by_hand() {
    let (images, responses) = by_hand();
    let figures = filter_evidence(&images, &responses, 0, &[0, 1, 2, 3]).unwrap();
    // Wins 1, 0, ½ and ½; 10 px are no hit, and silence is none.
    close(value(&figures.erase_auc), 0.5);
    close(value(&figures.hit), 0.5);
    close(value(&figures.transplant_hit), 0.75);
    close(value(&figures.stays), 0.25);
    // Moved by 20, 5, −10 and (silent before) 0 along 20 px.
    close(value(&figures.gain), 15.0 / 80.0);
    // Photograph 7 has two of the four images: sums of (a − θ)/4 over photographs are
    // (2 − 1)/4, −½/4, −½/4 for the hits, and the factor is 3/2.
    let hit = figures.hit.unwrap();
    close(hit.standard_error(), (1.5 * (0.0625 + 2.0 * 0.015625_f64)).sqrt());
    assert_eq!(hit.influences().iter().map(|(photo, _)| *photo).collect::<Vec<_>>(), [3, 5, 7]);
    // (⟨d, δ⟩ − θ|δ|²) / Σ|δ|²: θ = 3/16; photographs 7: (500 − 150)/1600, 3: −275/1600, 5: −75/1600.
    let squares = [350.0, 275.0, 75.0].map(|u: f64| (u / 1600.0).powi(2));
    close(figures.gain.unwrap().standard_error(), (1.5 * squares.iter().sum::<f64>()).sqrt());
}

#[test]
fn what_was_not_tried_is_not_measured() {
    let (images, responses) = by_hand();
    let figures = filter_evidence(&images, &LandmarkResponses::new(responses.original), 0, &[0, 2]).unwrap();
    assert!(figures.hit.is_some());
    for absent in [figures.erase_auc, figures.transplant_hit, figures.stays, figures.gain] {
        assert_eq!(absent, None);
    }
    // One photograph has no standard error, no image no figure.
    let (images, responses) = by_hand();
    for few in [&[0, 1][..], &[2], &[]] {
        assert_eq!(filter_evidence(&images, &responses, 0, few).unwrap().hit, None);
    }
    let none = LandmarkImages::new(vec![], vec![], DIAGONAL).unwrap();
    let empty = LandmarkResponses::new(Responses::new(3));
    let halves = Halves::new(&[], 0);
    let matching = LandmarkMatching::new(&none, &empty.original, &halves).unwrap();
    let LandmarkEvidence { best, all } = landmark_evidence(&none, &empty, &matching).unwrap();
    assert_eq!((best.hit, all.hit), (None, None));
}

#[test]
fn a_mean_has_the_usual_standard_error() {
    // Hits of ten photographs, three of them: sd / √10 with sd² = 10/9 · 0.3 · 0.7.
    let images = LandmarkImages::new(vec![[0.0; 2]; 10], (0..10).collect(), DIAGONAL).unwrap();
    let peak = |image| (1.0, [if image < 3 { 0.0 } else { 50.0 }, 0.0]);
    let responses = LandmarkResponses::new(one_filter(&(0..10).map(peak).collect::<Vec<_>>()));
    let all: Vec<usize> = (0..10).collect();
    let hit = filter_evidence(&images, &responses, 0, &all).unwrap().hit.unwrap();
    close(hit.value(), 0.3);
    close(hit.standard_error(), (0.21_f64 / 9.0).sqrt());
}

#[test]
fn differences_are_paired() {
    let images = LandmarkImages::new(vec![[0.0; 2]; 6], (0..6).collect(), DIAGONAL).unwrap();
    let hits = |at: &[usize]| {
        let peak = |image| (1.0, [if at.contains(&image) { 0.0 } else { 50.0 }, 0.0]);
        let responses = LandmarkResponses::new(one_filter(&(0..6).map(peak).collect::<Vec<_>>()));
        filter_evidence(&images, &responses, 0, &[0, 1, 2, 3, 4, 5]).unwrap().hit.unwrap()
    };
    let (a, b) = (hits(&[0, 1, 2, 3]), hits(&[0, 1, 2]));
    // The difference is 1 in one of six: sd² = 6/5 · 1/6 · 5/6 = 1/6.
    let difference = a.difference(&b);
    close(difference.value, 1.0 / 6.0);
    close(difference.standard_error, 1.0 / 6.0);
    assert!(!difference.exceeds_zero());
    assert_eq!(a.difference(&a).standard_error, 0.0);
    let mean = Figure::mean([&a, &b]).unwrap();
    close(mean.value(), 3.5 / 6.0);
    // Per photograph 1, 1, 1, ½, 0, 0.
    close(mean.standard_error(), ((3.25 / 6.0 - (3.5_f64 / 6.0).powi(2)) / 5.0).sqrt());
    assert_eq!(Figure::mean([]), None);
}

#[test]
fn json_is_a_pair() {
    let (images, responses) = by_hand();
    let figures = filter_evidence(&images, &responses, 0, &[2, 3]).unwrap();
    let json = serde_json::to_value(&figures).unwrap();
    // The hits are neither: 10 px away, and silent.
    assert_eq!(json["hit"], serde_json::json!([0.0, 0.0]));
    let erased = LandmarkResponses { transplanted: None, ..responses };
    let json = serde_json::to_value(filter_evidence(&images, &erased, 0, &[2, 3]).unwrap()).unwrap();
    assert!(json["gain"].is_null());
}

#[test]
fn responses_of_maps() {
    let field = ReceptiveField::pixels().then(16, 16, 0);
    let maps = [0.0, 2.0, 0.0, 0.0, /**/ 0.0, 0.0, 0.0, 0.0];
    let responses = Responses::from_maps(&maps, 2, [2, 2], &field).unwrap();
    assert_eq!(responses.peak(0, 0), Some([23.5, 7.5]));
    assert_eq!(responses.peak(1, 0), None);
    assert_eq!(responses.with_threshold(-1.0).peak(1, 0), Some([7.5, 7.5]));
    let mut peaks = Peaks::new(2, [2, 2]);
    peaks.push(&maps).unwrap();
    assert_eq!(Responses::from_peaks(&peaks, &field).strength(0, 0), 2.0);
}

#[test]
fn bad_input_is_named() {
    let mut responses = Responses::new(2);
    let error = responses.push(&[1.0], &[[0.0; 2]; 2]).unwrap_err();
    assert_eq!(error.to_string(), "strengths of an image: expected 2, found 1");
    let error = responses.push(&[1.0, 2.0], &[[0.0, 0.0], [0.0, f64::NAN]]).unwrap_err();
    assert!(error.to_string().starts_with("image 0, filter 1: the peak's y is NaN"));
    assert_eq!(responses.images(), 0);

    assert!(LandmarkImages::new(vec![[0.0; 2]], vec![], DIAGONAL).is_err());
    assert!(LandmarkImages::new(vec![[0.0, f64::INFINITY]], vec![0], DIAGONAL).is_err());
    assert!(LandmarkImages::new(vec![[0.0; 2]], vec![0], 0.0).is_err());
    let images = LandmarkImages::new(vec![[0.0; 2]], vec![4], DIAGONAL).unwrap();
    assert!(images.clone().with_pasted(vec![]).is_err());
    let error = LandmarkMatching::new(&images, &one_filter(&[(1.0, [0.0; 2])]), &Halves::new(&[3], 0));
    assert_eq!(error, Err(MetricsError::UnknownPhoto { image: 0, photo: 4 }));
    let short = LandmarkResponses::new(one_filter(&[]));
    assert!(filter_evidence(&images, &short, 0, &[]).is_err());
}

#[test]
fn filters_are_ranked_by_hits_then_distance() {
    let images = LandmarkImages::new(vec![[0.0; 2]; 2], vec![0, 1], DIAGONAL).unwrap();
    let mut original = Responses::new(5);
    // Distances of each filter in both images; the last one is silent in the second.
    let distances = [[50.0, 9.0], [9.9, 9.9], [9.0, 40.0], [1.0, 2.0], [0.0, 0.0]];
    for image in 0..2 {
        let strengths = [1.0, 1.0, 1.0, 1.0, if image == 0 { 1.0 } else { 0.0 }];
        original.push(&strengths, &distances.map(|of| [0.0, of[image]])).unwrap();
    }
    assert_eq!(rank_filters(&images, &original, &[0, 1]).unwrap(), [3, 1, 2, 0, 4]);
    assert_eq!(rank_filters(&images, &original, &[0]).unwrap(), [4, 3, 2, 1, 0]);
    let halves = Halves::new(&[0, 1], 0);
    let matching = LandmarkMatching::new(&images, &original, &halves).unwrap();
    assert_eq!((matching.best(0).len(), matching.ranked(1).len()), (2, 5));
}

#[test]
fn halves_are_of_photographs() {
    let photos = [9, 4, 4, 7, 9, 1, 5];
    let halves = Halves::new(&photos, 3);
    assert_eq!(halves, Halves::new(&photos, 3));
    let of = |half| [1, 4, 5, 7, 9].iter().filter(|&&photo| halves.of(photo) == Some(half)).count();
    assert_eq!((of(0), of(1)), (3, 2));
    assert_eq!(halves.of(2), None);
    assert!((0..20).any(|seed| Halves::new(&photos, seed) != halves));
}
