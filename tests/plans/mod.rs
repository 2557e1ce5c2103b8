//! Plans: what is made, what is made again, and what is refused before the work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use explainer_datasets::{Dataset, Split, SyntheticSpecies, SyntheticSpeciesConfig};
use serde_json::{Value, json};

use crate::common::Failure;
use crate::common::program::failure::told;
use crate::mutations::fuzz;
use crate::paper::plan::Plan;
use crate::paper::table::mean_and_half_interval;
use crate::paper::{Args, run as run_plan, side_by_side};

/// A performer that is trained within seconds.
pub const BIRDS: &str = r#"
[[experiment]]
name = "birds"
dataset = { kind = "synthetic-species", birds = 24, seed = 5 }
networks = ["alexnet"]
performer = { train = { narrow = 16, hidden = 16, size = 64, images = 32, epochs = 1 } }
epochs = 1
crops = 0
beside = "cub"
"#;
pub const NO_LOSS: &str =
    "[[variation]]\nname = \"no loss\"\nform = \"published\"\nset = [\"fit.push=[]\"]\n";
const DEFAULT: &str = "[[variation]]\nname = \"default\"\nform = \"published\"\n";

/// A folder with a plan in it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, plan: &str) -> &Self {
        fs::write(self.path("plan.toml"), plan).expect("a plan");
        self
    }

    fn run(&self, flags: &[&str]) -> Result<(), Failure> {
        run(&self.path("plan.toml"), &self.path("out"), flags)
    }

    fn refused(&self, flags: &[&str]) -> String {
        told(self.run(flags).expect_err("it is refused").as_ref())
    }

    fn cells(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out/cells.jsonl")).expect("cells");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

pub fn run(plan: &Path, out: &Path, flags: &[&str]) -> Result<(), Failure> {
    let own = ["paper", "--plan", plan.to_str().expect("UTF-8"), "--out", out.to_str().expect("UTF-8")];
    run_plan(Args::try_parse_from(own.iter().chain(flags)).expect("flags"))
}

#[test]
fn each_fit_of_a_plan_is_made_once() {
    let place = Place::new();
    place.write(&format!("seeds = [3]\n{BIRDS}{NO_LOSS}")).run(&[]).expect("one fit");
    let first = place.cells();
    assert_eq!(first.len(), 1);
    let performers = || fs::read_dir(place.path("out/performers")).expect("a folder").count();
    let files = performers();

    // An experiment's own seeds stand before the plan's.
    place.write(&format!("seeds = [7]\n{BIRDS}seeds = [3, 4]\n{NO_LOSS}{DEFAULT}"));
    place.run(&["--only", "no loss"]).expect("one more");
    // The first fit's seconds would differ if it had been made again.
    assert_eq!(place.cells()[..1], first);
    let seeds: Vec<Value> = place.cells().iter().map(|cell| cell["identity"]["seed"].clone()).collect();
    assert_eq!(seeds, [3, 4]);
    assert_eq!(performers(), files, "the performer is trained once");
    let table = fs::read_to_string(place.path("out/table.md")).expect("a table");
    assert!(table.contains("| no loss | 2 |") && !table.contains("default"), "{table}");
    assert!(table.contains("| *paper: CUB-200-2011, alexnet* |  |") && table.contains("*0.0906*"), "{table}");

    // A torn line does not count, and is taken off, even where it is torn within a character.
    let path = place.path("out/cells.jsonl");
    let whole = fs::read_to_string(&path).expect("cells");
    let torn = [whole.as_bytes(), b"{\"identity\": \"", &"→".as_bytes()[..1]].concat();
    fs::write(&path, torn).expect("cells");
    // Two at once share the work.
    std::thread::scope(|scope| {
        let two = [(); 2].map(|()| scope.spawn(|| place.run(&[])));
        two.into_iter().for_each(|run| run.join().expect("no panic").expect("fits"));
    });
    let cells = place.cells();
    assert_eq!(cells.len(), 4);
    assert!(fs::read_to_string(&path).expect("cells").starts_with(&whole));
    let table = fs::read_to_string(place.path("out/table.md")).expect("a table");
    assert!(table.contains("| default | 2 |") && table.contains(" ± "), "{table}");

    // A fit with other settings is another fit.
    place.run(&["--epochs", "2", "--table"]).expect("a table");
    let table = fs::read_to_string(place.path("out/table.md")).expect("a table");
    assert!(table.contains("| default | 0 |"), "{table}");
    fs::write(&path, format!("{{\n{whole}")).expect("cells");
    let error = place.refused(&[]);
    assert!(error.contains("cells.jsonl: line 1"), "{error}");
}

#[test]
fn what_is_wrong_or_missing_is_told_before_the_work() {
    let place = Place::new();
    let birds = format!("seeds = [5]\n{BIRDS}");
    let wrong = "[[variation]]\nname = \"?\"\nform = \"published\"\nset = [\"fit.eta=1\"]\n";
    let twice = format!("{birds}{DEFAULT}{DEFAULT}");
    let photos = r#"
[[experiment]]
name = "tigers"
dataset = { kind = "animal-part", root = "animals" }
categories = [["n02129604"]]
networks = ["alexnet"]
performer = { weights = "own:{network}-{categories}.pth" }
epochs = 1
"#;
    let photos = format!("{birds}{photos}{DEFAULT}");
    let folder = place.folder.path().to_str().expect("UTF-8");
    let (own, animals) = (format!("own={folder}"), format!("animals={folder}/none"));
    fs::write(place.path("alexnet-n02129604.pth"), "").expect("a file");
    let own: &[&str] = &["--data", &own];
    let cases: [(&str, Vec<&str>, &[&str]); 9] = [
        (&format!("{birds}seeds = []\n{DEFAULT}"), vec![], &["plan.toml", "a seed at least"]),
        (&format!("{birds}{DEFAULT}{wrong}"), vec![], &["fit.eta", "expected one of the settings"]),
        (&twice, vec![], &["plan.toml", "variation \"default\" stands twice"]),
        (&birds.replace("size = 64, ", ""), vec![], &["plan.toml", "variation"]),
        (&format!("{}{DEFAULT}", birds.replace("size = 64, ", "")), vec![], &["birds: ", "needs a size"]),
        (&photos, vec![], &["tigers, alexnet, n02129604", "own:alexnet-n02129604.pth", "--data own=DIR"]),
        (&photos, own.to_vec(), &["animals is needed", "--data animals=DIR"]),
        (&photos, [own, &["--data", &animals]].concat(), &["there is no ", "none"]),
        (&photos, vec!["--only", "cows"], &["--only \"cows\"", "tigers"]),
    ];
    for (plan, flags, parts) in cases {
        let error = place.write(plan).refused(&flags);
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
    }
    assert!(!place.path("out/cells.jsonl").exists() && !place.path("out/performers").exists());
}

/// Two kinds of birds in folders, the second upside down, and pictures of neither.
fn folders(root: &Path) {
    let config = SyntheticSpeciesConfig::new(20, 6).with_size(64);
    let set = SyntheticSpecies::new(config.with_validation_share(0.3)).expect("birds");
    let mut rows = "image,split,left,top,right,bottom,head.x,head.y,tail.x,tail.y\n".to_string();
    for index in 0..set.len() {
        let sample = set.sample(index).expect("a bird");
        let turned = index % 2 == 1;
        let folder = sample.category.map_or("none", |_| if turned { "bat" } else { "bird" });
        let name = format!("{folder}/{index}.png");
        fs::create_dir_all(root.join(folder)).expect("a folder");
        let image = if turned { image::imageops::flip_vertical(&sample.image) } else { sample.image };
        image.save(root.join(&name)).expect("a picture");
        let point = |landmark: usize| {
            let seen = sample.category.and_then(|_| sample.landmarks[landmark]);
            let y = |y: f32| if turned { 63.0 - y } else { y };
            seen.map_or(",".to_string(), |p| format!("{},{}", p.x, y(p.y)))
        };
        let split = if set.split(index) == Split::Train { "train" } else { "validation" };
        rows += &format!("{name},{split},0,0,64,64,{},{}\n", point(0), point(2));
    }
    fs::write(root.join("rows.csv"), rows).expect("annotations");
}

#[test]
fn several_categories_have_one_performer_and_each_filter_its_own() {
    let place = Place::new();
    folders(&place.path("set"));
    let plan = r#"
seeds = [1]
[[experiment]]
name = "two"
dataset = { kind = "folder", root = "set", annotations = "set:rows.csv", negatives = "others" }
categories = [["bird", "bat"]]
networks = ["alexnet"]
performer = { train = { narrow = 16, hidden = 16, size = 64, epochs = 2 } }
epochs = 1
crops = 0
[[variation]]
name = "explainer+cls"
form = "classification"
"#;
    let set = format!("set={}", place.path("set").to_str().expect("UTF-8"));
    place.write(plan).run(&["--data", &set]).expect("a fit");
    let cells = place.cells();
    let figures = &cells[0]["figures"];
    assert_eq!(figures["category"], "bird+bat");
    let of = |category: usize, layer: &str| {
        figures["by_category"][category][layer]["filters"].as_u64().expect("a number")
    };
    for layer in ["top_conv", "conv_interp_2"] {
        assert_eq!(of(0, layer) + of(1, layer), figures["filters"].as_u64().expect("a number"), "{figures}");
    }
    let images = |category: usize| figures["by_category"][category]["images"].as_u64().expect("a number");
    assert_eq!(images(0) + images(1), figures["images"].as_u64().expect("a number"));
    let labels = &figures["settings"]["fit"]["task"]["Classification"];
    assert_eq!(*labels, json!({"categories": [0, 1], "negative": 2}));
    for of in ["performer", "explainer"] {
        assert!(figures["error_among"][of].as_f64().is_some_and(|error| (0.0..=1.0).contains(&error)));
    }
    let table = fs::read_to_string(place.path("out/table.md")).expect("a table");
    assert!(table.contains("| explainer+cls | bat |"), "{table}");
}

#[test]
fn the_shipped_plans_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plans");
    let plans = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("a file").path());
    let out = tempfile::tempdir().expect("a folder");
    let mut read = 0;
    for plan in plans {
        let out = out.path().join(plan.file_stem().expect("a name"));
        run(&plan, &out, &["--table"]).unwrap_or_else(|error| panic!("{}: {error}", plan.display()));
        read += 1;
    }
    assert!(read >= 2);
}

