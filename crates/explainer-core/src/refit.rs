//! The decoder's weights in closed form, once the encoder is fitted.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData, activation::relu};

use crate::cholesky::{Cholesky, NotPositive};
use crate::decoder::linear;
use crate::features::{FeatureBatch, Features, floats};
use crate::fit::{Refit, batches};
use crate::progress::progress_bar;
use crate::store::{RowStore, RowWriter};
use crate::{CoreError, Explainer, Performer, TopLayer};

/// Rows of one pass.
const BATCH: usize = 512;
/// A performer's upper features and what its own layers make of the target features may differ by
/// this share of the largest value, in `f32`.
const SAME: f32 = 1e-3;

impl Explainer {
    /// The explainer with every decoder layer solved for the least squared error on `features`, the
    /// encoder as it is, from the lowest layer up.
    ///
    /// With x the layer's input (what the refitted layer below makes of it), W and b its weights so far,
    /// and y* what the performer's own layer has *before* its ReLU, the change V of W minimises
    ///
    /// `Σ_images ‖(W + V)ᵀx + b' − y*‖² + ridge · E‖x − E x‖² · ‖V‖²`,
    ///
    /// on centred inputs, so that b' comes out by itself. The optimiser's last weights are the prior. Before
    /// the ReLU a silent unit still says how silent it is, which is most of what there is to learn from on
    /// few images (DESIGN §6).
    ///
    /// If the performer's layers of the [`Blueprint`](crate::Blueprint) do not give its upper features
    /// (there is something between them), y* is known only where the feature is not zero; elsewhere it
    /// is the present output, held to be at most 0.
    ///
    /// A Cholesky factor of the Gram matrix of the inputs or of the rows, whichever are fewer, solves it for
    /// all outputs at once.
    ///
    /// # Errors
    /// [`CoreError::Singular`] if the ridge is too small for `f32`;
    /// [`CoreError::Diverged`] if a weight is not finite; [`CoreError::Io`] if rows that do not fit into
    /// memory cannot be written.
    pub fn refitted<P: Performer>(
        self,
        performer: &P,
        features: &Features,
        refit: &Refit,
        progress: bool,
    ) -> Result<Self, CoreError> {
        let mut explainer = self.valid();
        let Refit::Ridge { ridge } = *refit else { return Ok(explainer) };
        let layers = explainer.decoder.layers.len();
        let bar = progress_bar(layers as u64, "decoder", progress);
        let encoded = |indices: &[usize]| {
            let target = features.batch(indices).target;
            let (_, parts) = explainer.interpretable.forward(target.clone());
            explainer.encode(parts, explainer.ordinary.forward(target)).flatten::<2>(1, 3)
        };
        let mut inputs = stored(features, encoded)?;
        for layer in 0..layers {
            let own = explainer.decoder.layers[layer].clone();
            let wanted = Wanted::of(performer, &explainer, features, layer);
            let system = System { inputs: &inputs, features };
            let solved = system
                .solve(&own, &wanted, ridge)
                .map_err(|NotPositive { pivot }| CoreError::Singular { what: named(layer), pivot })?;
            check(&solved, layer)?;
            bar.inc(1);
            if layer + 1 < layers {
                inputs = stored(features, |indices| relu(linear(&solved, system.rows(indices))))?;
            }
            explainer.decoder.layers[layer] = solved;
        }
        bar.finish_and_clear();
        Ok(explainer)
    }
}

/// What `of` makes of the rows it is given the indices of, for all rows of `features`.
fn stored(features: &Features, of: impl Fn(&[usize]) -> Tensor<2>) -> Result<RowStore, CoreError> {
    let mut writer: Option<RowWriter> = None;
    for indices in batches(features.len(), BATCH) {
        let rows = of(&indices);
        let writer = writer.get_or_insert_with(|| features.writer(rows.dims()[1]));
        writer.push(&floats(rows))?;
    }
    writer.ok_or(CoreError::TooFew { what: "training rows", expected: 1, found: 0 })?.finish()
}

