//! Peaks of every layer on the images with landmarks, and what the metrics make of them.

use burn::tensor::{Device, Tensor};
use explainer_core::{Fitted, Performer, Preprocessing};
use explainer_datasets::{Dataset, Prefetch, Sample, Samples};
use explainer_metrics::{
    Categories, Control, InstabilityConfig, Landmarks, LocationInstability, Peaks, ReceptiveField,
    STRONGEST_IMAGES, diversity, landmark_spread, location_instability_by_category, peak_spread,
    tracking_by_category, tracking_null_by_category,
};

use super::Failure;
use super::figures::{CategoryFigures, FiltersFigures, Instability, LayerFigures, TrackingFigures};
use super::program::say;

/// Images of one pass.
pub const BATCH: usize = 32;

/// A layer's peaks and where its units lie.
pub struct Layer {
    pub peaks: Peaks,
    pub field: ReceptiveField,
}

impl Layer {
    /// Adds the peaks of a batch's maps to a layer, which may be new.
    pub fn push(layer: &mut Option<Layer>, maps: Tensor<4>, field: ReceptiveField) -> Result<(), Failure> {
        let [_, filters, height, width] = maps.dims();
        let layer = layer.get_or_insert_with(|| Layer { peaks: Peaks::new(filters, [height, width]), field });
        let values: Vec<f32> = maps.into_data().iter::<f32>().collect();
        Ok(layer.peaks.push_batch(&values)?)
    }
}

/// Where a sample's landmarks are; those of a negative do not count.
pub fn positions(sample: &Sample) -> Vec<Option<[f64; 2]>> {
    let counts = sample.category.is_some();
    let points = sample.landmarks.iter();
    points.map(|point| point.filter(|_| counts).map(|p| [f64::from(p.x), f64::from(p.y)])).collect()
}

/// The layers of one experiment on the same images.
pub struct Layers {
    pub target: Layer,
    pub top_conv: Layer,
    pub conv_interp_1: Layer,
    pub conv_interp_2: Layer,
    pub unfitted: Layer,
    /// Of parts at their usual places, whatever is seen there.
    pub places: Option<Layer>,
    pub random_performer: Layer,
    pub landmarks: Landmarks,
    /// The category of each image.
    of_image: Vec<usize>,
}

/// The networks whose layers are compared.
pub struct Compared<'a, P> {
    pub performer: &'a P,
    pub random_performer: &'a P,
    pub fitted: &'a Fitted<'a, P>,
}

impl<P: Performer> Compared<'_, P> {
    /// Runs all networks over `images` of the dataset.
    pub fn layers(
        &self,
        dataset: &dyn Dataset,
        images: &[usize],
        prefetch: Prefetch,
        device: &Device,
    ) -> Result<Layers, Failure> {
        let landmarks = Landmarks::new(dataset.landmark_names().to_vec());
        let (layers, report) =
            prefetch.run(dataset, images, |samples| self.layers_of(samples, landmarks, device));
        if !report.is_empty() {
            say!("images with landmarks: {report}");
        }
        layers
    }

    fn layers_of(
        &self,
        samples: &mut Samples<'_>,
        mut landmarks: Landmarks,
        device: &Device,
    ) -> Result<Layers, Failure> {
        let [mut target, mut top_conv, mut first, mut second, mut unfitted, mut random] =
            [const { None::<Layer> }; 6];
        let mut places = None;
        let mut of_image = Vec::new();
        let (field, top_field) = (self.performer.target_field(), self.performer.top_conv_field());
        loop {
            let batch: Vec<(usize, Sample)> = samples.by_ref().take(BATCH).collect::<Result<_, _>>()?;
            if batch.is_empty() {
                break;
            }
            let mut pixels = Vec::new();
            for (_, sample) in batch {
                landmarks.push(positions(&sample));
                of_image.push(sample.category.ok_or("an image with landmarks has no category")?);
                pixels.push(sample.image.into_raw());
            }
            let batch = input(self.performer.preprocessing(), &pixels, device)?;
            let tapped = self.performer.tap(batch.clone());
            let Fitted { network, start, .. } = self.fitted;
            let maps = network.part_maps(tapped.target.clone());
            Layer::push(&mut unfitted, start(tapped.target.clone()), field)?;
            if let Some(maps) = network.places(tapped.target.clone()) {
                Layer::push(&mut places, maps, field)?;
            }
            let (lowest, last) = maps.first().zip(maps.last()).ok_or("no interpretable layer")?;
            Layer::push(&mut first, lowest.clone(), field)?;
            Layer::push(&mut second, last.clone(), field)?;
            Layer::push(&mut target, tapped.target, field)?;
            Layer::push(&mut top_conv, tapped.top_conv, top_field)?;
            Layer::push(&mut random, self.random_performer.tap(batch).top_conv, top_field)?;
        }
        let found = |layer: Option<Layer>| layer.ok_or("no image of the category has a landmark");
        Ok(Layers {
            target: found(target)?,
            top_conv: found(top_conv)?,
            conv_interp_1: found(first)?,
            conv_interp_2: found(second)?,
            unfitted: found(unfitted)?,
            places,
            random_performer: found(random)?,
            landmarks,
            of_image,
        })
    }
}

