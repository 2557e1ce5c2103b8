//! What an explanation says was given to a score, and where.

use burn::tensor::Tensor;
use explainer_core::{Contributions, ExplainerNetwork, Performer};
use explainer_metrics::ReceptiveField;

use crate::EvaluationError;
use crate::tensors::floats;

/// What a filter, or a unit of a heat map, gave to a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Given {
    /// How much.
    pub amount: f64,
    /// Its place in the image, `[x, y]` in pixels.
    pub at: [f64; 2],
}

/// Of a batch, for each picture what was given where; `None` where there is no such account.
type Read<'a> = dyn Fn(Tensor<4>, &[usize]) -> Result<Option<Vec<Vec<Given>>>, EvaluationError> + 'a;

/// An explanation of scores by places: of whatever takes a score apart.
///
/// ```
/// use burn::tensor::Tensor;
/// use explainer_evaluation::{Account, Given};
/// use explainer_metrics::ReceptiveField;
///
/// // Each unit of the target layer gave its mean, whatever the class.
/// let field = ReceptiveField::pixels().then(3, 2, 1);
/// let account = Account::from_fn(field, move |target: Tensor<4>, _classes| {
///     let [_, _, height, width] = target.dims();
///     let heat: Vec<f32> = target.mean_dim(1).into_data().iter::<f32>().collect();
///     let given = |(unit, &amount): (usize, &f32)| {
///         let at = [unit % width, unit / width].map(|unit| field.pixel(unit));
///         Given { amount: f64::from(amount), at }
///     };
///     let pictures = heat.chunks_exact(height * width);
///     Ok(pictures.map(|heat| heat.iter().enumerate().map(given).collect()).collect())
/// });
/// # let _ = account;
/// ```
pub struct Account<'a> {
    /// Half the side of a unit, in pixels.
    pub(crate) reach: f64,
    pub(crate) read: Box<Read<'a>>,
}

impl<'a> Account<'a> {
    /// An account of a closure: of target features, `[batch, C, h, w]`, and a class for each picture it says what gave
    /// how much to the scores of these classes, and where, for each picture. Things lie at units of `field`.
    pub fn from_fn(
        field: ReceptiveField,
        read: impl Fn(Tensor<4>, &[usize]) -> Result<Vec<Vec<Given>>, EvaluationError> + 'a,
    ) -> Self {
        Self::of(field, move |target, classes| read(target, classes).map(Some))
    }

    /// What the filters of an explainer gave, each at its peak.
    pub fn of_network<P: Performer>(network: &'a dyn ExplainerNetwork<P>, performer: &'a P) -> Self {
        let field = performer.target_field();
        Self::of(field, move |target, classes| {
            let given = network.contributions(performer, target.clone(), classes)?;
            let maps = network.part_maps(target).pop();
            Ok(maps.map(|maps| at_peaks(&given, maps, &field)))
        })
    }

    /// A control: the same contributions, each at the place where its filter would be if it looked at nothing
    /// ([`ExplainerNetwork::places`]). Nothing where no place is part of the method.
    pub fn of_places<P: Performer>(network: &'a dyn ExplainerNetwork<P>, performer: &'a P) -> Self {
        let field = performer.target_field();
        Self::of(field, move |target, classes| {
            let Some(places) = network.places(target.clone()) else { return Ok(None) };
            let given = network.contributions(performer, target, classes)?;
            Ok(Some(at_peaks(&given, places, &field)))
        })
    }

    fn of(
        field: ReceptiveField,
        read: impl Fn(Tensor<4>, &[usize]) -> Result<Option<Vec<Vec<Given>>>, EvaluationError> + 'a,
    ) -> Self {
        Self { reach: field.stride / 2.0, read: Box::new(read) }
    }
}

/// What each filter gave, at the strongest unit of its map; `maps` is `[batch, filters, h, w]`.
fn at_peaks(given: &[Contributions], maps: Tensor<4>, field: &ReceptiveField) -> Vec<Vec<Given>> {
    let [_, filters, height, width] = maps.dims();
    let values = floats(maps);
    let units = height * width;
    let picture = |(given, maps): (&Contributions, &[f32])| {
        let filter = |(&amount, map): (&f64, &[f32])| {
            let peak = (0..units).fold(0, |best, at| if map[at] > map[best] { at } else { best });
            Given { amount, at: [peak % width, peak / width].map(|unit| field.pixel(unit)) }
        };
        given.filters.iter().zip(maps.chunks_exact(units)).map(filter).collect()
    };
    given.iter().zip(values.chunks_exact(filters * units)).map(picture).collect()
}

/// Accounts by their names.
#[derive(Default)]
pub struct Accounts<'a> {
    pub(crate) list: Vec<(String, Account<'a>)>,
}

impl<'a> Accounts<'a> {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more. The name is that of its layer in the table and in JSON.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, account: Account<'a>) -> Self {
        self.list.push((name.into(), account));
        self
    }
}
