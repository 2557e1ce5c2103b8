//! What a score is made of, filter by filter, and what becomes of it when filters are silenced.

use burn::module::Module;
use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::{Int, Tensor, TensorData};

use crate::decoder::linear;
use crate::explainer::Tracks;
use crate::features::floats;
use crate::{Explainer, Performer};

/// What every filter of one image, and everything else, gave to the score of one class.
///
/// With x the maps of the last interpretable conv-layer after its ReLU, and s the score that the performer's
/// head gives with the explainer's features, filter k gave `Σ_ij x_kij · ∂s/∂x_kij` (gradient × activation).
/// The masks and the places of the pools' maxima are constants, so that s is linear in x as long as no ReLU
/// changes sides: the terms of a head without a bend of its own [add up](Self::total) to the score.
///
/// Source: arXiv:1805.07468, Figure 5; gradient × activation and the other terms are ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The class whose score is taken apart.
    pub class: usize,
    /// Its score by the performer's head with the explainer's features.
    pub score: f64,
    /// What each filter gave.
    pub filters: Vec<f64>,
    /// What the ordinary track gave.
    pub ordinary: f64,
    /// What the bias of each decoder layer gave, lowest first.
    pub biases: Vec<f64>,
    /// What the head gave by itself, `s − Σ x ∂s/∂x` of the features it reads: its bias, if it is affine.
    pub head: f64,
}

impl Contributions {
    /// The sum of all terms.
    pub fn total(&self) -> f64 {
        self.filters.iter().sum::<f64>() + self.ordinary + self.bias()
    }

    /// By how much the terms miss the score, as a share of all their sizes together: a score near 0 is what large
    /// terms leave of one another, and they are rounded as large ones are.
    pub fn remainder(&self) -> f64 {
        let terms = self.filters.iter().chain(&self.biases).chain([&self.ordinary, &self.head]);
        let sizes: f64 = terms.map(|term| term.abs()).sum();
        (self.total() - self.score).abs() / sizes.max(f64::MIN_POSITIVE)
    }

    /// What all biases gave, the head's among them.
    pub fn bias(&self) -> f64 {
        self.biases.iter().sum::<f64>() + self.head
    }

    /// What a group of filters gave.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn of(&self, group: &[usize]) -> f64 {
        group.iter().map(|&filter| self.filters[filter]).sum()
    }
}

/// A tensor whose gradient is wanted.
fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(tensor).require_grad()
}

/// The sum over the batch of the score of `classes[image]`, and those scores.
///
/// # Panics
/// If there is not one class for each image, or it has no score.
pub(crate) fn chosen(scores: Tensor<2>, classes: &[usize]) -> Tensor<2> {
    let [batch, found] = scores.dims();
    assert_eq!(batch, classes.len(), "one class for each image is needed");
    assert!(classes.iter().all(|&class| class < found), "classes {classes:?} of {found} scores");
    let classes: Vec<i64> = classes.iter().map(|&class| class as i64).collect();
    let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch, 1]), &scores.device().inner());
    scores.gather(1, classes)
}

/// Sums of each row of `values` times its gradient, over rows of equal length.
fn products<const D: usize>(values: Tensor<D>, gradient: Tensor<D>, rows: usize) -> Vec<f64> {
    let (values, gradient) = (floats(values.inner()), floats(gradient));
    let width = values.len() / rows;
    let product = |(values, gradient): (&[f32], &[f32])| {
        values.iter().zip(gradient).map(|(&v, &g)| f64::from(v) * f64::from(g)).sum()
    };
    values.chunks_exact(width).zip(gradient.chunks_exact(width)).map(product).collect()
}

impl Explainer {
    /// Takes the score of `classes[image]` apart for each image of a batch of target features,
    /// `[batch, C, L, L]`.
    ///
    /// # Panics
    /// If there is not one class for each image, or it has no score.
    pub fn contributions<P: Performer>(
        &self,
        performer: &P,
        target: Tensor<4>,
        classes: &[usize],
    ) -> Vec<Contributions> {
        let explainer = self.valid();
        let mut tracks = explainer.tracks(target);
        let parts = leaf(tracks.interpretable.pop().expect("there is an interpretable layer").maps);
        let ordinary = leaf(tracks.ordinary);
        let encoded = explainer.encode(explainer.last_masked(parts.clone()), ordinary.clone());
        let (upper, biases) = explainer.decoder_with_leaves(encoded);
        // The gradient of what is added is that of the sum.
        let read = leaf(upper.clone().inner().zeros_like());
        let scores = chosen(explainer.scores(performer, upper.clone() + read.clone()), classes);
        let own = floats(scores.clone().inner());
        let mut gradients = scores.sum().backward();

        let [batch, filters, ..] = parts.dims();
        let mut taken = |tensor: &Tensor<4>| {
            let gradient = tensor.grad_remove(&mut gradients).expect("the score depends on the maps");
            products(tensor.clone(), gradient, batch * filters)
        };
        let (parts, ordinary) = (taken(&parts), taken(&ordinary));
        let mut rows = |tensor: &Tensor<2>, values: &Tensor<2>| {
            let gradient = tensor.grad_remove(&mut gradients).expect("the score depends on the decoder");
            products(values.clone(), gradient, batch)
        };
        let biases: Vec<Vec<f64>> = biases.iter().map(|bias| rows(bias, bias)).collect();
        let read = rows(&read, &upper);
        let of_image = |image: usize| Contributions {
            class: classes[image],
            score: f64::from(own[image]),
            filters: parts[image * filters..][..filters].to_vec(),
            ordinary: ordinary[image * filters..][..filters].iter().sum(),
            biases: biases.iter().map(|bias| bias[image]).collect(),
            head: f64::from(own[image]) - read[image],
        };
        (0..batch).map(of_image).collect()
    }

