//! The decoder's weights in closed form, once the encoder is fitted.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Tensor, TensorData};

use crate::cholesky::NotPositive;
use crate::decoder::linear;
use crate::features::{Features, floats};
use crate::fit::{Refit, batches};
use crate::progress::progress_bar;
use crate::regression::{Regression, of_few};
use crate::store::{RowStore, RowWriter};
use crate::{Activation, CoreError, Explainer, Performer, UpperLayers};

/// Rows of one pass.
const BATCH: usize = 512;
/// Ridge of the map from channel to channel, in units of a channel's mean energy over all units.
const MAP_RIDGE: f64 = 1e-4;

impl Explainer {
    /// The explainer with every decoder layer solved for the least squared error on `features`, the encoder
    /// as it is, from the lowest layer up.
    ///
    /// With x the layer's input (what the refitted layer below makes of it), W and b its prior, and y* what
    /// the performer's own layer has *before* its activation, the change V of W minimises
    ///
    /// `Σ_rows ‖(W + V)ᵀx + b' − y*‖² + ridge · E‖x − E x‖² · ‖V‖²`,
    ///
    /// on centred inputs, so that b' comes out by itself. Before the ReLU a silent unit still says how silent
    /// it is, which is most of what there is to learn from on few images (DESIGN §7).
    ///
    /// **The prior** of the first layer is the performer's fc6 behind the one matrix M, from channel to
    /// channel and the same in all places, by which `M x_enc` comes closest to the performer's pooled top conv:
    /// every unit of every image is a row for it, so that it is known well however few the images. That of the
    /// others are the performer's own layers. If the layers of the [`Blueprint`](crate::Blueprint) do not give
    /// the performer's upper features ([`UpperLayers::of`] refuses them), the optimiser's last weights are the
    /// prior, with a ridge of its own, and y* is known only where the feature is not zero (and below 6 behind a
    /// ReLU6); elsewhere it is the present output, held to be at most 0 (at least 6). Of features behind a SiLU or GELU
    /// it is not known: such a decoder stays as the optimiser left it.
    ///
    /// **Where the pooled maps are the one upper feature**, the identity stands in fc6's place.
    ///
    /// **A decoder of target features** is solved unit by unit.
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
        let Refit::Ridge { performer: known, fitted } = *refit else { return Ok(explainer) };
        if explainer.decoder.maps.is_some() {
            return explainer.with_maps_refitted(features);
        }
        let layers = match UpperLayers::of(performer, features) {
            Ok(layers) => Some(layers),
            // The prior is another then, as described.
            Err(CoreError::UpperLayers { .. }) => None,
            Err(error) => return Err(error),
        };
        if layers.is_none() && [Activation::Silu, Activation::Gelu].contains(&explainer.decoder.activation) {
            return Ok(explainer);
        }
        let count = explainer.decoder.layers.len();
        let bar = progress_bar(count as u64, "decoder", progress);
        let Rows { mut inputs, wanted, map } = Rows::of(layers.as_ref(), &explainer, features)?;
        for layer in 0..count {
            let own = explainer.decoder.layers[layer].clone();
            let (prior, ridge) = match (&layers, &map) {
                (Some(layers), Some(map)) if layer == 0 => (map.followed_by(layers.upper(0), &own), known),
                (Some(layers), _) => (with_weights_of(&own, layers.upper(layer)), known),
                (None, _) => (own, fitted),
            };
            let activation = explainer.decoder.activation;
            let system = System { inputs: &inputs, wanted: wanted.get(layer), features, layer, activation };
            let solved = system.solve(&prior, ridge).map_err(|error| singular(layer, &error))?;
            check(&solved, layer)?;
            bar.inc(1);
            if layer + 1 < count {
                let mut outputs = features.writer(solved.weight.dims()[1]);
                for indices in system.batches() {
                    let units = linear(&solved, system.rows(&inputs, &indices));
                    outputs.push(&floats(explainer.decoder.activation.forward(units)))?;
                }
                inputs = outputs.finish()?;
            }
            explainer.decoder.layers[layer] = solved;
        }
        bar.finish_and_clear();
        Ok(explainer)
    }

    /// The explainer with the 1×1 convolution that reconstructs the target features solved for the least squared
    /// error on `features`: a ridge regression of the channels of the target features on those of the encoding, in which
    /// every unit of every image is a row.
    fn with_maps_refitted(mut self, features: &Features) -> Result<Self, CoreError> {
        let Some(conv) = self.decoder.maps.clone() else { return Ok(self) };
        let mut units = Regression::new(conv.bias.is_some());
        for indices in batches(features.len(), BATCH) {
            let batch = features.batch_for(&self.decoder, &indices);
            let [batch_size, channels, height, width] = batch.target.dims();
            let [wanted] = &batch.upper[..] else {
                unreachable!("the target features alone are reconstructed")
            };
            let wanted = wanted.clone().reshape([batch_size, channels, height, width]);
            units.push(by_unit(self.encoded_from(batch.target)), by_unit(wanted));
        }
        let ChannelMap { matrix, offset } = ChannelMap::of(units)?;
        let (weight, [outputs]) = (matrix.transpose(), [conv.weight.dims()[0]]);
        let value = weight.clone().abs().sum().into_scalar::<f32>();
        if !value.is_finite() {
            let what = "the norm of the refitted weights of the decoder of target features".to_string();
            return Err(CoreError::Diverged { what, epoch: 0, step: 0, value });
        }
        let shape = conv.weight.dims();
        self.decoder.maps = Some(Conv2d {
            weight: Param::initialized(conv.weight.id, weight.reshape(shape)),
            bias: conv.bias.as_ref().map(|bias| Param::initialized(bias.id, offset.reshape([outputs]))),
            ..conv
        });
        Ok(self)
    }

    /// Why the refit is another than the one of a performer whose layers are known, if it is.
    pub(crate) fn refit_note<P: Performer>(&self, performer: &P, features: &Features) -> Option<String> {
        if self.decoder.maps.is_some() {
            return None;
        }
        let error = UpperLayers::of(performer, features).err()?;
        Some(match self.decoder.activation {
            activation @ (Activation::Silu | Activation::Gelu) => {
                format!("the decoder is not refitted behind its {activation:?}: {error}")
            }
            _ => {
                format!("the decoder is refitted from its own weights and not from the performer's: {error}")
            }
        })
    }

    /// The decoder's input of target features.
    fn encoded_from(&self, target: Tensor<4>) -> Tensor<4> {
        let tracks = self.tracks(target);
        self.encode(tracks.parts, tracks.ordinary)
    }
}

