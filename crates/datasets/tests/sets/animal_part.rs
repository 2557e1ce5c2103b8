//! Animal-Part, on a set of four made-up samples.

use std::path::Path;

use explainer_datasets::{
    AnimalPart, AnimalPartConfig, BoundingBox, Dataset, DatasetError, Faults, Negatives, PhotoSet, Point,
    Sample, Split, SplitRule, resize_bilinear,
};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

const WNID: &str = "n00000001";

fn picture(seed: u32) -> RgbImage {
    RgbImage::from_fn(100, 80, |x, y| Rgb([(x * 2) as u8, (y * 3) as u8, (seed * 50) as u8]))
}

fn copy_fixture(name: &str, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::copy(from, to).unwrap();
}

/// A set with these annotations. Pictures 1 and 2 are the same photo.
fn root(data: &str, head: &str, legs: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let category = root.path().join(format!("{WNID}_obj/img"));
    copy_fixture(data, &category.join("data.mat"));
    copy_fixture(head, &root.path().join(format!("truth/{WNID}/truth_part01.mat")));
    copy_fixture(legs, &root.path().join(format!("truth/{WNID}/truth_part02.mat")));
    std::fs::create_dir_all(category.join("img")).unwrap();
    std::fs::create_dir_all(root.path().join("neg")).unwrap();
    for (i, seed) in [1, 1, 2, 3].into_iter().enumerate() {
        // The contents decide about the format: losslessly, the pixels can be compared.
        let path = category.join(format!("img/{:05}.jpg", i + 1));
        picture(seed).save_with_format(path, image::ImageFormat::Png).unwrap();
    }
    for i in 1..=5 {
        let path = root.path().join(format!("neg/{i:05}.JPEG"));
        picture(i).save_with_format(path, image::ImageFormat::Png).unwrap();
    }
    std::fs::write(root.path().join("neg/readme.txt"), "no picture").unwrap();
    root
}

fn sound() -> TempDir {
    root("animal_data.mat", "animal_head.mat", "animal_legs.mat")
}

fn open(root: &TempDir, config: AnimalPartConfig) -> Result<PhotoSet, DatasetError> {
    AnimalPart::open(root.path(), &[WNID], &config)
}

fn cut(image: &RgbImage, x: u32, y: u32, w: u32, h: u32) -> RgbImage {
    image::imageops::crop_imm(image, x, y, w, h).to_image()
}

#[test]
fn samples_are_what_the_files_say() {
    let root = sound();
    let set = open(&root, AnimalPartConfig::new()).unwrap();
    // The third box has 49 × 51 pixels; of three positives, a third again are negatives.
    assert_eq!((set.len(), set.positives()), (4, 3));
    assert_eq!(set.name(), "Animal-Part n00000001");
    assert_eq!(set.categories(), [WNID]);
    assert_eq!(set.landmark_names(), ["head", "front legs"]);
    assert_eq!(set.annotated(), [0, 1, 2]);

    let samples: Vec<Sample> = (0..4).map(|i| set.sample(i).unwrap()).collect();
    let ids: Vec<_> = samples.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["n00000001/00001", "n00000001/00002", "n00000001/00004", "neg/00005.JPEG"]);
    assert!(samples[0].image == resize_bilinear(&picture(1), 224, 224));
    assert!(samples[1].image == resize_bilinear(&cut(&picture(1), 10, 20, 60, 50), 224, 224));
    assert!(samples[2].image == resize_bilinear(&cut(&picture(3), 40, 0, 60, 80), 224, 224));
    assert!(samples[3].image == resize_bilinear(&picture(5), 224, 224));

    // [113; 57] of MATLAB; the fourth sample has two heads, which makes it none.
    assert_eq!(samples[0].landmarks, [Some(Point { x: 56.0, y: 112.0 }), None]);
    assert_eq!(samples[1].landmarks, [None, Some(Point { x: 223.0, y: 0.0 })]);
    assert_eq!(samples[2].landmarks, [None, Some(Point { x: 99.5, y: 199.0 })]);
    assert_eq!(samples[3].landmarks, [None, None]);

    let whole = BoundingBox { left: 0.0, top: 0.0, right: 224.0, bottom: 224.0 };
    assert_eq!(samples[2].bounding_box, Some(whole));
    assert_eq!(samples[3].bounding_box, None);
    for (i, sample) in samples.iter().enumerate() {
        assert_eq!(sample.category, (i < 3).then_some(0));
        assert_eq!(sample.category, set.category(i));
        let found: Vec<_> = (0..2).map(|landmark| set.has_landmark(i, landmark)).collect();
        assert_eq!(sample.landmarks.iter().map(Option::is_some).collect::<Vec<_>>(), found);
    }
}

