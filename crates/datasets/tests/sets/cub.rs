//! CUB's layout, written from synthetic birds and by hand.

use std::fs;
use std::path::Path;

use explainer_datasets::{
    BoundingBox, Cub, CubCategories, CubConfig, Dataset, DatasetError, Faults, Landmark, Negatives, PhotoSet,
    Point, Split, SyntheticSpecies, SyntheticSpeciesConfig, resize_bilinear, write_cub,
};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

fn birds() -> SyntheticSpecies {
    let config = SyntheticSpeciesConfig::new(9, 4).with_size(96).with_seed(3).with_validation_share(0.34);
    SyntheticSpecies::new(config).unwrap()
}

fn open(root: &TempDir, config: &CubConfig) -> Result<PhotoSet, DatasetError> {
    Cub::open(root.path(), config)
}

#[test]
fn written_birds_are_read_as_they_were() {
    let (root, birds) = (tempfile::tempdir().unwrap(), birds());
    let negatives = root.path().join("none");
    write_cub(&birds, root.path(), Some(&negatives)).unwrap();
    // Parts that CUB has not are among the others.
    let landmarks = birds.landmark_names().iter().map(|name| Landmark::new(name, [name])).collect();
    let config = CubConfig::new().with_negatives(Negatives::folder(&negatives)).with_image_size(64);
    let set = open(&root, &config.with_landmarks(landmarks)).unwrap();
    assert_eq!((set.name(), set.len(), set.positives()), ("CUB-200-2011", 12, 9));
    assert_eq!(set.categories(), ["bird"]);
    assert_eq!(set.landmark_names(), birds.landmark_names());
    let mut landmarks = 0;
    for i in 0..9 {
        let (bird, sample) = (birds.sample(i).unwrap(), set.sample(i).unwrap());
        assert_eq!((set.split(i), set.category(i)), (birds.split(i), Some(0)));
        assert_eq!(sample.image.dimensions(), (64, 64));
        // The box's whole pixels: of them and of the landmarks in them, as the formula has it.
        let b = bird.bounding_box.unwrap();
        let [left, top] = [b.left, b.top].map(f32::floor);
        let [right, bottom] = [b.right, b.bottom].map(|v| v.ceil().min(96.0));
        let [x, y, w, h] = [left, top, right - left, bottom - top].map(|v| v as u32);
        let cut = image::imageops::crop_imm(&bird.image, x, y, w, h).to_image();
        let expected = resize_bilinear(&cut, 64, 64);
        let differences = expected.iter().zip(sample.image.iter()).map(|(a, b)| f64::from(a.abs_diff(*b)));
        assert!(differences.sum::<f64>() / 12_288.0 < 8.0, "JPEG is not that lossy");
        for (found, own) in sample.landmarks.iter().zip(&bird.landmarks) {
            let moved = own.map(|p| [(p.x + 0.5 - left) / w as f32, (p.y + 0.5 - top) / h as f32]);
            match (found, moved) {
                (Some(p), Some([x, y])) => {
                    assert!((p.x - (64.0 * x - 0.5)).abs() < 1e-3 && (p.y - (64.0 * y - 0.5)).abs() < 1e-3);
                    landmarks += 1;
                }
                (None, None) => {}
                (found, own) => panic!("{found:?} {own:?}"),
            }
        }
        assert_eq!(set.has_landmarks(i), bird.landmarks.iter().any(Option::is_some));
    }
    assert!(landmarks > 15, "{landmarks}");
    assert_eq!(set.sample(9).unwrap().category, None);
    assert!((0..9).any(|i| set.split(i) == Split::Validation));
    // Seven of nine birds are for training, and so are two of three negatives.
    assert_eq!((9..12).filter(|&i| set.split(i) == Split::Train).count(), 2);
}

