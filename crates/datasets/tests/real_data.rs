//! The published files themselves, where they are at hand: `EXPLAINER_DATA` names the folder.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::PathBuf;

use explainer_datasets::mat::{MatValue, read_mat};
use explainer_datasets::{
    AnimalPart, AnimalPartConfig, Dataset, Faults, Interventions, Negatives, PascalPart, PascalPartConfig,
    Point, Prefetch, Split, SplitRule,
};

/// The folder of one set, or a message and `None` where it is absent.
fn folder(name: &str) -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let root = std::env::var_os("EXPLAINER_DATA").map_or_else(|| default.into(), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {} (set EXPLAINER_DATA)", folder.display());
    None
}

struct Category {
    wnid: &'static str,
    /// In `data.mat`.
    samples: usize,
    /// After leaving out small boxes: all, with a head, with front legs, with either.
    counts: [usize; 4],
    /// Validation samples whose photo also has samples for training, of all for validation.
    leaked: [usize; 2],
}

const CATEGORIES: [Category; 3] = [
    Category { wnid: "n02129604", samples: 599, counts: [599, 193, 137, 229], leaked: [13, 60] },
    Category { wnid: "n01882714", samples: 571, counts: [571, 215, 182, 236], leaked: [1, 57] },
    // Version 5 for the heads.
    Category { wnid: "n02503517", samples: 414, counts: [413, 148, 121, 164], leaked: [21, 41] },
];

#[test]
fn the_numbers_are_those_of_the_published_set() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    for category in CATEGORIES {
        let config = AnimalPartConfig::new().with_negatives(Negatives::none());
        let set = AnimalPart::open(&root, &[category.wnid], &config).unwrap();
        let with = |part: usize| (0..set.len()).filter(|&i| set.has_landmark(i, part)).count();
        let counts = [set.len(), with(0), with(1), set.annotated().len()];
        assert_eq!(counts, category.counts, "{}", category.wnid);
        for i in set.annotated().into_iter().step_by(20) {
            let sample = set.sample(i).unwrap();
            let found: Vec<_> = (0..2).map(|part| set.has_landmark(i, part)).collect();
            assert_eq!(sample.landmarks.iter().map(Option::is_some).collect::<Vec<_>>(), found);
            for p in sample.landmarks.iter().flatten() {
                assert!((0.0..224.0).contains(&p.x) && (0.0..224.0).contains(&p.y), "{i}: {p:?}");
            }
        }
        let all = AnimalPart::open(&root, &[category.wnid], &config.with_min_box_area(0)).unwrap();
        assert_eq!(all.len(), category.samples);
    }
}

/// Values read with h5py and scipy.
#[test]
fn landmarks_agree_with_other_readers() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    let config = AnimalPartConfig::new().with_negatives(Negatives::none()).with_min_box_area(0);
    let first = |wnid: &str, part: usize| {
        let set = AnimalPart::open(&root, &[wnid], &config).unwrap();
        let with = (0..set.len()).filter(|&i| set.has_landmark(i, part)).take(3);
        with.map(|i| set.sample(i).unwrap().landmarks[part].unwrap()).collect::<Vec<_>>()
    };
    let points = |p: [(f32, f32); 3]| p.map(|(y, x)| Point { x: x - 1.0, y: y - 1.0 });
    let tiger = points([(59.5, 186.0), (78.5, 93.0), (114.5, 146.0)]);
    assert_eq!(first("n02129604", 0), tiger);
    let koala = points([(102.5, 163.5), (122.5, 139.0), (146.5, 142.0)]);
    assert_eq!(first("n01882714", 1), koala);
    let elephant = points([(103.5, 113.5), (109.5, 80.0), (98.5, 172.5)]);
    assert_eq!(first("n02503517", 0), elephant);
}

