use super::*;
use crate::features::floats;
use crate::parts::testing::{CHANNELS, Mosaic, PART, Planted, UNITS, mosaic_features, planted};
use crate::{ExplainerNetwork, FeatureConfig};

const CONFIG: FeatureConfig = FeatureConfig {
    batch_size: 64,
    mirror: false,
    crops: 0,
    seed: 0,
    memory_limit: 1 << 30,
    directory: None,
    half: false,
    progress: false,
};

fn fitted(performer: &Mosaic, objects: &[Planted], seed: u64) -> PartFit {
    let features = mosaic_features(performer, objects, &CONFIG);
    PartFitConfig::new().with_parts(6).with_seed(seed).fit(performer, &features, Some(&features)).unwrap()
}

/// Of each planted part the detector that hits it most often, and in which share of the pictures that show it.
fn best(fit: &PartFit, performer: &Mosaic, unseen: &[Planted]) -> [(usize, f64); 3] {
    let features = mosaic_features(performer, unseen, &CONFIG);
    let rows: Vec<usize> = (0..unseen.len()).collect();
    let evidence = floats(fit.explainer.detectors().evidence(features.batch(&rows).target));
    let parts = fit.explainer.parts();
    let peak = |picture: usize, detector: usize| {
        let map = &evidence[(picture * parts + detector) * UNITS * UNITS..][..UNITS * UNITS];
        let at = (0..map.len()).fold(0, |best, at| if map[at] > map[best] { at } else { best });
        [at / UNITS, at % UNITS]
    };
    std::array::from_fn(|part| {
        let hits = |detector: usize| {
            let shown =
                unseen.iter().enumerate().filter_map(|(at, planted)| Some((at, planted.places[part]?)));
            let (mut hits, mut all) = (0.0, 0.0);
            for (picture, place) in shown {
                let at = peak(picture, detector);
                let inside = (0..2).all(|axis| (place[axis]..place[axis] + PART).contains(&at[axis]));
                (hits, all) = (hits + f64::from(inside), all + 1.0);
            }
            hits / all
        };
        let shares = (0..parts).map(|detector| (detector, hits(detector)));
        shares.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    })
}

#[test]
fn planted_parts_are_found_where_they_are_and_missed_where_they_are_not() {
    let performer = Mosaic::new(1);
    let fit = fitted(&performer, &planted(150, 1), 0);
    let unseen = planted(60, 2);
    let found = best(&fit, &performer, &unseen);
    for (part, (_, share)) in found.iter().enumerate() {
        assert!(*share > 0.95, "part {part} is hit in {share} of the pictures that show it");
    }
    let detectors = found.map(|(detector, _)| detector);
    assert!(detectors[0] != detectors[1] && detectors[1] != detectors[2] && detectors[0] != detectors[2]);
    // Whether a part is there is what the probability says.
    let features = mosaic_features(&performer, &unseen, &CONFIG);
    let rows: Vec<usize> = (0..unseen.len()).collect();
    let presence = floats(fit.explainer.tracks(features.batch(&rows).target).presence);
    let (mut right, mut all) = (0, 0);
    for (picture, planted) in unseen.iter().enumerate() {
        for (part, detector) in detectors.iter().enumerate() {
            let said = presence[picture * fit.explainer.parts() + detector] > 0.5;
            right += usize::from(said == planted.places[part].is_some());
            all += 1;
        }
    }
    assert!(right * 100 >= 95 * all, "presence is right for {right} of {all}");
    // Detectors of mere noise have a smaller margin than those of parts.
    let margins = fit.explainer.detectors().margins();
    assert!(margins.is_sorted_by(|a, b| a >= b), "{margins:?}");
    assert!(detectors.iter().all(|&detector| detector < 3), "{detectors:?} are ranked first by {margins:?}");
}

#[test]
fn another_seed_finds_the_same_parts_and_so_does_a_network_of_other_units() {
    let performer = Mosaic::new(1);
    let (objects, unseen) = (planted(150, 1), planted(60, 2));
    // A power of two, so that nothing is rounded otherwise.
    let louder = Mosaic { scale: 64.0, ..Mosaic::new(1) };
    for (performer, seed) in [(&performer, 5), (&louder, 0)] {
        let fit = fitted(performer, &objects, seed);
        let found = best(&fit, performer, &unseen);
        assert!(found.iter().all(|(_, share)| *share > 0.95), "{found:?}");
    }
    let [own, other] = [&performer, &louder].map(|performer| {
        let fit = fitted(performer, &objects, 0);
        let features = mosaic_features(performer, &unseen, &CONFIG);
        floats(fit.explainer.detectors().evidence(features.batch(&[0, 1, 2]).target))
    });
    let largest = own.iter().fold(0f32, |most, value| most.max(value.abs()));
    let difference = own.iter().zip(&other).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference < 1e-2 * largest, "{difference} of {largest}");
}

