//! The two tracks of the encoder.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::optim::GradientsParams;
use burn::tensor::{Int, Tensor};

use crate::MaskLayer;
use crate::conv::Input;
use explainer_filter_loss::{StarWindow, Windows};

/// The entry for interpretable conv-layer `layer` (from 0) of `layers`: the last layer has the list's last entry, and
/// layers before the list its first.
pub(crate) fn entry<T: Copy>(list: &[T], layer: usize, layers: usize) -> Option<T> {
    let above = layers - 1 - layer;
    let index = list.len().checked_sub(1)?.saturating_sub(above);
    Some(list[index])
}

/// What a conv-layer reads, and its maps.
pub(crate) struct Stage {
    pub(crate) input: Input,
    /// After the ReLU, in front of windows.
    pub(crate) whole: Tensor<4>,
    /// After the ReLU, within the windows for what is carried where there are any.
    pub(crate) maps: Tensor<4>,
    /// The maps' windows.
    pub(crate) windows: Option<Windows>,
}

impl Stage {
    fn new(input: Input, whole: Tensor<4>, windows: Option<Windows>) -> Self {
        let maps = match &windows {
            Some(windows) => whole.clone() * windows.carried.clone(),
            None => whole.clone(),
        };
        Self { input, whole, maps, windows }
    }

    /// After the ReLU, within the windows for what is read where there are any.
    pub(crate) fn read(&self) -> Tensor<4> {
        self.through_reading(self.whole.clone())
    }

    /// The gradient in front of the windows for what is carried, from the one behind them.
    pub(crate) fn through_windows(&self, gradient: Tensor<4>) -> Tensor<4> {
        match &self.windows {
            Some(windows) => gradient * windows.carried.clone(),
            None => gradient,
        }
    }

    /// The gradient in front of the windows for what is read, from the one behind them; or maps within these.
    pub(crate) fn through_reading(&self, gradient: Tensor<4>) -> Tensor<4> {
        match &self.windows {
            Some(windows) => gradient * windows.read.clone(),
            None => gradient,
        }
    }
}

/// One conv-layer of the interpretable track: conv → ReLU → windows → mask.
#[derive(Module, Debug)]
pub struct InterpretableLayer {
    pub(crate) conv: Conv2d,
    pub(crate) windows: Option<StarWindow>,
    pub(crate) mask: Option<MaskLayer>,
}

impl InterpretableLayer {
    /// The maps after the ReLU and within the windows for what is carried, before the mask.
    pub(crate) fn maps(&self, features: Tensor<4>) -> Tensor<4> {
        self.stage(Input::new(features)).maps
    }

    /// What the layer makes of what it reads.
    fn stage(&self, input: Input) -> Stage {
        let maps = input.maps(&self.conv);
        let windows = self.windows.as_ref().map(|windows| windows.windows(maps.clone()));
        Stage::new(input, maps, windows)
    }

    /// Maps after the ReLU, within the windows for what is carried.
    pub(crate) fn within_windows(&self, maps: Tensor<4>) -> Tensor<4> {
        self.windows.iter().fold(maps, |maps, windows| windows.forward(maps))
    }

    /// The windows, if there are any.
    pub fn windows(&self) -> Option<&StarWindow> {
        self.windows.as_ref()
    }

    /// What goes on to the next layer: each map around its centre.
    pub fn masked(&self, maps: Tensor<4>) -> Tensor<4> {
        match &self.mask {
            Some(mask) => mask.forward(maps),
            None => maps,
        }
    }

    /// The mask, if there is one.
    pub fn mask(&self) -> Option<&MaskLayer> {
        self.mask.as_ref()
    }

    /// The gradient in front of the mask that `maps` had, from the one behind it; that of the mask's own
    /// parameters goes into `gradients`.
    pub(crate) fn through_mask(
        &self,
        gradients: &mut GradientsParams,
        maps: Tensor<4>,
        gradient: Tensor<4>,
    ) -> Tensor<4> {
        match &self.mask {
            Some(mask) => mask.backward(gradients, maps, gradient),
            None => gradient,
        }
    }
}