/// y* of one layer.
struct Wanted<'a, P> {
    performer: &'a P,
    explainer: &'a Explainer,
    layer: usize,
    /// Whether the performer's own layers give its upper features.
    known: bool,
}

impl<'a, P: Performer> Wanted<'a, P> {
    fn of(performer: &'a P, explainer: &'a Explainer, features: &Features, layer: usize) -> Self {
        let mut wanted = Self { performer, explainer, layer, known: false };
        let first: Vec<usize> = (0..features.len().min(BATCH)).collect();
        let batch = features.batch(&first);
        let theirs = batch.upper[layer].clone();
        let largest = theirs.clone().abs().max().into_scalar::<f32>();
        wanted.known = wanted
            .before_relu(&batch)
            .is_some_and(|before| (relu(before) - theirs).abs().max().into_scalar::<f32>() <= SAME * largest);
        wanted
    }

    /// What the performer's layer makes of the features below it, if it is a layer of its blueprint.
    fn before_relu(&self, batch: &FeatureBatch) -> Option<Tensor<2>> {
        let blueprint = self.performer.blueprint();
        let layer = blueprint.upper.get(self.layer)?;
        let below = match (self.layer.checked_sub(1), blueprint.top) {
            (Some(below), _) => batch.upper[below].clone(),
            (None, TopLayer::Conv(conv)) => {
                let maps = relu(conv.forward(batch.target.clone()));
                self.explainer.pooled(maps).flatten::<2>(1, 3)
            }
            (None, TopLayer::Block { .. }) => return None,
        };
        Some(layer.forward(below))
    }

    /// y* of a batch whose present outputs, before the ReLU, are `outputs`.
    fn values(&self, batch: &FeatureBatch, outputs: Tensor<2>) -> Tensor<2> {
        if let Some(before) = self.known.then(|| self.before_relu(batch)).flatten() {
            return before;
        }
        let theirs = batch.upper[self.layer].clone();
        let fires = theirs.clone().greater_scalar(0.0);
        outputs.clamp_max(0.0).mask_where(fires, theirs)
    }
}

/// The inputs of one layer, row by row.
struct System<'a> {
    inputs: &'a RowStore,
    features: &'a Features,
}

impl System<'_> {
    fn rows(&self, indices: &[usize]) -> Tensor<2> {
        let values: Vec<f32> = indices.iter().flat_map(|&index| self.inputs.row(index)).copied().collect();
        let width = values.len() / indices.len();
        Tensor::from_data(TensorData::new(values, [indices.len(), width]), self.features.device())
    }

    fn batches(&self) -> impl Iterator<Item = Vec<usize>> {
        batches(self.features.len(), BATCH)
    }

    /// The layer with the change V added: with X and E the inputs and errors as rows, both centred,
    ///
    /// `V = (XᵀX + penalty)⁻¹ XᵀE = Xᵀ (XXᵀ + penalty)⁻¹ E`,
    ///
    /// whichever matrix is the smaller.
    fn solve<P: Performer>(
        &self,
        layer: &Linear,
        wanted: &Wanted<'_, P>,
        ridge: f64,
    ) -> Result<Linear, NotPositive> {
        let count = self.features.len();
        let [inputs, outputs] = layer.weight.dims();
        let batch = |indices: Vec<usize>| {
            let rows = self.rows(&indices);
            let present = linear(layer, rows.clone());
            let error = wanted.values(&self.features.batch(&indices), present.clone()) - present;
            (rows, error)
        };
        // A layer without a bias cannot move the mean: nothing is centred then.
        let centred = if layer.bias.is_some() { 1.0 / count as f64 } else { 0.0 };
        let spread = |squares: Tensor<1>| f64::from(squares.into_scalar::<f32>()) / count as f64;
        let (change, mean, missing);
        if count < inputs {
            let (rows, errors): (Vec<_>, Vec<_>) = self.batches().map(batch).unzip();
            let (rows, errors) = (Tensor::cat(rows, 0), Tensor::cat(errors, 0));
            (mean, missing) =
                (rows.clone().sum_dim(0).mul_scalar(centred), errors.clone().sum_dim(0).mul_scalar(centred));
            let (rows, errors) = (rows - mean.clone(), errors - missing.clone());
            let penalty = ridge * spread(rows.clone().square().sum());
            let gram = rows.clone().matmul(rows.clone().transpose());
            change = rows.transpose().matmul(penalised(gram, penalty)?.solve(errors));
        } else {
            let device = self.features.device();
            let zeros = |height, width| Tensor::<2>::zeros([height, width], device);
            let mut sums =
                [zeros(1, inputs), zeros(1, outputs), zeros(inputs, inputs), zeros(inputs, outputs)];
            for (rows, errors) in self.batches().map(batch) {
                let across = rows.clone().transpose();
                let terms = [
                    rows.clone().sum_dim(0),
                    errors.clone().sum_dim(0),
                    across.clone().matmul(rows),
                    across.matmul(errors),
                ];
                let mut terms = terms.into_iter();
                sums = sums.map(|sum| sum + terms.next().expect("as many terms as sums"));
            }
            let [sum, missed, gram, right] = sums;
            (mean, missing) = (sum.mul_scalar(centred), missed.mul_scalar(centred));
            let across = mean.clone().transpose().mul_scalar(count as f64);
            let gram = gram - across.clone().matmul(mean.clone());
            let right = right - across.matmul(missing.clone());
            let diagonal = gram.clone() * Tensor::<2>::eye(inputs, device);
            let penalty = ridge * spread(diagonal.sum());
            change = penalised(gram, penalty)?.solve(right);
        }
        let bias = missing - mean.matmul(change.clone());
        let mut solved = layer.clone();
        solved.weight = moved(&layer.weight, change);
        solved.bias = layer.bias.as_ref().map(|own| moved(own, bias.reshape([outputs])));
        Ok(solved)
    }
}