/// Two species, three birds, one part of which the number of lines differs from image to image.
fn by_hand() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("images.txt", "1 001.Gull/a.jpg\n2 001.Gull/b c.jpg\n7 002.Tern/d.jpg\n");
    write("bounding_boxes.txt", "1 10.0 20.0 40.0 30.0\n2 0.0 0.0 60.0 50.0\n7 30.5 10.0 60.0 20.0\n");
    write("train_test_split.txt", "1 1\n2 0\n7 1\n");
    write("parts/parts.txt", "1 back\n6 forehead\n7 left eye\n11 right eye\n14 tail\n");
    let mut locations = String::new();
    for (image, eyes) in [(1, [1, 1]), (2, [0, 1]), (7, [0, 0])] {
        locations += &format!("{image} 1 20.0 25.0 1\n{image} 6 12.0 21.0 1\n{image} 14 0.0 0.0 0\n");
        locations += &format!("{image} 7 30.0 30.0 {}\n{image} 11 40.0 35.0 {}\n", eyes[0], eyes[1]);
    }
    write("parts/part_locs.txt", &locations);
    for name in ["001.Gull/a.jpg", "001.Gull/b c.jpg", "002.Tern/d.jpg"] {
        write(&format!("images/{name}"), "");
        let picture = RgbImage::from_fn(60, 50, |x, y| Rgb([4 * x as u8, 5 * y as u8, 7]));
        picture.save_with_format(root.path().join("images").join(name), image::ImageFormat::Png).unwrap();
    }
    root
}

#[test]
fn boxes_and_parts_are_in_pixels_from_nought() {
    let root = by_hand();
    let set = open(&root, &CubConfig::new().with_image_size(80)).unwrap();
    let sample = set.sample(0).unwrap();
    assert_eq!(sample.id, "001.Gull/a.jpg");
    let picture = RgbImage::from_fn(60, 50, |x, y| Rgb([4 * x as u8, 5 * y as u8, 7]));
    let cut = image::imageops::crop_imm(&picture, 10, 20, 40, 30).to_image();
    assert!(sample.image == resize_bilinear(&cut, 80, 80));
    assert_eq!(sample.bounding_box, Some(BoundingBox { left: 0.0, top: 0.0, right: 80.0, bottom: 80.0 }));
    // The forehead, two pixels and one from the corner: 2.5 · 2 − ½ and 1.5 · 8/3 − ½.
    assert_eq!(sample.landmarks[0], Some(Point { x: 4.5, y: 3.5 }));
    assert_eq!(sample.landmarks[2], None);
    assert_eq!([set.split(0), set.split(1), set.split(2)], [Split::Train, Split::Validation, Split::Train]);
    // The last box reaches beyond the picture; its forehead is not in it.
    let clamped = set.sample(2).unwrap();
    assert_eq!(clamped.landmarks, [None, None, None]);
    assert!((0..3).all(|landmark| !set.has_landmark(2, landmark)) && !set.has_landmarks(2));
    assert_eq!(set.annotated(), [0, 1]);
    assert_eq!([0, 1, 2].map(|i| set.source(i)), [0, 1, 2]);
    // As annotated, also where it reaches beyond the picture.
    assert_eq!([0, 2].map(|i| set.box_extent(i)), [Some([40.0, 30.0]), Some([60.0, 20.0])]);
    assert!(sample.masks.is_empty());
}

#[test]
fn landmarks_are_the_callers_choice() {
    let root = by_hand();
    let eyes = Landmark::new("eyes", ["left eye", "right eye"]);
    let config = CubConfig::new().with_landmarks(vec![eyes, Landmark::new("back", ["back"])]);
    // The box of the second is the whole picture.
    let set = open(&root, &config.clone().with_image_size(60)).unwrap();
    assert_eq!(set.landmark_names(), ["eyes", "back"]);
    let second = set.sample(1).unwrap().landmarks;
    assert_eq!(second[0].map(|p| p.x), Some(40.0));
    assert_eq!(set.sample(0).unwrap().landmarks[0].map(|p| p.x), Some((35.5 - 10.0) * 1.5 - 0.5));
    assert!(!set.has_landmark(2, 0));
    let missing = config.with_landmarks(vec![Landmark::new("beak", ["beak"])]);
    let error = open(&root, &missing).unwrap_err().to_string();
    assert!(error.ends_with("parts.txt: parts: expected \"beak\" among them, found none"), "{error}");
}