#[test]
fn a_direction_turns_to_the_weighted_means_of_an_oracle() {
    let performer = Mosaic::new(3);
    let features = mosaic_features(&performer, &planted(12, 4), &CONFIG);
    let pictures = Pictures::of(&features).unwrap();
    let directions = pictures.starts(1)[..2 * pictures.dimensions].to_vec();
    let peaks = pictures.peaks(&directions);
    let turned = pictures.turned(&directions, &peaks);
    let (d, units) = (pictures.dimensions, UNITS * UNITS);
    for detector in 0..2 {
        let w = &directions[detector * d..][..d];
        let score = |pictures: &[f32], picture: usize, unit: usize| -> f64 {
            (0..d).map(|at| f64::from(pictures[(picture * units + unit) * d + at]) * f64::from(w[at])).sum()
        };
        let argmax = |pictures: &[f32], picture: usize, skip: Option<usize>| {
            let mut best: Option<usize> = None;
            for unit in 0..units {
                let near = skip.is_some_and(|peak| {
                    let rows = (unit / UNITS).abs_diff(peak / UNITS);
                    rows <= 2 && (unit % UNITS).abs_diff(peak % UNITS) <= 2
                });
                if !near && best.is_none_or(|b| score(pictures, picture, unit) > score(pictures, picture, b))
                {
                    best = Some(unit);
                }
            }
            best.unwrap()
        };
        let mut found: Vec<(usize, usize, usize)> = (0..12)
            .map(|picture| {
                let peak = argmax(&pictures.objects, picture, None);
                (picture, peak, argmax(&pictures.objects, picture, Some(peak)))
            })
            .collect();
        let strength = |&(picture, peak, _): &(usize, usize, usize)| score(&pictures.objects, picture, peak);
        found.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
        found.truncate(8);
        let mut mean = vec![0.0; d];
        for (at, mean) in mean.iter_mut().enumerate() {
            for &(picture, peak, next) in &found {
                let z = |unit: usize| f64::from(pictures.objects[(picture * units + unit) * d + at]);
                *mean += (z(peak) - 0.5 * z(next)) / 8.0;
            }
            for picture in 0..12 {
                let peak = argmax(&pictures.others, picture, None);
                *mean -= 0.3 * f64::from(pictures.others[(picture * units + peak) * d + at]) / 12.0;
            }
        }
        let length = mean.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (at, value) in mean.iter().enumerate() {
            let found = f64::from(turned[detector * d + at]);
            assert!((found - value / length).abs() < 1e-5, "{detector} {at}: {found}, {}", value / length);
        }
    }
}

#[test]
fn the_tracks_add_up_and_parts_carry_what_lies_under_their_masks() {
    let performer = Mosaic::new(2);
    let objects = planted(80, 6);
    let fit = fitted(&performer, &objects, 0);
    let features = mosaic_features(&performer, &objects, &CONFIG);
    let target = features.batch(&[0, 1, 2, 3]).target;
    let tracks = fit.explainer.tracks(target.clone());
    let sum = floats(tracks.interpretable.clone() + tracks.ordinary);
    let whole = floats(target.clone());
    assert!(sum.iter().zip(&whole).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0)));
    let carried = floats(tracks.masks.clone().sum_dim(1));
    assert!(carried.iter().all(|&mask| (0.0..=1.0 + 1e-6).contains(&mask)));
    let (evidence, presence, masks) =
        (floats(tracks.evidence), floats(tracks.presence), floats(tracks.masks));
    let units = UNITS * UNITS;
    for (at, (map, mask)) in evidence.chunks_exact(units).zip(masks.chunks_exact(units)).enumerate() {
        let peak = (0..units).fold(0, |best, at| if map[at] > map[best] { at } else { best });
        assert!((1.0 / (1.0 + (-map[peak]).exp()) - presence[at]).abs() < 1e-5);
        for (unit, &value) in mask.iter().enumerate() {
            let near = (unit / UNITS).abs_diff(peak / UNITS).max((unit % UNITS).abs_diff(peak % UNITS)) <= 2;
            assert!(if near { value <= presence[at] + 1e-6 } else { value == 0.0 });
        }
    }
    let figures = fit.validation.unwrap();
    assert!(figures.relative_error.iter().all(|&error| error < 1e-9), "{figures:?}");
    assert_eq!(figures.agreement, 1.0);
    assert!(figures.mass_share > 0.0 && figures.mass_share < 1.0, "{figures:?}");
}

