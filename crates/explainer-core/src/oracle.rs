//! The encoder's sum, the decoder and the performer's head in plain loops of `f64`, forward and backward,
//! for the tests of contributions and Grad-CAM.

use burn::nn::Linear;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;

use crate::Explainer;
use crate::features::floats;
use crate::testing::TinyPerformer;

/// One image: maps of the tracks, the mask of each filter, and all weights.
pub(crate) struct Oracle {
    channels: usize,
    length: usize,
    share: f64,
    alphas: [Vec<f64>; 2],
    /// Maps of conv-interp-2 and of the ordinary track.
    maps: [Vec<f64>; 2],
    /// What the maps are multiplied by: the masks, and 1.
    factors: [Vec<f64>; 2],
    layers: Vec<Layer>,
}

struct Layer {
    /// `[inputs][outputs]`.
    weights: Vec<Vec<f64>>,
    bias: Vec<f64>,
    relu: bool,
}

/// The terms of a score, and its gradient at the maps of conv-interp-2.
pub(crate) struct Terms {
    pub(crate) score: f64,
    pub(crate) filters: Vec<f64>,
    pub(crate) ordinary: f64,
    pub(crate) biases: Vec<f64>,
    pub(crate) head: f64,
    pub(crate) gradient: Vec<f64>,
}

fn wide<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    floats(tensor).into_iter().map(f64::from).collect()
}

impl Layer {
    fn new(linear: &Linear, relu: bool) -> Self {
        let outputs = linear.weight.dims()[1];
        let weights = wide(linear.weight.val()).chunks_exact(outputs).map(<[f64]>::to_vec).collect();
        let bias = linear.bias.as_ref().map_or_else(|| vec![0.0; outputs], |bias| wide(bias.val()));
        Self { weights, bias, relu }
    }

    fn forward(&self, input: &[f64]) -> Vec<f64> {
        let mut output = self.bias.clone();
        for (value, weights) in input.iter().zip(&self.weights) {
            output.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        }
        if self.relu { output.into_iter().map(|value| value.max(0.0)).collect() } else { output }
    }
}

impl Oracle {
    pub(crate) fn new(
        performer: &TinyPerformer,
        explainer: &Explainer,
        target: Tensor<4>,
        image: usize,
    ) -> Self {
        let target = target.narrow(0, image, 1);
        let mut tracks = explainer.tracks(target);
        let parts = tracks.interpretable.pop().unwrap().maps;
        let [_, channels, length, _] = parts.dims();
        let maps = [wide(parts), wide(tracks.ordinary)];
        let masked = explainer.interpretable.layers.last().is_some_and(|layer| layer.mask.is_some());
        let mask = maps[0].chunks_exact(length * length).flat_map(|map| cone(map, length, masked)).collect();
        let factors = [mask, vec![1.0; maps[1].len()]];
        let norms = [&explainer.interpretable_norm, &explainer.ordinary_norm];
        let mut layers: Vec<Layer> =
            explainer.decoder.layers.iter().map(|layer| Layer::new(layer, true)).collect();
        layers.push(Layer::new(&performer.last, false));
        let share = f64::from(explainer.share());
        let alphas = norms.map(|norm| wide(norm.alpha()));
        Self { channels, length, share, alphas, maps, factors, layers }
    }

    /// The performer's own top conv-layer in the place of conv-interp-2, and nothing beside it.
    pub(crate) fn of_top_conv(performer: &TinyPerformer, top_conv: Tensor<4>) -> Self {
        let [_, channels, length, _] = top_conv.dims();
        let maps = wide(top_conv);
        let (ones, nothing) = (vec![1.0; maps.len()], vec![0.0; maps.len()]);
        let mut layers: Vec<Layer> = performer.upper.iter().map(|layer| Layer::new(layer, true)).collect();
        layers.push(Layer::new(&performer.last, false));
        let alphas = [(); 2].map(|()| vec![1.0; channels]);
        let (maps, factors) = ([maps, nothing.clone()], [ones, nothing]);
        Self { channels, length, share: 1.0, alphas, maps, factors, layers }
    }

    /// Sets the maps of some filters to 0.
    pub(crate) fn silence(&mut self, filters: &[usize]) {
        let units = self.length * self.length;
        for filter in filters {
            self.maps[0][filter * units..][..units].fill(0.0);
        }
    }

    /// For each unit behind the 2×2 pool of a track, the strongest one in front of it.
    fn pooled(&self, track: usize) -> Vec<usize> {
        let (length, units) = (self.length, self.length * self.length);
        let side = length / 2;
        let mut strongest = Vec::new();
        for channel in 0..self.channels {
            for (row, column) in (0..side * side).map(|at| (at / side, at % side)) {
                let corner = channel * units + 2 * row * length + 2 * column;
                let value = |&at: &usize| self.maps[track][at] * self.factors[track][at];
                let window = [corner, corner + 1, corner + length, corner + length + 1];
                let first = |best: usize, at: usize| if value(&at) > value(&best) { at } else { best };
                strongest.push(window.into_iter().reduce(first).expect("four units"));
            }
        }
        strongest
    }

