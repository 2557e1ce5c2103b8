//! One pass over the images: as they are, then intervened upon.

use std::time::{Duration, Instant};

use burn::tensor::Device;
use explainer_core::{Performer, Tapped};
use explainer_datasets::{Dataset, DatasetError, Prefetch, Report, Sample};
use indicatif::ProgressBar;
use rayon::prelude::*;

use crate::ceiling::Ceiling;
use crate::config::spaced;
use crate::kmeans;
use crate::layer::{Layer, Picture, Variant};
use crate::names::{CEILING, EXPLAINED, KMEANS, PLACES, TARGET, TOP_CONV};
use crate::originals::{Original, Originals, Positions, as_they_are, nothing};
use crate::pictures::{Pictures, Renderer, Source};
use crate::probe::{Directions, Probe, Reading, of_target, of_top_conv};
use crate::progress::progress_bar;
use crate::side;
use crate::{EvaluationError, EvidenceConfig, Probes};

/// What was transplanted where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paste {
    pub(crate) landmark: usize,
    /// `[x, y]` of the paste's centre.
    pub(crate) center: [f64; 2],
}

/// Pictures that are kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) image: usize,
    pub(crate) landmark: usize,
    /// Among the images that show the landmark.
    pub(crate) row: usize,
    pub(crate) pictures: Pictures,
}

/// How long a measurement took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Took {
    /// Running the performer.
    pub performer: Duration,
    /// Making the pictures.
    pub pictures: Duration,
    /// Reading all probes and fitting the controls.
    pub probes: Duration,
}

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) images: Vec<Original>,
    pub(crate) layers: Vec<Layer>,
    /// In the order of images.
    pub(crate) pastes: Vec<Paste>,
    pub(crate) kept: Vec<Kept>,
    /// Whether the ceiling of each landmark could be measured in all its photos.
    pub(crate) ceilings: Vec<bool>,
    /// Which way each object faces, by a probe or else by the target features.
    pub(crate) sides: Vec<usize>,
    /// Images of the set with a landmark.
    pub(crate) available: usize,
    pub(crate) left_out: Report,
    pub(crate) took: Took,
}

/// What a pass looks at, and with what.
pub(crate) struct Pass<'a, P> {
    pub(crate) performer: &'a P,
    pub(crate) dataset: &'a dyn Dataset,
    pub(crate) probes: &'a Probes<'a>,
    pub(crate) config: &'a EvidenceConfig,
    pub(crate) device: &'a Device,
}

/// The layers of one probe: its detectors, and their places alone where there are any.
struct Read {
    layer: Layer,
    places: Option<Layer>,
}

