//! A whole report of a small fit, and what is refused.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use explainer_core::{
    ControlFit, ControlFits, ExplainerConfig, FeatureConfig, Features, Fit, FitConfig, Fitted, LabelledImage,
    OcclusionConfig,
};
use explainer_datasets::{
    Dataset, DatasetError, Prefetch, Sample, Split, SyntheticSpecies, SyntheticSpeciesConfig,
};
use explainer_evaluation::{Deletion, EvidenceConfig, Probes, names, of_explainer};
use explainer_metrics::{DeletionImage, deletion};
use explainer_performers::{Vgg16, Vgg16Config};
use explainer_report::{ControlPeaks, Network, PartNames, Report, ReportConfig, ReportError, Verdict};
use image::{Rgb, RgbImage};
use sha2::{Digest, Sha256};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZE: usize = 64;

fn birds() -> SyntheticSpecies {
    SyntheticSpecies::new(SyntheticSpeciesConfig::new(18, 6).with_size(SIZE)).expect("birds")
}

/// A set of which less is known.
struct Blind {
    birds: SyntheticSpecies,
    categories: bool,
}

impl Dataset for Blind {
    fn name(&self) -> &str {
        self.birds.name()
    }
    fn len(&self) -> usize {
        self.birds.len()
    }
    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        let sample = self.birds.sample(index)?;
        Ok(Sample { landmarks: vec![None; sample.landmarks.len()], ..sample })
    }
    fn categories(&self) -> &[String] {
        self.birds.categories()
    }
    fn landmark_names(&self) -> &[String] {
        self.birds.landmark_names()
    }
    fn split(&self, index: usize) -> Split {
        self.birds.split(index)
    }
    fn category(&self, index: usize) -> Option<usize> {
        self.birds.category(index).filter(|_| self.categories)
    }
    fn has_landmark(&self, _: usize, _: usize) -> bool {
        false
    }
}

/// A fit of one epoch to a network with random weights.
fn fitted() -> (Vgg16, Fit) {
    let device = Device::flex();
    let config = Vgg16Config::new().with_widths([4, 4, 8, 8, 12]).with_hidden([16, 16]).with_classes(2);
    let performer = config.with_input(SIZE).init(&device);
    let features = features(&performer);
    let start = ExplainerConfig::for_performer(&performer).init_from(&performer, &device);
    let fit = one_epoch().fit(start, &performer, &features, Some(&features)).expect("a fit");
    (performer, fit)
}

fn features(performer: &Vgg16) -> Features {
    let birds = birds();
    let images = (0..birds.len()).map(|index| {
        let sample = birds.sample(index)?;
        Ok::<_, DatasetError>(LabelledImage { category: sample.category, pixels: sample.image.into_raw() })
    });
    Features::extract(performer, images, &FeatureConfig::plain(), &Device::flex()).expect("features")
}

fn one_epoch() -> FitConfig {
    FitConfig::new().with_epochs(1).with_progress(false)
}

fn config() -> ReportConfig {
    ReportConfig::new().with_images(12).with_pages(2).with_occluded(2).with_batch_size(5)
}

#[test]
fn a_report_is_one_whole_file() {
    let (performer, fit) = fitted();
    let (birds, random) = (birds(), performer.randomized(1));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made/report.html");
    let classes = ["bird".to_string(), "none".to_string()];
    let report = Report::new(&fit, &performer, &birds)
        .with_config(config())
        .with_random_performer(&random)
        .with_performer_name("slim VGG-16", &classes)
        .with_settings(&FitConfig::new())
        .expect("settings");
    report.write(&path).expect("a file");

    let html = fs::read_to_string(&path).expect("the file");
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    for section in ["parts", "images", "filters", "trust", "figures", "training", "settings"] {
        assert!(html.contains(&format!("<section id=\"{section}\">")), "{section}");
    }
    assert!(html.contains("<h1>What slim VGG-16 looks at in 8 categories</h1>"));
    assert!(html.contains("&quot;batch_size&quot;"), "the settings");
    for outside in ["http:", "https:", "src=\"/", "@import", "url("] {
        assert!(!html.contains(outside), "{outside} in a file that needs no network");
    }
    assert_eq!(html.matches("<img").count(), html.matches(" alt=\"").count());
    assert_eq!(html.matches("<details class=\"filter\"").count(), 12);
    assert_eq!(html.matches("<details class=\"image\"").count(), 2);
    assert!(html.contains("Receptive fields: squares of 9 pixels"), "how the fields were found");
    let seen = report.observe().expect("the same again");
    assert_eq!(seen.html().expect("a text"), html, "the same report of the same fit");
    assert_policy(&html);
}

