//! Figures against slow ones, written from the definitions with plain loops.
//!
//! Standard errors too: the influence of a photograph is the derivative of the figure with respect
//! to the weight of its images, taken by finite differences.

use explainer_metrics::{
    Covariates, Figure, Halves, LandmarkData, LandmarkImages, LandmarkMatching, LandmarkResponses, Landmarks,
    PresenceImages, Responses, crosstalk, keypoint_clustering, keypoint_regression, landmark_evidence,
    presence_auc, residual_tracking, selectivity,
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

const FILTERS: usize = 17;
const IMAGES: usize = 90;
const DIAGONAL: f64 = 300.0;

struct World {
    images: LandmarkImages,
    responses: LandmarkResponses,
    halves: Halves,
}

/// Whole numbers, so that ties abound; one photograph in three has two images. Filters follow the
/// landmark more or less, and are silent now and then.
fn world(seed: u64) -> World {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let photos: Vec<usize> = (0..IMAGES).map(|image| 5 * (image * 3 / 4)).collect();
    let mut point = || [(); 2].map(|()| f64::from(rng.random_range(20..200)));
    let landmarks: Vec<[f64; 2]> = (0..IMAGES).map(|_| point()).collect();
    let pasted: Vec<[f64; 2]> = (0..IMAGES).map(|_| point()).collect();
    let mut tables = vec![Responses::new(FILTERS); 4];
    for image in 0..IMAGES {
        for (table, responses) in tables.iter_mut().enumerate() {
            let part = if table == 3 { pasted[image] } else { landmarks[image] };
            let strengths: Vec<f64> = (0..FILTERS).map(|_| f64::from(rng.random_range(0..5))).collect();
            let peaks: Vec<[f64; 2]> = (0..FILTERS)
                .map(|filter| {
                    let reach = 2.0 + 10.0 * filter as f64;
                    [0, 1].map(|axis| (part[axis] + rng.random_range(-reach..reach)).round())
                })
                .collect();
            responses.push(&strengths, &peaks).expect("finite responses");
        }
    }
    let images = LandmarkImages::new(landmarks, photos.clone(), DIAGONAL)
        .and_then(|images| images.with_pasted(pasted))
        .expect("points");
    let [original, erased, control, transplanted] = tables.try_into().expect("four tables");
    let responses =
        LandmarkResponses::new(original).with_erased(erased, control).with_transplanted(transplanted);
    World { images, responses, halves: Halves::new(&photos, seed) }
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt()
}

/// The images of a half.
fn of_half(world: &World, half: usize) -> Vec<usize> {
    (0..IMAGES).filter(|&image| world.halves.of(world.images.photos()[image]) == Some(half)).collect()
}

/// The filters matched on a half: the best two of seventeen, or all of them.
fn matched(world: &World, half: usize, all: bool) -> Vec<usize> {
    let images = of_half(world, half);
    let mut scores = Vec::new();
    for filter in 0..FILTERS {
        let (mut hits, mut sum) = (0, 0.0);
        for &image in &images {
            let response = world.responses.original.get(filter, image);
            let away = distance(response.peak, world.images.landmarks()[image]);
            if response.strength > 0.0 {
                hits += i32::from(away < 0.1 * DIAGONAL);
                sum += away;
            } else {
                sum += DIAGONAL;
            }
        }
        scores.push((-hits, sum, filter));
    }
    scores.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    scores.truncate(if all { FILTERS } else { 2 });
    scores.into_iter().map(|(.., filter)| filter).collect()
}

/// `of(filter, half, weights of images)` averaged over filters and both ways round.
fn both_ways(world: &World, all: bool, weights: &[f64], of: impl Fn(usize, usize, &[f64]) -> f64) -> f64 {
    let mut sum = 0.0;
    for half in 0..2 {
        let filters = matched(world, 1 - half, all);
        for &filter in &filters {
            sum += of(filter, half, weights) / filters.len() as f64 / 2.0;
        }
    }
    sum
}

/// Compares a figure with a function of the images' weights: its value, and its standard error by
/// derivatives; `groups` are the photographs within which influences are corrected.
fn check(figure: &Option<Figure>, photos: &[usize], groups: &[Vec<usize>], of: impl Fn(&[f64]) -> f64) {
    let figure = figure.as_ref().expect("a measured figure");
    let ones = vec![1.0; photos.len()];
    let value = of(&ones);
    assert!((figure.value() - value).abs() < 1e-9, "{} is not {value}", figure.value());
    let mut variance = 0.0;
    for group in groups {
        let count = group.len() as f64;
        for photo in group {
            let at = |step: f64| {
                let weight = |(&of, one): (&usize, &f64)| if of == *photo { one + step } else { *one };
                of(&photos.iter().zip(&ones).map(weight).collect::<Vec<f64>>())
            };
            let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
            variance += count / (count - 1.0) * slope * slope;
        }
    }
    let error = variance.sqrt();
    assert!((figure.standard_error() - error).abs() < 1e-6 * (1.0 + error), "{figure:?}: {error}");
}

/// The photographs of each half.
fn photos_of_halves(world: &World) -> Vec<Vec<usize>> {
    let of = |half: usize| {
        let mut photos: Vec<usize> =
            of_half(world, half).iter().map(|&image| world.images.photos()[image]).collect();
        photos.dedup();
        photos
    };
    vec![of(0), of(1)]
}

fn ratio(terms: impl Iterator<Item = [f64; 2]>) -> f64 {
    let (mut above, mut below) = (0.0, 0.0);
    for [a, b] in terms {
        above += a;
        below += b;
    }
    above / below
}

fn hit(response: explainer_metrics::Response, point: [f64; 2]) -> f64 {
    f64::from(response.strength > 0.0 && distance(response.peak, point) < 0.1 * DIAGONAL)
}

#[test]
fn interventions() {
    for seed in 0..4 {
        let world = world(seed);
        let World { images, responses, halves } = &world;
        let matching = LandmarkMatching::new(images, &responses.original, halves).unwrap();
        let evidence = landmark_evidence(images, responses, &matching).unwrap();
        let erased = responses.erased.as_ref().unwrap();
        let moved = responses.transplanted.as_ref().unwrap();
        let (landmarks, pasted) = (images.landmarks(), images.pasted().unwrap());
        let erase = |filter, image| {
            let difference = erased.control.strength(filter, image) - erased.landmark.strength(filter, image);
            (difference.signum() * f64::from(difference != 0.0) + 1.0) / 2.0
        };
        let gain = |filter, image: usize| {
            let (before, after) = (responses.original.get(filter, image), moved.get(filter, image));
            let mut along = 0.0;
            let mut square = 0.0;
            for axis in 0..2 {
                let delta = pasted[image][axis] - landmarks[image][axis];
                square += delta * delta;
                if before.strength > 0.0 && after.strength > 0.0 {
                    along += (after.peak[axis] - before.peak[axis]) * delta;
                }
            }
            [along, square]
        };
        for all in [false, true] {
            let figures = if all { &evidence.all } else { &evidence.best };
            let compare = |figure: &Option<Figure>, terms: &dyn Fn(usize, usize) -> [f64; 2]| {
                check(figure, images.photos(), &photos_of_halves(&world), |weights| {
                    both_ways(&world, all, weights, |filter, half, weights| {
                        let images = of_half(&world, half);
                        ratio(
                            images.into_iter().map(|image| terms(filter, image).map(|t| t * weights[image])),
                        )
                    })
                });
            };
            compare(&figures.erase_auc, &|filter, image| [erase(filter, image), 1.0]);
            compare(&figures.hit, &|filter, image| {
                [hit(responses.original.get(filter, image), landmarks[image]), 1.0]
            });
            compare(&figures.transplant_hit, &|filter, image| {
                [hit(moved.get(filter, image), pasted[image]), 1.0]
            });
            compare(&figures.stays, &|filter, image| [hit(moved.get(filter, image), landmarks[image]), 1.0]);
            compare(&figures.gain, &gain);
        }
    }
}

/// The solution of the normal equations, by elimination with pivots.
fn solve(rows: &[Vec<f64>], targets: &[f64]) -> Vec<f64> {
    let width = rows[0].len();
    let mut matrix = vec![vec![0.0; width + 1]; width];
    for (row, target) in rows.iter().zip(targets) {
        for i in 0..width {
            for j in 0..width {
                matrix[i][j] += row[i] * row[j];
            }
            matrix[i][width] += row[i] * target;
        }
    }
    for at in 0..width {
        let pivot = (at..width).max_by(|&a, &b| matrix[a][at].abs().total_cmp(&matrix[b][at].abs()));
        matrix.swap(at, pivot.expect("a row"));
        let row = matrix[at].clone();
        for (_, other) in matrix.iter_mut().enumerate().filter(|(other, _)| *other != at) {
            let factor = other[at] / row[at];
            other.iter_mut().zip(&row).for_each(|(cell, own)| *cell -= factor * own);
        }
    }
    (0..width).map(|at| matrix[at][width] / matrix[at][at]).collect()
}

fn predict(coefficients: &[f64], row: &[f64]) -> f64 {
    coefficients.iter().zip(row).map(|(c, x)| c * x).sum()
}

#[test]
fn residuals() {
    for seed in 0..3 {
        let world = world(seed);
        let World { images, responses, halves } = &world;
        let original = &responses.original;
        let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
        let sides: Vec<usize> = (0..IMAGES).map(|_| rng.random_range(4..6)).collect();
        let rows: Vec<Vec<f64>> =
            (0..IMAGES).map(|_| (0..2).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let mut places = Responses::new(FILTERS);
        for image in 0..IMAGES {
            let near = |filter: usize| {
                original.get(filter, image).peak.map(|at| at + 40.0 * rng.random_range(-1.0..1.0))
            };
            places.push(&[0.0; FILTERS], &(0..FILTERS).map(near).collect::<Vec<_>>()).unwrap();
        }
        let covariates =
            Covariates::new(rows.clone(), sides.clone()).unwrap().with_places(places.clone()).unwrap();
        let matching = LandmarkMatching::new(images, original, halves).unwrap();
        let result = residual_tracking(images, original, &covariates, &matching, seed).unwrap();

        // The folds: distinct photographs in a random order, dealt in turn.
        let mut distinct = images.photos().to_vec();
        distinct.dedup();
        distinct.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let fold_of = |image: usize| {
            distinct.iter().position(|&photo| photo == images.photos()[image]).expect("a photograph") % 5
        };
        // |e|² without and with the peak, of each filter and image.
        let mut errors = vec![vec![[0.0; 2]; IMAGES]; FILTERS];
        for (filter, errors) in errors.iter_mut().enumerate() {
            let row = |image: usize| {
                let mut row = vec![1.0, rows[image][0], rows[image][1], f64::from(sides[image] == 5)];
                row.extend(places.get(filter, image).peak);
                row
            };
            for fold in 0..5 {
                let (held, fitted): (Vec<usize>, Vec<usize>) =
                    (0..IMAGES).partition(|&image| fold_of(image) == fold);
                let fired: Vec<usize> =
                    fitted.iter().copied().filter(|&i| original.get(filter, i).strength > 0.0).collect();
                let line = |images: &[usize], of: &dyn Fn(usize) -> f64| {
                    let rows: Vec<Vec<f64>> = images.iter().map(|&image| row(image)).collect();
                    solve(&rows, &images.iter().map(|&image| of(image)).collect::<Vec<_>>())
                };
                let lines = [0, 1].map(|axis| {
                    let of_landmark = line(&fitted, &|image| images.landmarks()[image][axis]);
                    let of_peak = line(&fired, &|image| original.get(filter, image).peak[axis]);
                    [of_landmark, of_peak]
                });
                let left = |image: usize, axis: usize| {
                    let response = original.get(filter, image);
                    let landmark = images.landmarks()[image][axis] - predict(&lines[axis][0], &row(image));
                    let peak = response.peak[axis] - predict(&lines[axis][1], &row(image));
                    [landmark, if response.strength > 0.0 { peak } else { 0.0 }]
                };
                let peaks = |image: usize| vec![left(image, 0)[1], left(image, 1)[1]];
                let inside: Vec<Vec<f64>> = fitted.iter().map(|&image| peaks(image)).collect();
                for &image in &held {
                    for axis in 0..2 {
                        let targets: Vec<f64> = fitted.iter().map(|&image| left(image, axis)[0]).collect();
                        let rest = left(image, axis)[0] - predict(&solve(&inside, &targets), &peaks(image));
                        errors[image][0] += left(image, axis)[0].powi(2);
                        errors[image][1] += rest.powi(2);
                    }
                }
            }
        }
        for (all, figure) in [(false, &result.tracking.best), (true, &result.tracking.all)] {
            check(figure, images.photos(), &photos_of_halves(&world), |weights| {
                both_ways(&world, all, weights, |filter, half, weights| {
                    1.0 - ratio(of_half(&world, half).into_iter().map(|image| {
                        let [without, with] = errors[filter][image];
                        [with * weights[image], without * weights[image]]
                    }))
                })
            });
        }
        // The best filters follow the landmark where they fire, permuted ones do not.
        let (best, null) = (result.tracking.best.unwrap(), result.null.best.unwrap());
        assert!(best.value() > 0.4, "{:?}", best.estimate);
        assert!(null.value() < 0.1, "{:?}", null.estimate);
    }
}

#[test]
fn presence() {
    for seed in 0..3 {
        let world = world(seed);
        let World { images, responses, halves } = &world;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let visible: Vec<bool> = (0..IMAGES).map(|_| rng.random_bool(0.6)).collect();
        let strata: Vec<usize> = (0..IMAGES).map(|_| rng.random_range(0..4)).collect();
        let of = PresenceImages::new(visible.clone(), strata.clone(), images.photos().to_vec()).unwrap();
        let matching = LandmarkMatching::new(images, &responses.original, halves).unwrap();
        let result = presence_auc(&of, &responses.original, &matching).unwrap();
        // Only photographs with a pair are measured.
        let mut groups = Vec::new();
        for half in 0..2 {
            let half = of_half(&world, half);
            let paired =
                |&&a: &&usize| half.iter().any(|&b| visible[a] != visible[b] && strata[a] == strata[b]);
            let mut photos: Vec<usize> =
                half.iter().filter(paired).map(|&image| images.photos()[image]).collect();
            photos.dedup();
            groups.push(photos);
        }
        for (all, figure) in [(false, &result.best), (true, &result.all)] {
            check(figure, images.photos(), &groups, |weights| {
                both_ways(&world, all, weights, |filter, half, weights| {
                    let half = of_half(&world, half);
                    let (mut won, mut pairs) = (0.0, 0.0);
                    for &x in half.iter().filter(|&&x| visible[x]) {
                        for &y in half.iter().filter(|&&y| !visible[y] && strata[x] == strata[y]) {
                            let strength = |image| responses.original.strength(filter, image);
                            let weight = weights[x] * weights[y];
                            pairs += weight;
                            if strength(x) > strength(y) {
                                won += weight;
                            } else if strength(x) == strength(y) {
                                won += weight / 2.0;
                            }
                        }
                    }
                    won / pairs
                })
            });
        }
    }
}

#[test]
fn clustering() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let photos: Vec<usize> = (0..120).map(|at| at / 3).collect();
    let landmarks: Vec<usize> = (0..120).map(|at| at % 3).collect();
    let detectors: Vec<usize> = landmarks
        .iter()
        .map(|&l| if rng.random_bool(0.6) { l + 10 } else { rng.random_range(9..14) })
        .collect();
    let result = keypoint_clustering(&landmarks, &detectors, &photos).unwrap();
    let mut distinct = photos.clone();
    distinct.dedup();
    let shares = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        let mut joint = [[0.0; 14]; 3];
        for at in 0..120 {
            joint[landmarks[at]][detectors[at]] += weights[at] / total;
        }
        let rows = joint.map(|row| row.iter().sum::<f64>());
        let columns: Vec<f64> = (0..14).map(|b| joint.iter().map(|row| row[b]).sum()).collect();
        (joint, rows, columns)
    };
    check(&result.nmi, &photos, &[distinct.clone()], |weights| {
        let (joint, rows, columns) = shares(weights);
        let mut information = 0.0;
        for a in 0..3 {
            for b in 0..14 {
                if joint[a][b] > 0.0 {
                    information += joint[a][b] * (joint[a][b] / rows[a] / columns[b]).ln();
                }
            }
        }
        let entropy = |p: &[f64]| -> f64 { p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum() };
        2.0 * information / (entropy(&rows) + entropy(&columns))
    });
    // The index over all pairs of entries, counted one by one.
    let (mut both, mut same_landmark, mut same_detector, mut pairs) = (0.0, 0.0, 0.0, 0.0);
    for i in 0..120 {
        for j in 0..i {
            let (a, b) = (landmarks[i] == landmarks[j], detectors[i] == detectors[j]);
            both += f64::from(a && b);
            same_landmark += f64::from(a);
            same_detector += f64::from(b);
            pairs += 1.0;
        }
    }
    let expected = same_landmark * same_detector / pairs;
    let exact = (both - expected) / ((same_landmark + same_detector) / 2.0 - expected);
    let ari = result.ari.unwrap();
    assert!((ari.value() - exact).abs() < 1e-12);
    // Its error, by the form for large numbers.
    let mut variance = 0.0;
    for photo in &distinct {
        let at = |step: f64| {
            let weights: Vec<f64> =
                photos.iter().map(|of| if of == photo { 1.0 + step } else { 1.0 }).collect();
            let (joint, rows, columns) = shares(&weights);
            let square = |p: &[f64]| p.iter().map(|p| p * p).sum::<f64>();
            let product = square(&rows) * square(&columns);
            let together: f64 = joint.iter().map(|row| square(row)).sum();
            (together - product) / ((square(&rows) + square(&columns)) / 2.0 - product)
        };
        variance += 40.0 / 39.0 * ((at(1e-4) - at(-1e-4)) / 2e-4).powi(2);
    }
    assert!((ari.standard_error() - variance.sqrt()).abs() < 1e-7);
}