/// The boxes are stored twice, as numbers and as text in which 0 may stand for 1.
#[test]
fn both_copies_of_a_box_agree() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    for Category { wnid, samples, .. } in CATEGORIES {
        let data = read_mat(root.join(format!("{wnid}_obj/img/data.mat"))).unwrap();
        let boxes = data.variable("samples").unwrap();
        assert_eq!(boxes.len(), samples);
        let mut compared = 0;
        for part in 1..=2 {
            let truth = read_mat(root.join(format!("truth/{wnid}/truth_part{part:02}.mat"))).unwrap();
            let truth = truth.variable("truth").unwrap();
            for i in 0..truth.len() {
                let objects = truth.element(i, "obj").unwrap();
                for k in 0..objects.len() {
                    let copy = objects.element(k, "bndbox").unwrap();
                    let bndbox = boxes.element(i, "obj").unwrap().field("bndbox").unwrap();
                    for side in ["xmin", "ymin", "xmax", "ymax"] {
                        let text: f64 = copy.field(side).unwrap().text().unwrap().parse().unwrap();
                        assert_eq!(text.max(1.0), bndbox.field(side).unwrap().scalar().unwrap());
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 4 * 200, "{wnid}: {compared}");
    }
}

#[test]
fn the_authors_split_leaks_and_the_other_does_not() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    for category in CATEGORIES {
        let config = AnimalPartConfig::new().with_negatives(Negatives::none()).with_min_box_area(0);
        for rule in [SplitRule::Authors, SplitRule::ByPhoto] {
            let config = config.clone().with_split(rule);
            let set = AnimalPart::open(&root, &[category.wnid], &config).unwrap();
            let mut trained: HashMap<Vec<u8>, bool> = HashMap::new();
            let bytes = |i| std::fs::read(set.image_path(i).unwrap()).unwrap();
            for i in 0..set.len() {
                *trained.entry(bytes(i)).or_default() |= set.split(i) == Split::Train;
            }
            let validation: Vec<_> = (0..set.len()).filter(|&i| set.split(i) == Split::Validation).collect();
            let leaked = validation.iter().filter(|&&i| trained[&bytes(i)]).count();
            match rule {
                SplitRule::Authors => assert_eq!([leaked, validation.len()], category.leaked),
                SplitRule::ByPhoto => {
                    assert_eq!(leaked, 0);
                    let share = validation.len() as f64 / set.len() as f64;
                    println!("{}: {} of {} by photo", category.wnid, validation.len(), set.len());
                    assert!((0.07..0.13).contains(&share), "{share}");
                }
            }
        }
    }
}

#[test]
fn several_categories_make_one_set() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    let wnids = CATEGORIES.map(|c| c.wnid);
    let config = AnimalPartConfig::new().with_split(SplitRule::ByPhoto);
    let start = std::time::Instant::now();
    let set = AnimalPart::open(&root, &wnids, &config).unwrap();
    println!("opened in {:?}", start.elapsed());
    assert_eq!(set.positives(), 599 + 571 + 413);
    // 528 are wanted, 300 are there.
    assert_eq!(set.len() - set.positives(), 300);
    assert_eq!(set.category(599), Some(1));
    let tigers = AnimalPart::open(&root, &wnids[..1], &AnimalPartConfig::new()).unwrap();
    assert_eq!(tigers.len(), 599 + 200);
}

/// Pictures and points that other code made with Pillow.
#[test]
fn interventions_agree_with_pillow() {
    let Some(root) = folder("interventions") else {
        return;
    };
    let points: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("points.json")).unwrap()).unwrap();
    let points = points.as_array().unwrap();
    assert_eq!(points.len(), 6);
    for entry in points {
        let name = entry["image"].as_str().unwrap();
        // y and x, counted from 1.
        let point = |key: &str| {
            let at = |i: usize| entry[key][i].as_f64().unwrap() as f32 - 1.0;
            Point { x: at(1), y: at(0) }
        };
        let picture = |kind: &str| image::open(root.join(format!("{name}_{kind}.png"))).unwrap().to_rgb8();
        let crop = picture("crop");
        let found = Interventions::new(&crop).unwrap().at(point("landmark_yx"), None).unwrap();
        assert_eq!(
            (found.control_place, found.paste),
            (point("control_yx"), point("paste_centre_yx")),
            "{name}"
        );
        let kinds =
            [("erased", &found.erased), ("control", &found.control), ("transplant", &found.transplanted)];
        for (kind, found) in kinds {
            let expected = picture(kind);
            let off: Vec<u8> = found.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).collect();
            let mean = off.iter().map(|&v| f64::from(v)).sum::<f64>() / off.len() as f64;
            let most = off.iter().max().unwrap();
            println!("{name} {kind}: {mean:.3} in the mean, {most} at most");
            // Pillow's chain of box blurs is not quite a Gaussian at the edges of a mask of σ 4.
            assert!(mean <= 0.3 && *most <= 24, "{name} {kind}: {mean} {most}");
        }
    }
}

