//! The examples' own code: a whole small run with its files, and what is refused before the work.

#[allow(dead_code, reason = "what only one example does with it")]
#[path = "../examples/birds/mod.rs"]
mod birds;
#[path = "../examples/common/mod.rs"]
mod common;
#[path = "../examples/custom_performer.rs"]
mod custom_performer;
#[path = "../examples/common/description.rs"]
mod description;
#[path = "../examples/inspect/mod.rs"]
mod inspect;
mod kill;
#[path = "../crates/datasets/tests/mutations/mod.rs"]
mod mutations;
#[path = "../examples/paper/mod.rs"]
mod paper;
mod plans;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;
use common::args::{CROPS, Defaults};
use common::decisions::{Decisions, one_against, species_labels};
use common::figures::Method;
use common::program::{self, exit, failure::told, files};
use common::{Experiment, Networks, RunArgs};
use description::Classes;
use explainer_core::{
    ChannelOrder, ExplainerConfig, IMAGENET_MEAN, IMAGENET_STD, Labels, LossWeights, Masking, PartExplainer,
    Performer, Pooling, Preprocessing,
};
use explainer_datasets::{
    Cub, CubConfig, Dataset, Negatives, SyntheticSpecies, SyntheticSpeciesConfig, write_cub,
};
use explainer_filter_loss::{Gradient, Scale};
use explainer_performers::{Vgg16, Vgg16Layers, Weights};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Every key that the JSON file has in every example, and the keys below it.
const SUMMARY: &[&str] = &["mean", "median", "p90", "above_025", "above_050"];
const LAYERS: &[&str] = &["top_conv", "conv_interp_1", "conv_interp_2"];
const KEYS: &[(&str, &[&str])] = &[
    ("dataset", &[]),
    ("category", &[]),
    ("performer", &[]),
    ("seed", &[]),
    ("epochs", &[]),
    ("images", &[]),
    (
        "location_instability",
        &[
            "target",
            "top_conv",
            "conv_interp_1",
            "conv_interp_2",
            "conv_interp_2_live",
            "always_centre",
            "random_performer",
        ],
    ),
    ("tracking", &["target", "top_conv", "conv_interp_1", "conv_interp_2", "null", "random_performer"]),
    ("peak_spread", LAYERS),
    ("diversity", LAYERS),
    ("live_filters", &[]),
    ("filters", &[]),
    ("share", &[]),
    ("reconstruction", &["fc_dec_1", "fc_dec_2"]),
    ("error", &["performer", "explainer"]),
    ("agreement", &[]),
    ("seconds", &["features", "fit", "evaluate"]),
    ("peak_rss_mib", &[]),
];

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    run: RunArgs,
}

fn flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Result<RunArgs, clap::Error> {
    Flags::try_parse_from(["test"].into_iter().chain(flags)).map(|flags| flags.run)
}

/// Flags of a short training.
const PUBLISHED: [&str; 6] = ["--form", "published", "--epochs", "1", "--crops", "0"];

/// `cub_vgg16` with few birds.
fn run_with(out: &Path, further: &[&str]) -> Result<(), common::Failure> {
    // As many as residual tracking needs of a landmark: twice the coefficients in four of five folds.
    let config = SyntheticSpeciesConfig::new(44, 12).with_size(128);
    let own = ["--out", out.to_str().expect("UTF-8")];
    fit(&[&own, further].concat(), &SyntheticSpecies::new(config)?, Some(species_labels()))
}

/// A fit to the shipped performer.
fn fit(further: &[&str], dataset: &dyn Dataset, labels: Option<Labels>) -> Result<(), common::Failure> {
    let args = flags(further.iter().copied())?;
    let device = args.fit.device.open()?;
    let performer = shipped(&device)?;
    let random = performer.randomized(args.seed);
    Experiment {
        dataset,
        networks: &Networks { performer, random, name: "narrow VGG-16".to_string() },
        labels,
        args: &args.fit,
        defaults: Defaults { epochs: 2, crops: CROPS, published: LossWeights::PUBLISHED_VGG16 },
    }
    .run(&args, &device)
}

