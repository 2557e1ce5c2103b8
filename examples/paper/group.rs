//! The fits that share a performer and its features, and who makes which of them.

use std::cell::RefCell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use explainer_core::{
    CoreError, ExplainerConfig, FeatureConfig, Labels, LossWeights, NUMERICS_VERSION, Performer as _, Pooling,
};
use explainer_datasets::Dataset;
use explainer_performers::{
    AlexNetLayers, Architecture, CaffeAlexNetLayers, ConvNet, Vgg16Layers, VggMLayers, VggSLayers,
};
use serde_json::{Value, json};

use super::Args;
use super::cells::{Cells, find};
use super::performers::Found;
use super::places::{Missing, Place, Places};
use super::plan::{Experiment, Network, Performer, Plan, Training, Variation};
use crate::common::args::{Defaults, Form, Wanted};
use crate::common::experiment::{Data, Outcome};
use crate::common::figures::Method;
use crate::common::program::{say, stopping};
use crate::common::{self, Failure, Networks};

/// Seed of the crops of all features, and of the performers with random weights.
const FEATURES_SEED: u64 = 0;
/// Largest file of weights: 16 GiB.
const MAX_WEIGHTS: u64 = 16 << 30;
/// Side of the pictures of a dataset that is opened only to see that it is there.
const CHECKED_SIZE: usize = 224;

/// A plan, and where its results go.
pub struct Run<'a> {
    pub args: &'a Args,
    pub plan: &'a Plan,
    pub places: Places,
    pub out: &'a Path,
    pub cells: Cells,
    /// Checksums of the photographs that were read, by dataset and categories.
    pub checksums: RefCell<Vec<(Value, Option<u32>)>>,
}

/// One performer of an experiment.
#[derive(Clone, Copy)]
pub struct Group<'a> {
    pub experiment: &'a Experiment,
    pub network: Network,
    pub categories: &'a [String],
}

/// One fit of a group.
pub struct Cell<'a> {
    pub variation: &'a Variation,
    pub seed: u64,
    /// What tells it from other cells.
    pub identity: Value,
}

/// What the fits of a group share.
struct Prepared<A: Architecture> {
    dataset: Box<dyn Dataset>,
    networks: Networks<ConvNet<A>>,
    labels: Labels,
}

/// What to do where another process is at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Something else.
    Try,
    /// Wait.
    Wait,
}

impl Group<'_> {
    pub fn name(&self) -> String {
        let Self { experiment, network, categories } = self;
        format!("{}, {network}, {}", experiment.name, categories.join("+"))
    }

    /// A place with this group's names in it.
    pub fn named(&self, place: &Place) -> Place {
        let (network, categories) = (self.network.to_string(), self.categories.join("+"));
        place.with(&[("network", &network), ("categories", &categories)])
    }

    fn defaults(&self) -> Defaults {
        let published = match self.network {
            Network::Vgg16 => LossWeights::PUBLISHED_VGG16,
            _ => LossWeights::PUBLISHED,
        };
        Defaults { epochs: self.experiment.epochs, crops: self.experiment.crops, published }
    }
}

/// Calls a generic function with a network's table.
macro_rules! with_layers {
    ($network:expr, $run:ident.$function:ident($($argument:expr),*)) => {
        match $network {
            Network::AlexNet => $run.$function::<AlexNetLayers>($($argument),*),
            Network::CaffeAlexNet => $run.$function::<CaffeAlexNetLayers>($($argument),*),
            Network::VggM => $run.$function::<VggMLayers>($($argument),*),
            Network::VggS => $run.$function::<VggSLayers>($($argument),*),
            Network::Vgg16 => $run.$function::<Vgg16Layers>($($argument),*),
        }
    };
}