    /// The score of `class`, its gradient, and its terms.
    pub(crate) fn backward(&self, class: usize) -> Terms {
        let strongest = [0, 1].map(|track| self.pooled(track));
        let per_channel = strongest[0].len() / self.channels;
        let weight = [self.share, 1.0 - self.share];
        let factor = |track: usize, at: usize| {
            let unit = strongest[track][at];
            (unit, weight[track] / self.alphas[track][at / per_channel] * self.factors[track][unit])
        };
        let encoded = (0..strongest[0].len()).map(|at| {
            let of = |track| {
                let (unit, factor) = factor(track, at);
                factor * self.maps[track][unit]
            };
            of(0) + of(1)
        });
        let mut values = vec![encoded.collect::<Vec<f64>>()];
        for layer in &self.layers {
            values.push(layer.forward(values.last().expect("not empty")));
        }
        let scores = values.pop().expect("the scores");
        let mut gradient: Vec<f64> = (0..scores.len()).map(|at| f64::from(at == class)).collect();
        let (mut biases, mut output) = (Vec::new(), scores.clone());
        for (layer, input) in self.layers.iter().zip(&values).rev() {
            if layer.relu {
                gradient.iter_mut().zip(&output).for_each(|(g, &y)| *g = if y > 0.0 { *g } else { 0.0 });
            }
            biases.push(layer.bias.iter().zip(&gradient).map(|(bias, g)| bias * g).sum());
            let products = |weights: &Vec<f64>| weights.iter().zip(&gradient).map(|(w, g)| w * g).sum();
            gradient = layer.weights.iter().map(products).collect();
            output = input.clone();
        }
        let mut at_maps = [0, 1].map(|track| vec![0.0; self.maps[track].len()]);
        for track in [0, 1] {
            for (at, g) in gradient.iter().enumerate() {
                let (unit, factor) = factor(track, at);
                at_maps[track][unit] += g * factor;
            }
        }
        let given = |track: usize| -> Vec<f64> {
            let units = self.length * self.length;
            let products: Vec<f64> =
                self.maps[track].iter().zip(&at_maps[track]).map(|(x, g)| x * g).collect();
            products.chunks_exact(units).map(|channel| channel.iter().sum()).collect()
        };
        let head = biases.remove(0);
        biases.reverse();
        let (filters, ordinary) = (given(0), given(1).iter().sum());
        let [gradient, _] = at_maps;
        Terms { score: scores[class], filters, ordinary, biases, head, gradient }
    }

    /// Grad-CAM of conv-interp-2.
    pub(crate) fn grad_cam(&self, class: usize) -> Vec<f64> {
        grad_cam(&self.maps[0], &self.backward(class).gradient, self.length)
    }

    /// Grad-CAM of `below`, which `conv` (3×3, padding 1, before a ReLU) and `windows`, a factor for each unit, make
    /// conv-interp-2's maps from.
    pub(crate) fn grad_cam_below(
        &self,
        class: usize,
        conv: &Conv2d,
        windows: &[f64],
        below: Tensor<4>,
    ) -> Vec<f64> {
        let [outputs, inputs, ..] = conv.weight.dims();
        let (length, units) = (self.length as isize, self.length * self.length);
        let weights = wide(conv.weight.val());
        let gradient = self.backward(class).gradient;
        let mut arrived = vec![0.0; inputs * units];
        for at in (0..outputs * units).filter(|&at| self.maps[0][at] > 0.0) {
            let (output, unit) = (at / units, (at % units) as isize);
            for (input, tap) in (0..inputs).flat_map(|input| (0..9).map(move |tap| (input, tap))) {
                let row = unit / length + tap as isize / 3 - 1;
                let column = unit % length + tap as isize % 3 - 1;
                if (0..length).contains(&row) && (0..length).contains(&column) {
                    let weight = weights[(output * inputs + input) * 9 + tap];
                    arrived[input * units + (row * length + column) as usize] +=
                        weight * gradient[at] * windows[at];
                }
            }
        }
        grad_cam(&wide(below), &arrived, self.length)
    }
}

/// `max(Σ_k mean(∂s/∂x_k) x_k, 0)`.
fn grad_cam(maps: &[f64], gradient: &[f64], length: usize) -> Vec<f64> {
    let units = length * length;
    let mut cam = vec![0.0; units];
    for (map, gradient) in maps.chunks_exact(units).zip(gradient.chunks_exact(units)) {
        let weight = gradient.iter().sum::<f64>() / units as f64;
        cam.iter_mut().zip(map).for_each(|(sum, value)| *sum += weight * value);
    }
    cam.into_iter().map(|value: f64| value.max(0.0)).collect()
}

/// The published mask of a map: `max(1 − 4 · ‖· − μ̂‖₁ / n, 0)`.
fn cone(map: &[f64], length: usize, masked: bool) -> Vec<f64> {
    let first = |best: usize, at: usize| if map[at] > map[best] { at } else { best };
    let center = (0..map.len()).reduce(first).expect("a map has units");
    let distance =
        |at: usize| (at / length).abs_diff(center / length) + (at % length).abs_diff(center % length);
    let falls = |at: usize| (1.0 - 4.0 * distance(at) as f64 / length as f64).max(0.0);
    (0..map.len()).map(|at| if masked { falls(at) } else { 1.0 }).collect()
}

/// Asserts that values differ by no more than a share of the largest one expected.
pub(crate) fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-6f64, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance * scale, "{found} for {expected} of {scale}");
    }
}