/// The same points, from the set itself: its landmarks count from 0.
#[test]
fn samples_have_the_interventions_of_the_reference() {
    let (Some(root), Some(set)) = (folder("interventions"), folder("animal-part")) else {
        return;
    };
    for (name, wnid, index) in [
        ("n02129604_00001", "n02129604", 0),
        ("n02129604_00009", "n02129604", 8),
        ("n01882714_00008", "n01882714", 7),
    ] {
        let config = AnimalPartConfig::new().with_negatives(Negatives::none()).with_min_box_area(0);
        let sample = AnimalPart::open(&set, &[wnid], &config).unwrap().sample(index).unwrap();
        let head = sample.interventions().unwrap()[0].clone().unwrap();
        for (kind, found) in
            [("erased", &head.erased), ("control", &head.control), ("transplant", &head.transplanted)]
        {
            let expected = image::open(root.join(format!("{name}_{kind}.png"))).unwrap().to_rgb8();
            let off: u64 = found.iter().zip(expected.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            // The JPEG decoders round differently.
            assert!(off as f64 / 150_528.0 < 1.0, "{name} {kind}: {off}");
        }
    }
}

/// What the measurement of a category costs here: 200 photos with two landmarks each.
#[test]
fn interventions_are_cheap() {
    let Some(root) = folder("interventions") else {
        return;
    };
    let crop = image::open(root.join("n02129604_00001_crop.png")).unwrap().to_rgb8();
    let start = std::time::Instant::now();
    for _ in 0..20 {
        let pictures = Interventions::new(&crop).unwrap();
        for p in [Point { x: 185.0, y: 58.5 }, Point { x: 60.0, y: 170.0 }] {
            std::hint::black_box(pictures.at(p, None).unwrap());
        }
    }
    let each = start.elapsed() / 20;
    println!("{each:?} for a photo with two landmarks, {:?} for 200", 200 * each);
    // Of the order of 5 ms; the bound is for a machine that does other things as well.
    assert!(each.as_millis() < 200, "{each:?}");
}

/// The photographs of the set, told by their bytes, and what is stated of the boxes.
#[test]
fn samples_of_a_photo_have_its_number() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    let config = AnimalPartConfig::new().with_negatives(Negatives::none());
    let set = AnimalPart::open(&root, &["n02503517"], &config).unwrap();
    let mut of_bytes: HashMap<Vec<u8>, usize> = HashMap::new();
    for i in 0..set.len() {
        let bytes = std::fs::read(set.image_path(i).unwrap()).unwrap();
        assert_eq!(set.source(i), *of_bytes.entry(bytes).or_insert(i), "{i}");
        let [width, height] = set.box_extent(i).unwrap();
        assert!(width * height >= 2500.0, "{i}: {width} × {height}");
    }
    println!("{} samples of {} photographs", set.len(), of_bytes.len());
    assert!(of_bytes.len() < set.len());
}

/// Every picture, and every one whole: what is strict about damage is not strict about sound files.
#[test]
fn all_pictures_are_read() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    let wnids = CATEGORIES.map(|c| c.wnid);
    assert_eq!(AnimalPart::categories(&root).unwrap().len(), 3);
    let config = AnimalPartConfig::new().with_min_box_area(0).with_image_size(16);
    let set = AnimalPart::open(&root, &wnids, &config).unwrap();
    // The rest differs in nothing that is looked at here, and takes as long again.
    let indices: Vec<usize> = (0..set.len()).step_by(3).collect();
    let (count, report) = Prefetch::new().with_faults(Faults::Skip).run(&set, &indices, |s| s.count());
    assert!(report.is_empty() && count == indices.len(), "{report}");
}

/// Against the channel means of crops that PIL decoded, cut out and resized. The resizing is the
/// same; the JPEG decoders round differently.
#[test]
fn crops_agree_with_pil() {
    let Some(root) = folder("animal-part") else {
        return;
    };
    let set = AnimalPart::open(&root, &["n02129604"], &AnimalPartConfig::new()).unwrap();
    for (index, expected) in PIL_MEANS {
        let sample = set.sample(index).unwrap();
        let mut sums = [0.0f64; 3];
        for pixel in sample.image.pixels() {
            for (sum, &value) in sums.iter_mut().zip(&pixel.0) {
                *sum += f64::from(value) / (224.0 * 224.0);
            }
        }
        for (found, expected) in sums.iter().zip(expected) {
            assert!((found - expected).abs() < 0.5, "{index}: {sums:?}");
        }
    }
}

const PIL_MEANS: [(usize, [f64; 3]); 2] =
    [(0, [95.1236, 83.9789, 60.8686]), (300, [131.8633, 119.4558, 107.5859])];