fn shipped(device: &Device) -> Result<Vgg16, common::Failure> {
    let weights = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/vgg16_narrow_species.safetensors");
    let weights = Weights::file(weights).with_preprocessing(Preprocessing::imagenet(128));
    Ok(Vgg16::load(weights, device)?)
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

/// Checks that a value has the keys and is a finite number at each of them.
fn assert_numbers(value: &Value, keys: &[&str], at: &str) {
    for key in keys {
        let number = value[key].as_f64();
        assert!(number.is_some_and(f64::is_finite), "{at}.{key} is {:?}", value.get(key));
    }
}

#[test]
fn a_whole_run_writes_its_files_and_comes_out_the_same_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, json) = (folder.path().join("made/out"), folder.path().join("made/too/figures.json"));
    run_with(&out, &["--json", json.to_str().expect("UTF-8")]).expect("a run");

    let mut figures = read(&json);
    assert_eq!(read(&out.join("figures.json")), figures);
    assert_keys(&figures);
    assert_evidence(
        &figures,
        &["target", "top_conv", "conv_interp_2", "places", "unfitted", "kmeans", "ceiling"],
    );
    for (key, expected) in [
        ("dataset", json!("synthetic species")),
        ("performer", json!("narrow VGG-16")),
        ("form", json!("Parts")),
        ("seed", json!(0)),
        ("epochs", json!(0)),
        ("filters", json!(16)),
    ] {
        assert_eq!(figures[key], expected, "{key}");
    }
    let single = &figures["evidence"]["conv_interp_2"]["deletion"]["single"];
    assert!(single.as_array().is_some_and(|pair| pair.iter().all(Value::is_number)), "{single}");
    let parts = &figures["part_detectors"]["validation"];
    assert_numbers(parts, &["mass_share", "agreement_of_parts", "present"], "part_detectors");
    assert_eq!(parts["mass_share"], figures["share"]);
    let sheet = image::open(out.join("contact_sheet.png")).expect("a picture");
    assert!(sheet.width() > sheet.height());
    let report = fs::read_to_string(out.join("report.html")).expect("a report");
    assert!(report.contains("What narrow VGG-16 looks at in "));
    assert!(report.contains("were not run"), "the control fits, which nobody asked for");
    assert!(report.contains("as it is, ") && report.contains("<section id=\"evidence\">"), "interventions");
    let checks = assert_checks(&figures, &report, 3);
    assert_eq!(checks.last().expect("a check")["verdict"], "not-measured", "{checks:?}");
    // The report measures by itself, on the same images.
    for layer in ["top_conv", "conv_interp_1", "conv_interp_2", "unfitted", "places", "random_performer"] {
        let [instability, tracking] = [
            figures["location_instability"][layer].as_f64().expect("a number"),
            figures["tracking"][layer]["mean"].as_f64().expect("a number"),
        ];
        let cells = format!("<td class=\"num\">{instability:.4}</td><td class=\"num\">{tracking:.3}</td>");
        assert!(report.contains(&cells), "{layer}: {cells}");
    }

    // What was kept explains by itself.
    let device = Device::default();
    let performer = shipped(&device).expect("weights");
    let (explainer, notes) =
        PartExplainer::load(out.join("explainer.safetensors"), &performer, &device).expect("an explainer");
    assert_eq!((explainer.parts(), notes["performer"].as_str()), (16, "narrow VGG-16"));

    run_with(&out, &["--json", json.to_str().expect("UTF-8"), "--no-report"]).expect("the same run again");
    let mut again = read(&json);
    for figures in [&mut figures, &mut again] {
        for key in ["seconds", "peak_rss_mib"] {
            figures.as_object_mut().expect("an object").remove(key);
        }
    }
    assert_eq!(again, figures);
}

#[test]
fn a_form_that_is_trained_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    run_with(&out, &[&PUBLISHED[..], &["--no-report"]].concat()).expect("a run");
    let figures = read(&out.join("figures.json"));
    assert_keys(&figures);
    assert!(out.join("explainer.bpk").is_file() && figures.get("part_detectors").is_none());
    assert_eq!((&figures["form"], &figures["epochs"]), (&json!("Published"), &json!(1)));
    let record = read(&out.join("record.json"));
    assert_numbers(&record[0]["validation"], &["agreement", "instability"], "record.validation");
    run_with(&out, &PUBLISHED).expect("the same run again");
    // The epoch's seconds would differ if it had been fitted again.
    assert_eq!(read(&out.join("record.json")), record);
    let report = fs::read_to_string(out.join("report.html")).expect("a report");
    assert!(report.contains("Held-out instability: conv-interp-2 from "));
    assert_checks(&read(&out.join("figures.json")), &report, 4);
}