impl<'a> Run<'a> {
    /// All groups that the flags leave.
    pub fn groups(&self) -> Vec<Group<'a>> {
        let only = &self.args.only;
        let kept = |name: &str, kind: &[&str]| {
            let own: Vec<_> = only.iter().filter(|only| kind.contains(&only.as_str())).collect();
            own.is_empty() || own.iter().any(|only| *only == name)
        };
        let experiments = &self.plan.experiments;
        let names: Vec<&str> = experiments.iter().map(|experiment| experiment.name.as_str()).collect();
        let networks: Vec<String> = self.networks();
        let networks: Vec<&str> = networks.iter().map(String::as_str).collect();
        let mut groups = Vec::new();
        for experiment in experiments.iter().filter(|experiment| kept(&experiment.name, &names)) {
            for &network in &experiment.networks {
                let lists = experiment.categories.iter().filter(|_| kept(&network.to_string(), &networks));
                groups.extend(lists.map(|categories| Group { experiment, network, categories }));
            }
        }
        groups
    }

    fn networks(&self) -> Vec<String> {
        let all = self.plan.experiments.iter().flat_map(|experiment| &experiment.networks);
        all.map(Network::to_string).collect()
    }

    /// The variations that the flags leave.
    pub fn variations(&self) -> Vec<&'a Variation> {
        let named = |variation: &&Variation| self.args.only.contains(&variation.name);
        let all = self.plan.variations.iter();
        match all.clone().any(|variation| named(&variation)) {
            true => all.filter(named).collect(),
            false => all.collect(),
        }
    }

    /// Refuses `--only` of what the plan does not have.
    pub fn check_names(&self) -> Result<(), Failure> {
        let mut known: Vec<String> = self.networks();
        known.extend(self.plan.experiments.iter().map(|experiment| experiment.name.clone()));
        known.extend(self.plan.variations.iter().map(|variation| variation.name.clone()));
        match self.args.only.iter().find(|only| !known.contains(only)) {
            Some(unknown) => Err(format!("--only {unknown:?}: expected one of {known:?}").into()),
            None => Ok(()),
        }
    }

    fn views(&self, group: &Group<'_>, form: Form) -> FeatureConfig {
        let views = self.args.fit.views(form, &group.defaults(), FEATURES_SEED);
        let jobs = self.args.jobs;
        let limit = (self.args.memory * f64::from(1 << 30)) as usize / jobs;
        // What memory does not hold goes where the results do.
        let folder = Some(self.out.to_path_buf());
        views.with_memory_limit(limit).with_directory(folder).with_progress(jobs == 1)
    }

    /// The file of a performer that is not made here.
    pub fn weights(&self, group: &Group<'_>) -> Result<Option<PathBuf>, Failure> {
        let Performer::Weights(place) = &group.experiment.performer else { return Ok(None) };
        Ok(Some(self.places.find(&group.named(place), &group.name())?))
    }

    /// The cells of a group, whatever its performer's file holds.
    pub fn cells(&self, group: &Group<'_>) -> Result<Vec<Cell<'a>>, Failure> {
        // A size that says nothing: those of the performer are known when it is.
        let sizes = ExplainerConfig::new(1, 1, 1, Pooling::max(1, 1), vec![1]);
        let sizes = serde_json::to_value(&sizes)?;
        let defaults = group.defaults();
        let mut cells = Vec::new();
        for variation in self.variations() {
            for &seed in self.plan.seeds(group.experiment) {
                let wanted = Wanted { seed, form: variation.form, set: &variation.set };
                let base = serde_json::from_value(sizes.clone())?;
                let views = self.views(group, variation.form);
                let settings = self.args.fit.settings(base, &defaults, &views, &wanted)?;
                let mut settings = serde_json::to_value(settings)?;
                if let Some(explainer) = settings["explainer"].as_object_mut() {
                    for size in ["target_channels", "channels", "length", "pool", "upper"] {
                        explainer.remove(size);
                    }
                }
                let identity = json!({
                    "numerics": NUMERICS_VERSION,
                    "dataset": group.experiment.dataset,
                    "skip_damaged": self.args.fit.skip_damaged,
                    "categories": group.categories,
                    "network": group.network,
                    "performer": group.experiment.performer,
                    "seed": seed,
                    "classifies": variation.classifies(),
                    "settings": settings,
                });
                cells.push(Cell { variation, seed, identity });
            }
        }
        Ok(cells)
    }

    /// A checksum of a group's photographs; `None` where a program draws them.
    pub fn checksum(&self, group: &Group<'_>) -> Result<Option<u32>, Failure> {
        let dataset = &group.experiment.dataset;
        let set = json!([dataset, group.categories]);
        if let Some((_, known)) = self.checksums.borrow().iter().find(|(known, _)| *known == set) {
            return Ok(*known);
        }
        let faults = self.args.fit.faults();
        let sum = dataset.checksum(group.categories, CHECKED_SIZE, faults, &self.places, &group.name())?;
        self.checksums.borrow_mut().push((set, sum));
        Ok(sum)
    }

    /// The cells of a group as it is here: with the performer that its file holds and the photographs there are.
    pub fn cells_of_file(&self, group: &Group<'_>) -> Result<Vec<Cell<'a>>, Failure> {
        let mut cells = self.cells(group)?;
        // Before the photographs, which take longer to read.
        let weights = self.weights(group)?;
        if let Some(sum) = self.checksum(group)? {
            cells.iter_mut().for_each(|cell| cell.identity["data"] = json!(sum));
        }
        if let Some(path) = weights {
            let bytes = explainer_files::read(&path, MAX_WEIGHTS);
            let bytes = bytes.map_err(|error| format!("{}: {error}", path.display()))?;
            let sum = crc32fast::hash(&bytes);
            cells.iter_mut().for_each(|cell| cell.identity["weights"] = json!(sum));
        }
        Ok(cells)
    }

    /// The cells of a group as it is here; where its files are not, those of whatever files there were.
    pub fn cells_known(&self, group: &Group<'_>) -> Result<Vec<Cell<'a>>, Failure> {
        match self.cells_of_file(group) {
            Err(error) if error.is::<Missing>() => self.cells(group),
            found => found,
        }
    }

    /// Checks that all is there that unfinished groups need, and that their settings exist.
    pub fn check(&self, groups: &[Group<'_>]) -> Result<(), Failure> {
        // Wrong settings first: they are the plan's, and not the machine's.
        groups.iter().try_for_each(|group| self.cells(group).map(drop))?;
        let finished = self.cells.read()?;
        let mut opened = Vec::new();
        for group in groups {
            let all = self.cells_of_file(group)?;
            if all.iter().all(|cell| find(&finished, &cell.identity).is_some()) {
                continue;
            }
            let (Experiment { dataset, performer, .. }, name) = (group.experiment, group.name());
            if let Performer::Train(Training { from: Some(place), .. }) = performer {
                self.places.find(&group.named(place), &name)?;
            }
            let set = json!([dataset, group.categories]);
            if !opened.contains(&set) {
                let faults = self.args.fit.faults();
                dataset.open(group.categories, CHECKED_SIZE, faults, &self.places, &name)?;
                opened.push(set);
            }
        }
        Ok(())
    }

    /// Makes what is not made of a group yet, as far as nobody else is at it.
    pub fn make(&self, group: &Group<'_>, claim: Claim, device: &Device) -> Result<(), Failure> {
        with_layers!(group.network, self.make_with(group, claim, device))
    }

    fn make_with<A: Architecture>(
        &self,
        group: &Group<'_>,
        claim: Claim,
        device: &Device,
    ) -> Result<(), Failure> {
        let all = self.cells_of_file(group)?;
        // Whoever comes first has the group for itself; later the others help.
        let whole = self.lock(&json!(all.iter().map(|cell| &cell.identity).collect::<Vec<_>>()))?;
        if claim == Claim::Try && whole.is_none() {
            return Ok(());
        }
        let (mut prepared, mut data) = (None, None::<(bool, Data)>);
        let (parts, trained): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|cell| !cell.variation.form.is_trained());
        for cell in parts.into_iter().chain(trained) {
            let Some(_claimed) = self.lock(&cell.identity)? else { continue };
            if find(&self.cells.read()?, &cell.identity).is_some() {
                continue;
            }
            if prepared.is_none() {
                prepared = self.prepare::<A>(group, claim, device)?;
            }
            let Some(prepared) = &prepared else { return Ok(()) };
            say!("{}: {}, seed {}", group.name(), cell.variation.name, cell.seed);
            let experiment = self.experiment(group, &*prepared.dataset, &prepared.networks, &prepared.labels);
            let wanted = Wanted { seed: cell.seed, form: cell.variation.form, set: &cell.variation.set };
            let views = self.views(group, wanted.form);
            let mut settings = experiment.settings(&views, &wanted)?;
            if let Method::Trained { fit, .. } = &mut settings.method {
                fit.progress &= self.args.jobs == 1;
                fit.stop = Some(stopping::flag());
            }
            // Forms that read the same views follow one another, so that features are computed once for each kind.
            if data.as_ref().is_none_or(|(trained, _)| *trained != wanted.form.is_trained()) {
                drop(data.take());
                say!("{}: features", group.name());
                data = Some((wanted.form.is_trained(), experiment.data(&views, device)?));
            }
            let Some((_, data)) = &data else { continue };
            let outcome = experiment.outcome(data, settings, wanted.form, device);
            let outcome = outcome.and_then(|mut outcome| {
                let trust = experiment.report_of(&outcome)?.trust()?;
                outcome.figures.trust = Some(trust);
                Ok(outcome)
            });
            self.cells.push(&self.line(group, &cell, outcome)?)?;
        }
        Ok(())
    }

    /// What the fits of a group share; `None` while another process makes the performer.
    fn prepare<A: Architecture>(
        &self,
        group: &Group<'_>,
        claim: Claim,
        device: &Device,
    ) -> Result<Option<Prepared<A>>, Failure> {
        let Found::Here(found) = self.performer::<A>(group, claim, device)? else { return Ok(None) };
        let (performer, labels) = *found;
        let (size, faults, name) = (performer.preprocessing().size, self.args.fit.faults(), group.name());
        let set = &group.experiment.dataset;
        let dataset = set.open(group.categories, size, faults, &self.places, &name)?;
        let random = performer.randomized(FEATURES_SEED);
        let networks = Networks { performer, random, name: A::NAME.to_string() };
        Ok(Some(Prepared { dataset, networks, labels }))
    }

    fn experiment<'e, A: Architecture>(
        &'e self,
        group: &Group<'_>,
        dataset: &'e dyn Dataset,
        networks: &'e Networks<ConvNet<A>>,
        labels: &Labels,
    ) -> common::Experiment<'e, ConvNet<A>> {
        let (labels, defaults) = (Some(labels.clone()), group.defaults());
        common::Experiment { dataset, networks, labels, args: &self.args.fit, defaults }
    }

    /// The line of a cell. A fit that diverges is a result.
    fn line(
        &self,
        group: &Group<'_>,
        cell: &Cell<'_>,
        outcome: Result<Outcome, Failure>,
    ) -> Result<Value, Failure> {
        let mut line = json!({
            "experiment": group.experiment.name,
            "variation": cell.variation.name,
            "identity": cell.identity,
        });
        match outcome {
            Ok(outcome) => line["figures"] = serde_json::to_value(&outcome.figures)?,
            Err(error) => match error.downcast_ref::<CoreError>() {
                Some(found @ (CoreError::Diverged { .. } | CoreError::Singular { .. })) => {
                    say!("{}: {}, seed {}: {found}", group.name(), cell.variation.name, cell.seed);
                    line["failure"] = json!(found.to_string());
                }
                _ => return Err(error),
            },
        }
        Ok(line)
    }

    /// Claims something until the file is dropped or the process ends; `None` if another has it.
    fn lock(&self, of: &Value) -> Result<Option<File>, Failure> {
        let sum = crc32fast::hash(of.to_string().as_bytes());
        let file = File::create(self.claims().join(format!("{sum:08x}")))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    pub fn claims(&self) -> PathBuf {
        self.out.join("claims")
    }
}
