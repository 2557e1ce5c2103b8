//! The field's own figures: keypoint regression, NMI and ARI, part purity, presence.

use explainer_metrics::{
    Halves, LandmarkImages, LandmarkMatching, Landmarks, PresenceImages, ReceptiveField, Responses,
    keypoint_clustering, keypoint_regression, part_purity, presence_auc, strongest_filter_at,
};

use crate::{DIAGONAL, close, one_filter, value};

#[test]
fn presence_by_hand() {
    // Two strata of one half each way: the halves get the same values by construction.
    let strengths = [3.0, 1.0, 2.0, 0.0, 9.0, 1.0, 1.0];
    let visible = [true, true, false, false, true, true, false];
    let strata = [0, 0, 0, 0, 7, 1, 1];
    // Stratum 0: 3 beats both, 1 beats one; stratum 1: a tie; stratum 7 has no pair: 3.5 of 5.
    let photos: Vec<usize> = (0..14).collect();
    let halves = Halves::new(&photos, 0);
    let (first, second): (Vec<usize>, Vec<usize>) =
        photos.iter().partition(|&&photo| halves.of(photo) == Some(0));
    let images = PresenceImages::new(
        visible.repeat(2),
        strata.repeat(2),
        first.iter().chain(&second).copied().collect(),
    )
    .unwrap();
    let responses = one_filter(&strengths.repeat(2).iter().map(|&s| (s, [0.0; 2])).collect::<Vec<_>>());
    let at = LandmarkImages::new(vec![[0.0; 2]; 14], photos.clone(), DIAGONAL).unwrap();
    let matching = LandmarkMatching::new(&at, &responses, &halves).unwrap();
    let auc = presence_auc(&images, &responses, &matching).unwrap();
    close(value(&auc.best), 0.7);
    // Sums of [outcome − 0.7] over pairs: 0.6, −0.4; 2 beats 0 wins 1 − 0.3·2; stratum 1: −0.2 each.
    let sums = [0.6, -0.4, -0.4, 0.6, -0.2, -0.2_f64];
    let squares: f64 = sums.iter().map(|sum| (sum / 5.0).powi(2)).sum();
    // Six photographs with pairs on each half; the two ways are averaged.
    close(auc.all.unwrap().standard_error(), (1.2 * squares * 2.0 / 4.0).sqrt());
    let none = PresenceImages::new(vec![true; 14], vec![0; 14], photos).unwrap();
    assert_eq!(presence_auc(&none, &responses, &matching).unwrap().best, None);
}

#[test]
fn clustering_by_hand() {
    // Landmarks 0 0 1 1, detectors 5 5 5 6: counts 2, 0 / 1, 1.
    let result = keypoint_clustering(&[0, 0, 1, 1], &[5, 5, 5, 6], &[0, 1, 2, 3]).unwrap();
    let (ln2, of_detectors) = (2f64.ln(), 2.0 * 2f64.ln() - 0.75 * 3f64.ln());
    close(value(&result.nmi), 2.0 * (ln2 + of_detectors - 1.5 * ln2) / (ln2 + of_detectors));
    // R = 1, P = 2, Q = 3, E = 6/6: (1 − 1) / (2.5 − 1).
    close(value(&result.ari), 0.0);
    let same = keypoint_clustering(&[0, 0, 1, 1, 2], &[9, 9, 2, 2, 4], &[0, 1, 2, 3, 4]).unwrap();
    close(value(&same.nmi), 1.0);
    close(value(&same.ari), 1.0);
    let independent = keypoint_clustering(&[0, 0, 1, 1], &[0, 1, 0, 1], &[0, 1, 2, 3]).unwrap();
    close(value(&independent.nmi), 0.0);
    // R = 0, P = Q = 2, E = 4/6: (0 − 2/3) / (2 − 2/3).
    close(value(&independent.ari), -0.5);
    let constant = keypoint_clustering(&[0, 0], &[1, 1], &[0, 1]).unwrap();
    assert_eq!((constant.nmi, constant.ari), (None, None));
    let empty = keypoint_clustering(&[], &[], &[]).unwrap();
    assert_eq!((empty.nmi, empty.ari), (None, None));
    assert!(keypoint_clustering(&[0], &[], &[0]).is_err());
}

