//! The same fit with one thing changed, to see what the first one owes to it.

use explainer_filter_loss::{Gradient, Population};
use serde::{Deserialize, Serialize};

use crate::{CoreError, ExplainerConfig, Features, Fit, FitConfig, Performer, Task};

/// What is changed. Everything else is as in the fit that is put to the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ControlFit {
    /// The seed of the explainer's first weights and of the order of images; the images' views are the same.
    /// Filters that come back ([`match_filters`](explainer_metrics::match_filters)) are the network's; those
    /// that do not are the fit's.
    SecondSeed,
    /// Each image's upper features, in training and validation, are another's
    /// ([`Features::with_shuffled_upper`]). Nothing can be reconstructed then but what all images have in
    /// common ([`Fit::without_looking`]): an explainer that does better has seen what it should not, and the
    /// error of the first fit says nothing.
    ///
    /// A refit then starts from the optimiser's weights: the performer's own layers do not lead to such upper
    /// features.
    ShuffledFeatures,
    /// The training images' categories are in a random order ([`Features::with_permuted_categories`]). The
    /// filter loss reads which images show a filter's category; parts that are as good without that owe it
    /// nothing.
    PermutedCategories,
    /// The performer has random weights, and the features are what it makes of the same images. Masks and
    /// filter loss make parts of whatever they are given; what they make of a network that never learned is
    /// no knowledge.
    RandomPerformer,
}

impl ControlFit {
    /// All of them; those that use the first fit's features come first.
    pub const ALL: [Self; 4] =
        [Self::SecondSeed, Self::ShuffledFeatures, Self::PermutedCategories, Self::RandomPerformer];

    /// Its name in JSON and the name of its folder of checkpoints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecondSeed => "second-seed",
            Self::ShuffledFeatures => "shuffled-features",
            Self::PermutedCategories => "permuted-categories",
            Self::RandomPerformer => "random-performer",
        }
    }
}

/// Makes control fits of a fit, each as long as the fit itself.
///
/// ```
/// use explainer_core::{
///     ControlFit, ControlFits, CoreError, ExplainerConfig, Features, Fit, FitConfig, Performer,
/// };
///
/// /// A fit, and whether another seed finds a decoder as good.
/// fn twice<P: Performer>(performer: &P, train: &Features, held_out: &Features) -> Result<Fit, CoreError> {
///     let (sizes, config) = (ExplainerConfig::for_performer(performer), FitConfig::new());
///     let explainer = sizes.init_from(performer, train.device());
///     let fit = config.fit(explainer, performer, train, Some(held_out))?;
///     let controls = ControlFits::of(&sizes, &config);
///     let other = controls.run(ControlFit::SecondSeed, performer, train, Some(held_out))?;
///     println!("{:?} {:?}", fit.validation, other.validation);
///     Ok(fit)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ControlFits {
    explainer: ExplainerConfig,
    fit: FitConfig,
}

impl ControlFits {
    /// Those of a fit that was made with these settings.
    pub fn of(explainer: &ExplainerConfig, fit: &FitConfig) -> Self {
        Self { explainer: explainer.clone(), fit: fit.clone() }
    }