#[test]
fn another_size_moves_the_landmarks_along() {
    let root = sound();
    let set = open(&root, AnimalPartConfig::new().with_image_size(112)).unwrap();
    let sample = set.sample(0).unwrap();
    assert_eq!(sample.image.dimensions(), (112, 112));
    assert_eq!(sample.landmarks[0], Some(Point { x: 27.75, y: 55.75 }));
    assert_eq!(sample.mirrored().landmarks[0], Some(Point { x: 83.25, y: 55.75 }));
}

#[test]
fn whether_there_are_landmarks_is_known_without_the_image() {
    // Of four animals, the first and the third have neither part.
    let root = root("animal_data.mat", "animal_legs.mat", "animal_legs.mat");
    let set = open(&root, AnimalPartConfig::new().with_min_box_area(0)).unwrap();
    let found: Vec<_> = (0..set.len()).map(|i| set.has_landmarks(i)).collect();
    assert_eq!(found, [false, true, false, true, false]);
    let of_sample = |i| set.sample(i).unwrap().landmarks.iter().any(Option::is_some);
    assert_eq!(found, (0..set.len()).map(of_sample).collect::<Vec<_>>());
    std::fs::remove_file(set.image_path(1).unwrap()).unwrap();
    assert!(set.has_landmarks(1));
}

#[test]
#[should_panic(expected = "index out of bounds")]
fn landmarks_beyond_the_end_are_the_callers_bug() {
    let set = open(&sound(), AnimalPartConfig::new()).unwrap();
    set.has_landmarks(set.len());
}

#[test]
fn negatives_are_counted_out() {
    let root = sound();
    let negatives =
        |n| open(&root, AnimalPartConfig::new().with_negatives(n)).map(|s| s.len() - s.positives());
    assert_eq!(negatives(Negatives::none()).unwrap(), 0);
    assert_eq!(negatives(Negatives::own().with_count(2)).unwrap(), 2);
    assert_eq!(negatives(Negatives::own().with_positive_share(0.5)).unwrap(), 3);
    assert_eq!(negatives(Negatives::own().with_positive_share(0.01)).unwrap(), 5);
    let error = negatives(Negatives::own().with_count(6)).unwrap_err();
    assert!(matches!(error, DatasetError::Count { expected: 6, found: 5, .. }), "{error}");
    for share in [0.0, 1.5, f64::NAN] {
        let error = negatives(Negatives::own().with_positive_share(share)).unwrap_err();
        assert!(matches!(error, DatasetError::Config { setting: "negatives", .. }), "{error}");
    }

    let config = AnimalPartConfig::new().with_negatives(Negatives::own().with_count(3));
    let set = open(&root, config).unwrap();
    let ids: Vec<_> = (set.positives()..set.len()).map(|i| set.sample(i).unwrap().id).collect();
    assert_eq!(ids, ["neg/00001.JPEG", "neg/00003.JPEG", "neg/00005.JPEG"]);
}

#[test]
fn one_photo_is_on_one_side_if_asked_for() {
    let root = sound();
    let config = AnimalPartConfig::new().with_min_box_area(0).with_negatives(Negatives::none());
    let set = open(&root, config.with_split(SplitRule::ByPhoto)).unwrap();
    assert_eq!(set.len(), 4);
    assert_eq!(set.split(0), set.split(1));
    // Three photos are too few for one in ten.
    assert!((0..4).all(|i| set.split(i) == Split::Train));
}

