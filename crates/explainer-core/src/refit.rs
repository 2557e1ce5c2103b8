//! The decoder's weights in closed form, once the encoder is fitted.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData, activation::relu};

use crate::cholesky::{Cholesky, NotPositive};
use crate::decoder::linear;
use crate::features::{Features, floats};
use crate::fit::{Refit, batches};
use crate::mixtures::Mixture;
use crate::progress::progress_bar;
use crate::store::{RowStore, RowWriter};
use crate::{CoreError, Explainer, Performer, UpperLayers};

/// Rows of one pass.
const BATCH: usize = 512;
/// Up to this many rows for each input of the first layer, mixtures are worth their time.
const ENOUGH: usize = 2;

impl Explainer {
    /// The explainer with every decoder layer solved for the least squared error on `features` and on
    /// mixtures of them, the encoder as it is, from the lowest layer up.
    ///
    /// With x the layer's input (what the refitted layer below makes of it), W and b its weights so far,
    /// and y* what the performer's own layer has *before* its ReLU, the change V of W minimises
    ///
    /// `Σ_rows ‖(W + V)ᵀx + b' − y*‖² + ridge · E‖x − E x‖² · ‖V‖²`,
    ///
    /// on centred inputs, so that b' comes out by itself. The optimiser's last weights are the prior. Before
    /// the ReLU a silent unit still says how silent it is, which is most of what there is to learn from on
    /// few images (DESIGN §6).
    ///
    /// A mixture has the target features of one row, with a patch of another's, and y* is what the performer's
    /// own layers make of it. If the layers of the [`Blueprint`](crate::Blueprint) do not give the performer's
    /// upper features ([`UpperLayers::of`] refuses them), there are no mixtures, and y* is known only where the
    /// feature is not zero; elsewhere it is the present output, held to be at most 0.
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
        let Refit::Ridge { ridge, mixtures } = *refit else { return Ok(explainer) };
        let layers = explainer.decoder.layers.len();
        let bar = progress_bar(layers as u64, "decoder", progress);
        let Rows { mut inputs, wanted } = Rows::of(performer, &explainer, features, mixtures)?;
        for layer in 0..layers {
            let own = explainer.decoder.layers[layer].clone();
            let system = System { inputs: &inputs, wanted: wanted.get(layer), features, layer };
            let solved = system
                .solve(&own, ridge)
                .map_err(|NotPositive { pivot }| CoreError::Singular { what: named(layer), pivot })?;
            check(&solved, layer)?;
            bar.inc(1);
            if layer + 1 < layers {
                let mut outputs = features.writer(solved.weight.dims()[1]);
                for indices in system.batches() {
                    outputs.push(&floats(relu(linear(&solved, system.rows(&inputs, &indices)))))?;
                }
                inputs = outputs.finish()?;
            }
            explainer.decoder.layers[layer] = solved;
        }
        bar.finish_and_clear();
        Ok(explainer)
    }

    /// The decoder's input of target features, a row for each image.
    fn decoded_from(&self, target: Tensor<4>) -> Tensor<2> {
        let (_, parts) = self.interpretable.forward(target.clone());
        self.encode(parts, self.ordinary.forward(target)).flatten(1, 3)
    }
}

/// What a decoder is solved on: the rows of features, and mixtures of them.
struct Rows {
    /// Inputs of its first layer.
    inputs: RowStore,
    /// y* of each layer; none where the performer's own layers do not tell it.
    wanted: Vec<RowStore>,
}

impl Rows {
    /// With `each` mixtures for every row of `features`, but no more than make enough rows.
    fn of<P: Performer>(
        performer: &P,
        explainer: &Explainer,
        features: &Features,
        each: usize,
    ) -> Result<Self, CoreError> {
        let width = explainer.decoder.layers[0].weight.dims()[0];
        let layers = UpperLayers::of(performer, features).ok().filter(UpperLayers::has_upper);
        let mut inputs = features.writer(width);
        let known = layers.iter().flat_map(|_| &features.shape().upper);
        let mut wanted: Vec<RowWriter> = known.map(|&width| features.writer(width)).collect();
        let mut push = |target: Tensor<4>| {
            inputs.push(&floats(explainer.decoded_from(target.clone())))?;
            let values = layers.iter().flat_map(|layers| layers.before_relu(target.clone()));
            for (writer, values) in wanted.iter_mut().zip(values) {
                writer.push(&floats(values))?;
            }
            Ok::<_, CoreError>(())
        };
        for indices in batches(features.len(), BATCH) {
            push(features.batch(&indices).target)?;
        }
        if layers.is_some() {
            let missing = (ENOUGH * width).saturating_sub(features.len());
            let [_, length, _] = features.shape().target;
            let mixtures = Mixture::draw(features.len(), length, missing.min(each * features.len()));
            for mixtures in mixtures.chunks(BATCH) {
                push(Mixture::target(mixtures, features))?;
            }
        }
        let wanted = wanted.into_iter().map(RowWriter::finish).collect::<Result<_, _>>()?;
        Ok(Self { inputs: inputs.finish()?, wanted })
    }
}

/// The inputs of one layer and what it is to make of them, row by row.
struct System<'a> {
    inputs: &'a RowStore,
    wanted: Option<&'a RowStore>,
    features: &'a Features,
    layer: usize,
}