#[test]
fn intervals_are_students() {
    // Mean 2, standard deviation 1, n = 3: 4.303 / √3.
    let (mean, half) = mean_and_half_interval(&[1.0, 2.0, 3.0]);
    assert!((mean, half.is_some_and(|half| (half - 4.303 / 3.0f64.sqrt()).abs() < 1e-9)) == (2.0, true));
    assert_eq!(mean_and_half_interval(&[7.0]), (7.0, None));
    // 12 and 31 values, −1 and 1 around 0: t is 2.2010 and 2.0423 (tables).
    for (count, t) in [(12, 2.2010), (31, 2.0423)] {
        let values: Vec<f64> = (0..count).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let mean = values.iter().sum::<f64>() / f64::from(count);
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(count - 1);
        let expected = t * (square / f64::from(count)).sqrt();
        let half = mean_and_half_interval(&values).1.expect("an interval");
        assert!((half / expected - 1.0).abs() < 1e-3, "{count}: {half} {expected}");
    }
}

#[test]
fn processes_are_waited_for() {
    let program = std::env::current_exe().expect("this test");
    let with = |flag: &str| {
        let mut command = Command::new(&program);
        command.args([flag, "no such test"]).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        command
    };
    side_by_side([with("--exact"), with("--exact")].into_iter()).expect("two that succeed");
    let error = side_by_side([with("--no-flag"), with("--exact")].into_iter()).expect_err("one fails");
    assert!(error.to_string().contains("ended with"), "{error}");
}

#[test]
fn damaged_plans_are_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plans");
    let seeds = ["ablations", "here", "paper"]
        .map(|name| fs::read(folder.join(name).with_extension("toml")).expect("a plan"));
    let place = Place::new();
    let path = place.path("plan.toml");
    fuzz("plans", 2000, &seeds, |bytes| {
        fs::write(&path, bytes).expect("a plan");
        Plan::read(&path).is_ok()
    });
}