/// Every key that was ever there.
fn assert_keys(figures: &Value) {
    for &(key, below) in KEYS {
        assert!(figures.get(key).is_some(), "no {key}");
        if key == "tracking" {
            below.iter().for_each(|layer| assert_numbers(&figures[key][layer], SUMMARY, layer));
        } else {
            assert_numbers(&figures[key], below, key);
        }
    }
    assert_numbers(figures, &["images", "live_filters", "filters", "share", "mass_share", "agreement"], "");
    assert_numbers(&figures["trust"], &["passed", "failed", "not_measured", "images"], "trust");
}

/// The checks of the JSON file, which are those of the report.
fn assert_checks<'a>(figures: &'a Value, report: &str, others: usize) -> &'a [Value] {
    let checks = figures["trust"]["checks"].as_array().expect("checks");
    let landmarks = figures["evidence"]["target"].as_object().expect("a layer").len() - 2;
    assert!(landmarks > 0);
    // Does each landmark have parts, and could it; and contributions and what control fits there are.
    assert_eq!(checks.len(), 2 * landmarks + others, "{checks:?}");
    for check in checks {
        for key in ["question", "verdict", "found", "bar", "reason"] {
            let text = check[key].as_str().expect("a text");
            assert!(
                !text.is_empty() && (key == "verdict" || key == "bar" || report.contains(text)),
                "{text}"
            );
        }
    }
    checks
}

/// Layers and controls of the evidence, each with all figures of all landmarks.
fn assert_evidence(figures: &Value, layers: &[&str]) {
    let evidence = figures["evidence"].as_object().expect("evidence");
    let mut found: Vec<&str> = evidence.keys().map(String::as_str).collect();
    let mut expected = layers.to_vec();
    [&mut found, &mut expected].into_iter().for_each(|names| names.sort_unstable());
    assert_eq!(found, expected);
    // A set may name a landmark that no image shows.
    let shown = |landmark: &str| !figures["evidence"]["target"][landmark]["hit"].is_null();
    let target = evidence["target"].as_object().expect("landmarks");
    assert!(target.keys().filter(|name| shown(name)).count() > 0);
    for (layer, landmarks) in evidence {
        for (landmark, found) in landmarks.as_object().expect("landmarks") {
            if ["selectivity", "deletion"].contains(&landmark.as_str()) || !shown(landmark) {
                continue;
            }
            for key in
                ["erase_auc", "hit", "transplant_hit", "stays", "gain", "residual_tracking", "residual_null"]
            {
                let pair =
                    found[key].as_array().unwrap_or_else(|| panic!("{layer}.{landmark}.{key}: {found}"));
                assert!(pair.len() == 2 && pair.iter().all(Value::is_number), "{layer}.{landmark}.{key}");
            }
            for key in ["crosstalk", "presence_auc"] {
                assert!(found.get(key).is_some(), "{layer}.{landmark}.{key}");
            }
        }
        assert!(landmarks["deletion"].get("single").is_some() && landmarks.get("selectivity").is_some());
        assert!(figures["evidence_all_detectors"].get(layer).is_some());
    }
    assert_numbers(
        &figures["evidence_images"],
        &["images", "photographs", "available", "left_out"],
        "evidence",
    );
}