#[test]
fn pictures_and_figures_can_be_had_one_by_one() {
    let (performer, fit) = fitted();
    let (birds, random) = (birds(), performer.randomized(1));
    let report = Report::new(&fit, &performer, &birds).with_config(config()).with_random_performer(&random);
    let seen = report.observe().expect("observations");
    assert_eq!(seen.images().len(), 12);
    for image in seen.images() {
        assert!(image.contributions.remainder() <= 1e-5, "{:?}", image.contributions);
    }
    let live: Vec<usize> = (0..12).filter(|&filter| seen.filters()[filter].fired > 0).collect();
    assert!(!live.is_empty());
    for &filter in &live {
        let gallery = seen.gallery(Network::Explainer, filter, 40).expect("it fired");
        let shown = seen.filters()[filter].fired.min(6) as u32;
        assert_eq!(gallery.dimensions(), (3 * 43 - 3, shown.div_ceil(3) * 43 - 3));
        let maps = seen.maps(filter).expect("it fired");
        assert_eq!(maps.width(), 3 * 5 - 1, "maps of 4 × 4");
        assert_eq!(seen.peak_histogram(filter).dimensions(), (4, 4));
        let fields = seen.receptive_field(filter).map(|field| field.images());
        assert!(fields.is_none_or(|images| (1..=2).contains(&images)));
        assert_eq!(seen.field_picture(filter, 20).is_some(), fields.is_some());
    }
    assert!(live.iter().any(|&filter| seen.receptive_field(filter).is_some()), "a field of some filter");
    let channel = seen.layer(Network::Performer).peaks.live_filters()[0];
    assert!(seen.gallery(Network::Performer, channel, 40).is_some());
    assert!(seen.contact_sheet().width() > seen.contact_sheet().height());
    let with_page = [0, 6];
    for network in [Network::Explainer, Network::Performer] {
        assert_eq!(seen.grad_cam(network, 0).expect("a page").dimensions(), (64, 64));
        assert!(seen.grad_cam(network, with_page[1]).is_some() && seen.grad_cam(network, 1).is_none());
    }
    for part in 0..seen.parts().len() {
        let (mean, patches) = seen.patches(part, 4);
        assert_eq!(mean.expect("filters that fired").dimensions(), (18, 18), "0.28 of 64");
        assert!((1..=4).contains(&patches.len()));
    }
    assert_eq!(seen.checks().len(), 6);
    assert!(seen.checks().iter().all(|check| !check.found.is_empty()));
    let names: Vec<&str> = seen.rows().iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names.len(), 11, "{names:?}");
}