#[test]
fn species_are_categories_and_others_negatives() {
    let root = by_hand();
    let species = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        CubConfig::new().with_categories(CubCategories::Species(names))
    };
    let set = open(&root, &species(&["002.Tern", "001.Gull"])).unwrap();
    assert_eq!(set.categories(), ["002.Tern", "001.Gull"]);
    assert_eq!((0..3).map(|i| set.category(i)).collect::<Vec<_>>(), [Some(0), Some(1), Some(1)]);

    let negatives = Negatives::other_categories([""; 0]).with_positive_share(0.5);
    let set = open(&root, &species(&["002.Tern"]).with_negatives(negatives.clone())).unwrap();
    assert_eq!((set.positives(), set.len(), set.category(1)), (1, 2, None));
    assert_eq!(set.sample(1).unwrap().landmarks, [None, None, None]);
    // The other species' second bird, which the set has for validation.
    assert_eq!((&*set.sample(1).unwrap().id, set.split(1)), ("001.Gull/b c.jpg", Split::Validation));
    let error = open(&root, &CubConfig::new().with_negatives(negatives)).unwrap_err();
    assert!(matches!(error, DatasetError::Config { setting: "negatives", .. }), "{error}");
    for wrong in [&["003.Auk"][..], &[], &["001.Gull", "001.Gull"]] {
        assert!(open(&root, &species(wrong)).is_err(), "{wrong:?}");
    }
    let drawn = Negatives::synthetic(5).with_count(2);
    let set = open(&root, &CubConfig::new().with_negatives(drawn)).unwrap();
    let sample = set.sample(4).unwrap();
    assert_eq!((&*sample.id, sample.category), ("synthetic/000001", None));
    assert_eq!((sample.image.dimensions(), sample.landmarks.len()), ((224, 224), 3));
    assert!(set.image_path(4).is_none() && set.sample(3).unwrap().image != sample.image);
    let none = open(&root, &CubConfig::new().with_negatives(Negatives::own())).unwrap_err().to_string();
    assert!(none.contains("this set has none of its own"), "{none}");
}