/// Synthetic birds in the layout of CUB-200-2011, one picture of them damaged.
#[test]
fn birds_of_a_folder_are_inspected_and_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let [root, negatives, sheet, json] =
        ["cub", "none", "a/sheet.png", "figures.json"].map(|name| folder.path().join(name));
    let config = SyntheticSpeciesConfig::new(45, 8).with_size(160).with_validation_share(0.2);
    let drawn = SyntheticSpecies::new(config).expect("birds");
    write_cub(&drawn, &root, Some(&negatives)).expect("a set");
    // One that shows all parts, so that everything looks at it.
    let mut lancers = (0..drawn.len()).filter(|&index| drawn.category(index) == Some(0));
    let whole = |index: usize| (0..5).all(|part| drawn.has_landmark(index, part));
    let nth = 1 + lancers.position(whole).expect("a bird that shows all parts");
    let damaged = format!("crowned-lancer_{nth:04}.jpg");
    fs::write(root.join("images/001.crowned-lancer").join(&damaged), "no picture").expect("a file");

    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let inspected = |further: &[&str]| {
        let (root, negatives, sheet) = (text(&root), text(&negatives), text(&sheet));
        let set = ["inspect", "--kind", "cub", "--data", &root, "--negatives", &negatives, "--sheet", &sheet];
        let args = inspect::Args::try_parse_from(set.iter().chain(further)).expect("flags");
        inspect::run(&args).map_err(|error| error.to_string())
    };
    inspected(&["--read", "--skip-damaged", "--samples", "10", "--size", "64"]).expect("a sheet");
    let drawn = image::open(&sheet).expect("a picture").into_rgb8();
    assert_eq!(drawn.dimensions(), (8 * 64, 3 * 64));
    assert!(drawn.pixels().filter(|pixel| pixel.0 == [255, 255, 0]).count() > 1000, "boxes are yellow");
    let error = inspected(&["--read"]).expect_err("the first damage");
    assert!(error.contains(&damaged), "{error}");
    assert!(inspect::Args::try_parse_from(["inspect", "--kind", "folder"]).is_err(), "a folder needs --data");
    let synthetic =
        ["inspect", "--kind", "synthetic", "--size", "32", "--samples", "1", "--sheet", &text(&sheet)];
    inspect::run(&inspect::Args::try_parse_from(synthetic).expect("flags")).expect("a sheet");

    let config = CubConfig::new().with_image_size(128).with_negatives(Negatives::folder(negatives));
    let birds = Cub::open(&root, &config).expect("a set");
    let error = fit(&["--no-report"], &birds, None).expect_err("the first damage");
    assert!(told(error.as_ref()).contains(&damaged), "{error}");
    let out = folder.path().join("out");
    let (json_file, folder_of_out) = (text(&json), text(&out));
    let asked =
        ["--skip-damaged", "--head-to-head=5", "--trust", "--json", &json_file, "--out", &folder_of_out];
    fit(&asked, &birds, None).expect("a fit");
    let report = fs::read_to_string(out.join("report.html")).expect("a report");
    assert!(report.contains("1 image that could not be read was left out"));
    let figures = read(&json);
    assert_eq!((&figures["dataset"], &figures["category"]), (&json!("CUB-200-2011"), &json!("bird")));
    assert_eq!(figures["images"], json!(birds.annotated().len() - 1));
    assert_numbers(&figures["tracking"]["conv_interp_2"], SUMMARY, "tracking");
    assert_methods(&figures);
    let checks = assert_checks(&figures, &report, 3);
    assert!(!report.contains("were not run") && report.contains("explainer, second seed"));
    let controls = figures["trust"]["control_fits"].as_array().expect("control fits");
    assert_eq!(controls.len(), 3);
    for control in controls {
        let name = control["control"].as_str().expect("a name");
        assert_numbers(&control["figures"], &["returned", "returned_null", "share"], name);
        assert_numbers(&control["figures"]["row"]["tracking"], SUMMARY, name);
    }
    for check in &checks[checks.len() - 2..] {
        assert_ne!(check["verdict"], "not-measured", "parts of random weights and of shuffled features");
    }
    let all = [
        "target",
        "top_conv",
        "conv_interp_2",
        "places",
        "unfitted",
        "kmeans",
        "ceiling",
        "published",
        "random_performer",
        "random_ceiling",
        "random_parts",
        "shuffled_parts",
    ];
    assert_evidence(&figures, &all);
}