#[test]
fn pascal_part_reads() {
    let Some(root) = folder("pascal-part") else {
        return;
    };
    let file = read_mat(root.join("Annotations_Part/2008_000008.mat")).unwrap();
    let anno = file.variable("anno").unwrap();
    assert_eq!(anno.field("imname").unwrap().text().unwrap(), "2008_000008");
    let objects = anno.field("objects").unwrap();
    assert_eq!(objects.len(), 2);
    let sum = |value: &MatValue| match value {
        MatValue::Bytes { dims, data } => (dims.clone(), data.iter().map(|&b| u64::from(b)).sum::<u64>()),
        other => panic!("{}", other.describe()),
    };
    // Read with scipy.
    for (i, class, number, area, parts) in [(0, "person", 15.0, 6670, 14), (1, "horse", 13.0, 38559, 13)] {
        assert_eq!(objects.element(i, "class").unwrap().text().unwrap(), class);
        assert_eq!(objects.element(i, "class_ind").unwrap().scalar().unwrap(), number);
        let mask = objects.element(i, "mask").unwrap();
        assert_eq!(sum(mask.value()), (vec![442, 500], area));
        assert_eq!(objects.element(i, "parts").unwrap().len(), parts);
    }
    let parts = objects.element(1, "parts").unwrap();
    let areas: Vec<_> = (0..3)
        .map(|i| {
            let name = parts.element(i, "part_name").unwrap().text().unwrap();
            (name, sum(parts.element(i, "mask").unwrap().value()).1)
        })
        .collect();
    assert_eq!(areas, [("head", 4497), ("lear", 814), ("rear", 59)]);
    let dogs = read_mat(root.join("Annotations_Part/2008_000019.mat")).unwrap();
    assert_eq!(dogs.variable("anno").unwrap().field("objects").unwrap().len(), 3);
}

/// Boxes and centres, worked out by NumPy from the masks that SciPy reads.
#[test]
fn objects_of_pascal_part_are_those_of_their_masks() {
    let Some(root) = folder("pascal-part") else {
        return;
    };
    let config = PascalPartConfig::new().with_min_box_area(0).with_image_size(100);
    let set = PascalPart::open(&root, &["horse", "dog"], &config).unwrap();
    assert_eq!((set.len(), set.category(0), set.category(1)), (PASCAL.len(), Some(0), Some(1)));
    for (i, (id, [left, top, right, bottom], centres)) in PASCAL.iter().enumerate() {
        let sample = set.sample(i).unwrap();
        assert_eq!(sample.id, *id);
        // The masks are there where the landmarks are, and around them.
        for (p, mask) in sample.landmarks.iter().zip(&sample.masks) {
            assert_eq!(p.is_some(), mask.is_some(), "{id}");
            if let (Some(p), Some(mask)) = (p, mask) {
                let c = mask.center();
                assert!((p.x - c.x).abs() < 1.5 && (p.y - c.y).abs() < 1.5, "{id}: {p:?} {c:?}");
            }
        }
        assert!(sample.interventions().unwrap().iter().flatten().all(|part| part.erased != sample.image));
        for (found, expected) in sample.landmarks.iter().zip(centres) {
            let moved = expected.map(|[x, y]| {
                [
                    (x + 0.5 - left) * 100.0 / (right - left) - 0.5,
                    (y + 0.5 - top) * 100.0 / (bottom - top) - 0.5,
                ]
            });
            match (found, moved) {
                (Some(p), Some([x, y])) => {
                    assert!((p.x - x).abs() < 1e-2 && (p.y - y).abs() < 1e-2, "{id}: {p:?} {x} {y}");
                }
                (None, None) => {}
                (found, expected) => panic!("{id}: {found:?} {expected:?}"),
            }
        }
    }
}

type Object = (&'static str, [f32; 4], [Option<[f32; 2]>; 3]);

#[rustfmt::skip]
const PASCAL: [Object; 4] = [
    ("2008_000008#2", [51.0, 86.0, 468.0, 415.0], [Some([83.718, 153.3538]), Some([138.8227, 120.1494]), Some([228.4973, 179.3175])]),
    ("2008_000019#1", [361.0, 0.0, 480.0, 112.0], [Some([465.825, 27.8175]), Some([439.7265, 28.9853]), Some([406.2952, 37.9533])]),
    ("2008_000019#2", [165.0, 66.0, 317.0, 232.0], [Some([200.461, 198.8283]), Some([222.4486, 205.7025]), Some([223.041, 167.7176])]),
    ("2008_000019#3", [141.0, 0.0, 371.0, 193.0], [Some([339.468, 63.4545]), Some([299.5648, 60.916]), Some([253.3886, 61.104])]),
];