    /// Why a control can tell nothing of such a fit, if it cannot: it would come out the same whatever it is
    /// made from.
    pub fn idle(&self, control: ControlFit, train: &Features) -> Option<&'static str> {
        let classifies = matches!(self.fit.task, Task::Classification(_));
        match control {
            ControlFit::ShuffledFeatures => {
                classifies.then_some("the fit classifies images and reconstructs nothing")
            }
            ControlFit::PermutedCategories => {
                let categories = train.categories();
                if categories.iter().all(|category| *category == categories[0]) {
                    return Some("all training images are of one category: in any order they are the same");
                }
                let FitConfig { gradient, population, diversity, push, .. } = &self.fit;
                let silent = push.iter().all(|push| push.ratio == 0.0);
                // It asks for any place that tells one image from the others, whatever they show.
                let blind =
                    *gradient == Gradient::Exact && *population == Population::All && *diversity == 0.0;
                (!classifies && (silent || blind)).then_some("nothing in the fit's loss reads categories")
            }
            ControlFit::SecondSeed | ControlFit::RandomPerformer => None,
        }
    }

    /// Makes a control fit. `performer`, `train` and `validation` are those of the fit itself; for
    /// [`ControlFit::RandomPerformer`] the performer with random weights, and its features of the same images.
    ///
    /// Where the fit keeps checkpoints, the control keeps its own in a folder of [its name](ControlFit::name)
    /// below them, and goes on from there.
    ///
    /// # Errors
    /// As [`FitConfig::fit`]; [`CoreError::TooFew`] where fewer than two images are to be shuffled. A control that
    /// diverges ([`CoreError::Diverged`]) is an answer too.
    ///
    /// # Panics
    /// As [`FitConfig::fit`].
    pub fn run<P: Performer>(
        &self,
        control: ControlFit,
        performer: &P,
        train: &Features,
        validation: Option<&Features>,
    ) -> Result<Fit, CoreError> {
        let seed = self.fit.seed;
        let (mut sizes, mut fit) = (self.explainer.clone(), self.fit.clone());
        let (mut train, mut validation) = (train.clone(), validation.cloned());
        match control {
            ControlFit::SecondSeed => {
                sizes.seed = sizes.seed.wrapping_add(1);
                fit.seed = fit.seed.wrapping_add(1);
            }
            ControlFit::ShuffledFeatures => {
                train = train.with_shuffled_upper(seed)?;
                // In another order, so that nothing learned by heart is of use where the images are the same.
                let other = seed.wrapping_add(1);
                validation = validation.map(|features| features.with_shuffled_upper(other)).transpose()?;
            }
            ControlFit::PermutedCategories => train = train.with_permuted_categories(seed),
            ControlFit::RandomPerformer => {}
        }
        fit.checkpoints = fit.checkpoints.map(|folder| folder.join(control.name()));
        fit.fit(sizes.init_from(performer, train.device()), performer, &train, validation.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyPerformer, features};
    use crate::{FeatureConfig, Labels, LearningRates, Push, PushSchedule, checksum};

    fn config() -> FitConfig {
        FitConfig::new()
            .with_epochs(10)
            .with_batch_size(8)
            .with_rates(LearningRates::uniform(3e-3, 1e-2))
            .with_push(vec![Push { ratio: 0.3, schedule: PushSchedule::Constant }])
            .with_progress(false)
    }

    #[test]
    fn each_control_changes_its_one_thing() {
        let performer = TinyPerformer::new(5);
        let train = features(&performer, 24, &FeatureConfig::plain().with_mirror(true));
        let validation = features(&performer, 24, &FeatureConfig::plain());
        let sizes = ExplainerConfig::for_performer(&performer);
        let start = sizes.init_from(&performer, train.device());
        let folder = tempfile::tempdir().unwrap();
        let config = config().with_checkpoints(Some(folder.path().to_path_buf()));
        let own = config.fit(start, &performer, &train, Some(&validation)).unwrap();
        let controls = ControlFits::of(&sizes, &config);
        let run = |control, performer: &TinyPerformer, train: &Features, validation: &Features| {
            controls.run(control, performer, train, Some(validation)).unwrap()
        };
        let second = run(ControlFit::SecondSeed, &performer, &train, &validation);
        assert_ne!(checksum(&second.explainer), checksum(&own.explainer));
        let error = |fit: &Fit| fit.validation.as_ref().unwrap().relative_error[0];
        let blind = own.without_looking.as_ref().unwrap().relative_error[0];
        // The validation images are among those fitted on.
        assert!(error(&own) < 0.5 * blind && error(&second) < 0.5 * blind, "{} {blind}", error(&own));
        let shuffled = run(ControlFit::ShuffledFeatures, &performer, &train, &validation);
        // The same upper features, in another order.
        let same = shuffled.without_looking.as_ref().unwrap().relative_error[0];
        assert!((same - blind).abs() < 1e-9, "{same} {blind}");
        assert!(error(&shuffled) > 0.9 * blind, "{} {blind}", error(&shuffled));
        let permuted = run(ControlFit::PermutedCategories, &performer, &train, &validation);
        assert!(error(&permuted) < 0.5 * blind && checksum(&permuted.explainer) != checksum(&own.explainer));
        let random = TinyPerformer::new(6);
        let train_of_random = features(&random, 24, &FeatureConfig::plain().with_mirror(true));
        let of_random = run(ControlFit::RandomPerformer, &random, &train_of_random, &train_of_random);
        assert_eq!(of_random.records.len(), 10);

        let mut kept: Vec<String> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        kept.sort();
        let folders = [
            ".lock",
            "epoch-0010",
            "permuted-categories",
            "random-performer",
            "second-seed",
            "shuffled-features",
        ];
        assert_eq!(kept, folders, "the fit's own checkpoint beside those of its controls");
        let again = run(ControlFit::ShuffledFeatures, &performer, &train, &validation);
        // Their seconds would differ if the epochs had been run again.
        assert_eq!(again.records, shuffled.records);
    }

    #[test]
    fn a_control_that_changes_nothing_says_so() {
        let performer = TinyPerformer::new(5);
        let train = features(&performer, 6, &FeatureConfig::plain());
        let alone = features(&performer, 1, &FeatureConfig::plain().with_mirror(true));
        let sizes = ExplainerConfig::for_performer(&performer);
        let idle = |config: FitConfig, train: &Features| {
            ControlFit::ALL.map(|control| ControlFits::of(&sizes, &config).idle(control, train).is_some())
        };
        assert_eq!(idle(config(), &train), [false; 4]);
        assert_eq!(idle(config(), &alone), [false, false, true, false]);
        assert_eq!(idle(config().with_push(Vec::new()), &train), [false, false, true, false]);
        let exact = config().with_gradient(Gradient::Exact).with_diversity(0.0);
        assert_eq!(idle(exact, &train), [false, false, true, false]);
        let labels = Labels { categories: vec![0, 1], negative: Some(2) };
        let classifying = config().with_push(Vec::new()).with_task(Task::Classification(labels));
        assert_eq!(idle(classifying, &train), [false, true, false, false]);
    }

    #[test]
    fn names_are_those_of_json() {
        for control in ControlFit::ALL {
            assert_eq!(serde_json::to_value(control).unwrap(), control.name());
        }
    }
}