#[test]
fn control_fits_are_seen_on_the_same_images() {
    let (performer, fit) = fitted();
    let (birds, random) = (birds(), performer.randomized(1));
    let report = |config: ReportConfig| {
        let report = Report::new(&fit, &performer, &birds).with_random_performer(&random);
        report.with_config(config.with_occluded(0).with_progress(false))
    };
    let fits = ControlFits::of(&ExplainerConfig::for_performer(&performer), &one_epoch());
    let seen_of = |config: ReportConfig, control, performer: &Vgg16| {
        let features = features(performer);
        let made = fits.run(control, performer, &features, Some(&features)).expect("a control fit");
        report(config).control(control, &Fitted::from(&made), performer).expect("its peaks")
    };
    let mut controls: Vec<ControlPeaks> = [ControlFit::SecondSeed, ControlFit::ShuffledFeatures]
        .map(|control| seen_of(config(), control, &performer))
        .to_vec();
    controls.push(ControlPeaks::missing(ControlFit::PermutedCategories, "it diverged"));
    controls.push(seen_of(config(), ControlFit::RandomPerformer, &random));
    let seen = report(config()).with_control_fits(controls.clone()).observe().expect("observations");
    assert_eq!(seen.rows().len(), 11 + 3);
    let trust = report(config()).with_control_fits(controls).trust().expect("checks");
    assert_eq!(trust, *seen.trust(), "with pictures and without");
    assert_eq!((trust.images, trust.checks.len(), trust.control_fits.len()), (12, 6, 4));
    assert_eq!(trust.passed + trust.failed + trust.not_measured, 6);
    let shuffled = trust.checks.last().expect("a check");
    assert_ne!(shuffled.verdict, Verdict::NotMeasured, "{shuffled:?}");
    let missing = trust.control_fits.iter().filter_map(|control| control.missing.as_deref());
    assert_eq!(missing.collect::<Vec<_>>(), ["it diverged"]);
    for control in &trust.control_fits {
        let Some(figures) = &control.figures else { continue };
        assert!((0.0..=1.0).contains(&figures.returned) && (0.0..=1.0).contains(&figures.returned_null));
        assert!(figures.row.control && figures.row.tracking.is_some() && figures.validation.is_some());
    }
    let html = seen.html().expect("a text");
    assert!(!html.contains("were not run"));

    // The fit itself is a control in which all comes back.
    let own =
        report(config()).control(ControlFit::SecondSeed, &Fitted::from(&fit), &performer).expect("its peaks");
    let own = report(config()).with_control_fits(vec![own]).trust().expect("checks");
    assert_eq!(own.control_fits[0].figures.as_ref().expect("figures").returned, 1.0);

    let fewer = seen_of(config().with_images(5), ControlFit::SecondSeed, &performer);
    let error = report(config()).with_control_fits(vec![fewer]).trust().expect_err("other images");
    assert!(matches!(error, ReportError::Control { control: ControlFit::SecondSeed, .. }), "{error}");
}

/// What contributions are worth that name the parts in their order.
fn named() -> Deletion {
    let image = |photo: usize| DeletionImage {
        photo,
        contributions: vec![0.0, 1.0, 2.0],
        drops: vec![0.1, 0.2, 0.9],
        decision: 0,
        without_important: None,
        without_others: None,
    };
    let found = deletion(&[image(0), image(1)]).expect("finite numbers");
    Deletion { single: found.single, ..Deletion::default() }
}

#[test]
fn interventions_are_in_the_report_and_in_its_checks() {
    let (performer, fit) = fitted();
    // As many as residual tracking needs of a landmark: twice the coefficients in four of five folds.
    let birds = SyntheticSpecies::new(SyntheticSpeciesConfig::new(48, 6).with_size(SIZE)).expect("birds");
    let probes = Probes::new().with(names::EXPLAINED, of_explainer(&fit.explainer, &performer));
    let config_of = EvidenceConfig::new().with_atoms(4).with_examples(2).with_progress(false);
    let evidence = config_of.measure(&performer, &birds, &probes, Prefetch::new(), &Device::flex());
    let evidence = evidence.expect("evidence").with_deletion([(names::EXPLAINED.to_string(), named())]);
    assert!((2..=2 * 5).contains(&evidence.examples.len()), "two images of five landmarks");
    let report = Report::new(&fit, &performer, &birds).with_config(config().with_occluded(0).with_pages(1));
    let seen = report.with_evidence(&evidence).observe().expect("observations");
    let questions: Vec<&str> = seen.checks().iter().map(|check| check.question.as_str()).collect();
    assert_eq!(questions.len(), 2 * 5 + 4, "{questions:?}");
    for landmark in birds.landmark_names() {
        for question in [
            format!("Do the parts follow evidence of the {landmark}?"),
            format!("Does the explained layer hold the {landmark} at all?"),
        ] {
            let check = seen.checks().iter().find(|check| check.question == question);
            assert_ne!(check.expect(&question).verdict, Verdict::NotMeasured, "{question}");
        }
    }
    let html = seen.html().expect("a text");
    assert_eq!(html.matches("class=\"shot\"").count(), evidence.examples.len());
    assert!(html.contains("a supervised detector (ceiling)") && !html.contains("No interventions were made"));
    assert!(html.contains("The contributions name the parts whose removal matters."));
    assert!(html.contains("Figures of all parts") && html.contains(">1.00 ± 0.00<"), "single deletion");
}