fn replace(root: &TempDir, file: &str, from: &str, to: &str) {
    let path = root.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file}: {from:?}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn what_is_wrong_is_told_with_file_and_line_or_left_out() {
    let cases = [
        (
            "images.txt",
            "1 001.Gull/a.jpg",
            "one 001.Gull/a.jpg",
            "images.txt: at line 1: expected <image id>",
        ),
        ("images.txt", "2 001.Gull", "1 001.Gull", "at line 2: expected each image id once"),
        ("images.txt", "001.Gull/a.jpg", "../a.jpg", "at line 1: expected <image id> <folder>/<file> within"),
        ("images.txt", "001.Gull/a.jpg", "001.Gull/z.jpg", "z.jpg: cannot be read"),
        (
            "bounding_boxes.txt",
            "10.0 20.0 40.0 30.0",
            "10.0 20.0 40.0 0.0",
            "expected a box with an area above 0",
        ),
        ("bounding_boxes.txt", "10.0 20.0 40.0 30.0", "nan 20.0 40.0 30.0", "a box of finite numbers"),
        ("bounding_boxes.txt", "10.0 20.0 40.0 30.0", "0.1 0.2 0.4 0.3", "a box in pixels"),
        (
            "bounding_boxes.txt",
            "10.0 20.0 40.0 30.0",
            "10.0 20.0 40.0",
            "at line 1: expected <image id> <x> <y>",
        ),
        ("bounding_boxes.txt", "1 10.0", "2 10.0", "at line 2: expected one box for each image"),
        (
            "bounding_boxes.txt",
            "1 10.0 20.0 40.0 30.0\n",
            "",
            "a.jpg: expected a line with its box, found none",
        ),
        ("bounding_boxes.txt", "1 10.0", "3 10.0", "at line 1: expected an image id that images.txt has"),
        ("train_test_split.txt", "1 1", "1 2", "at line 1: expected <image id> <0 or 1>"),
        ("train_test_split.txt", "1 1\n", "1 1\n1 0\n", "at line 2: expected <image id> <0 or 1>, once"),
        ("parts/part_locs.txt", "1 6 12.0", "1 6 inf", "at line 2: expected finite numbers"),
        ("parts/part_locs.txt", "1 6 12.0 21.0 1", "1 6 12.0 21.0 2", "at line 2: expected finite numbers"),
        (
            "parts/part_locs.txt",
            "1 6 12.0 21.0 1\n",
            "",
            "a.jpg: expected a line with its forehead, found none",
        ),
        ("parts/part_locs.txt", "1 6 ", "1 1 ", "at line 2: expected each part once for each image"),
    ];
    for (file, from, to, expected) in cases {
        let root = by_hand();
        replace(&root, file, from, to);
        let error = open(&root, &CubConfig::new()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let set = open(&root, &CubConfig::new().with_faults(Faults::Skip)).unwrap();
        // A wrong line about one image may leave another without its own.
        assert!(set.len() < 3 && !set.is_empty(), "{file}: {from} → {to}");
        assert!(set.report().messages().iter().any(|message| message.contains(expected)), "{}", set.report());
        assert!((0..set.len()).all(|i| set.sample(i).is_ok()));
    }
    // What all images depend on is never left out.
    for (file, from, to, expected) in [
        ("parts/parts.txt", "6 forehead", "6 brow", "expected \"forehead\" among them"),
        ("parts/parts.txt", "6 forehead", "1 forehead", "at line 2: expected each part id once"),
        ("parts/parts.txt", "6 forehead", "6 back", "at line 2: expected each part once"),
    ] {
        let root = by_hand();
        replace(&root, file, from, to);
        let error = open(&root, &CubConfig::new().with_faults(Faults::Skip)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for file in
        ["images.txt", "bounding_boxes.txt", "train_test_split.txt", "parts/parts.txt", "parts/part_locs.txt"]
    {
        let root = by_hand();
        fs::remove_file(root.path().join(file)).unwrap();
        let error = open(&root, &CubConfig::new().with_faults(Faults::Skip)).unwrap_err();
        assert!(matches!(&error, DatasetError::Io { path, .. } if path.ends_with(file)), "{error}");
    }
}

#[test]
fn a_box_outside_its_picture_is_told_when_it_is_read() {
    let root = by_hand();
    replace(&root, "bounding_boxes.txt", "10.0 20.0 40.0 30.0", "60.0 20.0 40.0 30.0");
    let error = open(&root, &CubConfig::new()).unwrap().sample(0).unwrap_err().to_string();
    assert!(error.contains("a.jpg: the object's box ("), "{error}");
    assert!(
        error.contains("bounding_boxes.txt, line 1): expected a part of the picture, 60 × 50"),
        "{error}"
    );
}

#[test]
fn pictures_that_no_line_names_are_noted() {
    let root = by_hand();
    let images = root.path().join("images");
    RgbImage::new(4, 4).save(images.join("001.Gull/left over.png")).unwrap();
    fs::write(images.join("001.Gull/._a.jpg"), "AppleDouble").unwrap();
    fs::create_dir(images.join("003.Auk")).unwrap();
    let set = open(&root, &CubConfig::new()).unwrap();
    assert_eq!((set.len(), set.report().len()), (3, 0));
    let expected = [
        ("folders without a picture", 1),
        ("hidden files or folders", 1),
        ("pictures without a line in images.txt", 1),
    ];
    assert_eq!(set.report().notes().collect::<Vec<_>>(), expected);
}

#[test]
fn negatives_that_are_asked_for_must_be_there() {
    let (root, elsewhere) = (by_hand(), tempfile::tempdir().unwrap());
    let config = CubConfig::new().with_negatives(Negatives::folder(elsewhere.path()));
    let error = open(&root, &config).unwrap_err().to_string();
    assert!(error.contains("pictures without an object for 3 with one: expected 1, found 0"), "{error}");
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write_cub(&birds(), &file, None).unwrap_err();
    assert!(matches!(&error, DatasetError::Write { path, .. } if path.starts_with(&file)), "{error}");
    let nothing: &Path = folder.path();
    let empty = SyntheticSpecies::new(SyntheticSpeciesConfig::new(0, 1).with_size(32)).unwrap();
    write_cub(&empty, nothing, None).unwrap();
    assert!(Cub::open(nothing, &CubConfig::new()).is_err(), "a set without a single bird");
}
