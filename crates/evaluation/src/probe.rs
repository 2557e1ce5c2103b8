//! Sources of detectors: whatever makes maps of what a performer shows.

use burn::tensor::{Int, Tensor};
use explainer_baselines::Dictionary;
use explainer_core::{Explainer, ExplainerNetwork, InterpretableTrack, Performer, Tapped};
use explainer_metrics::ReceptiveField;

use crate::EvaluationError;
use crate::ceiling::directions;

/// A set of detectors that is put to the test: the channels of a layer, the filters of an explainer, the atoms of a
/// dictionary, or a control. Each detector gives one map an image; its strength is the map's largest value, its peak
/// the unit that has it.
///
/// A closure with its receptive field is one ([`from_fn`]).
pub trait Probe {
    /// What the detectors make of a batch.
    ///
    /// # Errors
    /// Whatever keeps the probe from reading these features.
    fn read(&self, tapped: &Tapped) -> Result<Reading, EvaluationError>;

    /// Where the units of the maps lie in the image.
    fn field(&self) -> ReceptiveField;

    /// A detector fires in an image where its strength is above this. 0, as behind a ReLU, unless the probe says
    /// otherwise; −∞ for maps whose values may be negative, where every image has a peak.
    fn threshold(&self) -> f64 {
        0.0
    }
}

/// What a [`Probe`] makes of a batch.
#[derive(Clone, Debug)]
pub struct Reading {
    /// One map for each detector, `[batch, detectors, h, w]`.
    pub maps: Tensor<4>,
    /// A control of the same shape, where the detectors have a place of their own: the same detectors firing there
    /// whatever they see. It gets rows of its own in the table.
    pub places: Option<Tensor<4>>,
    /// The unit at which the object as a whole is found, as a row-major index, `[batch, 1]`, where the probe finds one.
    pub roots: Option<Tensor<2, Int>>,
    /// Which way the object faces, 0 or 1, `[batch, 1]`, likewise.
    pub facing: Option<Tensor<2, Int>>,
}

impl From<Tensor<4>> for Reading {
    fn from(maps: Tensor<4>) -> Self {
        Self { maps, places: None, roots: None, facing: None }
    }
}

/// A [`Probe`] of a closure.
struct FromFn<F> {
    field: ReceptiveField,
    threshold: f64,
    read: F,
}

impl<F: Fn(&Tapped) -> Tensor<4>> Probe for FromFn<F> {
    fn read(&self, tapped: &Tapped) -> Result<Reading, EvaluationError> {
        Ok((self.read)(tapped).into())
    }
    fn field(&self) -> ReceptiveField {
        self.field
    }
    fn threshold(&self) -> f64 {
        self.threshold
    }
}

/// A probe of a closure that makes maps, `[batch, detectors, h, w]`, with units of `field`; its detectors fire above
/// `threshold`.
///
/// ```
/// use explainer_evaluation::{Probes, from_fn};
/// use explainer_metrics::ReceptiveField;
///
/// // The strongest channels of the target layer alone.
/// let field = ReceptiveField::pixels().then(3, 1, 1);
/// let probes = Probes::new().with("first eight", from_fn(field, 0.0, |tapped| tapped.target.clone().narrow(1, 0, 8)));
/// assert_eq!(probes.names(), ["first eight"]);
/// ```
pub fn from_fn<'a>(
    field: ReceptiveField,
    threshold: f64,
    read: impl Fn(&Tapped) -> Tensor<4> + 'a,
) -> Box<dyn Probe + 'a> {
    Box::new(FromFn { field, threshold, read })
}

/// Probes by their names, in the order of the table.
#[derive(Default)]
pub struct Probes<'a> {
    pub(crate) list: Vec<(String, Box<dyn Probe + 'a>)>,
}