#[test]
fn a_photo_that_is_stored_twice_has_one_number() {
    let root = sound();
    for rule in [SplitRule::Authors, SplitRule::ByPhoto] {
        let config = AnimalPartConfig::new().with_min_box_area(0).with_split(rule);
        let set = open(&root, config.with_negatives(Negatives::own().with_count(5))).unwrap();
        // Five negatives follow; the first three have the bytes of the positives' pictures.
        let sources: Vec<_> = (0..set.len()).map(|i| set.source(i)).collect();
        assert_eq!(sources, [0, 0, 2, 3, 0, 2, 3, 7, 8], "{rule:?}");
        let extents: Vec<_> = (0..5).map(|i| set.box_extent(i)).collect();
        let expected = [[100.0, 80.0], [60.0, 50.0], [49.0, 51.0], [80.0, 81.0]].map(Some);
        assert_eq!((&extents[..4], extents[4]), (&expected[..], None));
        assert!(set.sample(0).unwrap().masks.is_empty());
    }
}

#[test]
fn a_landmark_outside_of_its_crop_cannot_be_intervened_on() {
    let root = sound();
    let set = open(&root, AnimalPartConfig::new()).unwrap();
    let mut sample = set.sample(0).unwrap();
    let found = sample.interventions().unwrap();
    assert_eq!((found.len(), found[0].is_some(), found[1].is_some()), (2, true, false));
    assert_eq!(found[0].as_ref().map(|head| head.landmark), sample.landmarks[0]);
    sample.landmarks[1] = Some(Point { x: 224.0, y: 3.0 });
    let error = sample.interventions().unwrap_err();
    let expected =
        "n00000001/00001: expected a landmark within a picture of 224 × 224 pixels, found (224, 3)";
    assert_eq!(
        (error.to_string().as_str(), error.kind()),
        (expected, "of a picture or landmark that cannot be intervened on")
    );
    // Without a landmark nothing is measured, and nothing can be wrong.
    let bare = Sample { landmarks: vec![None, None], image: RgbImage::new(2, 2), ..sample };
    assert_eq!(bare.interventions().unwrap(), [None, None]);
}

#[test]
fn what_is_asked_for_wrongly_is_an_error() {
    let root = sound();
    let config = AnimalPartConfig::new();
    for wnids in [&[][..], &[WNID, WNID]] {
        let error = AnimalPart::open(root.path(), wnids, &config).unwrap_err();
        assert!(matches!(error, DatasetError::Config { setting: "wnids", .. }), "{error}");
    }
    let error = open(&root, config.clone().with_image_size(0)).unwrap_err();
    assert!(matches!(error, DatasetError::Config { setting: "image_size", .. }), "{error}");
    let error = AnimalPart::open(root.path(), &["n2"], &config).unwrap_err();
    assert!(error.to_string().contains("n2_obj"), "{error}");
    let error = open(&root, config).unwrap().sample(4).unwrap_err();
    assert_eq!(error.to_string(), "Animal-Part n00000001: expected an index below 4, found 4");
}