/// The factor of `gram + penalty`.
fn penalised(gram: Tensor<2>, penalty: f64) -> Result<Cholesky, NotPositive> {
    let identity = Tensor::<2>::eye(gram.dims()[0], &gram.device());
    Cholesky::new(gram + identity.mul_scalar(penalty))
}

fn named(layer: usize) -> String {
    format!("fc-dec-{}", layer + 1)
}

fn moved<const D: usize>(parameter: &Param<Tensor<D>>, change: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(parameter.id, parameter.val() + change)
}

fn check(solved: &Linear, layer: usize) -> Result<(), CoreError> {
    let value = solved.weight.val().abs().sum().into_scalar::<f32>();
    if value.is_finite() {
        return Ok(());
    }
    let what = format!("the norm of the refitted weights of {}", named(layer));
    Err(CoreError::Diverged { what, epoch: 0, step: 0, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TinyPerformer, features};
    use crate::{Blueprint, ExplainerConfig, FeatureConfig, Preprocessing, Tapped};
    use burn::tensor::Device;
    use explainer_metrics::ReceptiveField;

    const RIDGE: f64 = 0.1;

    fn setup(config: &FeatureConfig) -> (TinyPerformer, Features, Explainer) {
        let performer = TinyPerformer::new(5);
        let train = features(&performer, 20, config);
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &Device::flex());
        let explainer = explainer.calibrated(&train);
        (performer, train, explainer)
    }

    fn refitted(performer: &impl Performer, train: &Features, explainer: &Explainer) -> Explainer {
        let refit = Refit::Ridge { ridge: RIDGE };
        explainer.clone().refitted(performer, train, &refit, false).unwrap()
    }

    fn rows(tensor: Tensor<2>) -> Vec<Vec<f64>> {
        let width = tensor.dims()[1];
        let values: Vec<f64> = floats(tensor).into_iter().map(f64::from).collect();
        values.chunks(width).map(<[f64]>::to_vec).collect()
    }

    /// Solves `A X = B` by elimination with row exchanges.
    fn solved(mut a: Vec<Vec<f64>>, mut b: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let size = a.len();
        for column in 0..size {
            let pivot = (column..size).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()));
            a.swap(column, pivot.unwrap());
            b.swap(column, pivot.unwrap());
            let (own, other) = (a[column].clone(), b[column].clone());
            for row in (0..size).filter(|&row| row != column) {
                let factor = a[row][column] / own[column];
                a[row].iter_mut().zip(&own).for_each(|(x, y)| *x -= factor * y);
                b[row].iter_mut().zip(&other).for_each(|(x, y)| *x -= factor * y);
            }
        }
        let divided = |(row, b): (usize, Vec<f64>)| b.into_iter().map(|x| x / a[row][row]).collect();
        b.into_iter().enumerate().map(divided).collect()
    }

    /// The normal equations of centred ridge regression, in `f64`: `(XᵀX + penalty) V = Xᵀ(Y − XW)`.
    fn oracle(x: &[Vec<f64>], wanted: &[Vec<f64>], weight: &[Vec<f64>], bias: &[f64]) -> Vec<Vec<f64>> {
        let (count, inputs, outputs) = (x.len() as f64, x[0].len(), bias.len());
        let mean: Vec<f64> = (0..inputs).map(|i| x.iter().map(|x| x[i]).sum::<f64>() / count).collect();
        let centred: Vec<Vec<f64>> =
            x.iter().map(|x| x.iter().zip(&mean).map(|(x, mean)| x - mean).collect()).collect();
        let penalty = RIDGE * centred.iter().flatten().map(|x| x * x).sum::<f64>() / count;
        let error: Vec<Vec<f64>> = x
            .iter()
            .zip(wanted)
            .map(|(x, wanted)| {
                let output =
                    |o: usize| x.iter().zip(weight).map(|(x, row)| x * row[o]).sum::<f64>() + bias[o];
                (0..outputs).map(|o| wanted[o] - output(o)).collect()
            })
            .collect();
        let product = |i: usize, j: usize| centred.iter().map(|x| x[i] * x[j]).sum::<f64>();
        let normal = (0..inputs)
            .map(|i| (0..inputs).map(|j| product(i, j) + if i == j { penalty } else { 0.0 }).collect())
            .collect();
        let right = |i: usize, o: usize| centred.iter().zip(&error).map(|(x, e)| x[i] * e[o]).sum();
        solved(normal, (0..inputs).map(|i| (0..outputs).map(|o| right(i, o)).collect()).collect())
    }

    /// With fewer rows than inputs, and with more.
    #[test]
    fn the_first_layer_solves_the_normal_equations() {
        for images in [20, 120] {
            the_normal_equations_are_solved(images);
        }
    }

    fn the_normal_equations_are_solved(images: usize) {
        let (performer, _, explainer) = setup(&FeatureConfig::plain());
        let train = features(&performer, images, &FeatureConfig::plain());
        let [inputs, _] = explainer.decoder.layers[0].weight.dims();
        assert_eq!(images < inputs, images == 20, "{inputs} inputs");
        let all: Vec<usize> = (0..train.len()).collect();
        let batch = train.batch(&all);
        let (maps, parts) = explainer.interpretable.forward(batch.target.clone());
        assert_eq!(maps.len(), 2);
        let inputs = explainer.encode(parts, explainer.ordinary.forward(batch.target.clone())).flatten(1, 3);
        // What the performer's fc6 makes of its own pooled top conv, before the ReLU.
        let top = relu(performer.convs[1].forward(batch.target));
        let wanted = performer.upper[0].forward(explainer.pooled(top).flatten(1, 3));
        let layer = &explainer.decoder.layers[0];
        let bias: Vec<f64> = floats(layer.bias.as_ref().unwrap().val()).into_iter().map(f64::from).collect();
        let expected = oracle(&rows(inputs), &rows(wanted), &rows(layer.weight.val()), &bias);
        let refitted = refitted(&performer, &train, &explainer);
        let change = rows(refitted.decoder.layers[0].weight.val() - layer.weight.val());
        let largest = expected.iter().flatten().fold(0.0, |most: f64, value| most.max(value.abs()));
        assert!(largest > 1e-3);
        for (found, expected) in change.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 2e-3 * largest, "{found} {expected}");
        }
    }

    #[test]
    fn both_layers_reconstruct_better_and_the_encoder_stays() {
        let (performer, train, explainer) = setup(&FeatureConfig::plain());
        let before = explainer.validate(&performer, &train).unwrap().relative_error;
        let refitted = refitted(&performer, &train, &explainer);
        let after = refitted.validate(&performer, &train).unwrap().relative_error;
        assert!(after[0] < 0.2 * before[0] && after[1] < 0.2 * before[1], "{before:?} {after:?}");
        let target = train.batch(&[3]).target;
        let encoded = |explainer: &Explainer| floats(explainer.forward(target.clone()).encoded);
        assert_eq!(encoded(&refitted), encoded(&explainer));
    }

    #[test]
    fn rows_on_disk_give_the_same_and_none_leaves_all_as_it_is() {
        let (performer, train, explainer) = setup(&FeatureConfig::plain());
        let (_, mapped, _) = setup(&FeatureConfig::plain().with_memory_limit(1000));
        let weights = |explainer: Explainer| floats(explainer.decoder.layers[0].weight.val());
        assert!(mapped.is_mapped());
        assert_eq!(
            weights(refitted(&performer, &train, &explainer)),
            weights(refitted(&performer, &mapped, &explainer))
        );
        let same = explainer.clone().refitted(&performer, &train, &Refit::None, false).unwrap();
        assert_eq!(weights(same), weights(explainer));
    }

    #[test]
    fn a_ridge_that_is_too_small_for_the_rows_is_an_error() {
        let (performer, train, explainer) = setup(&FeatureConfig::plain());
        let error = explainer.refitted(&performer, &train, &Refit::Ridge { ridge: 0.0 }, false).unwrap_err();
        assert!(matches!(error, CoreError::Singular { .. }), "{error}");
        assert!(error.to_string().contains("fc-dec-1"), "{error}");
    }

    /// A performer that has something between the layers of its blueprint: all its features are halved.
    struct Halved(TinyPerformer);

    impl Performer for Halved {
        fn tap(&self, images: Tensor<4>) -> Tapped {
            let tapped = self.0.tap(images);
            let upper: Vec<_> = tapped.upper.into_iter().map(|upper| upper * 0.5).collect();
            let scores = self.head(upper[1].clone());
            Tapped { upper, scores, ..tapped }
        }
        fn head(&self, upper: Tensor<2>) -> Tensor<2> {
            self.0.head(upper)
        }
        fn preprocessing(&self) -> Preprocessing {
            self.0.preprocessing()
        }
        fn target_field(&self) -> ReceptiveField {
            self.0.target_field()
        }
        fn top_conv_field(&self) -> ReceptiveField {
            self.0.top_conv_field()
        }
        fn blueprint(&self) -> Blueprint<'_> {
            self.0.blueprint()
        }
    }

    #[test]
    fn a_performer_with_something_between_its_layers_is_refitted_from_its_features() {
        let performer = Halved(TinyPerformer::new(5));
        let images = crate::testing::images(20, 1).into_iter().map(Ok::<_, std::io::Error>);
        let device = Device::flex();
        let train = Features::extract(&performer, images, &FeatureConfig::plain(), &device).unwrap();
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &device);
        let explainer = explainer.calibrated(&train);
        assert!(!Wanted::of(&performer, &explainer, &train, 0).known);
        assert!(
            Wanted::of(&performer.0, &explainer, &features(&performer.0, 20, &FeatureConfig::plain()), 0)
                .known
        );
        let before = explainer.validate(&performer, &train).unwrap().relative_error;
        let after = refitted(&performer, &train, &explainer);
        let after = after.validate(&performer, &train).unwrap().relative_error;
        assert!(after[0] < 0.5 * before[0] && after[1] < 0.5 * before[1], "{before:?} {after:?}");
    }

    #[test]
    fn a_weight_that_is_not_finite_stops_it() {
        let (performer, train, mut explainer) = setup(&FeatureConfig::plain());
        let weight = explainer.decoder.layers[1].weight.clone();
        explainer.decoder.layers[1].weight = weight.map(|weight| weight * f32::NAN);
        let error = explainer.refitted(&performer, &train, &Refit::DEFAULT, false).unwrap_err();
        assert!(error.to_string().contains("fc-dec-2"), "{error}");
    }
}