#[test]
fn images_are_covered_as_asked_for() {
    let (performer, fit) = fitted();
    let squares = OcclusionConfig::new(16, 20).with_batch_size(5);
    let config = config().with_occluder(Some(squares)).with_progress(false);
    let seen = Report::new(&fit, &performer, &birds()).with_config(config).observe().expect("observations");
    // 64 pixels: squares at 1.5, 21.5, 41.5 and 61.5 along either axis.
    let covering = seen.covering();
    assert_eq!((covering.images.len(), covering.copies, covering.occluder.stride), (2, 16, 20));
    let settings = "squares of 16 pixels in steps of 20, 16 covered copies of each of 2 images";
    assert!(seen.html().expect("a text").contains(settings));
    assert!((0..12).any(|filter| seen.receptive_field(filter).is_some()), "a field of some filter");
}

#[test]
fn without_landmarks_and_controls_less_is_claimed() {
    let (performer, fit) = fitted();
    let blind = Blind { birds: birds(), categories: true };
    let seen = Report::new(&fit, &performer, &blind).with_config(config().with_occluded(0)).observe();
    let seen = seen.expect("observations");
    let open = seen.checks().iter().filter(|check| check.verdict == Verdict::NotMeasured).count();
    assert!(open >= 4, "{:?}", seen.checks());
    assert!((0..12).all(|filter| seen.receptive_field(filter).is_none()));
    let html = seen.html().expect("a text");
    assert!(html.contains("No interventions were made"));
    assert!(html.contains("not measured") && !html.contains("Receptive fields: squares"));
}

/// Pictures that compress as badly as any: noise, with a category and without landmarks.
struct Noise {
    categories: Vec<String>,
    side: u32,
}

impl Dataset for Noise {
    fn name(&self) -> &str {
        "noise"
    }
    fn len(&self) -> usize {
        14
    }
    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        let mut state = index as u32 + 1;
        let image = RgbImage::from_fn(self.side, self.side, |_, _| {
            Rgb([0; 3].map(|_| {
                // xorshift
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as u8
            }))
        });
        let id = index.to_string();
        Ok(Sample {
            id,
            image,
            category: Some(0),
            bounding_box: None,
            landmarks: Vec::new(),
            masks: Vec::new(),
        })
    }
    fn categories(&self) -> &[String] {
        &self.categories
    }
    fn landmark_names(&self) -> &[String] {
        &[]
    }
    fn split(&self, _: usize) -> Split {
        Split::Validation
    }
    fn category(&self, _: usize) -> Option<usize> {
        Some(0)
    }
    fn has_landmark(&self, _: usize, _: usize) -> bool {
        false
    }
}

#[test]
fn five_hundred_filters_stay_under_25_megabytes() {
    let device = Device::flex();
    let config = Vgg16Config::new().with_widths([4, 4, 8, 8, 512]).with_hidden([16, 16]).with_classes(2);
    let performer = config.with_input(128).init(&device);
    // Without windows, in which some filters of noise would be silent.
    let explainer = ExplainerConfig::for_performer(&performer).published().init_from(&performer, &device);
    let start = explainer.interpretable.clone();
    let fit = Fit {
        explainer,
        start,
        records: Vec::new(),
        validation: None,
        without_looking: None,
        notes: Vec::new(),
    };
    let noise = Noise { categories: vec!["noise".to_string()], side: 128 };
    let config = ReportConfig::new().with_occluded(1).with_progress(false);
    let seen = Report::new(&fit, &performer, &noise).with_config(config).observe().expect("observations");
    let (filters, live) = (seen.filters(), seen.filters().iter().filter(|filter| filter.fired > 5).count());
    assert!(filters.len() == 512 && live > 500, "{live} of {}", filters.len());
    let html = seen.html().expect("a text");
    assert!(html.len() < 25_000_000, "{} bytes", html.len());
    assert!(html.len() > 10_000_000, "{} bytes: pictures could have been larger", html.len());
}