#[test]
fn annotations_that_make_no_sense_are_errors() {
    let cases = [
        ("animal_data.mat", "animal_three.mat", "one for each of samples in data.mat: expected 4, found 3"),
        ("animal_data.mat", "animal_nan.mat", "truth(3).pHW_center: expected finite numbers, found NaN"),
        ("animal_data.mat", "animal_text.mat", "truth(2).pHW_center: expected numbers, found text of 6"),
        (
            "animal_data.mat",
            "animal_no_field.mat",
            "truth: expected a struct with an element 1 and a field pHW",
        ),
        ("animal_data_reversed.mat", "animal_legs.mat", "samples(2).obj.bndbox: expected xmin ≤ xmax"),
        ("values_v73.mat", "animal_legs.mat", "samples: expected a variable of this name"),
    ];
    for (data, legs, expected) in cases {
        let error =
            open(&root(data, "animal_head.mat", legs), AnimalPartConfig::new()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn missing_and_wrong_pictures_are_errors() {
    let root = sound();
    let image = |i: u32| root.path().join(format!("{WNID}_obj/img/img/{i:05}.jpg"));
    let set = open(&root, AnimalPartConfig::new()).unwrap();
    // Smaller than the box of the fourth sample allows for.
    RgbImage::new(40, 40).save(image(4)).unwrap();
    let error = set.sample(2).unwrap_err().to_string();
    assert!(error.contains("expected a part of the picture, 40 × 40"), "{error}");
    std::fs::write(image(1), "no picture").unwrap();
    assert!(matches!(set.sample(0), Err(DatasetError::Image { path, .. }) if path == image(1)));
    std::fs::remove_file(image(2)).unwrap();
    let error = open(&root, AnimalPartConfig::new()).unwrap_err();
    assert!(matches!(&error, DatasetError::Io { path, .. } if path == &image(2)), "{error}");
    let set = open(&root, AnimalPartConfig::new().with_faults(Faults::Skip)).unwrap();
    assert_eq!(set.positives(), 2);
    assert_eq!(set.sample(1).unwrap_err().to_string(), error_of_the_small_picture(&image(4)));
    assert_eq!(set.report().counts().collect::<Vec<_>>(), [("cannot be read", 1)]);
    assert!(set.report().messages()[0].contains("00002.jpg"));
}

fn error_of_the_small_picture(path: &Path) -> String {
    let frame = BoundingBox { left: 40.0, top: -1.0, right: 120.0, bottom: 80.0 };
    let path = path.display();
    format!("{path}: the object's box: expected a part of the picture, 40 × 40, found {frame:?}")
}

#[test]
fn other_animals_are_negatives_if_asked_for() {
    let root = sound();
    let other = "n00000002";
    let from = |path: &str| root.path().join(path.replace("{}", WNID));
    std::fs::create_dir_all(root.path().join(format!("truth/{other}"))).unwrap();
    std::fs::create_dir_all(root.path().join(format!("{other}_obj/img/img"))).unwrap();
    let mut files: Vec<_> = (1..=4).map(|i| format!("{{}}_obj/img/img/{i:05}.jpg")).collect();
    files.extend(
        ["{}_obj/img/data.mat", "truth/{}/truth_part01.mat", "truth/{}/truth_part02.mat"].map(str::to_owned),
    );
    for file in files {
        std::fs::copy(from(&file), root.path().join(file.replace("{}", other))).unwrap();
    }
    assert_eq!(AnimalPart::categories(root.path()).unwrap(), [WNID, other]);
    for names in [vec![], vec![other]] {
        let config = AnimalPartConfig::new().with_negatives(Negatives::other_categories(names).with_count(3));
        let set = open(&root, config).unwrap();
        assert_eq!((set.positives(), set.len()), (3, 6));
        let negative = set.sample(4).unwrap();
        assert_eq!(negative.id, "n00000002/00002");
        assert_eq!((negative.category, negative.bounding_box), (None, None));
        assert_eq!(negative.landmarks, [None, None]);
        assert!(negative.image == resize_bilinear(&cut(&picture(1), 10, 20, 60, 50), 224, 224));
        assert!(!set.has_landmarks(4));
    }
    let both = AnimalPart::open(root.path(), &[other, WNID], &AnimalPartConfig::new()).unwrap();
    assert_eq!(both.categories(), [other, WNID]);
    assert_eq!((0..both.len()).map(|i| both.category(i)).collect::<Vec<_>>()[2..4], [Some(0), Some(1)]);
}

#[test]
fn a_margin_shows_more_and_carries_the_landmarks_along() {
    let root = sound();
    let set = open(&root, AnimalPartConfig::new().with_margin(0.1).with_image_size(72)).unwrap();
    // The box is 60 × 50 pixels from (10, 20): 6 and 5 more on each side.
    let sample = set.sample(1).unwrap();
    assert!(sample.image == resize_bilinear(&cut(&picture(1), 4, 15, 72, 60), 72, 72));
    let close = |a: f32, b: f32| (a - b).abs() < 1e-4;
    let b = sample.bounding_box.unwrap();
    assert!(
        close(b.left, 6.0) && close(b.right, 66.0) && close(b.top, 6.0) && close(b.bottom, 66.0),
        "{b:?}"
    );
    // At the upper right corner of 224 × 224: half of 60 / 224 pixels from the box's edge.
    let p = sample.landmarks[1].unwrap();
    assert!(close(p.x, 66.0 - 0.5 - 0.5 * 60.0 / 224.0), "{p:?}");
    assert!(close(p.y, 6.0 - 0.5 + 0.5 * 60.0 / 224.0), "{p:?}");
}
