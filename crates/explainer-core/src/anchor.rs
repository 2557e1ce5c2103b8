//! The anchors of star windows, and which way objects face.

use burn::module::Module;
use burn::tensor::Tensor;
use explainer_filter_loss::{Anchors, Facing, StarWindow};

use crate::Explainer;
use crate::calibrate::{BATCH, objects};
use crate::features::Features;

/// Pairs of an image and its mirror image from which the way objects face is found, at most.
const PAIRS: usize = 256;

impl Explainer {
    /// The explainer with the anchors of its star windows measured on `features`: each filter's where it fires most,
    /// relative to the root, on the rows that have a category, or on all if none has
    /// ([`Anchors`](explainer_filter_loss::Anchors)), for either way that objects face where there are mirror images
    /// to tell it by ([`Facing`](explainer_filter_loss::Facing), of 256 pairs at most, evenly spaced among the same
    /// rows). Layer by layer from below, for a layer reads what the windows of the one below leave of its maps.
    ///
    /// Call it before fitting only; [`FitConfig::fit`](crate::FitConfig::fit) does.
    pub fn anchored(mut self, features: &Features) -> Self {
        let (rows, pairs) = (objects(features), pairs(features));
        for index in 0..self.interpretable.layers.len() {
            let explainer = self.valid();
            let Some(windows) = explainer.interpretable.layers[index].windows() else { continue };
            let maps =
                |rows: &[usize]| explainer.interpretable.unwindowed(features.batch(rows).target, index);
            let windows = windows.clone().with_facing(&facing(windows, &pairs, maps));
            let mut anchors = Anchors::new(windows.config().length, windows.config().filters);
            for rows in rows.chunks(BATCH) {
                let maps = maps(rows);
                anchors.push(maps.clone(), windows.roots(maps.clone()), windows.facing(maps));
            }
            self.interpretable.layers[index].windows = Some(windows.with_anchors(&anchors));
        }
        self
    }
}

/// The rows of images, or of crops, that have an object and their mirror images in the row behind.
fn pairs(features: &Features) -> Vec<usize> {
    let pairs: Vec<usize> = match features.mirrored() {
        true => objects(features).into_iter().step_by(2).collect(),
        false => Vec::new(),
    };
    let kept = pairs.len().min(PAIRS);
    (0..kept).map(|at| pairs[at * pairs.len() / kept]).collect()
}

/// Which way objects face, by the maps of some rows and of those behind them.
fn facing(windows: &StarWindow, rows: &[usize], maps: impl Fn(&[usize]) -> Tensor<4>) -> Facing {
    let mut facing = Facing::new(windows.config().length, windows.config().filters);
    for rows in rows.chunks(BATCH) {
        let behind: Vec<usize> = rows.iter().map(|row| row + 1).collect();
        facing.push(maps(rows), maps(&behind));
    }
    facing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::floats;
    use crate::testing::{TinyPerformer, features};
    use crate::{ExplainerConfig, FeatureConfig, Start, Windowing};
    use burn::tensor::Device;
    use burn::tensor::activation::relu;

    #[test]
    fn anchors_are_those_of_all_rows_with_an_object_and_sides_those_of_pairs_layer_by_layer() {
        let performer = TinyPerformer::new(4);
        // More rows than one pass.
        let features = features(&performer, 60, &FeatureConfig::plain().with_mirror(true));
        let config = ExplainerConfig::for_performer(&performer)
            .with_windows(vec![Windowing::STAR])
            .with_second_start(Start::Random)
            .with_interpretable_layers(4);
        let explainer = config.init_from(&performer, &Device::flex());
        let anchored = explainer.clone().anchored(&features);

        let rows = objects(&features);
        assert!(BATCH < rows.len() && rows.len() < features.len());
        let mut input = features.batch(&rows).target;
        let layers = explainer.interpretable.layers.iter().zip(&anchored.interpretable.layers);
        let mut places = std::collections::BTreeSet::new();
        for (before, after) in layers {
            let (before, windows) = (before.windows().unwrap(), after.windows().unwrap());
            let (length, filters) = (windows.config().length, windows.config().filters);
            let maps = relu(after.conv.forward(input));
            // Each image has its mirror image behind it.
            let halves = maps.clone().reshape([rows.len() / 2, 2, filters, length * length]);
            let [images, mirrored] = [0, 1].map(|half| {
                halves.clone().narrow(1, half, 1).reshape([rows.len() / 2, filters, length, length])
            });
            let mut facing = Facing::new(length, filters);
            facing.push(images, mirrored);
            let before = before.clone().with_facing(&facing);
            let sides = |windows: &StarWindow| windows.facing(maps.clone()).into_data();
            assert_eq!(sides(windows), sides(&before));
            let mut anchors = Anchors::new(length, filters);
            anchors.push(maps.clone(), before.roots(maps.clone()), before.facing(maps.clone()));
            let offsets = anchors.offsets();
            assert_ne!(offsets[0], offsets[1]);
            let wide: Vec<f32> = offsets.iter().flatten().flatten().map(|&at| at as f32).collect();
            assert_eq!(floats(windows.offsets()), wide);
            places.extend(offsets.into_iter().flatten());
            input = after.masked(windows.forward(maps));
        }
        assert!(places.len() > 4, "{places:?}");
    }

    #[test]
    fn without_mirror_images_all_objects_face_the_same_way() {
        let performer = TinyPerformer::new(4);
        let features = features(&performer, 9, &FeatureConfig::plain().with_crops(1));
        assert_eq!((features.views(), features.mirrored()), (2, false));
        let config = ExplainerConfig::for_performer(&performer);
        let anchored = config.init_from(&performer, &Device::flex()).anchored(&features);
        let windows = anchored.interpretable.layers[1].windows().unwrap();
        let maps = anchored.interpretable.unwindowed(features.batch(&objects(&features)).target, 1);
        assert_eq!(windows.facing(maps).max().into_scalar::<i64>(), 0);
        let [first, second] = [0, 1].map(|side| floats(windows.offsets().narrow(0, side, 1)));
        assert_eq!(first, second);
        assert!(first.iter().any(|&offset| offset != 0.0));
    }

    #[test]
    fn pairs_are_of_objects_and_evenly_spaced() {
        let performer = TinyPerformer::new(4);
        let mirrored = FeatureConfig::plain().with_mirror(true);
        let few = features(&performer, 9, &mirrored);
        let expected: Vec<_> = objects(&few).into_iter().filter(|row| row % 2 == 0).collect();
        assert!(expected.len() < few.len() / 2);
        assert_eq!(pairs(&few), expected);
        let many = features(&performer, 3 * PAIRS, &mirrored);
        let found = pairs(&many);
        assert_eq!(found.len(), PAIRS);
        let steps: Vec<_> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(steps.iter().all(|step| (2..=8).contains(step)), "{steps:?}");
        assert!(pairs(&features(&performer, 5, &FeatureConfig::plain())).is_empty());
    }
}