#[test]
fn a_grad_cam_of_nothing_says_so() {
    struct Zero;
    impl ModuleMapper for Zero {
        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            parameter.map(|values| values.zeros_like())
        }
    }
    let (performer, mut fit) = fitted();
    fit.explainer.interpretable = fit.explainer.interpretable.map(&mut Zero);
    let seen = Report::new(&fit, &performer, &birds()).with_config(config().with_occluded(0)).observe();
    let html = seen.expect("observations").html().expect("a text");
    // On each of two pages the explainer's, and not the performer's.
    assert_eq!(html.matches("0 everywhere").count(), 2);
}

#[test]
fn names_are_put_on_groups_and_wrong_ones_refused() {
    let (performer, fit) = fitted();
    let (birds, folder) = (birds(), tempfile::tempdir().expect("a folder"));
    let config = config().with_images(18).with_occluded(0).with_pages(1);
    let report = |names: &str| {
        let path = folder.path().join("names.toml");
        fs::write(&path, format!("[names]\n{names}")).expect("a file");
        let names = PartNames::read(&path).expect("names");
        Report::new(&fit, &performer, &birds).with_config(config.clone()).with_names(names).observe()
    };
    let plain = report("").expect("observations");
    let filter = plain.parts().first().expect("filters that fire at one place").group.filters[0];
    let named = report(&format!("{filter} = \"<beak>\"")).expect("observations");
    assert_eq!(named.part_name(0), "<beak>");
    let html = named.html().expect("a text");
    assert!(html.contains("&lt;beak&gt;") && !html.contains("<beak>"), "names are text");
    let error = report("999 = \"beak\"").err().expect("no such filter").to_string();
    assert!(error.contains("filter 999") && error.contains("names.toml"), "{error}");
}

#[test]
fn what_cannot_be_looked_at_is_told() {
    let (performer, fit) = fitted();
    let nothing = Blind { birds: birds(), categories: false };
    let error = Report::new(&fit, &performer, &nothing).observe().err().expect("no birds").to_string();
    assert!(error.contains("found none among 24"), "{error}");
    let occluder = OcclusionConfig::new(8, 0);
    let still = config().with_occluder(Some(occluder));
    let error = Report::new(&fit, &performer, &birds()).with_config(still).observe().err();
    let error = error.expect("squares that do not move").to_string();
    assert!(error.contains("ReportConfig::occluder.stride") && error.contains("found 0"), "{error}");
    let none = Report::new(&fit, &performer, &birds()).with_config(config().with_images(0)).observe().err();
    let error = none.expect("no images").to_string();
    assert!(error.contains("ReportConfig::images") && error.contains("found 0"), "{error}");
    let other = SyntheticSpecies::new(SyntheticSpeciesConfig::new(4, 1).with_size(32)).expect("birds");
    let error = Report::new(&fit, &performer, &other).observe().err().expect("small birds").to_string();
    assert!(error.contains("bytes"), "{error}");
}

/// A browser that heeds the file's policy runs its script, uses its style sheet, and nothing else.
fn assert_policy(html: &str) {
    let between = |start: &str, end: &str| {
        let (_, rest) = html.split_once(start).expect(start);
        rest.split_once(end).expect(end).0
    };
    let policy = between("<meta http-equiv=\"Content-Security-Policy\" content=\"", "\"");
    for (directive, text) in
        [("style-src", between("<style>", "</style>")), ("script-src", between("<script>", "</script>"))]
    {
        let hash = STANDARD.encode(Sha256::digest(text));
        assert!(policy.contains(&format!("{directive} 'sha256-{hash}';")), "{directive}: {policy}");
    }
    for directive in ["default-src 'none'", "base-uri 'none'", "form-action 'none'"] {
        assert!(policy.split("; ").any(|found| found == directive), "{directive}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    // What it would not run or use.
    assert_eq!((html.matches("<script").count(), html.matches("<style").count()), (1, 1));
    assert!(!html.contains(" style=") && !html.contains(" onclick=") && !html.contains(" onload="));
}