/// What `--head-to-head=5` adds agrees with the rest and with itself.
fn assert_methods(figures: &Value) {
    let methods = figures["head_to_head"]["methods"].as_array().expect("methods");
    let filters: Vec<_> = methods.iter().map(|method| method["filters"].clone()).collect();
    assert_eq!(filters, [64, 16, 64, 5, 5, 5, 5]);
    let [top_conv, explainer, channels, dictionaries @ ..] = &methods[..] else { panic!("{methods:?}") };
    for (method, layer) in [(top_conv, "top_conv"), (explainer, "conv_interp_2"), (channels, "target")] {
        assert_eq!(method["tracking"], figures["tracking"][layer], "{layer}");
    }
    assert_eq!(explainer["agreement"], figures["agreement"]);
    assert_eq!(channels["agreement"], json!(1.0));
    assert!(channels["upper_error"][1].as_f64().is_some_and(|error| error < 1e-8), "{channels}");
    for method in dictionaries {
        let keys = ["instability", "fires", "target_error", "agreement", "seconds_fit", "seconds_encode"];
        assert_numbers(method, &keys, "head_to_head");
        let error = method["target_error"].as_f64().expect("a number");
        assert!(error > 0.0 && error < 1.0, "{method}");
    }
}

#[test]
fn a_network_of_ones_own_is_trained_and_explained() {
    let settings = custom_performer::Settings { birds: 24, training: 2, seed: 1 };
    let device = flags([]).expect("no flags").fit.device.open().expect("a device");
    let run = custom_performer::run(&settings, &device).expect("a run");
    assert!((0.0..=1.0).contains(&run.validation_error));
    let validation = run.fit.validation.as_ref().expect("figures");
    assert!(validation.relative_error.iter().all(|&error| error < 1e-9), "{validation:?}");
    assert!(validation.mass_share > 0.0 && validation.mass_share < 1.0, "{validation:?}");
    // A single score, which parts and all else give together.
    let explanation = &run.explanation;
    assert_eq!((explanation.scores.len(), explanation.scores_of_parts.len()), (1, 1));
    assert!(explanation.contributions.remainder() < 0.05, "{:?}", explanation.contributions);
    assert_eq!(explanation.parts.len() + explanation.absent.len(), run.fit.explainer.parts());
    for part in explanation.top_parts(3) {
        // Units of 8×8 lie 8 pixels apart from pixel 0 on.
        assert_eq!(part.center, [8.0 * part.unit[1] as f64, 8.0 * part.unit[0] as f64]);
    }
}

#[test]
fn flags_refuse_nothing_and_less() {
    for flag in ["--epochs", "--batch-size", "--threads"] {
        assert!(flags([flag, "1"]).is_ok(), "{flag}");
        for value in ["0", "-1", "1.5"] {
            let error = flags([&*format!("{flag}={value}")]).expect_err(flag);
            assert!(error.to_string().contains(flag), "{error}");
        }
    }
}

#[test]
fn files_are_whole_and_for_everyone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/file.json");
    files::check(&path).expect("a place to write");
    assert!(!path.exists());
    files::write_json(&path, &json!([1])).expect("a file");
    let failed = files::write(&path, |_| Err("no contents".into())).expect_err("an error");
    assert!(failed.to_string().contains("file.json: cannot be written: no contents"), "{failed}");
    assert_eq!(read(&path), json!([1]));
    let names = fs::read_dir(folder.path().join("new")).expect("a folder");
    assert_eq!(names.count(), 1, "nothing is left behind");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What a file of the standard library gets, under whatever umask, but for writing by others.
        let mode = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
        let plain = folder.path().join("plain");
        fs::write(&plain, "").expect("a file");
        assert_eq!(mode(&path), mode(&plain) & 0o644);
    }

    for nowhere in [folder.path().join("new"), path.join("below/a/file")] {
        let error = files::check(&nowhere).expect_err("not a place to write");
        assert!(error.to_string().contains("new"), "{error}");
        let args = flags(["--json", nowhere.to_str().expect("UTF-8")]).expect("flags");
        assert!(args.check().is_err());
    }
    let args = flags(["--out", path.to_str().expect("UTF-8")]).expect("flags");
    assert!(args.check().is_err(), "a file is no folder");
}