/// What the performer reads of pictures' pixels.
pub fn input(
    preprocessing: Preprocessing,
    pixels: &[Vec<u8>],
    device: &Device,
) -> Result<Tensor<4>, Failure> {
    let pixels: Vec<&[u8]> = pixels.iter().map(Vec::as_slice).collect();
    Ok(preprocessing.batch(&pixels, device)?)
}

impl Layers {
    /// Each filter on the category that activates it most.
    fn categories(&self, peaks: &Peaks) -> Categories {
        Categories::strongest(peaks, self.of_image.clone())
    }

    fn instability_of(&self, peaks: &Peaks, field: &ReceptiveField, side: usize) -> LocationInstability {
        let config = InstabilityConfig::new([side, side]);
        location_instability_by_category(peaks, field, &self.landmarks, &self.categories(peaks), &config)
    }

    /// Location instability of every layer and control, for an input of `side` pixels.
    pub fn instability(&self, side: usize, seed: u64) -> Instability {
        let layer = |layer: &Layer| self.instability_of(&layer.peaks, &layer.field, side);
        let mean = |found: LocationInstability| found.mean;
        let [centre, dead, random] = Control::all(&self.top_conv.peaks, &self.top_conv.field, side, seed)
            .map(|control| mean(self.instability_of(&control.peaks, &control.field, side)));
        let second = layer(&self.conv_interp_2);
        Instability {
            target: mean(layer(&self.target)),
            top_conv: mean(layer(&self.top_conv)),
            conv_interp_1: mean(layer(&self.conv_interp_1)),
            conv_interp_2_live: second.live_mean,
            conv_interp_2: second.mean,
            unfitted: mean(layer(&self.unfitted)),
            places: self.places.as_ref().map(|places| mean(layer(places))),
            always_centre: centre,
            dead_filter: dead,
            random_unit: random,
            random_performer: mean(layer(&self.random_performer)),
        }
    }

    /// Location instability of the filters of each category.
    pub fn by_category(&self, side: usize, names: &[String]) -> Vec<CategoryFigures> {
        let found = [&self.top_conv, &self.conv_interp_2].map(|layer| {
            let per_filter = self.instability_of(&layer.peaks, &layer.field, side).per_filter;
            (self.categories(&layer.peaks), per_filter)
        });
        let of = |(categories, per_filter): &(Categories, Vec<Option<f64>>), category: usize| {
            let of_filter = categories.of_filter().iter().zip(per_filter);
            let own: Vec<_> = of_filter.filter(|&(&of, _)| of == category).map(|(_, &value)| value).collect();
            let values: Vec<f64> = own.iter().flatten().copied().collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            FiltersFigures { filters: own.len(), location_instability: mean }
        };
        let figures = |(category, name): (usize, &String)| CategoryFigures {
            category: name.clone(),
            images: self.of_image.iter().filter(|&&of| of == category).count(),
            top_conv: of(&found[0], category),
            conv_interp_2: of(&found[1], category),
        };
        names.iter().enumerate().map(figures).collect()
    }

    /// Tracking of every layer and control.
    pub fn tracking(&self, seed: u64) -> TrackingFigures {
        let summary = |layer: &Layer| {
            let categories = self.categories(&layer.peaks);
            tracking_by_category(&layer.peaks, &self.landmarks, &categories, STRONGEST_IMAGES).summary
        };
        let second = &self.conv_interp_2.peaks;
        let categories = self.categories(second);
        let null =
            tracking_null_by_category(second, &self.landmarks, &categories, STRONGEST_IMAGES, seed).summary;
        TrackingFigures {
            target: summary(&self.target),
            top_conv: summary(&self.top_conv),
            conv_interp_1: summary(&self.conv_interp_1),
            conv_interp_2: summary(&self.conv_interp_2),
            unfitted: summary(&self.unfitted),
            places: self.places.as_ref().map(summary),
            null,
            random_performer: summary(&self.random_performer),
        }
    }

    /// Of the peaks of each layer, and of the landmarks themselves.
    pub fn spread(&self, side: usize) -> (LayerFigures, f64) {
        let diagonal = (side as f64).hypot(side as f64);
        let peaks = self.by_layer(|layer| peak_spread(&layer.peaks, &layer.field, diagonal).live_mean);
        (peaks, landmark_spread(&self.landmarks, diagonal))
    }

    pub fn diversity(&self) -> LayerFigures {
        self.by_layer(|layer| diversity(&layer.peaks).mean)
    }

    fn by_layer(&self, figure: impl Fn(&Layer) -> f64) -> LayerFigures {
        LayerFigures {
            top_conv: figure(&self.top_conv),
            conv_interp_1: figure(&self.conv_interp_1),
            conv_interp_2: figure(&self.conv_interp_2),
        }
    }
}
