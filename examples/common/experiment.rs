//! From a performer and a dataset to the table.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use explainer_core::{
    ExplainerConfig, ExplainerNetwork, FeatureConfig, Features, Fit, Fitted, FolderLock, LabelledImage,
    Labels, PartFit, Performer, Task,
};
use explainer_datasets::{Dataset, DatasetError, Prefetch, Split};
use explainer_evaluation::{
    Account, Accounts, DeletionConfig, Evidence, EvidenceConfig, Probes, from_fn, names, of_network,
};
use explainer_metrics::Landmarks;
use explainer_report::{PartNames, Report, ReportConfig};

use super::args::{Defaults, Form, Wanted};
use super::controls::Controls;
use super::decisions::Decisions;
use super::evaluate::{Compared, positions};
use super::figures::{Figures, Method, PartFigures, Reconstruction, Seconds, Settings};
use super::head_to_head::Contest;
use super::memory::peak_rss_mib;
use super::program::stopping::{self, Heeding};
use super::program::{files, say};
use super::{Failure, FitArgs, RunArgs, table};

/// The performer and its control.
pub struct Networks<P> {
    pub performer: P,
    /// The same network with random weights.
    pub random: P,
    pub name: String,
}

/// Explainers of one performer on one dataset.
pub struct Experiment<'a, P> {
    pub dataset: &'a dyn Dataset,
    pub networks: &'a Networks<P>,
    /// The performer's classes of the dataset's categories; none where it has other classes, so that its decisions
    /// are compared with the explainer's, but neither with the images'.
    pub labels: Option<Labels>,
    pub args: &'a FitArgs,
    pub defaults: Defaults,
}

/// The features of the training and validation images.
pub struct Data {
    pub train: Features,
    pub validation: Features,
    seconds: f64,
}

/// A fit of either kind.
pub enum Explained {
    Parts(Box<PartFit>),
    Trained(Box<Fit>),
}

impl Explained {
    pub fn fitted<P: Performer>(&self) -> Fitted<'_, P> {
        match self {
            Self::Parts(fit) => fit.as_ref().into(),
            Self::Trained(fit) => fit.as_ref().into(),
        }
    }

    /// What the detectors of parts carry by themselves.
    fn part_figures(&self) -> Option<PartFigures> {
        match self {
            Self::Parts(fit) => {
                Some(PartFigures { moved: fit.moved.clone(), validation: fit.validation.clone() })
            }
            Self::Trained(_) => None,
        }
    }

    /// Writes the explainer into a folder, and the record of its fit. The names of the files.
    fn keep<P: Performer>(
        &self,
        folder: &Path,
        performer: &P,
        notes: BTreeMap<String, String>,
    ) -> Result<&str, Failure> {
        match self {
            Self::Parts(fit) => {
                fit.explainer.save(folder.join("explainer.safetensors"), performer, notes)?;
                Ok("explainer.safetensors")
            }
            Self::Trained(fit) => {
                fit.explainer.save(&folder.join("explainer.bpk"))?;
                files::write_json(&folder.join("record.json"), &fit.records)?;
                Ok("explainer.bpk, record.json")
            }
        }
    }
}

/// A fit, and what was seen of it.
pub struct Outcome {
    pub explained: Explained,
    pub figures: Figures,
}