/// What a decoder is solved on.
struct Rows {
    /// Inputs of its first layer.
    inputs: RowStore,
    /// y* of each layer; none where the performer's own layers do not tell it.
    wanted: Vec<RowStore>,
    /// From its input to the performer's pooled top conv, where that is known.
    map: Option<ChannelMap>,
}

impl Rows {
    fn of(
        layers: Option<&UpperLayers<'_>>,
        explainer: &Explainer,
        features: &Features,
    ) -> Result<Self, CoreError> {
        let first = &explainer.decoder.layers[0];
        let mut inputs = features.writer(first.weight.dims()[0]);
        let known = layers.iter().flat_map(|_| &features.shape().upper);
        let mut wanted: Vec<RowWriter> = known.map(|&width| features.writer(width)).collect();
        let mut map = Regression::new(first.bias.is_some());
        for indices in batches(features.len(), BATCH) {
            let target = features.batch(&indices).target;
            let encoded = explainer.encoded_from(target.clone());
            inputs.push(&floats(encoded.clone()))?;
            let Some(layers) = layers else { continue };
            let pooled = layers.pooled(target);
            map.push(by_unit(encoded), by_unit(pooled.clone()));
            for (writer, values) in wanted.iter_mut().zip(layers.above(pooled.flatten(1, 3))) {
                writer.push(&floats(values))?;
            }
        }
        let map = layers.map(|_| ChannelMap::of(map)).transpose()?;
        let wanted = wanted.into_iter().map(RowWriter::finish).collect::<Result<_, _>>()?;
        Ok(Self { inputs: inputs.finish()?, wanted, map })
    }
}

/// Maps as rows, one for each unit of each image: `[batch · P · P, D]`.
fn by_unit(maps: Tensor<4>) -> Tensor<2> {
    maps.permute([0, 2, 3, 1]).flatten::<2>(0, 2)
}

/// `x ↦ Mᵀx + m` from the channels of the encoder's output to those of the performer's pooled top conv, the
/// same in all places.
struct ChannelMap {
    /// M, `[D, D]`.
    matrix: Tensor<2>,
    /// m, `[1, D]`.
    offset: Tensor<2>,
}

impl ChannelMap {
    fn of(units: Regression) -> Result<Self, CoreError> {
        let ridge = MAP_RIDGE * units.count() as f64 / units.inputs() as f64;
        let [matrix, offset] = units.solve(ridge).map_err(|error| singular(0, &error))?;
        Ok(Self { matrix, offset })
    }

