//! Pascal-Part's layout, two pictures made up.

use std::fs;
use std::path::Path;

use explainer_datasets::{
    BoundingBox, Crop, Dataset, DatasetError, Faults, Landmark, Negatives, PartMask, PascalPart,
    PascalPartConfig, PhotoSet, Point, SplitRule, resize_bilinear,
};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

use crate::mat::{Value, file};

const SIZE: [usize; 2] = [120, 90];

fn rectangle([left, top, right, bottom]: [usize; 4]) -> Value {
    Value::mask(SIZE, move |x, y| (left..right).contains(&x) && (top..bottom).contains(&y))
}

fn object(class: &str, sides: [usize; 4], parts: &[(&str, [usize; 4])]) -> Vec<(&'static str, Value)> {
    let part = |&(name, sides): &(&str, [usize; 4])| {
        vec![("part_name", Value::text(name)), ("mask", rectangle(sides))]
    };
    vec![
        ("class", Value::text(class)),
        ("class_ind", Value::Number(1.0)),
        ("mask", rectangle(sides)),
        ("parts", Value::Structs(parts.iter().map(part).collect())),
    ]
}

fn picture(seed: u8) -> RgbImage {
    RgbImage::from_fn(120, 90, |x, y| Rgb([2 * x as u8, 2 * y as u8, seed]))
}