impl<P: Performer> Experiment<'_, P> {
    /// Computes features, fits, evaluates, prints the table and writes what was asked for.
    pub fn run(&self, args: &RunArgs, device: &Device) -> Result<(), Failure> {
        args.check()?;
        // One run at a time has the folder, from before the first picture to the end.
        let _locked = args.out.as_ref().map(FolderLock::take).transpose()?;
        // What memory does not hold goes where the results do, and has no name there.
        let views = self.views(args, args.form);
        let mut settings = self.settings(&views, &args.wanted())?;
        if let Method::Trained { fit, .. } = &mut settings.method {
            fit.checkpoints = args.out.as_ref().map(|folder| folder.join("checkpoints"));
            fit.stop = Some(stopping::flag());
        }
        let names = args.names.as_deref().map(PartNames::read).transpose()?.unwrap_or_default();
        names.check(match &settings.method {
            Method::Parts { parts } => parts.parts,
            Method::Trained { explainer, .. } => explainer.channels,
        })?;
        let data = self.data(&views, device)?;
        let outcome = self.outcome(&data, settings.clone(), args.form, device)?;
        // What there is, before it is told, and before what takes long or may fail.
        self.keep(args, &outcome)?;
        table::print(&outcome.figures);
        let mut outcome = self.head_to_head(args, &data, outcome, device)?;
        self.keep(args, &outcome)?;
        let mut controls = Vec::new();
        if args.trust {
            let control = Controls { experiment: self, args, settings: &settings, device };
            controls = control.run(&mut outcome, data)?;
        }
        table::print_evidence(&outcome.figures);
        let report = self.report_of(&outcome)?.with_control_fits(controls).with_names(names);
        let started = Instant::now();
        let seen = args.report().map(|path| Ok::<_, Failure>((path, report.observe()?))).transpose()?;
        let trust = match &seen {
            Some((_, seen)) => seen.trust().clone(),
            None => report.trust()?,
        };
        drop(report);
        outcome.figures.trust = Some(trust.clone());
        outcome.figures.peak_rss_mib = peak_rss_mib();
        let kept = self.keep(args, &outcome)?;
        table::print_trust(&trust);
        if let (Some(folder), Some(kept)) = (&args.out, kept) {
            say!("\nkept in {}: {kept}, figures.json", folder.display());
        }
        let Some((path, seen)) = seen else { return Ok(()) };
        seen.write(&path)?;
        if let Some(folder) = &args.out {
            files::write(&folder.join("contact_sheet.png"), |file| {
                Ok(seen.contact_sheet().write_to(file, image::ImageFormat::Png)?)
            })?;
        }
        say!("report: {} ({:.1} s)", path.display(), started.elapsed().as_secs_f64());
        Ok(())
    }

    /// The views that a form reads. What memory does not hold goes where the results do, and has no name there.
    pub fn views(&self, args: &RunArgs, form: Form) -> FeatureConfig {
        self.args.views(form, &self.defaults, args.seed).with_directory(args.out.clone())
    }

    /// Writes what `--json` asks for, and `--out`; the names of the explainer's files.
    fn keep<'o>(&self, args: &RunArgs, outcome: &'o Outcome) -> Result<Option<&'o str>, Failure> {
        if let Some(file) = &args.json {
            files::write_json(file, &outcome.figures)?;
        }
        let Some(folder) = &args.out else { return Ok(None) };
        files::write_json(&folder.join("figures.json"), &outcome.figures)?;
        let Networks { performer, name, .. } = self.networks;
        let notes = [
            ("performer", name.clone()),
            ("dataset", self.dataset.name().to_string()),
            ("category", self.category()),
        ];
        let notes = notes.into_iter().map(|(key, note)| (key.to_string(), note)).collect();
        outcome.explained.keep(folder, performer, notes).map(Some)
    }

    /// Adds other methods on the same features, if the flags ask for them.
    fn head_to_head(
        &self,
        args: &RunArgs,
        data: &Data,
        mut outcome: Outcome,
        device: &Device,
    ) -> Result<Outcome, Failure> {
        let Some(width) = args.head_to_head else { return Ok(outcome) };
        let met = {
            let fitted = outcome.explained.fitted();
            let contest = Contest {
                performer: &self.networks.performer,
                fitted: &fitted,
                train: &data.train,
                validation: &data.validation,
                width,
                seed: args.seed,
            };
            contest.run(self.dataset, &self.annotated(), self.prefetch(), &outcome.figures, device)?
        };
        say!("\nhead to head; dictionaries of {} activation vectors\n\n{}", met.vectors, met.table());
        outcome.figures.head_to_head = Some(met);
        Ok(outcome)
    }

    fn category(&self) -> String {
        self.dataset.categories().join("+")
    }

    /// The settings of one fit on the features of such views.
    pub fn settings(&self, views: &FeatureConfig, wanted: &Wanted<'_>) -> Result<Settings, Failure> {
        let explainer = ExplainerConfig::for_performer(&self.networks.performer);
        let mut settings = self.args.settings(explainer, &self.defaults, views, wanted)?;
        if let (Form::Classification, Method::Trained { fit, .. }) = (wanted.form, &mut settings.method) {
            let labels = self.labels.clone().ok_or(
                "--form classification: the performer does not have the dataset's categories among its classes",
            )?;
            fit.task = Task::Classification(labels);
        }
        Ok(settings)
    }

    /// The features of all images, those to fit on in these views.
    pub fn data(&self, views: &FeatureConfig, device: &Device) -> Result<Data, Failure> {
        self.data_of(&self.networks.performer, views, device)
    }

    /// What another performer makes of the same images.
    pub fn data_of(&self, performer: &P, views: &FeatureConfig, device: &Device) -> Result<Data, Failure> {
        let started = Instant::now();
        let plain = views.clone().with_mirror(false).with_crops(0).with_transplant(false);
        let (train, _) = self.features(performer, Split::Train, views, device)?;
        let (validation, landmarks) = self.features(performer, Split::Validation, &plain, device)?;
        let validation = match landmarks {
            Some(landmarks) => validation.with_landmarks(landmarks),
            None => validation,
        };
        Ok(Data { train, validation, seconds: started.elapsed().as_secs_f64() })
    }

    /// One fit, evaluated.
    pub fn outcome(
        &self,
        data: &Data,
        settings: Settings,
        form: Form,
        device: &Device,
    ) -> Result<Outcome, Failure> {
        let performer = &self.networks.performer;
        let Data { train, validation, .. } = data;
        let mut seconds = Seconds { features: data.seconds, ..Seconds::default() };
        let started = Instant::now();
        let explained = match &settings.method {
            Method::Parts { parts } => {
                Explained::Parts(Box::new(parts.fit(performer, train, Some(validation))?))
            }
            Method::Trained { explainer, fit } => {
                let heeding = Heeding::new();
                let found =
                    fit.fit(explainer.init_from(performer, device), performer, train, Some(validation))?;
                drop(heeding);
                Explained::Trained(Box::new(found))
            }
        };
        stopping::check()?;
        seconds.fit = started.elapsed().as_secs_f64();
        let fitted = explained.fitted::<P>();
        fitted.notes.iter().for_each(|note| say!("note: {note}"));

        let started = Instant::now();
        let images = self.annotated();
        let compared = Compared { performer, random_performer: &self.networks.random, fitted: &fitted };
        let layers = compared.layers(self.dataset, &images, self.prefetch(), device)?;
        let (reconstruction, agreement) = held_out(&fitted)?;
        let decisions = self.decisions(fitted.network, validation)?;
        let (side, seed) = (performer.preprocessing().size, settings.seed);
        let (instability, tracking) = (layers.instability(side, seed), layers.tracking(seed));
        let ((peak_spread, landmark_spread), diversity) = (layers.spread(side), layers.diversity());
        let before = from_fn(performer.target_field(), fitted.network.least_peak(), |tapped| {
            (fitted.start)(tapped.target.clone())
        });
        let probes = Probes::new()
            .with(names::EXPLAINED, of_network(fitted.network, performer))
            .with(names::UNFITTED, before);
        let evidence = self.evidence(performer, &probes, &settings, device)?;
        drop(probes);
        let accounts = Accounts::new()
            .with(names::EXPLAINED, Account::of_network(fitted.network, performer))
            .with(names::PLACES, Account::of_places(fitted.network, performer));
        let evidence = self.with_deletion(evidence, &accounts, &settings, device)?;
        drop(accounts);
        let took = evidence.took;
        seconds.evidence_performer = took.performer.as_secs_f64();
        seconds.evidence_pictures = took.pictures.as_secs_f64();
        seconds.evidence_detectors = took.probes.as_secs_f64();
        seconds.evaluate = started.elapsed().as_secs_f64();
        let mass_share = fitted.validation.as_ref().and_then(|validation| validation.mass_share);
        let figures = Figures {
            dataset: self.dataset.name().to_string(),
            category: self.category(),
            performer: self.networks.name.clone(),
            form: format!("{form:?}"),
            seed,
            epochs: fitted.records.len(),
            images: layers.landmarks.images(),
            training_rows: train.len(),
            validation_images: validation.len(),
            location_instability: instability,
            tracking,
            by_category: layers.by_category(side, self.dataset.categories()),
            peak_spread,
            landmark_spread,
            diversity,
            live_filters: layers.conv_interp_2.peaks.live_filters().len(),
            filters: fitted.network.filters(),
            share: fitted.share,
            mass_share,
            reconstruction,
            agreement_among: decisions.as_ref().map_or(agreement, |decisions| decisions.agreement_among),
            error_among: decisions.as_ref().map(|decisions| decisions.among.clone()),
            error: decisions.map(|decisions| decisions.all),
            agreement,
            evidence,
            part_detectors: explained.part_figures(),
            head_to_head: None,
            trust: None,
            seconds,
            peak_rss_mib: peak_rss_mib(),
            settings: settings.told(),
        };
        drop(fitted);
        Ok(Outcome { explained, figures })
    }

    /// What interventions on the images find of some probes; always on the same images for one seed.
    pub fn evidence(
        &self,
        performer: &P,
        probes: &Probes<'_>,
        settings: &Settings,
        device: &Device,
    ) -> Result<Evidence, Failure> {
        let config = EvidenceConfig::new().with_seed(settings.seed).with_progress(settings.progress);
        Ok(config.measure(performer, self.dataset, probes, self.prefetch(), device)?)
    }

    /// With what contributions to predictions are worth, where the dataset draws its images and the performer has its
    /// categories among its classes.
    pub fn with_deletion(
        &self,
        evidence: Evidence,
        accounts: &Accounts<'_>,
        settings: &Settings,
        device: &Device,
    ) -> Result<Evidence, Failure> {
        let (Some(set), Some(labels)) = (self.dataset.rendered(), &self.labels) else { return Ok(evidence) };
        let config = DeletionConfig::new().with_progress(settings.progress);
        let found = config.measure(&self.networks.performer, set, &labels.categories, accounts, device)?;
        Ok(evidence.with_deletion(found))
    }

    /// Features of one part of the dataset, and the landmarks of its images, if the dataset names any.
    fn features(
        &self,
        performer: &P,
        split: Split,
        config: &FeatureConfig,
        device: &Device,
    ) -> Result<(Features, Option<Landmarks>), Failure> {
        let rows = self.rows(split);
        if rows.is_empty() {
            return Err(format!("{}: there is no image in the split {split:?}", self.dataset.name()).into());
        }
        let names = self.dataset.landmark_names();
        let mut landmarks = (!names.is_empty()).then(|| Landmarks::new(names.to_vec()));
        let (features, report) = self.prefetch().run(self.dataset, &rows, |samples| {
            let images = samples.map(|sample| {
                let (_, sample) = sample?;
                if let Some(landmarks) = &mut landmarks {
                    landmarks.push(positions(&sample));
                }
                let (category, pixels) = (sample.category, sample.image.into_raw());
                Ok::<_, DatasetError>(LabelledImage { category, pixels })
            });
            Features::extract(performer, images, config, device)
        });
        if !report.is_empty() {
            say!("{split:?}: {report}");
        }
        Ok((features?, landmarks))
    }

    /// How images are read ahead of the performer.
    pub fn prefetch(&self) -> Prefetch {
        let prefetch = Prefetch::new().with_faults(self.args.faults());
        self.args.device.threads.map_or(prefetch, |threads| prefetch.with_workers(threads))
    }

    fn rows(&self, split: Split) -> Vec<usize> {
        (0..self.dataset.len()).filter(|&index| self.dataset.split(index) == split).collect()
    }

    /// The images of a category that have at least one landmark.
    fn annotated(&self) -> Vec<usize> {
        let positive = (0..self.dataset.len()).filter(|&index| self.dataset.category(index).is_some());
        positive.filter(|&index| self.dataset.has_landmarks(index)).collect()
    }

    /// Classification errors on the validation images, where the performer has the dataset's categories.
    fn decisions(
        &self,
        network: &dyn ExplainerNetwork<P>,
        validation: &Features,
    ) -> Result<Option<Decisions>, Failure> {
        let Some(labels) = &self.labels else { return Ok(None) };
        let performer = &self.networks.performer;
        let rows: Vec<usize> = (0..validation.len()).collect();
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for rows in rows.chunks(64) {
            let batch = validation.batch(rows);
            own.extend(network.scores(performer, batch.target).into_data().iter::<f32>());
            theirs.extend(batch.scores.into_data().iter::<f32>());
        }
        Decisions::new(&theirs, &own, validation.categories(), labels).map(Some)
    }

    /// The report of an outcome, as yet without control fits and names.
    pub fn report_of<'r>(&'r self, outcome: &'r Outcome) -> Result<Report<'r, P>, Failure> {
        let Networks { performer, random, name } = self.networks;
        let Settings { seed, progress, .. } = outcome.figures.settings;
        let config = ReportConfig::new().with_seed(seed).with_progress(progress);
        Ok(Report::new(outcome.explained.fitted(), performer, self.dataset)
            .with_config(config)
            .with_random_performer(random)
            .with_evidence(&outcome.figures.evidence)
            .with_performer_name(name, &self.class_names())
            .with_faults(self.args.faults())
            .with_settings(&outcome.figures.settings)?)
    }

    /// The performer's classes as far as their names are known.
    fn class_names(&self) -> Vec<String> {
        let Some(labels) = &self.labels else { return Vec::new() };
        let named = labels.categories.iter().zip(self.dataset.categories());
        let mut known: Vec<(usize, &str)> = named.map(|(&class, name)| (class, name.as_str())).collect();
        known.extend(labels.negative.map(|class| (class, "negative")));
        let count = known.iter().map(|&(class, _)| class + 1).max().unwrap_or(0);
        let name =
            |class| known.iter().find(|&&(other, _)| other == class).map(|&(_, name)| name.to_string());
        (0..count).map(|class| name(class).unwrap_or_else(|| format!("class {class}"))).collect()
    }
}

/// Relative errors and agreement on the validation images.
fn held_out<P>(fit: &Fitted<'_, P>) -> Result<(Reconstruction, f64), Failure> {
    let validation = fit.validation.as_ref().ok_or("the fit had no validation images")?;
    let errors = &validation.relative_error;
    let &fc_dec_1 = errors.first().ok_or("nothing is reconstructed")?;
    Ok((Reconstruction { fc_dec_1, fc_dec_2: errors.get(1).copied() }, validation.agreement))
}