    /// A layer that reads what the map makes, as one layer in the place of `own`.
    fn followed_by(&self, layer: &Linear, own: &Linear) -> Linear {
        let [inputs, outputs] = layer.weight.dims();
        let channels = self.offset.dims()[1];
        let units = inputs / channels;
        let weight = layer.weight.val().reshape([channels, units * outputs]);
        let offset = self.offset.clone().matmul(weight.clone()).reshape([units, outputs]).sum_dim(0);
        let mut moved = with_weights_of(own, layer);
        moved.weight = moved.weight.map(|_| self.matrix.clone().matmul(weight).reshape([inputs, outputs]));
        moved.bias = moved.bias.map(|bias| bias.map(|bias| bias + offset.reshape([outputs])));
        moved
    }
}

/// The parameters of `own` with the weights of `other`; its bias, if it has one, is 0 where the other has none.
fn with_weights_of(own: &Linear, other: &Linear) -> Linear {
    let mut layer = own.clone();
    layer.weight = Param::initialized(own.weight.id, other.weight.val());
    layer.bias = own.bias.as_ref().map(|own| {
        let bias = other.bias.as_ref().map_or_else(|| own.val().zeros_like(), |other| other.val());
        Param::initialized(own.id, bias)
    });
    layer
}

/// The inputs of one layer and what it is to make of them, row by row.
struct System<'a> {
    inputs: &'a RowStore,
    wanted: Option<&'a RowStore>,
    features: &'a Features,
    layer: usize,
    /// Behind the layer.
    activation: Activation,
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

    /// y* of rows whose present outputs, before the activation, are `outputs`: what the performer's own layers tell, or
    /// what the features tell of it.
    fn wanted(&self, indices: &[usize], outputs: Tensor<2>) -> Tensor<2> {
        if let Some(known) = self.wanted {
            return self.rows(known, indices);
        }
        let theirs = self.features.batch(indices).upper[self.layer].clone();
        if self.activation == Activation::None {
            return theirs;
        }
        // Behind a ReLU6 what is at 6 may have been anything above it.
        let fires = theirs.clone().greater_scalar(0.0);
        let wanted = outputs.clone().clamp_max(0.0).mask_where(fires, theirs.clone());
        match self.activation {
            Activation::Relu6 => wanted.mask_where(theirs.greater_equal_scalar(6.0), outputs.clamp_min(6.0)),
            _ => wanted,
        }
    }

    /// The layer with the change V added to its weights.
    fn solve(&self, prior: &Linear, ridge: f64) -> Result<Linear, NotPositive> {
        let [inputs, outputs] = prior.weight.dims();
        // A layer without a bias cannot move the mean: nothing is centred then.
        let centred = prior.bias.is_some();
        let batches = self.batches().map(|indices| {
            let rows = self.rows(self.inputs, &indices);
            let present = linear(prior, rows.clone());
            let error = self.wanted(&indices, present.clone()) - present;
            (rows, error)
        });
        let [change, bias] = if self.inputs.len() < inputs {
            of_few(batches, centred, ridge)?
        } else {
            let mut regression = Regression::new(centred);
            batches.for_each(|(rows, errors)| regression.push(rows, errors));
            regression.solve(ridge)?
        };
        let mut solved = prior.clone();
        solved.weight = moved(&prior.weight, change);
        solved.bias = prior.bias.as_ref().map(|own| moved(own, bias.reshape([outputs])));
        Ok(solved)
    }
}

fn named(layer: usize) -> String {
    format!("fc-dec-{}", layer + 1)
}