/// All layers while the pass is made.
struct Layers<'a> {
    channels: [(Box<dyn Probe + 'a>, Layer); 2],
    probes: Vec<Read>,
    kmeans: Option<(Directions, Layer)>,
    ceiling: Option<(Ceiling, Layer)>,
}

impl<P: Performer> Pass<'_, P> {
    /// Side of the images in pixels.
    pub(crate) fn side(&self) -> usize {
        self.performer.preprocessing().size
    }

    fn landmarks(&self) -> usize {
        self.dataset.landmark_names().len()
    }

    /// Where its pictures come from.
    fn source(&self) -> Source<'_> {
        let stride = self.performer.target_field().stride;
        let renderer = self.dataset.rendered().map(|set| Renderer::new(set, stride, self.side()));
        renderer.map_or(Source::Photographs, Source::Renderer)
    }

    /// Images of a category that show a landmark.
    fn annotated(&self) -> Result<Vec<usize>, EvaluationError> {
        let dataset = self.dataset;
        if dataset.landmark_names().is_empty() {
            return Err(EvaluationError::NoLandmarks { dataset: dataset.name().to_string() });
        }
        let shows = |&index: &usize| dataset.category(index).is_some() && dataset.has_landmarks(index);
        let found: Vec<usize> = (0..dataset.len()).filter(shows).collect();
        if found.is_empty() { Err(nothing(self)) } else { Ok(found) }
    }

    /// Runs the performer over everything, and all probes on what it shows.
    pub(crate) fn run(&self, prefetch: Prefetch) -> Result<Seen, EvaluationError> {
        let annotated = self.annotated()?;
        let images: Vec<usize> =
            spaced(annotated.len(), self.config.images).into_iter().map(|at| annotated[at]).collect();
        let steps = images.len() * (1 + Variant::ALL.len() * self.landmarks());
        let bar = progress_bar(steps, "evidence", self.config.progress);
        let (mut originals, mut took) = (Originals::new(self), Took::default());
        let mut layers = self.layers()?;
        let (looked, left_out) = prefetch.run(self.dataset, &images, |samples| {
            loop {
                let batch = samples.by_ref().take(self.config.batch_size);
                let batch: Vec<(usize, Sample)> = batch.collect::<Result<_, DatasetError>>()?;
                if batch.is_empty() {
                    return Ok::<_, EvaluationError>(());
                }
                bar.inc(batch.len() as u64);
                self.look(batch, &mut originals, &mut layers, &mut took)?;
            }
        });
        looked?;
        if originals.images.is_empty() {
            return Err(nothing(self));
        }
        let ceilings = self.controls(&originals, &mut layers, &mut took)?;
        let Originals { images, differences, .. } = originals;
        let (pastes, kept) = self.intervene(&images, &mut layers, &mut took, &bar)?;
        bar.finish_and_clear();
        let told: Option<Vec<usize>> = images.iter().map(|image| image.facing).collect();
        Ok(Seen {
            sides: told.unwrap_or_else(|| side::facing(&differences)),
            layers: layers.named(),
            available: annotated.len(),
            images,
            pastes,
            kept,
            ceilings,
            left_out,
            took,
        })
    }

    fn layers(&self) -> Result<Layers<'_>, EvaluationError> {
        let mut names = vec![TARGET, TOP_CONV, KMEANS, CEILING, PLACES];
        for name in self.probes.names() {
            if names.contains(&name) {
                return Err(EvaluationError::SameName { name: name.to_string() });
            }
            names.push(name);
        }
        let layer = |name: &str, probe: &dyn Probe| {
            Layer::new(name, probe.field(), probe.threshold(), self.landmarks())
        };
        let channels = [(TARGET, of_target(self.performer)), (TOP_CONV, of_top_conv(self.performer))];
        let channels = channels.map(|(name, probe)| {
            let layer = layer(name, &*probe);
            (probe, layer)
        });
        let probes = self.probes.list.iter();
        let probes = probes.map(|(name, probe)| Read { layer: layer(name, &**probe), places: None });
        Ok(Layers { channels, probes: probes.collect(), kmeans: None, ceiling: None })
    }

    /// What the performer shows of some pictures.
    fn tap(&self, pictures: &[&[u8]], took: &mut Took) -> Result<Tapped, EvaluationError> {
        let started = Instant::now();
        let input = self.performer.preprocessing().batch(pictures, self.device)?;
        let tapped = self.performer.tap(input);
        self.wait()?;
        took.performer += started.elapsed();
        Ok(tapped)
    }

    /// Until the device has done what it was told, so that times are those of the work.
    fn wait(&self) -> Result<(), EvaluationError> {
        self.device.sync().map_err(|error| EvaluationError::Device { found: error.to_string() })
    }

    /// Looks at a batch of images as they are.
    fn look(
        &self,
        batch: Vec<(usize, Sample)>,
        originals: &mut Originals,
        layers: &mut Layers<'_>,
        took: &mut Took,
    ) -> Result<(), EvaluationError> {
        let pixels: Vec<&[u8]> = batch.iter().map(|(_, sample)| &sample.image.as_raw()[..]).collect();
        let tapped = self.tap(&pixels, took)?;
        let started = Instant::now();
        let position = self.read(&tapped, &as_they_are(batch.len()), layers)?;
        originals.push(self, batch, &tapped, position);
        took.probes += started.elapsed();
        Ok(())
    }

    /// Reads all probes but the controls that need labels or all images.
    fn read(
        &self,
        tapped: &Tapped,
        pictures: &[Picture],
        layers: &mut Layers<'_>,
    ) -> Result<Positions, EvaluationError> {
        for (probe, layer) in &mut layers.channels {
            layer.push(probe.read(tapped)?.maps, pictures)?;
        }
        let mut position = Positions::default();
        for ((name, probe), read) in self.probes.list.iter().zip(&mut layers.probes) {
            let Reading { maps, places, roots, facing } = probe.read(tapped)?;
            position.take(&read.layer, maps.dims()[3], roots, facing);
            read.layer.push(maps, pictures)?;
            if let Some(places) = places {
                let name = if name == EXPLAINED { PLACES.to_string() } else { format!("{name}, {PLACES}") };
                let places_of = || {
                    let mut layer = Layer::new(&name, probe.field(), probe.threshold(), self.landmarks());
                    layer.places = Some(name.clone());
                    layer
                };
                read.layer.places = Some(name.clone());
                read.places.get_or_insert_with(places_of).push(places, pictures)?;
            }
        }
        Ok(position)
    }

    /// Fits k-means and the ceiling to the images as they are, and reads them there. Says of which landmarks the
    /// ceiling is known in all photos.
    fn controls(
        &self,
        originals: &Originals,
        layers: &mut Layers<'_>,
        took: &mut Took,
    ) -> Result<Vec<bool>, EvaluationError> {
        let started = Instant::now();
        let layer =
            |name| Layer::new(name, self.performer.target_field(), f64::NEG_INFINITY, self.landmarks());
        layers.kmeans =
            kmeans::fit(&originals.targets, self.config, self.device)?.map(|atoms| (atoms, layer(KMEANS)));
        layers.ceiling = originals.ceiling.solve(self.device)?.map(|found| (found, layer(CEILING)));
        let mut images = &originals.images[..];
        for target in &originals.targets {
            let (here, behind) = images.split_at(target.dims()[0]);
            images = behind;
            let folds: Vec<usize> = here.iter().map(Original::fold).collect();
            layers.read_controls(target, &as_they_are(here.len()), &folds)?;
        }
        took.probes += started.elapsed();
        let knows = |landmark: usize| {
            let Some((ceiling, _)) = &layers.ceiling else { return false };
            let shows = originals.images.iter().filter(|image| image.points[landmark].is_some());
            shows.map(Original::fold).all(|fold| ceiling.knows(fold, landmark))
        };
        Ok((0..self.landmarks()).map(knows).collect())
    }

    /// Makes all pictures of all images and looks at them.
    fn intervene(
        &self,
        images: &[Original],
        layers: &mut Layers<'_>,
        took: &mut Took,
        bar: &ProgressBar,
    ) -> Result<(Vec<Paste>, Vec<Kept>), EvaluationError> {
        let (mut pastes, mut kept, source) = (Vec::new(), Vec::new(), self.source());
        let mut rows = vec![0; self.landmarks()];
        let examples = spaced(images.len(), self.config.examples);
        let at_once = (self.config.batch_size / (Variant::ALL.len() * self.landmarks())).max(1);
        for (chunk, images) in images.chunks(at_once).enumerate() {
            let started = Instant::now();
            let made = images.par_iter().map(|image| source.pictures(image.index, &image.sample));
            let made: Vec<Vec<Option<Pictures>>> = made.collect::<Result<_, _>>()?;
            took.pictures += started.elapsed();
            let (mut pixels, mut pictures, mut folds): (Vec<&[u8]>, Vec<_>, Vec<_>) = Default::default();
            for (at, (original, landmarks)) in images.iter().zip(&made).enumerate() {
                for (landmark, made) in landmarks.iter().enumerate() {
                    let Some(made) = made else { continue };
                    for variant in Variant::ALL {
                        let picture = match variant {
                            Variant::Erased => &made.erased,
                            Variant::Control => &made.control,
                            Variant::Transplanted => &made.transplanted,
                        };
                        pixels.push(picture.as_raw());
                        pictures.push(Picture::Intervened { landmark, variant });
                        folds.push(original.fold());
                    }
                    let image = chunk * at_once + at;
                    let center = [f64::from(made.paste.x), f64::from(made.paste.y)];
                    pastes.push(Paste { landmark, center });
                    if examples.contains(&image) {
                        let (row, pictures) = (rows[landmark], made.clone());
                        kept.push(Kept { image, landmark, row, pictures });
                    }
                    rows[landmark] += 1;
                }
            }
            let parts = pixels.chunks(self.config.batch_size).zip(pictures.chunks(self.config.batch_size));
            for ((pixels, pictures), folds) in parts.zip(folds.chunks(self.config.batch_size)) {
                let tapped = self.tap(pixels, took)?;
                let started = Instant::now();
                self.read(&tapped, pictures, layers)?;
                layers.read_controls(&tapped.target, pictures, folds)?;
                took.probes += started.elapsed();
                bar.inc(pictures.len() as u64);
            }
        }
        Ok((pastes, kept))
    }
}

impl Layers<'_> {
    /// Reads k-means and the ceiling.
    fn read_controls(
        &mut self,
        target: &burn::tensor::Tensor<4>,
        pictures: &[Picture],
        folds: &[usize],
    ) -> Result<(), EvaluationError> {
        if let Some((atoms, layer)) = &mut self.kmeans {
            layer.push(atoms.maps(target.clone()), pictures)?;
        }
        if let Some((ceiling, layer)) = &mut self.ceiling {
            layer.push(ceiling.maps(target.clone(), folds), pictures)?;
        }
        Ok(())
    }

    /// In the order of the table: the performer's, the probes, each with its places, and the controls.
    fn named(self) -> Vec<Layer> {
        let probes = self.probes.into_iter().flat_map(|read| [Some(read.layer), read.places]);
        let controls = [self.kmeans.map(|(_, layer)| layer), self.ceiling.map(|(_, layer)| layer)];
        let channels = self.channels.map(|(_, layer)| Some(layer));
        channels.into_iter().chain(probes).chain(controls).flatten().collect()
    }
}