    /// What the decoder reconstructs last, and the biases of all its layers as leaves of their own for each image.
    fn decoder_with_leaves(&self, encoded: Tensor<4>) -> (Tensor<2>, Vec<Tensor<2>>) {
        if let Some(conv) = &self.decoder.maps {
            let product = Conv2d { bias: None, ..conv.clone() }.forward(encoded);
            let bias = match &conv.bias {
                Some(bias) => bias.val().unsqueeze_dims::<4>(&[0, 2, 3]).expand(product.dims()),
                None => product.clone().inner().zeros_like(),
            };
            let bias = leaf(bias.flatten::<2>(1, 3));
            return (product.flatten::<2>(1, 3) + bias.clone(), vec![bias]);
        }
        let mut input: Tensor<2> = encoded.flatten(1, 3);
        let mut biases = Vec::with_capacity(self.decoder.layers.len());
        for layer in &self.decoder.layers {
            let product = linear(&Linear { bias: None, ..layer.clone() }, input);
            let bias = match &layer.bias {
                Some(bias) => bias.val().unsqueeze::<2>().expand(product.dims()),
                None => product.clone().inner().zeros_like(),
            };
            let bias = leaf(bias);
            input = self.decoder.activation.forward(product + bias.clone());
            biases.push(bias);
        }
        (input, biases)
    }

    /// The scores of one image, `[C, L, L]`, each time with the filters of one group silenced: their maps
    /// set to 0 in front of the decoder.
    ///
    /// Where [`contributions`](Self::contributions) ask what a filter gave, this asks what would be missing
    /// without it: the two differ where a ReLU changes sides.
    ///
    /// # Shapes
    /// - output: `[groups, classes]`
    ///
    /// # Panics
    /// If there is no group, or a filter of one does not exist.
    pub fn silenced<P: Performer>(
        &self,
        performer: &P,
        target: Tensor<3>,
        groups: &[Vec<usize>],
    ) -> Tensor<2> {
        assert!(!groups.is_empty(), "there is no group to silence");
        let explainer = self.valid();
        let target: Tensor<4> = target.unsqueeze();
        let Tracks { parts: masked, ordinary, .. } = explainer.tracks(target);
        let parts = explainer.encode(masked.clone(), ordinary.zeros_like());
        let [_, filters, height, width] = parts.dims();
        if explainer.decoder.maps.is_some() {
            let silent = members(groups, filters, &Tensor::<2>::zeros([1, 1], &parts.device()));
            let silenced = silent.reshape([groups.len(), filters, 1, 1]) * parts;
            let decoded = explainer.decoder.forward(explainer.encode(masked, ordinary) - silenced).pop();
            return explainer.scores(performer, decoded.expect("there is a decoder layer"));
        }
        let activation = explainer.decoder.activation;
        let (first, above) = explainer.decoder.layers.split_first().expect("there is a decoder layer");
        let outputs = first.weight.dims()[1];
        // What each filter adds to the first layer's outputs, before the ReLU: `[filters, outputs]`.
        let weights = first.weight.val().reshape([filters, height * width, outputs]);
        let added = parts.reshape([filters, 1, height * width]).matmul(weights).reshape([filters, outputs]);
        let whole = linear(first, explainer.encode(masked, ordinary).flatten(1, 3));
        let missing = members(groups, filters, &added).matmul(added);
        let first = activation.forward(whole.expand(missing.dims()) - missing);
        performer.head(above.iter().fold(first, |input, layer| activation.forward(linear(layer, input))))
    }

    /// Maps of the last interpretable conv-layer as they go on.
    pub(crate) fn last_masked(&self, maps: Tensor<4>) -> Tensor<4> {
        self.interpretable.layers.last().expect("there is an interpretable layer").masked(maps)
    }
}

