//! Folders of pictures, with annotations in CSV and JSON.

use std::fs;
use std::path::{Path, PathBuf};

use explainer_datasets::{
    BoundingBox, Dataset, DatasetError, Faults, ImageFolder, ImageFolderConfig, Negatives, PhotoSet, Point,
    Prefetch, Split, SplitRule, resize_bilinear,
};
use image::{Rgb, RgbImage};
use tempfile::TempDir;

fn picture(seed: u8) -> RgbImage {
    RgbImage::from_fn(40, 30, |x, y| Rgb([6 * x as u8, 8 * y as u8, seed]))
}

/// Three gulls, two terns, two pictures of neither.
fn root() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let names =
        ["gull/1.png", "gull/2.png", "gull/more/3.png", "tern/1.png", "tern/2.png", "sea/a.png", "sea/b.png"];
    for (seed, name) in (1..).zip(names) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(seed).save(path).unwrap();
    }
    root
}

fn open(root: &TempDir, config: &ImageFolderConfig) -> Result<PhotoSet, DatasetError> {
    ImageFolder::open(root.path(), config)
}

fn annotated(root: &TempDir, name: &str, text: &str) -> ImageFolderConfig {
    let path = root.path().join(name);
    fs::write(&path, text).unwrap();
    ImageFolderConfig::new().with_annotations(path).with_image_size(40)
}

#[test]
fn each_folder_is_a_category() {
    let root = root();
    let set = open(&root, &ImageFolderConfig::new().with_image_size(32)).unwrap();
    assert_eq!((set.len(), set.categories().join(" ")), (7, "gull sea tern".to_owned()));
    assert_eq!(set.name(), root.path().file_name().unwrap().to_str().unwrap());
    let sample = set.sample(2).unwrap();
    assert_eq!((&*sample.id, sample.category, sample.bounding_box), ("gull/more/3.png", Some(0), None));
    assert!(sample.image == resize_bilinear(&picture(3), 32, 32) && sample.landmarks.is_empty());
    assert!(set.annotated().is_empty());

    let config = ImageFolderConfig::new().with_negatives(Negatives::other_categories(["sea"]).with_count(2));
    let set = open(&root, &config.clone().with_categories(["tern"])).unwrap();
    assert_eq!((set.categories(), set.positives(), set.len()), (&["tern".to_owned()][..], 2, 4));
    assert_eq!(set.sample(3).unwrap().id, "sea/b.png");
    assert_eq!(open(&root, &config).unwrap().categories(), ["gull", "tern"]);
    for wrong in [&["sea"][..], &["hawk"], &["gull", "gull"]] {
        assert!(open(&root, &config.clone().with_categories(wrong.iter().copied())).is_err(), "{wrong:?}");
    }
}

const CSV: &str = "\
split, image, left, top, right, bottom, head.x, head.y, tail.x, tail.y
train, gull/1.png, 10, 5, 30, 25, 12.5, 7, ,
validation, gull/2.png, , , , , , , 39, 29
train, tern/1.png, 0, 0, 20, 30, 1, 2, 3, 4
train, tern/1.png, 20, 0, 40, 30, , , 39, 4
";
const JSON: &str = r#"{
  "landmarks": ["head", "tail"],
  "images": [
    {"image": "gull/1.png", "split": "train", "box": [10, 5, 30, 25], "landmarks": {"head": [12.5, 7]}},
    {"image": "gull/2.png", "split": "validation", "landmarks": {"tail": [39, 29]}},
    {"image": "tern/1.png", "split": "train", "box": [0, 0, 20, 30], "landmarks": {"head": [1, 2], "tail": [3, 4]}},
    {"image": "tern/1.png", "split": "train", "box": [20, 0, 40, 30], "landmarks": {"tail": [39, 4]}}
  ]
}"#;

#[test]
fn both_forms_of_annotations_say_the_same() {
    let root = root();
    for name in ["gull/more/3.png", "tern/2.png", "sea/a.png", "sea/b.png"] {
        fs::remove_file(root.path().join(name)).unwrap();
    }
    for (name, text) in [("a.csv", CSV), ("b.json", JSON), ("C.CSV", &CSV.replace('\n', "\r\n"))] {
        let set = open(&root, &annotated(&root, name, text)).unwrap();
        assert_eq!(set.landmark_names(), ["head", "tail"], "{name}");
        let ids: Vec<_> = (0..set.len()).map(|i| set.sample(i).unwrap().id).collect();
        assert_eq!(ids, ["gull/1.png", "gull/2.png", "tern/1.png#1", "tern/1.png#2"]);
        assert_eq!([0, 1, 2, 3].map(|i| set.split(i) == Split::Train), [true, false, true, true]);
        let first = set.sample(0).unwrap();
        let cut = image::imageops::crop_imm(&picture(1), 10, 5, 20, 20).to_image();
        assert!(first.image == resize_bilinear(&cut, 40, 40));
        assert_eq!(first.landmarks, [Some(Point { x: 5.5, y: 4.5 }), None]);
        let second = set.sample(1).unwrap();
        assert_eq!(second.bounding_box, None);
        assert_eq!(second.landmarks[1], Some(Point { x: 39.0, y: 29.5 * 40.0 / 30.0 - 0.5 }));
        let last = set.sample(3).unwrap();
        assert_eq!(last.bounding_box, Some(BoundingBox { left: 0.0, top: 0.0, right: 40.0, bottom: 40.0 }));
        assert_eq!(last.landmarks, [None, Some(Point { x: 38.5, y: 4.5 * 40.0 / 30.0 - 0.5 })]);
        assert_eq!(set.annotated(), [0, 1, 2, 3]);
        // The last two are of one picture.
        assert_eq!([0, 1, 2, 3].map(|i| set.source(i)), [0, 1, 2, 2]);
        assert_eq!([0, 1, 2].map(|i| set.box_extent(i)), [Some([20.0, 20.0]), None, Some([20.0, 30.0])]);
    }
}

