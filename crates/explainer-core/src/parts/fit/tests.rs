use super::*;
use crate::features::floats;
use crate::parts::testing::{CHANNELS, Mosaic, PART, Planted, UNITS, mosaic_features, planted};
use crate::{ExplainerNetwork, FeatureConfig};

/// As parts are fitted.
fn config() -> FeatureConfig {
    FeatureConfig::of_parts().with_progress(false)
}

/// Each picture as it is, so that rows are pictures.
fn plain() -> FeatureConfig {
    FeatureConfig::plain().with_progress(false)
}

fn fitted(performer: &Mosaic, objects: &[Planted], seed: u64) -> PartFit {
    let features = mosaic_features(performer, objects, &config());
    PartFitConfig::new().with_parts(6).with_seed(seed).fit(performer, &features, Some(&features)).unwrap()
}

/// Of each planted part the detector that hits it most often, and in which share of the pictures that show it.
fn best(fit: &PartFit, performer: &Mosaic, unseen: &[Planted]) -> [(usize, f64); 3] {
    let features = mosaic_features(performer, unseen, &plain());
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
    let features = mosaic_features(&performer, &unseen, &plain());
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
        let features = mosaic_features(performer, &unseen, &plain());
        floats(fit.explainer.detectors().evidence(features.batch(&[0, 1, 2]).target))
    });
    let largest = own.iter().fold(0f32, |most, value| most.max(value.abs()));
    let difference = own.iter().zip(&other).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference < 1e-2 * largest, "{difference} of {largest}");
}

#[test]
fn a_direction_turns_to_the_weighted_means_of_an_oracle() {
    for transplant in [false, true] {
        turned_like_the_oracle(transplant);
    }
}

