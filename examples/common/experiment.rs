//! From a performer and a dataset to the table.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use explainer_core::{Explainer, ExplainerConfig, FeatureConfig, Features, Fit, LabelledImage, Performer};
use explainer_datasets::{Dataset, DatasetError, Split};
use explainer_metrics::classification_error;

use super::evaluate::{Compared, Layers};
use super::figures::{ClassificationError, Figures, Reconstruction, Seconds, peak_rss_mib};
use super::{Failure, FitArgs, sheet, table};

/// The performer and its control.
pub struct Networks<P> {
    pub performer: P,
    /// The same network with random weights.
    pub random: P,
    pub name: String,
}

/// One explainer of one performer on one dataset.
pub struct Experiment<'a, P> {
    pub dataset: &'a dyn Dataset,
    pub networks: Networks<P>,
    /// The performer's class of each category of the dataset, and of the negatives.
    pub classes: Vec<usize>,
    pub negative_class: usize,
    pub args: &'a FitArgs,
    pub default_epochs: usize,
}

/// Predictions on the validation images.
struct Predictions {
    reconstruction: Reconstruction,
    error: ClassificationError,
    agreement: f64,
}

impl<P: Performer> Experiment<'_, P> {
    /// Computes features, fits, evaluates, prints the table and writes what was asked for.
    pub fn run(&self, device: &Device) -> Result<(), Failure> {
        let mut seconds = Seconds::default();
        let started = Instant::now();
        let views = FeatureConfig::new().with_crops(self.args.crops).with_seed(self.args.seed);
        let train = self.features(Split::Train, &views, device)?;
        let validation = self.features(Split::Validation, &FeatureConfig::plain(), device)?;
        seconds.features = started.elapsed().as_secs_f64();

        let started = Instant::now();
        let performer = &self.networks.performer;
        let config = ExplainerConfig::for_performer(performer).with_seed(self.args.seed);
        let unfitted = config.init_from(performer, device);
        let fit_config = self.args.fit_config(self.default_epochs);
        let fit = fit_config.fit(unfitted.clone(), performer, &train, Some(&validation))?;
        seconds.fit = started.elapsed().as_secs_f64();

        let started = Instant::now();
        let images = self.annotated()?;
        let compared = Compared {
            performer,
            random_performer: &self.networks.random,
            explainer: &fit.explainer,
            unfitted: &unfitted,
        };
        let layers = compared.layers(self.dataset, &images, device)?;
        let predictions = self.predictions(&fit.explainer, &validation)?;
        let (side, seed) = (performer.preprocessing().size, self.args.seed);
        let (instability, tracking) = (layers.instability(side, seed), layers.tracking(seed));
        let (peak_spread, diversity) = (layers.spread(side), layers.diversity());
        seconds.evaluate = started.elapsed().as_secs_f64();
        let figures = Figures {
            dataset: self.dataset.name().to_string(),
            category: self.dataset.categories().join("+"),
            performer: self.networks.name.clone(),
            form: format!("{:?}", self.args.form),
            seed,
            epochs: fit.records.len(),
            images: images.len(),
            training_rows: train.len(),
            validation_images: validation.len(),
            location_instability: instability,
            tracking,
            peak_spread,
            diversity,
            live_filters: layers.conv_interp_2.peaks.live_filters().len(),
            filters: fit.explainer.filters(),
            share: f64::from(fit.share()),
            reconstruction: predictions.reconstruction,
            error: predictions.error,
            agreement: predictions.agreement,
            seconds,
            peak_rss_mib: peak_rss_mib(),
        };
        table::print(&figures);
        if let Some(file) = &self.args.json {
            write_json(file, &figures)?;
        }
        if let Some(folder) = &self.args.out {
            self.keep(folder, &fit, &layers, &images, &figures)?;
        }
        Ok(())
    }

    /// Features of one part of the dataset.
    fn features(&self, split: Split, config: &FeatureConfig, device: &Device) -> Result<Features, Failure> {
        let rows = self.rows(split);
        let images = rows.iter().map(|&index| {
            let sample = self.dataset.sample(index)?;
            Ok::<_, DatasetError>(LabelledImage {
                category: sample.category,
                pixels: sample.image.into_raw(),
            })
        });
        Ok(Features::extract(&self.networks.performer, images, config, device)?)
    }

    fn rows(&self, split: Split) -> Vec<usize> {
        (0..self.dataset.len()).filter(|&index| self.dataset.split(index) == split).collect()
    }

    /// The images of a category that have at least one landmark.
    fn annotated(&self) -> Result<Vec<usize>, Failure> {
        let mut images = Vec::new();
        for index in (0..self.dataset.len()).filter(|&index| self.dataset.category(index).is_some()) {
            if self.dataset.sample(index)?.landmarks.iter().any(Option::is_some) {
                images.push(index);
            }
        }
        Ok(images)
    }

    fn predictions(&self, explainer: &Explainer, validation: &Features) -> Result<Predictions, Failure> {
        let performer = &self.networks.performer;
        let figures = explainer.validate(performer, validation)?;
        let [fc_dec_1, fc_dec_2] = figures.relative_error[..] else {
            return Err("the performer does not have two upper layers".into());
        };
        let rows: Vec<usize> = (0..validation.len()).collect();
        let (mut own, mut theirs) = (Vec::new(), Vec::new());
        for rows in rows.chunks(64) {
            let batch = validation.batch(rows);
            let upper = explainer.forward(batch.target).upper.pop().ok_or("no decoder layer")?;
            own.extend(performer.head(upper).into_data().iter::<f32>());
            theirs.extend(batch.scores.into_data().iter::<f32>());
        }
        let labels: Vec<usize> = validation
            .categories()
            .iter()
            .map(|category| category.map_or(self.negative_class, |category| self.classes[category]))
            .collect();
        Ok(Predictions {
            reconstruction: Reconstruction { fc_dec_1, fc_dec_2 },
            error: ClassificationError {
                performer: classification_error(&theirs, &labels)?,
                explainer: classification_error(&own, &labels)?,
            },
            agreement: figures.agreement,
        })
    }

    /// Writes what `--out` asks for beside the checkpoints.
    fn keep(
        &self,
        folder: &Path,
        fit: &Fit,
        layers: &Layers,
        images: &[usize],
        figures: &Figures,
    ) -> Result<(), Failure> {
        fs::create_dir_all(folder)?;
        fit.explainer.save(&folder.join("explainer.bpk"))?;
        write_json(&folder.join("record.json"), &fit.records)?;
        write_json(&folder.join("figures.json"), figures)?;
        let sheet = sheet::draw(self.dataset, layers, images)?;
        let mut png = tempfile::NamedTempFile::new_in(folder)?;
        sheet.write_to(&mut std::io::BufWriter::new(&mut png), image::ImageFormat::Png)?;
        png.as_file().sync_all()?;
        png.persist(folder.join("contact_sheet.png"))?;
        println!(
            "\nkept in {}: explainer.bpk, record.json, figures.json, contact_sheet.png",
            folder.display()
        );
        Ok(())
    }
}

/// Writes a JSON file that appears whole or not at all.
fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    writeln!(file)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
