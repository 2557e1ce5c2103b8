//! The first anchors of star windows.

use burn::module::Module;
use explainer_filter_loss::Anchors;

use crate::Explainer;
use crate::calibrate::{BATCH, objects};
use crate::features::Features;

impl Explainer {
    /// The explainer with the anchors of its star windows measured on `features`: each filter's where it fires most,
    /// relative to the root, on the rows that have a category, or on all if none has
    /// ([`Anchors`](explainer_filter_loss::Anchors)). Layer by layer from below, for a layer reads what the windows of
    /// the one below leave of its maps.
    ///
    /// Call it before fitting only; [`FitConfig::fit`](crate::FitConfig::fit) does.
    pub fn anchored(mut self, features: &Features) -> Self {
        let rows = objects(features);
        for index in 0..self.interpretable.layers.len() {
            let explainer = self.valid();
            let Some(windows) = explainer.interpretable.layers[index].windows() else { continue };
            let mut anchors = Anchors::new(windows.config().length, windows.config().filters);
            for rows in rows.chunks(BATCH) {
                let maps = explainer.interpretable.unwindowed(features.batch(rows).target, index);
                anchors.push(maps.clone(), windows.roots(maps));
            }
            self.interpretable.layers[index].windows = Some(windows.clone().with_anchors(&anchors));
        }
        self
    }
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
    fn anchors_are_those_of_all_rows_with_an_object_layer_by_layer() {
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
            let maps = relu(after.conv.forward(input));
            let mut anchors = Anchors::new(windows.config().length, windows.config().filters);
            anchors.push(maps.clone(), before.roots(maps.clone()));
            let offsets: Vec<f32> = anchors.offsets().into_iter().flatten().map(|at| at as f32).collect();
            assert_eq!(floats(windows.offsets()), offsets);
            places.extend(anchors.offsets());
            input = after.masked(windows.forward(maps));
        }
        assert!(places.len() > 4, "{places:?}");
    }
}