fn singular(layer: usize, &NotPositive { pivot }: &NotPositive) -> CoreError {
    CoreError::Singular { what: named(layer), pivot }
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
    use crate::testing::{TinyPerformer, features, images};
    use crate::{Blueprint, ExplainerConfig, FeatureConfig, Preprocessing, UpperTaps};
    use burn::tensor::Device;
    use burn::tensor::activation::relu;
    use explainer_metrics::ReceptiveField;

    const RIDGE: f64 = 0.1;
    const REFIT: Refit = Refit::Ridge { performer: RIDGE, fitted: RIDGE };

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

    /// The change and the offset of centred ridge regression, in `f64` and with the penalty as it is:
    /// `(XᵀX + penalty) V = XᵀE`.
    fn regression(x: &[Vec<f64>], errors: &[Vec<f64>], ridge: f64) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (count, inputs, outputs) = (x.len() as f64, x[0].len(), errors[0].len());
        let mean = |rows: &[Vec<f64>], i: usize| rows.iter().map(|row| row[i]).sum::<f64>() / count;
        let means: Vec<f64> = (0..inputs).map(|i| mean(x, i)).collect();
        let missing: Vec<f64> = (0..outputs).map(|o| mean(errors, o)).collect();
        let centred: Vec<Vec<f64>> =
            x.iter().map(|x| x.iter().zip(&means).map(|(x, mean)| x - mean).collect()).collect();
        let penalty = ridge * centred.iter().flatten().map(|x| x * x).sum::<f64>() / count;
        let product = |i: usize, j: usize| centred.iter().map(|x| x[i] * x[j]).sum::<f64>();
        let normal = (0..inputs)
            .map(|i| (0..inputs).map(|j| product(i, j) + if i == j { penalty } else { 0.0 }).collect())
            .collect();
        let right = |i: usize, o: usize| {
            centred.iter().zip(errors).map(|(x, e)| x[i] * (e[o] - missing[o])).sum::<f64>()
        };
        let right = (0..inputs).map(|i| (0..outputs).map(|o| right(i, o)).collect()).collect();
        let change = solved(normal, right);
        let moved = |o: usize| means.iter().zip(&change).map(|(mean, row)| mean * row[o]).sum::<f64>();
        let offset = (0..outputs).map(|o| missing[o] - moved(o)).collect();
        (change, offset)
    }

    fn applied(x: &[Vec<f64>], weight: &[Vec<f64>], bias: &[f64]) -> Vec<Vec<f64>> {
        let output = |x: &[f64], o: usize| x.iter().zip(weight).map(|(x, row)| x * row[o]).sum::<f64>();
        x.iter().map(|x| (0..bias.len()).map(|o| output(x, o) + bias[o]).collect()).collect()
    }

    fn minus(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
        a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect()).collect()
    }

    /// Each unit of each image, from rows of `[channels, units]`.
    fn units(rows: &[Vec<f64>], channels: usize) -> Vec<Vec<f64>> {
        let of = |row: &Vec<f64>| {
            let units = row.len() / channels;
            (0..units).map(|s| (0..channels).map(|c| row[c * units + s]).collect()).collect::<Vec<_>>()
        };
        rows.iter().flat_map(of).collect()
    }

    /// Of fc6: what `rows` are made of it, by definition, from the encoder's output and the performer's
    /// pooled top conv.
    fn first_layer(
        fc6: &Linear,
        encoded: &[Vec<f64>],
        pooled: &[Vec<f64>],
        channels: usize,
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (weight, bias) = (rows(fc6.weight.val()), floats(fc6.bias.as_ref().unwrap().val()));
        let bias: Vec<f64> = bias.into_iter().map(f64::from).collect();
        let wanted = applied(pooled, &weight, &bias);
        let (x, z) = (units(encoded, channels), units(pooled, channels));
        let (map, offset) = regression(&x, &z, MAP_RIDGE * x.len() as f64 / channels as f64);
        let places = weight.len() / channels;
        // fc6 behind the map: its weights from channel c in one place are those of all channels there, by M.
        let through = |c: usize, s: usize, o: usize| {
            (0..channels).map(|to| map[c][to] * weight[to * places + s][o]).sum::<f64>()
        };
        let prior: Vec<Vec<f64>> = (0..weight.len())
            .map(|i| (0..bias.len()).map(|o| through(i / places, i % places, o)).collect())
            .collect();
        let constant: Vec<f64> = (0..bias.len())
            .map(|o| {
                let weights = weight.iter().enumerate();
                bias[o] + weights.map(|(i, row)| offset[i / places] * row[o]).sum::<f64>()
            })
            .collect();
        let (change, moved) =
            regression(encoded, &minus(&wanted, &applied(encoded, &prior, &constant)), RIDGE);
        let solved = prior.iter().zip(&change).map(|(p, v)| p.iter().zip(v).map(|(p, v)| p + v).collect());
        (solved.collect(), constant.iter().zip(&moved).map(|(c, m)| c + m).collect())
    }

    /// With fewer rows than inputs, and with more.
    #[test]
    fn the_first_layer_is_the_ridge_regression_behind_the_channel_map() {
        for images in [20, 120] {
            let (performer, _, explainer) = setup(&FeatureConfig::plain());
            let train = features(&performer, images, &FeatureConfig::plain());
            let [inputs, _] = explainer.decoder.layers[0].weight.dims();
            assert_eq!(images < inputs, images == 20, "{inputs} inputs");
            let all: Vec<usize> = (0..train.len()).collect();
            let target = train.batch(&all).target;
            let encoded = rows(explainer.forward(target.clone()).encoded.flatten(1, 3));
            let top = relu(performer.convs[1].forward(target));
            let pooled = rows(explainer.pooled(top).flatten(1, 3));
            let (weight, bias) = first_layer(&performer.upper[0], &encoded, &pooled, explainer.filters());
            let refitted = refitted(&performer, &train, &explainer);
            let layer = &refitted.decoder.layers[0];
            let found = rows(layer.weight.val()).concat();
            let found = found
                .into_iter()
                .chain(floats(layer.bias.as_ref().unwrap().val()).into_iter().map(f64::from));
            let expected: Vec<f64> = weight.concat().into_iter().chain(bias).collect();
            let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            for (found, expected) in found.zip(&expected) {
                assert!((found - expected).abs() < 2e-3 * largest, "{found} {expected}");
            }
        }
    }

    /// On images that were not fitted, few as the rows are.
    #[test]
    fn the_performers_layers_behind_the_map_know_more_than_few_rows() {
        let (performer, train, explainer) = setup(&FeatureConfig::plain());
        let all: Vec<_> = images(60, 1).into_iter().skip(20).map(Ok::<_, std::io::Error>).collect();
        let others = Features::extract(&performer, all, &FeatureConfig::plain(), &Device::flex()).unwrap();
        let error = |ridge| {
            let refit = Refit::Ridge { performer: ridge, fitted: ridge };
            let explainer = explainer.clone().refitted(&performer, &train, &refit, false).unwrap();
            explainer.validate(&performer, &others).unwrap().relative_error
        };
        let (rows, both, layers) = (error(1e-3), error(1.0), error(1e6));
        let before = explainer.validate(&performer, &others).unwrap().relative_error;
        for layer in [0, 1] {
            assert!(both[layer] < rows[layer], "{both:?} {rows:?}");
            assert!(layers[layer] < 0.8 * before[layer], "{layers:?} {before:?}");
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
        let error = explainer
            .refitted(&performer, &train, &Refit::Ridge { performer: 0.0, fitted: 0.0 }, false)
            .unwrap_err();
        assert!(matches!(error, CoreError::Singular { .. }), "{error}");
        assert!(error.to_string().contains("fc-dec-1"), "{error}");
    }

    /// A performer that has something between the layers of its blueprint: all its features are halved.
    struct Halved(TinyPerformer);

    impl Performer for Halved {
        fn target_features(&self, images: Tensor<4>) -> Tensor<4> {
            self.0.target_features(images)
        }
        fn forward_from_target(&self, target: Tensor<4>) -> UpperTaps {
            let taps = self.0.forward_from_target(target);
            let upper: Vec<_> = taps.upper.into_iter().map(|upper| upper * 0.5).collect();
            let scores = self.head(upper[1].clone());
            UpperTaps { upper, scores, ..taps }
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

    fn halved() -> (Halved, Features, Explainer) {
        let performer = Halved(TinyPerformer::new(5));
        let images = images(20, 1).into_iter().map(Ok::<_, std::io::Error>);
        let device = Device::flex();
        let train = Features::extract(&performer, images, &FeatureConfig::plain(), &device).unwrap();
        let explainer = ExplainerConfig::for_performer(&performer).init_from(&performer, &device);
        let explainer = explainer.calibrated(&train);
        (performer, train, explainer)
    }

    #[test]
    fn a_performer_with_something_between_its_layers_is_refitted_from_its_features() {
        let (performer, train, explainer) = halved();
        assert!(UpperLayers::of(&performer, &train).is_err());
        let before = explainer.validate(&performer, &train).unwrap().relative_error;
        let after = refitted(&performer, &train, &explainer);
        let after = after.validate(&performer, &train).unwrap().relative_error;
        assert!(after[0] < 0.5 * before[0] && after[1] < 0.5 * before[1], "{before:?} {after:?}");
    }

    #[test]
    fn a_weight_that_is_not_finite_stops_it() {
        let (performer, train, mut explainer) = halved();
        let weight = explainer.decoder.layers[1].weight.clone();
        explainer.decoder.layers[1].weight = weight.map(|weight| weight * f32::NAN);
        let error = explainer.refitted(&performer, &train, &Refit::DEFAULT, false).unwrap_err();
        assert!(error.to_string().contains("fc-dec-2"), "{error}");
    }
}