/// What the last layer of an interpretable track shows of a batch.
#[derive(Clone, Debug)]
pub struct TrackReading {
    /// The maps that parts are read off from: after the ReLU, within the windows for that, before the mask,
    /// `[batch, D, L, L]`.
    pub maps: Tensor<4>,
    /// What the windows know of each object; `None` where the layer has none.
    pub position: Option<Position>,
}

/// What star windows know of each image's object before they look at a part.
#[derive(Clone, Debug)]
pub struct Position {
    /// Maps of the control [`InterpretableTrack::places`], `[batch, D, L, L]`.
    pub places: Tensor<4>,
    /// Where the filters' votes meet, as a row-major index of a unit, `[batch, 1]`.
    pub roots: Tensor<2, Int>,
    /// Which way the object faces, 0 or 1, `[batch, 1]`.
    pub facing: Tensor<2, Int>,
}

/// Interpretable track: conv-interp-1 → ReLU → conv-interp-2 → ReLU → windows; behind each layer there may be windows,
/// and a mask behind these.
///
/// Source: arXiv:1805.07468, encoder; there each layer has a mask. The windows are ours.
///
/// # Shapes
/// - input: target features, `[batch, C, L, L]`
/// - output: `[batch, D, L, L]`
#[derive(Module, Debug)]
pub struct InterpretableTrack {
    pub(crate) layers: Vec<InterpretableLayer>,
}

impl InterpretableTrack {
    /// Maps of every layer as parts are read off them (after the ReLU, within the windows for that, before the mask),
    /// and the track's output.
    pub fn forward(&self, target: Tensor<4>) -> (Vec<Tensor<4>>, Tensor<4>) {
        let stages = self.stages(Input::new(target));
        let (layer, last) = self.layers.last().zip(stages.last()).expect("the track has a conv-layer");
        let output = layer.masked(last.maps.clone());
        (stages.iter().map(Stage::read).collect(), output)
    }

    /// A control for the parts of the last layer: maps of filters that fire as strongly as its own, but at their place
    /// on the object ([`StarWindow`]), whatever they see there; `None` where the layer has no windows.
    ///
    /// Each map is the window for what is carried, which is largest at the unit next to root + anchor, times what the
    /// filter fires with at the unit where its part is read off.
    ///
    /// # Shapes
    /// - target: target features, `[batch, C, L, L]`
    /// - output: `[batch, D, L, L]`
    pub fn places(&self, target: Tensor<4>) -> Option<Tensor<4>> {
        self.reading(target).position.map(|position| position.places)
    }

    /// What the parts of the last layer are read off from, and what its windows know of each image's object before
    /// they look at a part.
    ///
    /// # Shapes
    /// - target: target features, `[batch, C, L, L]`
    pub fn reading(&self, target: Tensor<4>) -> TrackReading {
        let stage = self.stages(Input::new(target)).pop().expect("the track has a conv-layer");
        let windows = self.layers.last().and_then(InterpretableLayer::windows);
        let maps = stage.read();
        let position = windows.zip(stage.windows).map(|(star, windows)| Position {
            places: at_places(windows.carried, maps.clone()),
            roots: star.roots(stage.whole.clone()),
            facing: star.facing(stage.whole),
        });
        TrackReading { maps, position }
    }

    /// What layer `index` (from 0) makes of what it reads, in front of its windows.
    pub(crate) fn unwindowed(&self, target: Tensor<4>, index: usize) -> Tensor<4> {
        let read = |input, layer: &InterpretableLayer| layer.masked(layer.maps(input));
        Input::new(self.layers[..index].iter().fold(target, read)).maps(&self.layers[index].conv)
    }

    /// What every layer reads, and its maps.
    pub(crate) fn stages(&self, target: Input) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let input = match stages.last() {
                Some(below) => Input::new(self.layers[index - 1].masked(below.maps.clone())),
                None => target.clone(),
            };
            stages.push(layer.stage(input));
        }
        stages
    }
}

/// Maps of filters that fire as strongly as `read`, at the strongest unit of their windows.
fn at_places(window: Tensor<4>, read: Tensor<4>) -> Tensor<4> {
    let [batch, filters, height, width] = read.dims();
    let strongest = |maps: Tensor<4>| maps.flatten::<3>(2, 3).max_dim(2).reshape([batch, filters, 1, 1]);
    let largest = strongest(window.clone());
    // Of a window that lies beyond the map nothing is left.
    let largest = largest.clone() + largest.equal_scalar(0.0).float();
    window / largest * strongest(read).expand([batch, filters, height, width])
}