/// 1 where a filter is of a group, `[groups, filters]`, on the device of `like`.
fn members(groups: &[Vec<usize>], filters: usize, like: &Tensor<2>) -> Tensor<2> {
    let mut members = vec![0f32; groups.len() * filters];
    for (group, row) in groups.iter().zip(members.chunks_exact_mut(filters)) {
        for &filter in group {
            assert!(filter < filters, "filter {filter} of {filters}");
            row[filter] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(members, [groups.len(), filters]), &like.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Oracle, close};
    use crate::testing::{TinyPerformer, features};
    use crate::{ExplainerConfig, FeatureConfig, Masking};
    use burn::tensor::Device;

    fn setup(seed: u64, masks: Vec<Masking>) -> (TinyPerformer, Explainer, Tensor<4>) {
        let performer = TinyPerformer::new(seed);
        let features = features(&performer, 6, &FeatureConfig::plain());
        let config = ExplainerConfig::for_performer(&performer).with_seed(seed).with_masks(masks);
        let explainer =
            config.init_from(&performer, &Device::flex()).anchored(&features).calibrated(&features);
        (performer, explainer, features.batch(&[0, 1, 2, 3, 4, 5]).target)
    }

    #[test]
    fn what_is_missing_is_a_share_of_the_terms_sizes() {
        let given = Contributions {
            class: 0,
            score: 0.0,
            filters: vec![2.0, -3.0],
            ordinary: 1.5,
            biases: vec![0.5, -2.0],
            head: 1.0,
        };
        assert_eq!((given.total(), given.remainder()), (0.0, 0.0));
        assert_eq!(Contributions { score: 0.1, ..given }.remainder(), 0.1 / 10.0);
        let nothing = |score| Contributions {
            class: 0,
            score,
            filters: vec![0.0],
            ordinary: 0.0,
            biases: Vec::new(),
            head: 0.0,
        };
        assert_eq!(nothing(0.0).remainder(), 0.0);
        assert!(nothing(1.0).remainder() > 1.0);
    }

    const CLASSES: [usize; 6] = [0, 1, 2, 2, 1, 0];

    #[test]
    fn the_terms_are_those_of_a_slow_oracle_and_add_up_to_the_score() {
        for (seed, mask) in [(5, Masking::PUBLISHED), (6, Masking::None)] {
            let (performer, explainer, target) = setup(seed, vec![mask]);
            let found = explainer.contributions(&performer, target.clone(), &CLASSES);
            for (image, (found, class)) in found.iter().zip(CLASSES).enumerate() {
                let oracle = Oracle::new(&performer, &explainer, target.clone(), image);
                let expected = oracle.backward(class);
                // Together, for some terms of some images are 0 but for rounding, and a score may be small for its terms.
                let all = |score: f64, filters: &[f64], ordinary: f64, biases: &[f64], head: f64| {
                    [filters, biases, &[score, ordinary, head]].concat()
                };
                close(
                    &all(found.score, &found.filters, found.ordinary, &found.biases, found.head),
                    &all(
                        expected.score,
                        &expected.filters,
                        expected.ordinary,
                        &expected.biases,
                        expected.head,
                    ),
                    1e-5,
                );
                let largest = found.filters.iter().fold(found.ordinary.abs(), |most, f| most.max(f.abs()));
                assert!(largest > 0.01 * found.score.abs(), "an image of which nothing was seen: {found:?}");
                let difference = (found.total() - found.score).abs();
                let scale = largest.max(found.score.abs());
                assert!(difference <= 1e-4 * scale, "{} of {}", found.total(), found.score);
                assert_eq!(found.of(&[2, 0]), found.filters[2] + found.filters[0]);
            }
        }
    }

    #[test]
    fn a_silenced_filter_is_one_whose_map_is_zero() {
        let (performer, explainer, target) = setup(3, vec![Masking::PUBLISHED]);
        let groups = vec![vec![], vec![4], vec![0, 1, 5], (0..6).collect()];
        for image in 0..6 {
            let one = target.clone().narrow(0, image, 1).squeeze_dim::<3>(0);
            let found = floats(explainer.silenced(&performer, one, &groups));
            for (group, found) in groups.iter().zip(found.chunks_exact(3)) {
                let mut oracle = Oracle::new(&performer, &explainer, target.clone(), image);
                oracle.silence(group);
                let expected: Vec<f64> = (0..3).map(|class| oracle.backward(class).score).collect();
                let found: Vec<f64> = found.iter().map(|&score| f64::from(score)).collect();
                close(&found, &expected, 1e-5);
            }
        }
    }

    #[test]
    #[should_panic(expected = "filter 6 of 6")]
    fn there_must_be_such_a_filter() {
        let (performer, explainer, target) = setup(1, vec![Masking::PUBLISHED]);
        let one = target.narrow(0, 0, 1).squeeze_dim::<3>(0);
        explainer.silenced(&performer, one, &[vec![6]]);
    }

    #[test]
    #[should_panic(expected = "of 3 scores")]
    fn there_must_be_such_a_class() {
        let (performer, explainer, target) = setup(1, vec![Masking::PUBLISHED]);
        explainer.contributions(&performer, target, &[0, 1, 2, 3, 0, 0]);
    }
}