#[test]
fn keypoints() {
    let world = world(5);
    let filters = [0, 3, 9];
    let responses = world.responses.original.select_filters(&filters);
    let mut landmarks = Landmarks::new(["a"]);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for point in world.images.landmarks() {
        landmarks.push([rng.random_bool(0.9).then_some(*point)]);
    }
    let boxes: Vec<[f64; 4]> = (0..IMAGES).map(|image| [3.0, 4.0, 150.0 + image as f64, 90.0]).collect();
    let photos = world.images.photos();
    let result = keypoint_regression(&responses, &landmarks, &boxes, photos, &world.halves).unwrap();
    let in_box = |image: usize, point: [f64; 2]| {
        [(point[0] - 3.0) / boxes[image][2], (point[1] - 4.0) / boxes[image][3]]
    };
    let mean_and_deviation = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let square = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / values.len() as f64;
        (mean, square.sqrt())
    };
    let mut sum = 0.0;
    for half in 0..2 {
        let with = |half| {
            of_half(&world, half).into_iter().filter_map(|i| Some((i, in_box(i, landmarks.get(i, 0)?))))
        };
        let fitted: Vec<(usize, [f64; 2])> = with(1 - half).collect();
        let scales: Vec<(f64, f64)> = (0..6)
            .map(|at| {
                let peaks =
                    fitted.iter().filter_map(|&(i, _)| Some(in_box(i, responses.peak(at / 2, i)?)[at % 2]));
                mean_and_deviation(&peaks.collect::<Vec<_>>())
            })
            .collect();
        let row = |image: usize| -> Vec<f64> {
            let value = |at: usize| {
                let peak = responses.peak(at / 2, image).map(|peak| in_box(image, peak)[at % 2]);
                peak.map_or(0.0, |peak| (peak - scales[at].0) / scales[at].1)
            };
            (0..6).map(value).collect()
        };
        let rows: Vec<Vec<f64>> = fitted.iter().map(|&(image, _)| row(image)).collect();
        let lines = [0, 1].map(|axis| {
            let targets: Vec<f64> = fitted.iter().map(|(_, point)| point[axis]).collect();
            let (mean, deviation) = mean_and_deviation(&targets);
            let standard: Vec<f64> = targets.iter().map(|t| (t - mean) / deviation).collect();
            (solve(&rows, &standard), mean, deviation)
        });
        let mut errors = Vec::new();
        for (image, point) in with(half) {
            let predicted = [0, 1].map(|axis| {
                let (line, mean, deviation) = &lines[axis];
                mean + deviation * predict(line, &row(image))
            });
            errors.push(distance(predicted, point));
        }
        sum += errors.iter().sum::<f64>() / errors.len() as f64 / 2.0;
    }
    let mean = result.mean.unwrap();
    assert!((mean.value() - sum).abs() < 1e-9, "{mean:?} is not {sum}");
    assert_eq!(result.per_landmark[0], Some(mean));
}