#[test]
fn what_annotations_leave_open_is_as_without_them() {
    let root = root();
    let config =
        annotated(&root, "a.csv", "image,nose.x,nose.y\ngull/2.png,3,4\n").with_split(SplitRule::ByPhoto);
    let set = open(&root, &config).unwrap();
    assert_eq!((set.len(), set.annotated()), (7, vec![1]));
    // Pictures of categories that are not asked for are none of this set's.
    let set = open(&root, &config.with_categories(["tern"])).unwrap();
    assert_eq!((set.len(), set.annotated().len(), set.landmark_names().len()), (2, 0, 1));
}

#[test]
fn wrong_annotations_are_told_with_their_place_or_left_out() {
    let csv = |line: usize, text: &str| {
        format!(
            "image,split,left,top,right,bottom,a.x,a.y\n{}{text}\n",
            "gull/2.png,,,,,,,\n".repeat(line - 2)
        )
    };
    let one =
        |fields: &str| format!(r#"{{"landmarks": ["a"], "images": [{{"image": "gull/1.png"{fields}}}]}}"#);
    let cases = [
        ("a.csv", csv(2, "gull/1.png,,1,2,1,4,,"), "at line 2: expected a box with an area above 0"),
        ("a.csv", csv(2, "gull/1.png,,NaN,2,3,4,,"), "at line 2: expected a box of finite numbers"),
        ("a.csv", csv(3, "gull/1.png,,1,2,3,,,"), "at line 3: expected 4 numbers, or empty cells"),
        ("a.csv", csv(2, "gull/1.png,,,,,,5,"), "at line 2: expected 2 numbers, or empty cells"),
        ("a.csv", csv(2, "gull/1.png,,,,,,inf,5"), "at line 2: expected landmarks in pixels"),
        ("a.csv", csv(2, "gull/1.png,test,,,,,,"), "at line 2: expected the split train or validation"),
        ("a.csv", csv(2, "gull/9.png,,,,,,,"), "gull/9.png: cannot be read"),
        ("a.csv", csv(2, "../gull/1.png,,,,,,,"), "expected the path of a picture below the folder"),
        ("a.csv", csv(2, "gull/1.png,train,,,,,,"), "a.csv: gull/2.png: expected its split, as others have"),
        ("a.csv", csv(2, "gull/1.png,x"), "at line 2: expected 8 fields, found 2 fields"),
        ("a.json", one(r#", "box": [4, 4, 2, 9]"#), "images[0]: expected a box with an area above 0"),
        (
            "a.json",
            one(r#", "landmarks": {"b": [1, 2]}"#),
            r#"images[0]: expected landmarks among ["a"], found "b""#,
        ),
    ];
    for (name, text, expected) in cases {
        let root = root();
        let config = annotated(&root, name, &text);
        let error = open(&root, &config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let set = open(&root, &config.with_faults(Faults::Skip)).unwrap();
        assert!(set.len() <= 7 && !set.is_empty() && !set.report().is_empty());
        assert!(set.report().messages()[0].contains(expected), "{}", set.report());
        // A picture of which something is wrong is not taken for one of which nothing is said.
        let sound = ["gull/9.png", "../gull/1.png", "gull/1.png,train", "gull/1.png,x"];
        let damaged = !sound.iter().any(|row| text.contains(row));
        assert_eq!((0..set.len()).any(|i| set.sample(i).unwrap().id == "gull/1.png"), !damaged, "{text}");
    }
}

#[test]
fn a_file_of_another_form_is_an_error_whatever_the_choice() {
    let cases = [
        ("a.csv", "picture,left\n", "at line 1: expected a column image"),
        ("a.csv", "image,left,top\n", "at line 1: expected all of the columns"),
        ("a.csv", "image,head.x\n", "at line 1: expected the columns image, split"),
        ("a.csv", "image,weight\n", "<name>.x with <name>.y, found \"weight\""),
        ("a.csv", "image,image\n", "expected each column once"),
        ("a.json", "{\"images\": [", "at line 1, column 12: expected annotations in JSON"),
        (
            "a.json",
            "{\"images\": [{\"image\": \"a/b.png\", \"box\": [1e39, 4, 2, 9]}]}",
            "number out of range",
        ),
        ("a.json", "{\"images\": [], \"more\": 1}", "unknown field `more`"),
        ("a.json", "{\"landmarks\": [\"a\", \"a\"], \"images\": []}", "expected each name once"),
        ("a.txt", "", "expected a file ending in .csv or .json"),
    ];
    for (name, text, expected) in cases {
        let root = root();
        let config = annotated(&root, name, text).with_faults(Faults::Skip);
        let error = open(&root, &config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let root = root();
    let config = annotated(&root, "a.csv", "image\n");
    fs::write(root.path().join("a.csv"), b"image\ngull/\xff.png\n").unwrap();
    assert!(open(&root, &config).unwrap_err().to_string().contains("in UTF-8"));
    let nested = format!("{{\"images\": {}", "[".repeat(100_000));
    fs::write(root.path().join("a.json"), nested).unwrap();
    let error =
        open(&root, &ImageFolderConfig::new().with_annotations(root.path().join("a.json"))).unwrap_err();
    assert!(error.to_string().contains("annotations in JSON"), "{error}");
}

#[test]
fn pictures_out_of_place_are_told() {
    let root = root();
    picture(9).save(root.path().join("loose.png")).unwrap();
    let error = open(&root, &ImageFolderConfig::new()).unwrap_err().to_string();
    assert!(error.contains("at loose.png: expected pictures in folders"), "{error}");
    let set = open(&root, &ImageFolderConfig::new().with_faults(Faults::Skip)).unwrap();
    assert_eq!((set.len(), set.report().len()), (7, 1));
    let empty = tempfile::tempdir().unwrap();
    let error = open(&empty, &ImageFolderConfig::new()).unwrap_err();
    assert!(matches!(error, DatasetError::Count { expected: 1, found: 0, .. }), "{error}");
    let error = ImageFolder::open(empty.path().join("no"), &ImageFolderConfig::new()).unwrap_err();
    assert!(matches!(error, DatasetError::Io { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn names_that_are_no_text_are_read_and_told_apart() {
    use std::os::unix::ffi::OsStrExt;
    let root = root();
    let name = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    for (seed, bytes) in [(50, b"tern/\xfe.png"), (51, b"tern/\xff.png")] {
        picture(seed).save(root.path().join(name(bytes))).unwrap();
    }
    let config = ImageFolderConfig::new().with_categories(["tern"]);
    let set = open(&root, &config).unwrap();
    let samples = [2, 3].map(|i| set.sample(i).unwrap());
    assert_ne!(samples[0].id, samples[1].id);
    assert!(samples[0].image == resize_bilinear(&picture(50), 224, 224));
    fs::create_dir(root.path().join(name(b"\xff"))).unwrap();
    picture(1).save(root.path().join(name(b"\xff/1.png"))).unwrap();
    assert!(open(&root, &config).unwrap_err().to_string().contains("folders with names in UTF-8"));
}

#[test]
fn damaged_pictures_are_left_out_and_reported_when_they_are_read() {
    let root = root();
    fs::write(root.path().join("gull/2.png"), "no picture").unwrap();
    fs::remove_file(root.path().join("tern/2.png")).unwrap();
    let pictures = ["gull/1.png", "gull/2.png", "tern/1.png", "tern/2.png"].map(PathBuf::from);
    let set = ImageFolder::list(root.path(), pictures, &ImageFolderConfig::new()).unwrap();
    let indices: Vec<usize> = (0..set.len()).collect();
    let (ids, report) = Prefetch::new()
        .with_faults(Faults::Skip)
        .run(&set, &indices, |samples| samples.map(|sample| sample.unwrap().1.id).collect::<Vec<_>>());
    assert_eq!(ids, ["gull/1.png", "tern/1.png"]);
    assert_eq!(report.counts().collect::<Vec<_>>(), [("cannot be read", 1), ("no sound picture", 1)]);
}

/// The listing of a million pictures is a set in seconds; none of them is looked at.
#[test]
fn a_million_pictures_are_listed() {
    let names = (0..1_000_000).map(|i| Path::new(&format!("{:03}", i % 1000)).join(format!("{i:07}.jpg")));
    let set = ImageFolder::list("nowhere", names, &ImageFolderConfig::new()).unwrap();
    assert_eq!((set.len(), set.categories().len()), (1_000_000, 1000));
    assert_eq!(set.category(999_999), Some(999));
    assert_eq!((0..set.len()).filter(|&i| set.split(i) == Split::Train).count(), 900_000);
    assert_eq!(set.image_path(1000), Some(Path::new("nowhere/001/0000001.jpg")));
}