/// Ordinary track: conv-layers, each with its ReLU, for what is not a part: what the windows of the parts leave of its
/// maps, where [`complement`](crate::ExplainerConfig::complement) says so.
///
/// Source: arXiv:1805.07468, encoder; there it is one conv-layer.
///
/// # Shapes
/// - input: target features, `[batch, C, L, L]`
/// - output: `[batch, D, L, L]`
#[derive(Module, Debug)]
pub struct OrdinaryTrack {
    pub(crate) convs: Vec<Conv2d>,
}

impl OrdinaryTrack {
    /// The maps after the last ReLU, whole.
    pub fn forward(&self, target: Tensor<4>) -> Tensor<4> {
        self.stages(Input::new(target), None).pop().expect("the track has a conv-layer").maps
    }

    /// What every layer reads, and its maps, the last layer's within `windows`.
    pub(crate) fn stages(&self, target: Input, windows: Option<Tensor<4>>) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::with_capacity(self.convs.len());
        for conv in &self.convs {
            let input = match stages.last() {
                Some(below) => Input::new(below.maps.clone()),
                None => target.clone(),
            };
            let maps = input.maps(conv);
            stages.push(Stage::new(input, maps, None));
        }
        if let Some(carried) = windows {
            let last = stages.last_mut().expect("the track has a conv-layer");
            last.maps = last.maps.clone() * carried.clone();
            // No part is read off this track.
            last.windows = Some(Windows { read: carried.clone(), carried });
        }
        stages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::testing::{TinyPerformer, features};
    use crate::{ExplainerConfig, FeatureConfig, Windowing};
    use burn::tensor::Device;

    #[test]
    fn places_are_next_to_the_anchors_whatever_filters_see() {
        let performer = TinyPerformer::new(4);
        let train = features(&performer, 9, &FeatureConfig::plain().with_mirror(true));
        let config = ExplainerConfig::for_performer(&performer);
        let track = config.init_from(&performer, &Device::flex()).anchored(&train).interpretable;
        let target = train.batch(&[0, 1, 2, 3, 4, 5]).target;
        let places = track.places(target.clone()).expect("the default has windows");
        let [images, filters, n, _] = places.dims();
        let maps = track.unwindowed(target.clone(), 1);
        let windows = track.layers[1].windows().unwrap();
        let integers = |tensor: Tensor<2, burn::tensor::Int>| -> Vec<usize> {
            tensor.into_data().iter::<i64>().map(|value| value as usize).collect()
        };
        let (roots, sides) = (integers(windows.roots(maps.clone())), integers(windows.facing(maps.clone())));
        let offsets = floats(windows.offsets());
        let read = floats(windows.read(maps));
        let mut elsewhere = 0;
        let rows = floats(places).chunks_exact(n * n).map(<[f32]>::to_vec).collect::<Vec<_>>();
        for (at, (place, read)) in rows.iter().zip(read.chunks_exact(n * n)).enumerate() {
            let (image, filter) = (at / filters, at % filters);
            let strongest =
                |values: &[f32]| (0..n * n).reduce(|a, b| if values[b] > values[a] { b } else { a });
            let (unit, seen) = (strongest(place).unwrap(), strongest(read).unwrap());
            assert!((place[unit] - read[seen]).abs() < 1e-6, "as strong as what is read off");
            if read[seen] == 0.0 {
                continue;
            }
            let along = |axis: usize, root: usize| {
                let offset = offsets[(sides[image] * filters + filter) * 2 + axis];
                (root as f32 + offset).clamp(0.0, (n - 1) as f32) as usize
            };
            assert_eq!(unit, along(0, roots[image] / n) * n + along(1, roots[image] % n));
            elsewhere += usize::from(unit != seen);
        }
        assert!(images * filters == rows.len() && elsewhere > 0, "filters fire beside their places");

        let bare = config.with_windows(vec![Windowing::None]).init_from(&performer, &Device::flex());
        assert!(bare.interpretable.places(target).is_none());
    }
}