#[test]
fn other_parts() {
    let worlds = [world(1), world(2), world(3)];
    // All three have the same photographs; halves are those of the first.
    let halves = &worlds[0].halves;
    let parts: Vec<LandmarkData> = worlds
        .iter()
        .map(|world| LandmarkData { images: &world.images, responses: &world.responses })
        .collect();
    let result = crosstalk(&parts, halves).unwrap();
    let photos = worlds[0].images.photos();
    let with_halves = |world: &World| World {
        images: world.images.clone(),
        responses: world.responses.clone(),
        halves: halves.clone(),
    };
    let own = with_halves(&worlds[1]);
    check(&result[1].best, photos, &photos_of_halves(&own), |weights| {
        both_ways(&own, false, weights, |filter, half, weights| {
            let mut terms = Vec::new();
            for other in [0, 2] {
                let World { images, responses, .. } = &worlds[other];
                for image in of_half(&own, half) {
                    let before = responses.original.peak(filter, image);
                    let after = responses.transplanted.as_ref().and_then(|moved| moved.peak(filter, image));
                    let (from, to) = (images.landmarks()[image], images.pasted().map(|to| to[image]));
                    let to = to.expect("a pasted centre");
                    let mut term = [0.0; 2];
                    for axis in 0..2 {
                        let delta = to[axis] - from[axis];
                        term[1] += weights[image] * delta * delta;
                        if let (Some(before), Some(after)) = (before, after) {
                            term[0] += weights[image] * delta * (after[axis] - before[axis]);
                        }
                    }
                    terms.push(term);
                }
            }
            ratio(terms.into_iter())
        })
    });

    // Selectivity: matched by the same criterion, the largest mean drop.
    let mut total = 0.0;
    for half in 0..2 {
        let mut selective = 0.0;
        for filter in 0..FILTERS {
            let mut best: Option<(usize, i32, f64)> = None;
            let mut drops = Vec::new();
            for (part, world) in worlds.iter().enumerate() {
                let (mut hits, mut sum, mut drop) = (0, 0.0, 0.0);
                for image in of_half(&own, 1 - half) {
                    let response = world.responses.original.get(filter, image);
                    let away = distance(response.peak, world.images.landmarks()[image]);
                    hits += i32::from(response.strength > 0.0 && away < 0.1 * DIAGONAL);
                    sum += if response.strength > 0.0 { away } else { DIAGONAL };
                }
                for image in of_half(&own, half) {
                    let erased = &world.responses.erased.as_ref().unwrap().landmark;
                    drop += world.responses.original.strength(filter, image) - erased.strength(filter, image);
                }
                drops.push(drop);
                if best.is_none_or(|(_, most, least)| hits > most || hits == most && sum < least) {
                    best = Some((part, hits, sum));
                }
            }
            let own = drops[best.unwrap().0];
            if drops.iter().all(|&drop| drop <= own) {
                selective += 1.0 / drops.iter().filter(|&&drop| drop == own).count() as f64;
            }
        }
        total += selective / FILTERS as f64 / 2.0;
    }
    let found = selectivity(&parts, halves, 0).unwrap().unwrap();
    assert!((found.value - total).abs() < 1e-12, "{found:?} is not {total}");
    assert!(found.standard_error > 0.01 && found.standard_error < 0.3);
    assert_eq!(selectivity(&parts, halves, 0).unwrap(), Some(found));
}
