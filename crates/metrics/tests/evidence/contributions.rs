//! Deletion, preservation, background and distraction, worked by hand.

use explainer_metrics::{
    DeletionImage, DistractionImage, MetricsError, background_independence, deletion, distractibility,
    important_parts,
};

use crate::{close, value};

fn image(photo: usize, contributions: &[f64], drops: &[f64]) -> DeletionImage {
    DeletionImage {
        photo,
        contributions: contributions.to_vec(),
        drops: drops.to_vec(),
        decision: 3,
        without_important: None,
        without_others: None,
    }
}

#[test]
fn single_deletion_by_hand() {
    let images = [
        image(0, &[0.1, 0.5, 0.9], &[1.0, 2.0, 3.0]),    // ρ = 1
        image(1, &[0.1, 0.5, 0.9], &[1.0, 0.5, -3.0]),   // −1
        image(2, &[1.0, 2.0, 3.0], &[10.0, 20.0, 15.0]), // ½
        image(3, &[1.0, 1.0, 1.0], &[10.0, 20.0, 15.0]), // all the same: not measured
        image(4, &[1.0], &[10.0]),                       // a single part
    ];
    let result = deletion(&images).unwrap();
    close(value(&result.single), (1.0 + 0.0 + 0.75) / 3.0);
    assert_eq!(result.single.unwrap().influences().len(), 3);
    assert_eq!((result.deletion, result.preservation), (None, None));
    assert_eq!(deletion(&images[3..]).unwrap().single, None);
    assert_eq!(deletion(&[]).unwrap().single, None);
}

#[test]
fn deletion_and_preservation_by_hand() {
    let of = |photo, without_important, without_others| DeletionImage {
        without_important,
        without_others,
        ..image(photo, &[1.0, 2.0], &[1.0, 2.0])
    };
    let images =
        [of(0, Some(1), Some(3)), of(1, Some(3), Some(3)), of(2, Some(2), None), of(3, Some(0), Some(5))];
    let result = deletion(&images).unwrap();
    close(value(&result.single), 1.0);
    close(value(&result.deletion), 0.75);
    close(value(&result.preservation), 2.0 / 3.0);
    assert_eq!(important_parts(&[0.5, 0.1, 0.2, -1.0], 2.0, 0.1), [0]);
}

#[test]
fn background_and_distraction_by_hand() {
    let scene = |photo, score, without_part: &[f64], without_background: &[f64], important: &[bool]| {
        DistractionImage {
            photo,
            score,
            without_part: without_part.to_vec(),
            without_background: without_background.to_vec(),
            important: Some(important.to_vec()),
        }
    };
    let images = [
        // Relevant: the first part (−5 of 10) and the second object (−0.5, exactly 5%); the
        // second part and the first object are not, and one of the two is said to matter.
        scene(0, 10.0, &[5.0, 9.6], &[12.0, 9.5], &[true, true, false, true]),
        // A negative score: a drop of 0.1 is 5% of 2. No object of the background.
        scene(1, -2.0, &[-2.1, -2.05], &[], &[true, false]),
        // Everything matters: left out of distractibility.
        scene(2, 1.0, &[0.0], &[0.5], &[true, true]),
    ];
    let independence = background_independence(&images).unwrap().unwrap();
    close(independence.value(), 1.0 / 3.0);
    let distracted = distractibility(&images).unwrap().unwrap();
    close(distracted.value(), (0.5 + 1.0) / 2.0);
    assert_eq!(background_independence(&images[1..2]).unwrap(), None);
    assert_eq!(distractibility(&images[2..]).unwrap(), None);
    let unexplained = DistractionImage { important: None, ..images[0].clone() };
    assert_eq!(distractibility(&[unexplained.clone(), unexplained]).unwrap(), None);
}

#[test]
fn bad_contributions_are_named() {
    let error = deletion(&[image(0, &[1.0], &[])]).unwrap_err();
    assert_eq!(error.to_string(), "drops of the parts: expected 1, found 0");
    let error = deletion(&[image(0, &[1.0], &[1.0]), image(0, &[f64::NAN], &[1.0])]).unwrap_err();
    assert!(matches!(error, MetricsError::BadValue { what: "a contribution", index: 1, .. }));
    let scene = DistractionImage {
        photo: 0,
        score: 1.0,
        without_part: vec![1.0],
        without_background: vec![],
        important: Some(vec![]),
    };
    assert!(distractibility(std::slice::from_ref(&scene)).is_err());
    assert!(background_independence(&[DistractionImage { score: f64::INFINITY, ..scene }]).is_err());
}