#[test]
fn errors_are_told_with_their_causes() {
    #[derive(Debug)]
    struct Link(&'static str, Option<Box<Link>>);
    impl std::fmt::Display for Link {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Link {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as _)
        }
    }
    let chain = |texts: [&'static str; 3]| {
        texts.into_iter().rev().fold(None, |cause, text| Some(Box::new(Link(text, cause)))).expect("a chain")
    };
    let plain = chain(["no fit", "no features", "no image"]);
    assert_eq!(told(&*plain), "error: no fit\ncaused by: no features\ncaused by: no image");
    let quoting = chain(["no fit", "a.jpg: no image", "no image"]);
    assert_eq!(told(&*quoting), "error: no fit\ncaused by: a.jpg: no image");
    assert_eq!(exit(Err(plain)), ExitCode::FAILURE);
    assert_eq!(exit(Ok(())), ExitCode::SUCCESS);
}

#[test]
fn the_shipped_performer_says_what_it_reads() {
    let weights =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/vgg16_narrow_species.safetensors");
    let (performer, classes) =
        description::load::<Vgg16Layers>(&weights, &Device::default()).expect("weights");
    assert_eq!(performer.preprocessing(), Preprocessing::imagenet(128));
    let config = SyntheticSpeciesConfig::new(8, 0).with_size(128);
    let species = SyntheticSpecies::new(config).expect("species");
    let names = species.categories().iter().map(String::as_str).chain(["negative"]);
    let found: Vec<usize> = names.map(|name| classes.index(name).expect("a class")).collect();
    let Labels { mut categories, negative } = species_labels();
    categories.extend(negative);
    assert_eq!(found, categories);
}

