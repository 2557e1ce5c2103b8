use super::{PARTS, SPECIES, SyntheticSpecies, SyntheticSpeciesConfig, shapes};
use crate::{Change, Dataset, DatasetError, PartMask, Rendered, Sample, Split};

/// How far a pixel reaches through the lens's blur.
const BLUR: i64 = 1;

fn set(birds: usize, negatives: usize, size: usize) -> SyntheticSpecies {
    let config = SyntheticSpeciesConfig::new(birds, negatives).with_size(size).with_seed(11);
    SyntheticSpecies::new(config).unwrap()
}

fn samples(set: &SyntheticSpecies) -> Vec<Sample> {
    (0..set.len()).map(|i| set.sample(i).unwrap()).collect()
}

fn mean(image: &image::RgbImage) -> f64 {
    image.as_raw().iter().map(|&v| f64::from(v)).sum::<f64>() / image.as_raw().len() as f64
}

#[test]
fn a_sample_depends_on_seed_kind_and_rank_only() {
    let (first, more) = (set(5, 5, 64), set(9, 3, 64));
    for rank in 0..3 {
        assert!(first.sample(rank).unwrap() == more.sample(rank).unwrap());
        assert!(first.sample(5 + rank).unwrap() == more.sample(9 + rank).unwrap());
    }
    let config = SyntheticSpeciesConfig::new(5, 5).with_size(64).with_seed(12);
    let other = SyntheticSpecies::new(config).unwrap();
    assert!(first.sample(0).unwrap().image != other.sample(0).unwrap().image);
    assert!(first.sample(0).unwrap().image != first.sample(1).unwrap().image);
}