fn turned_like_the_oracle(transplant: bool) {
    const PICTURES: usize = 60;
    let performer = Mosaic::new(3);
    let objects = planted(PICTURES, 4);
    let features = mosaic_features(&performer, &objects, &config().with_transplant(transplant));
    let pictures = Pictures::of(&features, performer.target_field()).unwrap();
    let directions = pictures.starts(1)[..2 * pictures.dimensions].to_vec();
    let peaks = pictures.peaks(&directions);
    let turned = pictures.turned(&directions, &peaks);
    let (d, units) = (pictures.dimensions, UNITS * UNITS);
    let embedded = |row: usize| -> Vec<f64> {
        let directions = directions_of(&pictures, &features, row);
        directions.into_iter().map(f64::from).collect()
    };
    let mut eligible = 0;
    for detector in 0..2 {
        let w = &directions[detector * d..][..d];
        let score =
            |z: &[f64], unit: usize| -> f64 { (0..d).map(|at| z[unit * d + at] * f64::from(w[at])).sum() };
        let argmax = |z: &[f64], skip: Option<usize>| {
            let mut best: Option<usize> = None;
            for unit in 0..units {
                let near = skip.is_some_and(|peak| {
                    let rows = (unit / UNITS).abs_diff(peak / UNITS);
                    rows <= 2 && (unit % UNITS).abs_diff(peak % UNITS) <= 2
                });
                if !near && best.is_none_or(|b| score(z, unit) > score(z, b)) {
                    best = Some(unit);
                }
            }
            best.unwrap()
        };
        let mut found: Vec<(f64, usize)> = (0..PICTURES)
            .map(|picture| {
                let z = embedded(picture * features.views());
                (score(&z, argmax(&z, None)), picture)
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.truncate(42);
        let (mut sum, mut weights) = (vec![0.0; d], 0.0);
        let mut add = |z: &[f64], peak: usize, weight: f64| {
            let next = argmax(z, Some(peak));
            for (at, sum) in sum.iter_mut().enumerate() {
                *sum += weight * (z[peak * d + at] - 0.5 * z[next * d + at]);
            }
            weights += weight;
        };
        for &(_, picture) in &found {
            let z = embedded(picture * features.views());
            let peak = argmax(&z, None);
            add(&z, peak, 1.0);
            let Some(square) = features.transplant(picture) else { continue };
            let [row, column] = [peak / UNITS, peak % UNITS];
            // A unit's three pixels lie between half a unit within the square's edges and further in.
            let within = |unit: usize, center: f64| {
                let middle = (unit * 3) as f64 + 1.5;
                (middle - center).abs() <= square.half - 1.5
            };
            if within(row, square.center[1]) && within(column, square.center[0]) {
                let [right, down] = square.by;
                let moved = (row as i64 + down) * UNITS as i64 + column as i64 + right;
                add(&embedded((picture + 1) * features.views() - 1), moved as usize, 2.0);
                eligible += 1;
            }
        }
        for at in 0..d {
            sum[at] /= weights;
            for picture in PICTURES..2 * PICTURES {
                let z = embedded(picture * features.views());
                sum[at] -= 0.3 * z[argmax(&z, None) * d + at] / PICTURES as f64;
            }
        }
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        for (at, value) in sum.iter().enumerate() {
            let found = f64::from(turned[detector * d + at]);
            assert!((found - value / length).abs() < 1e-5, "{detector} {at}: {found}, {}", value / length);
        }
    }
    assert_eq!(eligible > 0, transplant, "{eligible} peaks were moved");
}

/// z of all units of a row.
fn directions_of(pictures: &Pictures, features: &Features, row: usize) -> Vec<f32> {
    floats(pictures.embedding.forward(features.batch(&[row]).target))
}

#[test]
fn the_tracks_add_up_and_parts_carry_what_lies_under_their_masks() {
    let performer = Mosaic::new(2);
    let objects = planted(80, 6);
    let fit = fitted(&performer, &objects, 0);
    let features = mosaic_features(&performer, &objects, &config());
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
    let features = mosaic_features(&performer, &objects, &config());
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
    let features = mosaic_features(&performer, &objects, &config());
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
fn places_alone_are_mean_places() {
    let performer = Mosaic::new(7);
    let objects = planted(60, 8);
    let fit = fitted(&performer, &objects, 0);
    let features = mosaic_features(&performer, &objects, &config());
    let (parts, units) = (fit.explainer.parts(), UNITS * UNITS);
    let rows: Vec<usize> = (0..objects.len()).map(|picture| picture * features.views()).collect();
    let tracks = fit.explainer.tracks(features.batch(&rows).target);
    let (evidence, presence) = (floats(tracks.evidence), floats(tracks.presence));
    let places = floats(fit.explainer.at_places(features.batch(&rows[..2]).target));
    let peak = |map: &[f32]| (0..units).fold(0, |best, at| if map[at] > map[best] { at } else { best });
    for part in 0..parts {
        let (mut row, mut column, mut sum) = (0.0, 0.0, 0.0);
        for picture in 0..objects.len() {
            let at = picture * parts + part;
            let unit = peak(&evidence[at * units..][..units]);
            row += presence[at] * (unit / UNITS) as f32;
            column += presence[at] * (unit % UNITS) as f32;
            sum += presence[at];
        }
        for picture in 0..2 {
            let map = &places[(picture * parts + part) * units..][..units];
            let found = peak(map);
            let near = |unit: usize, place: f32| (unit as f32 - place).abs() < 0.501;
            assert!(near(found / UNITS, row / sum) && near(found % UNITS, column / sum), "{found}");
            assert_eq!((map[found], map.iter().sum::<f32>()), (1.0, 1.0));
        }
    }
}

#[test]
fn every_form_of_explainer_answers_alike() {
    let performer = Mosaic::new(7);
    let objects = planted(60, 8);
    let fit = fitted(&performer, &objects, 0);
    let network: &dyn ExplainerNetwork<Mosaic> = &fit.explainer;
    let features = mosaic_features(&performer, &objects, &config());
    let target = features.batch(&[0, 1]).target;
    assert_eq!(network.filters(), fit.explainer.parts());
    let maps = network.part_maps(target.clone());
    assert_eq!(maps[0].dims()[1], fit.explainer.detectors().embedding().dims()[1]);
    assert_eq!(maps[1].dims(), [2, network.filters(), UNITS, UNITS]);
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
    let format = br#"\"format\":2"#;
    let place = bytes.windows(format.len()).position(|found| found == format).expect("the format");
    let mut newer = bytes.clone();
    newer[place + r#"\"format\":"#.len()] = b'3';
    std::fs::write(&junk, newer).unwrap();
    assert!(refused(PartExplainer::load(&junk, &performer, &device)).contains("format 3, expected 2"));
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let performer = Mosaic::new(1);
    let features = mosaic_features(&performer, &planted(1, 1), &config());
    let error = PartFitConfig::new().fit(&performer, &features, None).unwrap_err();
    assert!(matches!(error, CoreError::TooFew { expected: 2, found: 1, .. }), "{error}");
}