#[test]
fn the_strongest_filter_at_a_point() {
    let field = ReceptiveField { stride: 10.0, center: 5.0, size: 1 };
    let maps = [0.0, 1.0, 0.0, 0.0, /**/ 0.0, 2.0, 0.5, -1.0];
    let at = |point| strongest_filter_at(&maps, [2, 2], &field, point).unwrap();
    assert_eq!(at([14.0, 2.0]), Some(1));
    assert_eq!(at([-99.0, 14.0]), Some(1));
    assert_eq!(at([0.0, 0.0]), None);
    assert!(strongest_filter_at(&[f32::NAN], [1, 1], &field, [0.0; 2]).is_err());
}

#[test]
fn purity_by_hand() {
    let mut landmarks = Landmarks::new(["head", "tail"]);
    let (near, far) = (Some([16.0, 16.0]), Some([17.0, 0.0]));
    for (head, tail) in [(near, None), (near, near), (far, near), (None, near), (near, near)] {
        landmarks.push([head, tail]);
    }
    // Strongest first: images 4, 0, 1, 2; silent in 3. The second filter never fires.
    let mut responses = Responses::new(2);
    for strength in [4.0, 3.0, 2.0, 0.0, 5.0] {
        responses.push(&[strength, 0.0], &[[0.0; 2]; 2]).unwrap();
    }
    let photos = [0, 1, 2, 3, 4];
    let purity = |strongest| part_purity(&responses, &landmarks, &photos, 32.0, strongest).unwrap();
    // Heads in 4, 0 and 1, tails in 4 and 1 (and 2).
    assert_eq!(purity(3).per_filter, [Some(1.0), None]);
    assert_eq!(purity(10).per_filter, [Some(0.75), None]);
    close(value(&purity(10).mean), 0.75);
    close(purity(10).mean.unwrap().standard_error(), (0.75_f64 * 0.25 / 3.0).sqrt());
    assert_eq!(purity(0).mean, None);
    assert!(part_purity(&responses, &landmarks, &photos, 0.0, 3).is_err());
}

#[test]
fn keypoints_that_follow_the_peaks_are_found() {
    let images = 60;
    let photos: Vec<usize> = (0..images).collect();
    let halves = Halves::new(&photos, 1);
    let mut landmarks = Landmarks::new(["follows", "noise", "rare"]);
    let mut responses = Responses::new(2);
    let mut boxes = Vec::new();
    for image in 0..images {
        let [u, v] = [(image * 7 % 13) as f64 / 13.0, (image * 5 % 11) as f64 / 11.0];
        let extent @ [x, y, width, height] = [image as f64, 3.0, 50.0 + (image % 3) as f64, 40.0];
        boxes.push(extent);
        // In units of the box: the second filter is a mirror of the first and says nothing new.
        responses.push(&[1.0; 2], &[[x + u * width, y + v * height], [x + (1.0 - u) * width, y]]).unwrap();
        let place = [x + (0.2 + 0.5 * u + 0.1 * v) * width, y + (0.9 - 0.7 * v) * height];
        let noise = [x + (image * image % 17) as f64, y + (image % 4) as f64];
        landmarks.push([Some(place), Some(noise), (image < 5).then_some(place)]);
    }
    let result = keypoint_regression(&responses, &landmarks, &boxes, &photos, &halves).unwrap();
    assert!(value(&result.per_landmark[0]) < 1e-12);
    assert!(value(&result.per_landmark[1]) > 0.05);
    assert_eq!(result.per_landmark[2], None);
    close(value(&result.mean), (value(&result.per_landmark[0]) + value(&result.per_landmark[1])) / 2.0);
    boxes[3][2] = 0.0;
    assert!(keypoint_regression(&responses, &landmarks, &boxes, &photos, &halves).is_err());
}