fn write(root: &Path, name: &str, objects: Vec<Vec<(&'static str, Value)>>) {
    fs::create_dir_all(root.join("Annotations_Part")).unwrap();
    fs::create_dir_all(root.join("JPEGImages")).unwrap();
    let anno =
        Value::Structs(vec![vec![("imname", Value::text(name)), ("objects", Value::Structs(objects))]]);
    fs::write(root.join(format!("Annotations_Part/{name}.mat")), file("anno", anno)).unwrap();
    let path = root.join(format!("JPEGImages/{name}.jpg"));
    picture(name.len() as u8).save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// A picture with a dog and a small one, a sofa, and a picture with a dog and a cat.
fn sound() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let parts = [
        ("head", [10, 20, 20, 30]),
        ("lear", [10, 18, 14, 20]),
        ("rear", [16, 18, 20, 20]),
        ("torso", [20, 25, 60, 60]),
        ("ltail", [0, 0, 0, 0]),
    ];
    let dog = object("dog", [10, 18, 70, 78], &parts);
    let small = object("dog", [80, 10, 110, 40], &[]);
    write(
        root.path(),
        "2008_01",
        vec![dog, small, object("sofa", [0, 30, 120, 90], &[("head", [1, 31, 3, 33])])],
    );
    let dog = object("dog", [50, 0, 120, 90], &[("neck", [60, 10, 61, 11])]);
    write(root.path(), "2008_002", vec![object("cat", [0, 0, 60, 60], &[]), dog]);
    root
}

fn open(root: &TempDir, classes: &[&str], config: &PascalPartConfig) -> Result<PhotoSet, DatasetError> {
    PascalPart::open(root.path(), classes, config)
}

#[test]
fn boxes_and_centres_are_those_of_the_masks() {
    let root = sound();
    let set = open(&root, &["dog"], &PascalPartConfig::new().with_image_size(60)).unwrap();
    // The second dog has 900 pixels.
    assert_eq!((set.len(), set.name()), (2, "Pascal-Part dog"));
    assert_eq!(set.landmark_names(), ["head", "neck", "torso"]);
    let sample = set.sample(0).unwrap();
    assert_eq!(sample.id, "2008_002#2");
    let neck = sample.landmarks[1].unwrap();
    assert!((neck.x - (10.5 * 60.0 / 70.0 - 0.5)).abs() < 1e-5 && (neck.y - 6.5).abs() < 1e-5, "{neck:?}");
    assert_eq!([sample.landmarks[0], sample.landmarks[2]], [None, None]);
    let sample = set.sample(1).unwrap();
    assert_eq!(sample.id, "2008_01#1");
    let cut = image::imageops::crop_imm(&picture(7), 10, 18, 60, 60).to_image();
    assert!(sample.image == resize_bilinear(&cut, 60, 60));
    assert_eq!(sample.bounding_box, Some(BoundingBox { left: 0.0, top: 0.0, right: 60.0, bottom: 60.0 }));
    // Pixels 10 to 19 and 20 to 29 have their mean at 14.5 and 24.5; the torso's are 20 to 59 and 25 to 59.
    let expected = [Some(Point { x: 4.5, y: 6.5 }), None, Some(Point { x: 29.5, y: 24.0 })];
    assert_eq!(sample.landmarks, expected);
    assert_eq!(set.annotated(), [0, 1]);
}

#[test]
fn masks_are_cropped_and_resized_with_the_picture() {
    let root = sound();
    let set = open(&root, &["dog"], &PascalPartConfig::new().with_image_size(120)).unwrap();
    let sample = set.sample(1).unwrap();
    assert_eq!(sample.masks.len(), 3);
    // 60 × 60 pixels from (10, 18) to 120 × 120: the head's 10 to 19 and 20 to 29 to 0 to 19 and 4 to 23.
    let head = sample.mask(0).unwrap();
    assert_eq!((head.bounds(), head.area()), ([0, 4, 20, 24], 400));
    assert_eq!((head.size(), head.center()), ([120, 120], sample.landmarks[0].unwrap()));
    assert_eq!((sample.mask(1), sample.mask(2).map(PartMask::bounds)), (None, Some([20, 14, 100, 84])));
    let mirrored = sample.mirrored();
    assert_eq!(mirrored.mask(0).map(PartMask::bounds), Some([100, 4, 120, 24]));
    // The interventions are by the masks: the head is moved from its corner by whole pixels, 9.5 + 1 to 109.5.
    let pictures = sample.interventions().unwrap();
    let moved = pictures[0].as_ref().unwrap();
    assert_eq!(moved.displacement(), [99.0, 91.0]);
    assert_eq!(moved.transplanted.get_pixel(99, 95), sample.image.get_pixel(0, 4));
    assert!(pictures[1].is_none());
    // What is cut off is no part of the sample: half of a picture shows half of a mask, or none of it.
    let cut =
        Crop::new(BoundingBox { left: 0.0, top: 0.0, right: 15.0, bottom: 90.0 }, [120, 90], 30).unwrap();
    let whole = PartMask::from_fn([120, 90], |x, y| (10..20).contains(&x) && (20..30).contains(&y)).unwrap();
    assert_eq!(cut.mask(&whole).map(|mask| mask.bounds()), Some([20, 7, 30, 10]));
    let beside = PartMask::from_fn([120, 90], |x, _| x >= 15).unwrap();
    assert_eq!(cut.mask(&beside), None);
}

#[test]
fn objects_of_a_picture_have_its_number() {
    let root = sound();
    let config = PascalPartConfig::new().with_min_box_area(0);
    let negatives = Negatives::other_categories(["cat", "sofa"]).with_positive_share(0.01);
    let set = open(&root, &["dog"], &config.with_negatives(negatives)).unwrap();
    let ids: Vec<_> = (0..set.len()).map(|i| set.sample(i).unwrap().id).collect();
    assert_eq!(ids, ["2008_002#2", "2008_01#1", "2008_01#2", "2008_002#1", "2008_01#3"]);
    assert_eq!((0..set.len()).map(|i| set.source(i)).collect::<Vec<_>>(), [0, 1, 1, 0, 1]);
    assert_eq!([0, 3].map(|i| set.box_extent(i)), [Some([70.0, 90.0]), None]);
    // A negative has as many masks as there are landmarks, and none of them.
    assert_eq!(set.sample(4).unwrap().masks, [None, None, None]);
}

#[test]
fn parts_of_both_sides_are_one_landmark() {
    let root = sound();
    let ears = vec![Landmark::new("ears", ["lear", "rear"]), Landmark::new("tail", ["ltail"])];
    let config = PascalPartConfig::new().with_landmarks(ears).with_min_box_area(0).with_image_size(60);
    let set = open(&root, &["dog"], &config).unwrap();
    assert_eq!(set.len(), 3);
    // The mean of 10 to 13 and 16 to 19; an empty mask is no part.
    assert_eq!(set.sample(1).unwrap().landmarks, [Some(Point { x: 4.5, y: 0.5 }), None]);
    assert!(!set.has_landmarks(2));
}

#[test]
fn classes_are_categories_and_others_negatives() {
    let root = sound();
    let set = open(&root, &["dog", "cat"], &PascalPartConfig::new()).unwrap();
    assert_eq!((0..set.len()).map(|i| set.category(i)).collect::<Vec<_>>(), [Some(0), Some(0), Some(1)]);
    let others = |names: &[&str]| {
        let negatives = Negatives::other_categories(names.iter().copied()).with_positive_share(0.01);
        open(&root, &["dog"], &PascalPartConfig::new().with_negatives(negatives))
    };
    let ids =
        |set: PhotoSet| (set.positives()..set.len()).map(|i| set.sample(i).unwrap().id).collect::<Vec<_>>();
    assert_eq!(ids(others(&[]).unwrap()), ["2008_002#1", "2008_01#3"]);
    let sofas = others(&["sofa"]).unwrap();
    assert!(!sofas.has_landmarks(2));
    assert_eq!(ids(sofas), ["2008_01#3"]);
    for error in
        [others(&["table"]).unwrap_err(), open(&root, &["tiger"], &PascalPartConfig::new()).unwrap_err()]
    {
        let text = error.to_string();
        assert!(text.contains(r#"found {"cat", "dog", "sofa"}"#), "{text}");
    }
    for wrong in [&[][..], &["dog", "dog"]] {
        let error = open(&root, wrong, &PascalPartConfig::new()).unwrap_err();
        assert!(matches!(error, DatasetError::Config { setting: "classes", .. }), "{error}");
    }
}

#[test]
fn objects_of_a_photo_are_on_one_side_if_asked_for() {
    let root = sound();
    let config = PascalPartConfig::new().with_min_box_area(0).with_split(SplitRule::ByPhoto);
    let set = open(&root, &["dog"], &config).unwrap();
    assert_eq!(set.split(1), set.split(2));
}

#[test]
fn what_is_wrong_is_told_or_left_out() {
    let whole = [0, 0, 120, 90];
    type Damage = fn(&mut Vec<(&'static str, Value)>);
    let cases: [(Damage, &str); 6] = [
        (|dog| dog[2].1 = rectangle([5, 5, 5, 5]), "objects(1).mask: expected a mask of an object"),
        (|dog| dog[2].1 = Value::text("mask"), "objects(1).mask: expected a mask, found text"),
        (|dog| dog[2].1 = Value::mask([0, 4], |_, _| true), "objects(1).mask: expected a mask"),
        (|dog| dog[0].1 = Value::Number(3.0), "objects(1).class: expected text"),
        (|dog| dog[3].1 = Value::Number(3.0), "objects(1).parts: expected a struct"),
        (
            |dog| {
                let part =
                    vec![("part_name", Value::text("head")), ("mask", Value::mask([9, 9], |_, _| true))];
                dog[3].1 = Value::Structs(vec![part]);
            },
            "expected a mask of 120 × 90 pixels, found a mask of 9 × 9 pixels",
        ),
    ];
    for (damage, expected) in cases {
        let root = sound();
        let mut dog = object("dog", whole, &[]);
        damage(&mut dog);
        write(root.path(), "2008_01", vec![dog, object("cat", whole, &[])]);
        let error = open(&root, &["dog"], &PascalPartConfig::new()).unwrap_err().to_string();
        assert!(error.contains("2008_01.mat") && error.contains(expected), "{error}");
        let set = open(&root, &["dog", "cat"], &PascalPartConfig::new().with_faults(Faults::Skip)).unwrap();
        assert_eq!((set.len(), set.report().len()), (3, 1));
        assert!(set.report().messages()[0].contains(expected));
    }
    let root = sound();
    fs::write(root.path().join("Annotations_Part/2007.mat"), "no file of MATLAB").unwrap();
    fs::remove_file(root.path().join("JPEGImages/2008_01.jpg")).unwrap();
    assert!(open(&root, &["dog"], &PascalPartConfig::new()).unwrap_err().to_string().contains("2007.mat"));
    let config = PascalPartConfig::new().with_faults(Faults::Skip).with_min_box_area(0);
    let set = open(&root, &["dog"], &config).unwrap();
    let counts: Vec<_> = set.report().counts().collect();
    assert_eq!((set.len(), counts), (1, vec![("cannot be read", 2), ("not in the expected format", 1)]));

    let root = sound();
    RgbImage::new(90, 120)
        .save_with_format(root.path().join("JPEGImages/2008_01.jpg"), image::ImageFormat::Png)
        .unwrap();
    let error = open(&root, &["dog"], &PascalPartConfig::new()).unwrap().sample(1).unwrap_err().to_string();
    assert!(error.contains("the picture's size: expected 120 × 90 pixels, found 90 × 120 pixels"), "{error}");
}