#[test]
fn threads_draw_the_same_samples() {
    let set = set(8, 0, 64);
    let together: Vec<Sample> = std::thread::scope(|scope| {
        let set = &set;
        let threads: Vec<_> = (0..8).map(|i| scope.spawn(move || set.sample(i).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(samples(&set) == together);
}

#[test]
fn the_kinds_have_their_categories_names_and_landmarks() {
    let set = set(9, 2, 64);
    assert_eq!((set.len(), set.is_empty(), set.categories()), (11, false, &SPECIES.map(str::to_owned)[..]));
    assert!(set.states_visibility() && set.rendered().is_some());
    for index in 0..11 {
        let sample = set.sample(index).unwrap();
        let is_bird = index < 9;
        assert_eq!(sample.category, is_bird.then_some(index % 8));
        assert_eq!(sample.category, set.category(index));
        assert_eq!(sample.bounding_box.is_some(), is_bird);
        assert_eq!((set.source(index), set.box_extent(index).is_some()), (index, is_bird));
        assert_eq!((sample.landmarks.len(), sample.masks.len()), (PARTS, PARTS));
        assert!(is_bird || sample.landmarks.iter().all(Option::is_none));
        assert!(is_bird || sample.masks.iter().all(Option::is_none));
        if let (Some(b), Some(extent)) = (sample.bounding_box, set.box_extent(index)) {
            assert_eq!([b.right - b.left, b.bottom - b.top], extent);
        }
    }
    assert_eq!(set.sample(2).unwrap().id, "bird-000002");
    assert_eq!(set.sample(9).unwrap().id, "negative-000000");
}

#[test]
fn a_landmark_lies_in_its_mask_and_in_the_box() {
    for sample in samples(&set(200, 0, 64)) {
        let b = sample.bounding_box.unwrap();
        for (landmark, mask) in sample.landmarks.iter().zip(&sample.masks) {
            let (Some(p), Some(mask)) = (landmark, mask) else {
                assert_eq!((landmark, mask), (&None, &None));
                continue;
            };
            let [left, top, right, bottom] = mask.bounds().map(|v| v as f32);
            assert!((left..right).contains(&p.x) && (top..bottom).contains(&p.y), "{}: {p:?}", sample.id);
            assert!(left + 1.5 > b.left && right - 1.5 < b.right, "{}: {mask:?} {b:?}", sample.id);
            assert!(top + 1.5 > b.top && bottom - 1.5 < b.bottom, "{}: {mask:?} {b:?}", sample.id);
        }
    }
}

/// The shares that the documentation of the set states.
#[test]
fn each_part_is_hidden_at_times() {
    let samples = samples(&set(800, 0, 64));
    let hidden = |sample: &Sample| sample.landmarks.iter().filter(|p| p.is_none()).count();
    let share = |n: usize| samples.iter().filter(|sample| hidden(sample) == n).count() as f64 / 800.0;
    assert!((0.6..0.75).contains(&share(0)), "{}", share(0));
    assert!((0.02..0.12).contains(&(1.0 - share(0) - share(1))), "{}", share(2));
    for part in 0..PARTS {
        let hidden = samples.iter().filter(|sample| sample.landmarks[part].is_none()).count();
        assert!((20..160).contains(&hidden), "part {part}: {hidden} of 800");
    }
}

#[test]
fn parts_are_large_and_turn_up_all_over_the_frame() {
    let samples = samples(&set(400, 0, 128));
    for part in 0..PARTS {
        for shape in 0..2 {
            let of_shape = samples.iter().filter(|s| s.category.is_some_and(|c| shapes(c)[part] == shape));
            let mut extents: Vec<u32> = of_shape
                .filter_map(|sample| sample.mask(part))
                .map(|mask| {
                    let [left, top, right, bottom] = mask.bounds();
                    (right - left).max(bottom - top)
                })
                .collect();
            extents.sort_unstable();
            let median = extents[extents.len() / 2];
            assert!((16..=50).contains(&median), "part {part}, shape {shape}: {median}");
        }
        let points: Vec<_> = samples.iter().filter_map(|sample| sample.landmarks[part]).collect();
        for v in [points.iter().map(|p| p.x).collect::<Vec<_>>(), points.iter().map(|p| p.y).collect()] {
            let mean = v.iter().sum::<f32>() / v.len() as f32;
            let variance = v.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / v.len() as f32;
            assert!(variance.sqrt() > 8.0, "part {part}: {}", variance.sqrt());
        }
    }
}

#[test]
fn the_scene_is_the_same_at_any_size() {
    let (small, large) = (set(20, 20, 112), set(20, 20, 224));
    for index in 0..40 {
        let (a, b) = (small.sample(index).unwrap(), large.sample(index).unwrap());
        assert!((mean(&a.image) - mean(&b.image)).abs() < 2.5, "{}", a.id);
        for (p, q) in a.landmarks.iter().zip(&b.landmarks) {
            if let (Some(p), Some(q)) = (p, q) {
                assert!((2.0 * p.x - q.x).abs() < 4.0 && (2.0 * p.y - q.y).abs() < 4.0, "{p:?} {q:?}");
            }
        }
    }
    assert_eq!(set(1, 1, 32).sample(1).unwrap().image.dimensions(), (32, 32));
}

#[test]
fn each_species_gives_its_share_to_validation() {
    for (share, birds, negatives) in [(0.1, 32, 10), (0.25, 80, 25), (0.0, 0, 0), (1.0, 320, 100)] {
        let config = SyntheticSpeciesConfig::new(320, 100).with_validation_share(share);
        let set = SyntheticSpecies::new(config).unwrap();
        let validation = |index: &usize| set.split(*index) == Split::Validation;
        let counts = [(0..320).filter(validation).count(), (320..420).filter(validation).count()];
        assert_eq!(counts, [birds, negatives], "share {share}");
        for species in 0..8 {
            let of_species = (0..320).filter(|i| i % 8 == species).filter(validation).count();
            assert_eq!(of_species, birds / 8, "share {share}, species {species}");
        }
    }
}

#[test]
fn a_bad_configuration_is_an_error() {
    let config = SyntheticSpeciesConfig::new(1, 1);
    let tiny = SyntheticSpecies::new(config.clone().with_size(31)).unwrap_err().to_string();
    assert!(tiny.contains("at least 32 pixels") && tiny.contains("found 31"), "{tiny}");
    for found in [-0.1, 1.5, f32::NAN] {
        let error = SyntheticSpecies::new(config.clone().with_validation_share(found)).unwrap_err();
        assert!(error.to_string().contains("validation share"), "{found}: {error}");
    }
}

#[test]
fn an_index_beyond_the_end_is_an_error() {
    let set = set(1, 1, 32);
    for error in [set.sample(2).unwrap_err(), set.changed(7, &[]).unwrap_err()] {
        assert!(matches!(error, DatasetError::Index { len: 2, index: 2 | 7, .. }), "{error}");
    }
}

#[test]
fn a_change_to_what_is_not_there_is_an_error() {
    let set = set(1, 1, 32);
    let objects = set.objects(0);
    for (index, change, expected) in [
        (0, Change::Without { part: PARTS }, "one of 5 parts, found 5"),
        (0, Change::Exchanged { part: 0, category: 8 }, "a category below 8, found 8"),
        (0, Change::Exchanged { part: 9, category: 1 }, "one of 5 parts, found 9"),
        (0, Change::Moved { part: 0, by: [f32::NAN, 0.0] }, "a finite number of pixels"),
        (0, Change::WithoutObject { object: objects }, "objects, found"),
        (1, Change::Without { part: 0 }, "a sample with a bird, found a negative"),
        (1, Change::Moved { part: 0, by: [1.0; 2] }, "a sample with a bird, found a negative"),
    ] {
        let error = set.changed(index, &[change]).unwrap_err();
        assert!(matches!(error, DatasetError::Config { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
#[should_panic(expected = "index 2 of a set of 2 samples")]
fn landmarks_beyond_the_end_are_the_callers_bug() {
    set(1, 1, 32).has_landmarks(2);
}

/// Whether a pixel is one of these masks', or so near that the lens mixes them.
fn is_near(masks: &[&PartMask], x: u32, y: u32) -> bool {
    // A pixel counts as a part's from half on: a tip is touched further out.
    const REACH: i64 = BLUR + 3;
    let around = (-REACH..=REACH).flat_map(|dy| (-REACH..=REACH).map(move |dx| (dx, dy)));
    around
        .map(|(dx, dy)| (i64::from(x) + dx, i64::from(y) + dy))
        .filter(|&(x, y)| x >= 0 && y >= 0)
        .any(|(x, y)| masks.iter().any(|mask| mask.contains(x as u32, y as u32)))
}

/// The pixels that differ.
fn differing(a: &Sample, b: &Sample) -> Vec<(u32, u32)> {
    let pairs = a.image.enumerate_pixels().zip(b.image.pixels());
    pairs.filter(|((_, _, a), b)| a != b).map(|((x, y, _), _)| (x, y)).collect()
}

#[test]
fn nothing_changes_but_the_part() {
    let set = set(24, 0, 96);
    let mut changed = [0; 3];
    for index in 0..set.len() {
        let before = set.sample(index).unwrap();
        assert!(set.changed(index, &[]).unwrap() == before);
        for part in 0..PARTS {
            let other = (0..8).find(|&s| shapes(s)[part] != shapes(index % 8)[part]).unwrap();
            let changes = [
                Change::Without { part },
                Change::Moved { part, by: [12.0, -7.0] },
                Change::Exchanged { part, category: other },
            ];
            for (kind, change) in changes.into_iter().enumerate() {
                let after = set.changed(index, &[change]).unwrap();
                // What is too little to count as seen has no mask and may change all the same.
                let (Some(old), new) = (before.mask(part), after.mask(part)) else { continue };
                if kind > 0 && new.is_none() {
                    continue;
                }
                let masks: Vec<&PartMask> = std::iter::once(old).chain(new).collect();
                let pixels = differing(&before, &after);
                let strays = pixels.iter().filter(|&&(x, y)| !is_near(&masks, x, y)).count();
                assert_eq!(strays, 0, "{} {change:?}: {strays} of {}", before.id, pixels.len());
                changed[kind] += usize::from(!pixels.is_empty());
                assert_eq!(new.is_some(), kind > 0);
                for k in (0..PARTS).filter(|&k| k != part && kind == 0) {
                    // The part may have hidden some of another.
                    assert!(before.masks[k].is_none() || after.masks[k].is_some(), "{} {k}", before.id);
                }
            }
        }
    }
    assert!(changed.iter().all(|&n| n > 70), "{changed:?} of 120");
}

#[test]
fn a_moved_part_keeps_its_pixels() {
    let set = set(40, 0, 96);
    let mut same = 0;
    let mut all = 0;
    for index in 0..set.len() {
        let (before, part) = (set.sample(index).unwrap(), index % PARTS);
        let Some(mask) = before.mask(part) else { continue };
        let after = set.changed(index, &[Change::Moved { part, by: [9.0, 5.0] }]).unwrap();
        let Some(moved) = after.mask(part) else { continue };
        all += mask.area();
        same += mask.pixels().filter(|&(x, y)| moved.contains(x + 9, y + 5)).count();
    }
    // The body and leaves hide other pixels of it.
    assert!(same as f64 > 0.8 * all as f64, "{same} of {all}");
}

#[test]
fn an_exchanged_part_is_that_of_the_other_species() {
    let set = set(8, 0, 64);
    for index in 0..8 {
        let shared = (0..8).find(|&s| s != index && shapes(s)[2] == shapes(index)[2]).unwrap();
        let change = Change::Exchanged { part: 2, category: shared };
        assert!(set.changed(index, &[change]).unwrap() == set.sample(index).unwrap());
        let all = |species| (0..PARTS).map(move |part| Change::Exchanged { part, category: species });
        let other: Vec<Change> = all((index + 1) % 8).collect();
        let back: Vec<Change> = other.iter().copied().chain(all(index)).collect();
        assert!(set.changed(index, &other).unwrap().image != set.sample(index).unwrap().image);
        assert!(set.changed(index, &back).unwrap() == set.sample(index).unwrap());
        for part in 0..PARTS {
            assert_eq!(set.shape(index, part), shapes(index)[part]);
        }
    }
}

#[test]
fn objects_and_ground_are_left_out_alone() {
    let set = set(30, 10, 96);
    for index in 0..set.len() {
        let before = set.sample(index).unwrap();
        let objects = set.objects(index);
        assert!((1..=7).contains(&objects));
        let one = |object| set.changed(index, &[Change::WithoutObject { object }]).unwrap();
        let mut others: Vec<Sample> = (0..objects).map(one).collect();
        assert!(others.iter().all(|other| before.masks == other.masks));
        let plain = set.changed(index, &[Change::WithoutBackground]).unwrap();
        assert!(before.masks == plain.masks && before.bounding_box == plain.bounding_box);
        let ground = differing(&before, &plain).len();
        assert!(ground > 96 * 96 / 5, "{}: {ground}", before.id);
        others.push(plain);
        // Well inside of a part they are as it was, but for a seam between two of its outlines.
        for mask in before.masks.iter().flatten() {
            let inside = |x: u32, y: u32| {
                (-2..=2).all(|dy| {
                    (-2..=2).all(|dx| {
                        let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
                        let in_frame = (0..96).contains(&x) && (0..96).contains(&y);
                        in_frame && mask.contains(x as u32, y as u32)
                    })
                })
            };
            for (x, y) in mask.pixels().filter(|&(x, y)| inside(x, y)) {
                let old = before.image.get_pixel(x, y);
                let same = |other: &Sample| {
                    old.0.iter().zip(other.image.get_pixel(x, y).0).all(|(&a, b)| a.abs_diff(b) < 8)
                };
                assert!(others.iter().all(same), "{}: {x}, {y}", before.id);
            }
        }
    }
}

/// The mean colour of an image says nothing of its species: the nearest of the species' mean colours is that of the
/// image's own species about as often as by chance.
#[test]
fn the_mean_colour_does_not_tell_the_species() {
    let set = set(800, 0, 32);
    let colour = |index: usize| {
        let image = set.sample(index).unwrap().image;
        [0, 1, 2].map(|c| image.pixels().map(|p| f64::from(p[c])).sum::<f64>() / 1024.0)
    };
    let colours: Vec<[f64; 3]> = (0..800).map(colour).collect();
    let mut centers = [[0.0; 3]; 8];
    for (i, colour) in colours.iter().enumerate().take(400) {
        (0..3).for_each(|c| centers[i % 8][c] += colour[c] / 50.0);
    }
    let distance = |a: &[f64; 3], b: &[f64; 3]| (0..3).map(|c| (a[c] - b[c]).powi(2)).sum::<f64>();
    let nearest = |colour: &[f64; 3]| {
        (0..8).min_by(|&a, &b| distance(&centers[a], colour).total_cmp(&distance(&centers[b], colour)))
    };
    let right = (400..800).filter(|&i| nearest(&colours[i]) == Some(i % 8)).count();
    // By chance 50, with a standard deviation of 6.6.
    assert!(right < 70, "{right} of 400");
}

#[test]
fn whether_there_are_landmarks_agrees_with_the_sample() {
    let set = set(100, 5, 32);
    for index in 0..set.len() {
        let landmarks = set.sample(index).unwrap().landmarks;
        assert_eq!(set.has_landmarks(index), landmarks.iter().any(Option::is_some), "{index}");
        for (landmark, p) in landmarks.iter().enumerate() {
            assert_eq!(set.has_landmark(index, landmark), p.is_some(), "{index} {landmark}");
        }
    }
}

#[test]
fn a_mirror_moves_the_landmarks_with_the_pixels() {
    let sample = set(4, 0, 64).sample(1).unwrap();
    let mirrored = sample.mirrored();
    assert_eq!(mirrored.image.get_pixel(3, 9), sample.image.get_pixel(60, 9));
    for (a, b) in sample.landmarks.iter().zip(&mirrored.landmarks) {
        assert_eq!(a.map(|p| (63.0 - p.x, p.y)), b.map(|p| (p.x, p.y)));
    }
    assert!(mirrored.mirrored().masks == sample.masks);
}