#[test]
fn a_performers_description_is_honoured_and_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/performers/tests/fixtures").join(name)
    };
    // One of three classes in a file that says nothing of itself, and one that says all.
    let (torch, matconvnet) = (folder.path().join("net.safetensors"), folder.path().join("own.mat"));
    fs::copy(fixture("vgg16_slim.safetensors"), &torch).expect("a copy");
    fs::copy(fixture("vgg16_slim.mat"), &matconvnet).expect("a copy");
    let load = |weights: &Path| description::load::<Vgg16Layers>(weights, &Device::default());
    let described = |description: Value| {
        fs::write(torch.with_extension("json"), description.to_string()).expect("a file");
        load(&torch)
    };
    let refused =
        |result: Result<(Vgg16, Classes), common::Failure>| result.expect_err("nonsense").to_string();

    let error = refused(load(&torch));
    assert!(error.contains("net.safetensors: has no names") && error.contains("net.json"), "{error}");
    let (performer, classes) = load(&matconvnet).expect("all in one file");
    assert_eq!(classes.index("tench").expect("a class"), 1);
    assert_ne!(performer.preprocessing(), Preprocessing::imagenet(224));

    let (performer, classes) =
        described(json!({"classes": ["cat", "dog", "negative"], "epoch": 10})).expect("a network");
    assert_eq!(classes.index("negative").expect("a class"), 2);
    let error = classes.index("cow").expect_err("no such class").to_string();
    assert!(error.contains("net.json") && error.contains("cow") && error.contains("cat"), "{error}");
    assert_eq!(performer.preprocessing(), Preprocessing::imagenet(224));
    let error = refused(described(json!({"classes": ["cat", "dog"]})));
    for part in ["net.json", "expected 3", "found 2"] {
        assert!(error.contains(part), "{error}");
    }

    let stated = |mut description: Value| {
        description["classes"] = json!(["cat", "dog", "negative"]);
        described(description).map(|(performer, _)| performer.preprocessing())
    };
    let own = json!({"mean": [0.5, 0.25, 0.0], "std": [1, 1, 0.5], "input": [3, 224, 224]});
    let expected = Preprocessing::new(224, [0.5, 0.25, 0.0], [1.0, 1.0, 0.5]);
    assert_eq!(stated(own).expect("a network"), expected);
    let mean = stated(json!({"mean": [0, 0, 0]})).expect("a network");
    assert_eq!((mean.mean, mean.std), ([0.0; 3], IMAGENET_STD));
    let std = stated(json!({"std": [1, 1, 1]})).expect("a network");
    assert_eq!((std.mean, std.std), (IMAGENET_MEAN, [1.0; 3]));
    let bytes = json!({"mean": [127.5, 102, 51], "std": [51, 25.5, 255], "range": [0, 255], "order": "Bgr"});
    let bytes = stated(bytes).expect("a network");
    assert_eq!((bytes.mean, bytes.std), ([0.5, 0.4, 0.2], [0.2, 0.1, 1.0]));
    assert_eq!(bytes.order, ChannelOrder::Bgr);
    let named = json!({"mean": {"blue": 0.5, "green": 0.25, "red": 0.125}, "order": "bgr"});
    assert_eq!(stated(named).expect("a network").mean, [0.125, 0.25, 0.5]);
    let whole = json!({"preprocessing": {"size": 224, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}});
    assert_eq!(stated(whole).expect("a network"), Preprocessing::new(224, [0.5; 3], [0.5; 3]));
    let remarks =
        json!({"_note": 1, "val_accuracy": 0.5, "preprocessing": "as usual", "mean": [0.5, 0.5, 0.5]});
    assert_eq!(stated(remarks).expect("a network").mean, [0.5; 3]);
    for (wrong, expected) in [
        (json!({"input": [3, 224, 200]}), "input: expected [3, n, n]"),
        (json!({"input": [1, 64, 64]}), "input: expected [3, n, n]"),
        (json!({"std": [1, 0, 1]}), "std: expected standard deviations above 0"),
        (json!({"means": [0.5, 0.5, 0.5]}), "unknown field `means`, expected one of"),
        (json!({"order": "rbg"}), "unknown variant `rbg`"),
        (json!({"mean": [123.7, 116.3, 103.5]}), r#"in 0..255 write "range": [0, 255]"#),
        (json!({"std": [58.4, 57.1, 57.4]}), r#"in 0..255 write "range": [0, 255]"#),
        (json!({"mean": [0.4, 0.4, 0.4], "range": [0, 255]}), "expected means of pixels in 0..255"),
        (json!({"std": [0.2, 0.2, 0.2], "range": [0, 255]}), "of 1 or more of pixels in 0..255"),
        (json!({"range": [0, 100]}), "range: expected [0, 1] or [0, 255]"),
        (json!({"mean": [103.9, 116.8, 123.7], "range": [0, 255], "order": "bgr"}), "looks like blue first"),
        (json!({"mean": 0.5}), "[R, G, B], or by these names"),
        (json!({"preprocessing": {"size": 224, "mean": [0, 0, 0]}}), "preprocessing: missing field `std`"),
        (
            json!({"preprocessing": {"size": 64, "mean": [0, 0, 0], "std": [1, 1, 1], "order": "Rgb", "x": 1}}),
            "preprocessing: unknown field `x`",
        ),
        (
            json!({"preprocessing": {"size": 64, "mean": [0, 0, 0], "std": [1, 1, 1]}, "input": [3, 224, 224]}),
            "input: expected 64",
        ),
    ] {
        let error = stated(wrong.clone()).expect_err("nonsense").to_string();
        assert!(error.contains("net.json: ") && error.contains(expected), "{wrong}: {error}");
    }
    let twice = refused(described(json!({"classes": ["cat", "cat", "negative"]})));
    assert!(twice.contains("classes: expected each name once"), "{twice}");
    fs::write(torch.with_extension("json"), r#"{"mean": [0, 0, 0], "mean": [1, 1, 1]}"#).expect("a file");
    let error = refused(load(&torch));
    assert!(error.contains("the key mean stands twice"), "{error}");
    // With the mark that some editors put in front.
    let text = "\u{feff}{\"classes\": [\"cat\", \"dog\", \"negative\"], \"input\": [3, 64, 64]}";
    fs::write(torch.with_extension("json"), text).expect("a file");
    let error = refused(load(&torch));
    assert!(error.contains("classifier.0.weight") && !error.contains("assumed"), "{error}");
}

#[test]
fn decisions_are_among_all_classes_and_among_those_of_the_dataset() {
    let labels = one_against(1, 0);
    let (performer, explainer) = ([0.0, 1.0, 5.0, 2.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0, 2.0, 0.0]);
    let found = Decisions::new(&performer, &explainer, &[Some(0), None], &labels).expect("decisions");
    // Among all, the performer decides for 2 and 0, the explainer for 1 and 1; without class 2, 1 and 0.
    assert_eq!((found.all.performer, found.all.explainer), (0.5, 0.5));
    assert_eq!((found.among.performer, found.among.explainer, found.agreement_among), (0.0, 0.5, 0.5));
    // A single score decides by its sign.
    let found = Decisions::new(&[3.0, -1.0], &[2.0, 1.0], &[Some(0), None], &labels).expect("decisions");
    assert_eq!((found.among.performer, found.among.explainer, found.agreement_among), (0.0, 0.5, 0.5));
    let without = Labels { negative: None, ..labels };
    assert!(Decisions::new(&performer, &explainer, &[Some(0), None], &without).is_err());
}

#[test]
fn flags_that_the_form_has_no_use_for_are_refused() {
    let refused = |given: &[&str]| {
        let error = flags(given.iter().copied()).expect("flags").check().expect_err("no use").to_string();
        assert!(error.contains(given[0]), "{error}");
        error
    };
    for given in [["--epochs", "2"], ["--crops", "1"], ["--batch-size", "4"], ["--set", "fit.seed=1"]] {
        assert!(refused(&given).contains("--form published"), "{given:?}");
    }
    assert!(refused(&["--parts", "4", "--form", "published"]).contains("--form parts"));
    assert!(flags(["--parts", "4"]).expect("flags").check().is_ok());
    assert!(flags(PUBLISHED).expect("flags").check().is_ok());
}

#[test]
fn settings_are_set_by_their_names() {
    let set = |settings: &[&str]| {
        let with_flag = settings.iter().flat_map(|setting| ["--set", setting]);
        let trained = settings.iter().any(|setting| !setting.starts_with("parts."));
        let form = if trained { "published" } else { "parts" };
        let args = flags(["--form", form].into_iter().chain(with_flag)).map_err(|error| error.to_string())?;
        let explainer = ExplainerConfig::new(3, 4, 5, Pooling::max(2, 2), vec![6]);
        let defaults = Defaults { epochs: 2, crops: CROPS, published: LossWeights::PUBLISHED };
        let views = args.fit.views(args.form, &defaults, 0);
        args.check().map_err(|error| error.to_string())?;
        let settings = args.fit.settings(explainer, &defaults, &views, &args.wanted());
        settings.map(|settings| settings.method).map_err(|error| error.to_string())
    };
    let Method::Parts { parts } = set(&["parts.parts=8", "parts.seed=4"]).expect("settings") else {
        panic!("the default")
    };
    assert_eq!((parts.parts, parts.seed), (8, 4));
    let Method::Trained { fit, explainer } = set(&[
        "fit.gradient=Exact",
        "fit.weights.eta=0.3",
        r#"fit.scale={"Energy":{"trace":3.0}}"#,
        r#"explainer.masks=["None"]"#,
    ])
    .expect("settings") else {
        panic!("a form that is trained")
    };
    assert_eq!(fit.gradient, Gradient::Exact);
    assert_eq!((fit.weights.eta, fit.weights.share), (0.3, LossWeights::PUBLISHED.share));
    assert_eq!(fit.scale, Scale::Energy { trace: 3.0 });
    assert_eq!(explainer.masks, [Masking::None]);
    assert_eq!(fit.epochs, 2);

    for (setting, expected) in [
        ("fit.gradiant=Exact", "expected one of the settings"),
        ("fit.weights.eta.x=1", "found x"),
        ("fit.gradient=Best", "--set fit.gradient: unknown variant"),
        (r#"fit.weights={"reconstruction":"Relative","eta":0.1,"share":1.0,"etta":2.0}"#, "etta"),
        (r#"fit.rates={"conv":1.0}"#, "conv"),
        ("fit.batch_size=-3", "--set fit.batch_size"),
        ("gradient=Exact", "starts with `parts.`, `fit.` or `explainer.`"),
        ("fit.gradient", "NAME=VALUE"),
    ] {
        let error = set(&[setting]).expect_err(setting);
        assert!(error.contains(expected), "{setting}: {error}");
    }
}