#[test]
fn contributions_add_up_to_the_score_and_are_those_of_the_path() {
    let performer = Mosaic::new(7);
    let objects = planted(60, 8);
    let fit = fitted(&performer, &objects, 0);
    let features = mosaic_features(&performer, &objects, &CONFIG);
    let target = features.batch(&[0, 1, 2]).target;
    let found = fit.explainer.contributions(&performer, target.clone(), &[0, 2, 1]).unwrap();
    let masks = floats(fit.explainer.tracks(target.clone()).masks);
    let (x, mean) = (floats(target), floats(fit.explainer.mean()));
    let units = UNITS * UNITS;
    let weight = floats(performer.head_weight());
    for (picture, found) in found.iter().enumerate() {
        assert!(found.remainder() < 1e-3, "{found:?}");
        // tanh acts on each feature by itself, so that the integral is known: w (tanh x − tanh x̄).
        let given = |unit: usize| -> f64 {
            (0..CHANNELS)
                .map(|channel| {
                    let at = channel * units + unit;
                    let slope = f64::from(weight[channel * 3 + found.class]) * 10.0 / units as f64;
                    slope
                        * (f64::from(x[picture * CHANNELS * units + at]).tanh() - f64::from(mean[at]).tanh())
                })
                .sum()
        };
        let scale = found.filters.iter().fold(found.ordinary.abs(), |most, given| most.max(given.abs()));
        for (part, value) in found.filters.iter().enumerate() {
            let mask = &masks[(picture * fit.explainer.parts() + part) * units..][..units];
            let expected: f64 = (0..units).map(|unit| f64::from(mask[unit]) * given(unit)).sum();
            assert!((value - expected).abs() < 2e-2 * scale, "{picture} {part}: {value}, {expected}");
        }
    }
}

#[test]
fn without_a_part_its_place_has_the_mean() {
    let performer = Mosaic::new(7);
    let objects = planted(60, 8);
    let fit = fitted(&performer, &objects, 0);
    let features = mosaic_features(&performer, &objects, &CONFIG);
    let target = features.batch(&[5]).target;
    let groups = [vec![], vec![1], vec![0, 2]];
    let found = floats(fit.explainer.scores_without(&performer, target.clone(), &groups));
    let masks = fit.explainer.tracks(target.clone()).masks;
    for (group, found) in groups.iter().zip(found.chunks_exact(3)) {
        let mut kept = masks.clone().sum_dim(1).ones_like();
        for &part in group {
            kept = kept - masks.clone().narrow(1, part, 1);
        }
        let mean = fit.explainer.mean().unsqueeze::<4>();
        let changed = target.clone() * kept.clone() + mean * (kept.ones_like() - kept);
        let expected = floats(performer.forward_from_target(changed).scores);
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {expected:?}");
    }
}

#[test]
fn every_form_of_explainer_answers_alike() {
    let performer = Mosaic::new(7);
    let objects = planted(60, 8);
    let fit = fitted(&performer, &objects, 0);
    let network: &dyn ExplainerNetwork<Mosaic> = &fit.explainer;
    let features = mosaic_features(&performer, &objects, &CONFIG);
    let target = features.batch(&[0, 1]).target;
    assert_eq!(network.filters(), fit.explainer.parts());
    let maps = network.part_maps(target.clone()).pop().unwrap();
    assert_eq!(maps.dims(), [2, network.filters(), UNITS, UNITS]);
    let upper = network.reconstructed(&performer, target.clone());
    let own = performer.forward_from_target(target.clone()).upper;
    let difference = (upper[0].clone() - own[0].clone()).abs().max().into_scalar::<f32>();
    assert!(difference < 1e-4, "{difference}");
    let heat = network.part_heat(&performer, target, &[0, 1]).unwrap();
    assert_eq!(heat.dims(), [2, UNITS, UNITS]);
    assert!(heat.min().into_scalar::<f32>() >= 0.0);
}

#[test]
fn a_saved_explainer_says_the_same_and_of_its_own_performer_only() {
    let performer = Mosaic::new(7);
    let objects = planted(60, 8);
    let fit = fitted(&performer, &objects, 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("explainer.safetensors");
    let notes = [("parts".to_string(), "red, green, blue".to_string())].into();
    fit.explainer.save(&path, &performer, notes).unwrap();
    let device = fit.explainer.device();
    let (loaded, notes) = PartExplainer::load(&path, &performer, &device).unwrap();
    assert_eq!(notes["parts"], "red, green, blue");
    let pixels = &objects[0].pixels;
    assert_eq!(
        loaded.explain(&performer, pixels).unwrap(),
        fit.explainer.explain(&performer, pixels).unwrap()
    );

    let refused = |result: Result<(PartExplainer, _), CoreError>| match result {
        Err(error @ CoreError::File { .. }) => error.to_string(),
        other => panic!("expected a file's error, found {:?}", other.map(|_| ())),
    };
    let other = PartExplainer::load(&path, &Mosaic::new(8), &device);
    assert!(refused(other).contains("another network"));
    let junk = folder.path().join("junk.safetensors");
    std::fs::write(&junk, vec![0xffu8; 64]).unwrap();
    assert!(refused(PartExplainer::load(&junk, &performer, &device)).contains("no safetensors file"));
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let place = text.find(r#"\"format\":1"#).expect("the format stands in the header");
    let mut newer = bytes.clone();
    newer[place + r#"\"format\":"#.len()] = b'2';
    std::fs::write(&junk, newer).unwrap();
    assert!(refused(PartExplainer::load(&junk, &performer, &device)).contains("format 2, expected 1"));
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let performer = Mosaic::new(1);
    let features = mosaic_features(&performer, &planted(1, 1), &CONFIG);
    let error = PartFitConfig::new().fit(&performer, &features, None).unwrap_err();
    assert!(matches!(error, CoreError::TooFew { expected: 2, found: 1, .. }), "{error}");
}