impl<'a> Probes<'a> {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more. The name is its key in JSON.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, probe: Box<dyn Probe + 'a>) -> Self {
        self.list.push((name.into(), probe));
        self
    }

    /// All names.
    pub fn names(&self) -> Vec<&str> {
        self.list.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The parts of an explainer of any form, with its places alone where it has such a control.
pub fn of_network<'a, P: Performer>(
    network: &'a dyn ExplainerNetwork<P>,
    performer: &P,
) -> Box<dyn Probe + 'a> {
    Box::new(Network { network, field: performer.target_field() })
}

struct Network<'a, P> {
    network: &'a dyn ExplainerNetwork<P>,
    field: ReceptiveField,
}

impl<P: Performer> Probe for Network<'_, P> {
    fn read(&self, tapped: &Tapped) -> Result<Reading, EvaluationError> {
        let maps = self.network.part_maps(tapped.target.clone()).pop();
        let maps = maps.expect("an explainer has an interpretable layer");
        Ok(Reading { places: self.network.places(tapped.target.clone()), ..maps.into() })
    }
    fn field(&self) -> ReceptiveField {
        self.field
    }
    fn threshold(&self) -> f64 {
        self.network.least_peak()
    }
}

/// The last interpretable layer of an explainer, with its places alone, roots and facing where it has windows.
pub fn of_explainer<'a, P: Performer>(explainer: &'a Explainer, performer: &P) -> Box<dyn Probe + 'a> {
    of_track(&explainer.interpretable, performer)
}

/// As [`of_explainer`], of a track by itself: the one before fitting, say.
pub fn of_track<'a, P: Performer>(track: &'a InterpretableTrack, performer: &P) -> Box<dyn Probe + 'a> {
    Box::new(Track { track, field: performer.target_field() })
}

/// The last layer of an interpretable track.
struct Track<'a> {
    track: &'a InterpretableTrack,
    field: ReceptiveField,
}

impl Probe for Track<'_> {
    fn read(&self, tapped: &Tapped) -> Result<Reading, EvaluationError> {
        let reading = self.track.reading(tapped.target.clone());
        let (places, roots, facing) = match reading.position {
            Some(found) => (Some(found.places), Some(found.roots), Some(found.facing)),
            None => (None, None, None),
        };
        Ok(Reading { maps: reading.maps, places, roots, facing })
    }
    fn field(&self) -> ReceptiveField {
        self.field
    }
}

/// The channels of the target layer. Their values may be negative, so that every image has a peak.
pub(crate) fn of_target<P: Performer>(performer: &P) -> Box<dyn Probe> {
    from_fn(performer.target_field(), f64::NEG_INFINITY, |tapped| tapped.target.clone())
}

/// The channels of the top conv.
pub(crate) fn of_top_conv<P: Performer>(performer: &P) -> Box<dyn Probe> {
    from_fn(performer.top_conv_field(), f64::NEG_INFINITY, |tapped| tapped.top_conv.clone())
}

/// The atoms of a dictionary of target features, as strong as [`Dictionary::strength`] says.
pub fn of_dictionary<'a, P: Performer>(
    dictionary: &'a (dyn Dictionary + 'a),
    performer: &P,
) -> Box<dyn Probe + 'a> {
    from_fn(performer.target_field(), 0.0, |tapped| {
        dictionary.strength(dictionary.encode_maps(tapped.target.clone()))
    })
}

/// Directions in the space of target features: a detector's map is the cosine between a unit's vector and its
/// direction.
pub(crate) struct Directions {
    /// `[K, C]`, each row of length 1.
    pub(crate) atoms: Tensor<2>,
}

impl Directions {
    /// `[batch, K, h, w]` of target features.
    pub(crate) fn maps(&self, target: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = target.dims();
        let [atoms, _] = self.atoms.dims();
        let units: Tensor<3> = directions(target).reshape([batch, channels, height * width]);
        let maps = self.atoms.clone().unsqueeze_dim::<3>(0).expand([batch, atoms, channels]).matmul(units);
        maps.reshape([batch, atoms, height, width])
    }
}