impl System<'_> {
    fn rows(&self, store: &RowStore, indices: &[usize]) -> Tensor<2> {
        let values: Vec<f32> = indices.iter().flat_map(|&index| store.row(index)).copied().collect();
        let width = values.len() / indices.len();
        Tensor::from_data(TensorData::new(values, [indices.len(), width]), self.features.device())
    }

    fn batches(&self) -> impl Iterator<Item = Vec<usize>> {
        batches(self.inputs.len(), BATCH)
    }

    /// y* of rows whose present outputs, before the ReLU, are `outputs`.
    fn wanted(&self, indices: &[usize], outputs: Tensor<2>) -> Tensor<2> {
        if let Some(known) = self.wanted {
            return self.rows(known, indices);
        }
        let theirs = self.features.batch(indices).upper[self.layer].clone();
        let fires = theirs.clone().greater_scalar(0.0);
        outputs.clamp_max(0.0).mask_where(fires, theirs)
    }

    /// The layer with the change V added: with X and E the inputs and errors as rows, both centred,
    ///
    /// `V = (XᵀX + penalty)⁻¹ XᵀE = Xᵀ (XXᵀ + penalty)⁻¹ E`,
    ///
    /// whichever matrix is the smaller.
    fn solve(&self, layer: &Linear, ridge: f64) -> Result<Linear, NotPositive> {
        let count = self.inputs.len();
        let [inputs, outputs] = layer.weight.dims();
        let batch = |indices: Vec<usize>| {
            let rows = self.rows(self.inputs, &indices);
            let present = linear(layer, rows.clone());
            let error = self.wanted(&indices, present.clone()) - present;
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
    use crate::testing::{SIZE, TinyPerformer, features, images};
    use crate::{Blueprint, ExplainerConfig, FeatureConfig, Preprocessing, Tapped};
    use burn::tensor::Device;
    use explainer_metrics::ReceptiveField;

    const RIDGE: f64 = 0.1;
    /// Without mixtures.
    const REFIT: Refit = Refit::Ridge { ridge: RIDGE, mixtures: 0 };

    fn setup(config: &FeatureConfig) -> (TinyPerformer, Features, Explainer) {
        let performer = TinyPerformer::new(5);
        let train = features(&performer, 20, config);
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &Device::flex());
        let explainer = explainer.calibrated(&train);
        (performer, train, explainer)
    }

    fn refitted(performer: &impl Performer, train: &Features, explainer: &Explainer) -> Explainer {
        explainer.clone().refitted(performer, train, &REFIT, false).unwrap()
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
    fn mixtures_follow_the_rows_until_there_are_enough() {
        let (performer, train, explainer) = setup(&FeatureConfig::plain());
        let [inputs, _] = explainer.decoder.layers[0].weight.dims();
        let rows = |each| Rows::of(&performer, &explainer, &train, each).unwrap();
        assert_eq!([0, 2, 1000].map(|each| rows(each).inputs.len()), [20, 60, 2 * inputs]);
        let Rows { inputs, wanted } = rows(2);
        let mixture = Mixture::draw(20, SIZE, 40).swap_remove(7);
        let target = Mixture::target(&[mixture], &train);
        // What the performer's own layers make of it, layer by layer.
        let top = relu(performer.convs[1].forward(target.clone()));
        let fc6: Tensor<2> = performer.upper[0].forward(explainer.pooled(top).flatten(1, 3));
        let fc7 = performer.upper[1].forward(relu(fc6.clone()));
        let expected = [floats(explainer.forward(target).encoded), floats(fc6), floats(fc7)];
        for (found, expected) in [&inputs, &wanted[0], &wanted[1]].iter().zip(&expected) {
            assert_eq!(found.row(27).len(), expected.len());
            for (found, expected) in found.row(27).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }

    /// On images that were not fitted.
    #[test]
    fn few_rows_reconstruct_better_with_mixtures() {
        let (performer, train, explainer) = setup(&FeatureConfig::plain());
        let all: Vec<_> = images(60, 1).into_iter().skip(20).map(Ok::<_, std::io::Error>).collect();
        let others = Features::extract(&performer, all, &FeatureConfig::plain(), &Device::flex()).unwrap();
        let error = |mixtures| {
            let refit = Refit::Ridge { ridge: RIDGE, mixtures };
            let explainer = explainer.clone().refitted(&performer, &train, &refit, false).unwrap();
            explainer.validate(&performer, &others).unwrap().relative_error
        };
        let (without, with) = (error(0), error(3));
        assert!(with[0] < 0.95 * without[0] && with[1] < 0.95 * without[1], "{without:?} {with:?}");
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
        let error = explainer
            .refitted(&performer, &train, &Refit::Ridge { ridge: 0.0, mixtures: 0 }, false)
            .unwrap_err();
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
        let images = images(20, 1).into_iter().map(Ok::<_, std::io::Error>);
        let device = Device::flex();
        let train = Features::extract(&performer, images, &FeatureConfig::plain(), &device).unwrap();
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &device);
        let explainer = explainer.calibrated(&train);
        let rows = Rows::of(&performer, &explainer, &train, 1).unwrap();
        assert_eq!((rows.inputs.len(), rows.wanted.len()), (20, 0));
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
