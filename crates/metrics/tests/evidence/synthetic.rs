//! Two detectors whose figures are known: a blind place, and one that finds its part.

use explainer_metrics::{
    Covariates, Halves, LandmarkData, LandmarkImages, LandmarkMatching, LandmarkResponses, PresenceImages,
    ResidualTracking, Responses, crosstalk, landmark_evidence, presence_auc, residual_tracking, selectivity,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::value;

const SIDE: f64 = 224.0;
const IMAGES: usize = 240;
const FILTERS: usize = 16;
const PARTS: usize = 2;

/// Animals with a head and a tail, which lie about their root and turn with the side faced, up to
/// 15 px of noise that no position knows.
struct Herd {
    roots: Vec<[f64; 2]>,
    sides: Vec<usize>,
    extents: Vec<[f64; 2]>,
    /// Of each part.
    landmarks: Vec<Vec<[f64; 2]>>,
    pasted: Vec<Vec<[f64; 2]>>,
    photos: Vec<usize>,
    visible: Vec<bool>,
}

fn herd() -> Herd {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut herd = Herd {
        roots: Vec::new(),
        sides: Vec::new(),
        extents: Vec::new(),
        landmarks: vec![Vec::new(); PARTS],
        pasted: vec![Vec::new(); PARTS],
        photos: Vec::new(),
        visible: Vec::new(),
    };
    for image in 0..IMAGES {
        let root: [f64; 2] = [(); 2].map(|()| rng.random_range(100.0..124.0));
        let side = rng.random_range(0..2);
        let facing = [-1.0, 1.0][side];
        herd.extents.push([(); 2].map(|()| rng.random_range(100.0..224.0)));
        for part in 0..PARTS {
            let offset = [[45.0 * facing, -20.0], [-45.0 * facing, 10.0]][part];
            let at = [0, 1].map(|axis| root[axis] + offset[axis] + rng.random_range(-15.0..15.0));
            herd.landmarks[part].push(at);
            // Up or down, away from both parts.
            let down = if at[1] < SIDE / 2.0 { 95.0 } else { -95.0 };
            herd.pasted[part].push([at[0], at[1] + down]);
        }
        herd.roots.push(root);
        herd.sides.push(side);
        herd.photos.push(image * 4 / 5);
        herd.visible.push(rng.random_bool(0.7));
    }
    herd
}

/// What was done to an image.
#[derive(Clone, Copy, PartialEq)]
enum Done {
    Nothing,
    Erased(usize),
    ControlErased,
    Moved(usize),
}

/// A detector's strength and peak: filter, image, what was done.
type Detector<'a> = &'a dyn Fn(usize, usize, Done) -> (f64, [f64; 2]);

fn responses(detector: Detector, done: Done) -> Responses {
    let mut responses = Responses::new(FILTERS);
    for image in 0..IMAGES {
        let (strengths, peaks): (Vec<f64>, Vec<[f64; 2]>) =
            (0..FILTERS).map(|filter| detector(filter, image, done)).unzip();
        responses.push(&strengths, &peaks).expect("finite responses");
    }
    responses
}

fn part(herd: &Herd, detector: Detector, part: usize) -> (LandmarkImages, LandmarkResponses) {
    let images = LandmarkImages::new(herd.landmarks[part].clone(), herd.photos.clone(), SIDE.hypot(SIDE))
        .and_then(|images| images.with_pasted(herd.pasted[part].clone()))
        .expect("points");
    let responses = LandmarkResponses::new(responses(detector, Done::Nothing))
        .with_erased(responses(detector, Done::Erased(part)), responses(detector, Done::ControlErased))
        .with_transplanted(responses(detector, Done::Moved(part)));
    (images, responses)
}

fn tracking(herd: &Herd, images: &LandmarkImages, original: &Responses, halves: &Halves) -> ResidualTracking {
    let rows = (0..IMAGES).map(|image| [herd.roots[image], herd.extents[image]].concat()).collect();
    let covariates = Covariates::new(rows, herd.sides.clone()).expect("numbers of each image");
    let matching = LandmarkMatching::new(images, original, halves).expect("known photographs");
    residual_tracking(images, original, &covariates, &matching, 0).expect("tables that fit")
}

#[test]
fn a_blind_place_scores_what_it_should() {
    let herd = herd();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let strengths: Vec<f64> = (0..IMAGES * FILTERS).map(|_| rng.random_range(0.5..1.5)).collect();
    // Root and side, and nothing else; filter 0 is best for the head, filter 15 for the tail.
    let detector = |filter: usize, image: usize, _: Done| {
        let forward = (45.0 - 6.0 * filter as f64) * [-1.0, 1.0][herd.sides[image]];
        let [x, y] = herd.roots[image];
        (strengths[image * FILTERS + filter], [x + forward, y - 20.0 + 2.0 * filter as f64])
    };
    let halves = Halves::new(&herd.photos, 0);
    let parts: Vec<_> = (0..PARTS).map(|index| part(&herd, &detector, index)).collect();
    for (images, responses) in &parts {
        let matching = LandmarkMatching::new(images, &responses.original, &halves).unwrap();
        let evidence = landmark_evidence(images, responses, &matching).unwrap();
        // It is on the part, and yet:
        assert!(value(&evidence.best.hit) > 0.95);
        assert!(value(&evidence.best.stays) > 0.95);
        for figures in [&evidence.best, &evidence.all] {
            assert_eq!(value(&figures.erase_auc), 0.5);
            assert_eq!(value(&figures.transplant_hit), 0.0);
            assert_eq!(value(&figures.gain), 0.0);
            assert_eq!(figures.gain.as_ref().unwrap().standard_error(), 0.0);
        }
        let ResidualTracking { tracking, null } = tracking(&herd, images, &responses.original, &halves);
        assert_eq!((value(&tracking.best), value(&tracking.all)), (0.0, 0.0));
        assert!(value(&null.best).abs() < 0.05);
        let presence =
            PresenceImages::new(herd.visible.clone(), herd.sides.clone(), herd.photos.clone()).unwrap();
        let auc = presence_auc(&presence, &responses.original, &matching).unwrap().best.unwrap();
        assert!((auc.value() - 0.5).abs() < 3.0 * auc.standard_error(), "{auc:?}");
    }
    let data: Vec<LandmarkData> =
        parts.iter().map(|(images, responses)| LandmarkData { images, responses }).collect();
    for of_part in crosstalk(&data, &halves).unwrap() {
        assert_eq!(value(&of_part.best), 0.0);
    }
    assert_eq!(selectivity(&data, &halves, 0).unwrap().unwrap().value, 1.0 / PARTS as f64);
}

#[test]
fn a_clipped_place_is_blind_where_places_are_known() {
    let herd = herd();
    // Not an affine function of root and side.
    let detector = |_: usize, image: usize, _: Done| {
        let [x, y] = herd.roots[image];
        (1.0, [(x / 16.0).round() * 16.0, y.max(112.0)])
    };
    let (images, responses) = part(&herd, &detector, 0);
    let halves = Halves::new(&herd.photos, 0);
    let matching = LandmarkMatching::new(&images, &responses.original, &halves).unwrap();
    let covariates = Covariates::new(vec![vec![]; IMAGES], herd.sides.clone())
        .and_then(|covariates| covariates.with_places(responses.original.clone()))
        .unwrap();
    let result = residual_tracking(&images, &responses.original, &covariates, &matching, 0).unwrap();
    assert_eq!(value(&result.tracking.all), 0.0);
    // Rarely firing, it says nothing; with few images, nothing is measured.
    let rare = responses.original.clone().with_threshold(2.0);
    let result = residual_tracking(&images, &rare, &covariates, &matching, 0).unwrap();
    assert_eq!((value(&result.tracking.all), value(&result.null.all)), (0.0, 0.0));
    let few: Vec<usize> = (0..8).collect();
    let images =
        LandmarkImages::new(herd.landmarks[0][..8].to_vec(), herd.photos[..8].to_vec(), SIDE).unwrap();
    let covariates = Covariates::new(vec![vec![]; 8], herd.sides[..8].to_vec()).unwrap();
    let result =
        residual_tracking(&images, &responses.original.select_images(&few), &covariates, &matching, 0)
            .unwrap();
    assert_eq!(result.tracking.best, None);
}

#[test]
fn a_perfect_detector_scores_one() {
    let herd = herd();
    // The first half of the filters finds heads, the other tails.
    let detector = |filter: usize, image: usize, done: Done| {
        let own = filter * PARTS / FILTERS;
        let at = if done == Done::Moved(own) { &herd.pasted[own] } else { &herd.landmarks[own] };
        (f64::from(done != Done::Erased(own)), at[image])
    };
    let halves = Halves::new(&herd.photos, 0);
    let parts: Vec<_> = (0..PARTS).map(|index| part(&herd, &detector, index)).collect();
    for (images, responses) in &parts {
        let matching = LandmarkMatching::new(images, &responses.original, &halves).unwrap();
        let best = landmark_evidence(images, responses, &matching).unwrap().best;
        assert_eq!(value(&best.erase_auc), 1.0);
        assert_eq!(value(&best.hit), 1.0);
        assert_eq!(value(&best.transplant_hit), 1.0);
        assert_eq!(value(&best.stays), 0.0);
        assert_eq!(value(&best.gain), 1.0);
        assert_eq!(best.gain.unwrap().standard_error(), 0.0);
        let ResidualTracking { tracking, null } = tracking(&herd, images, &responses.original, &halves);
        assert!(value(&tracking.best) > 1.0 - 1e-9);
        assert!(value(&null.best) < 0.1);
        // Silent where the part is not visible.
        let mut seen = Responses::new(FILTERS);
        for image in 0..IMAGES {
            let strength = f64::from(herd.visible[image]);
            seen.push(&[strength; FILTERS], &[[0.0; 2]; FILTERS]).unwrap();
        }
        let presence =
            PresenceImages::new(herd.visible.clone(), herd.sides.clone(), herd.photos.clone()).unwrap();
        assert_eq!(value(&presence_auc(&presence, &seen, &matching).unwrap().best), 1.0);
    }
    let data: Vec<LandmarkData> =
        parts.iter().map(|(images, responses)| LandmarkData { images, responses }).collect();
    for of_part in crosstalk(&data, &halves).unwrap() {
        assert_eq!(value(&of_part.best), 0.0);
    }
    assert_eq!(selectivity(&data, &halves, 0).unwrap().unwrap().value, 1.0);
}
