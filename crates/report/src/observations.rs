//! What a report shows, each picture by itself.

use std::path::Path;

use explainer_core::EpochRecord;
use explainer_evaluation::Evidence;
use image::{Rgb, RgbImage};

use crate::covering::Covering;
use crate::field::{AverageField, bilinear};
use crate::figures::{FilterFigures, Row};
use crate::groups::Group;
use crate::observe::{Layer, Seen, Survey};
use crate::trust::{Check, Trust};
use crate::{ReportError, draw, file, page};

/// Pictures of a gallery stand in rows of so many.
const COLUMNS: u32 = 3;
/// Between the pictures of a gallery, in pixels, and its colour.
const GAP: u32 = 3;
const PAPER: Rgb<u8> = Rgb([128, 128, 128]);
/// Side of the patches of a part, relative to the image's.
const PATCH: f64 = 0.28;
/// The mean patch of a part is that of at most so many peaks, its filters' strongest.
const PATCHES: usize = 100;
/// Rows of the contact sheet, images in each, and its sizes in pixels.
const SHEET_ROWS: usize = 8;
const SHEET_IMAGES: usize = 6;
const SHEET_SIDE: u32 = 96;
const SHEET_GAP: u32 = 4;
const SHEET_MIDDLE: u32 = 20;

/// Whose filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The explainer: its last interpretable conv-layer.
    Explainer,
    /// The performer: its top conv-layer.
    Performer,
}

/// A group of filters, and its name if it was given one.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its filters and where they fire.
    pub group: Group,
    /// Its name in the file of names.
    pub name: Option<String>,
}

/// What stands on the page of one image.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Among the images seen.
    pub(crate) image: usize,
    /// Grad-CAM over its largest value: of the explainer's last interpretable layer, of the performer's top conv.
    pub(crate) parts: Vec<f64>,
    pub(crate) channels: Option<Vec<f64>>,
    /// The score without each part, and without the scattered filters.
    pub(crate) silenced: Vec<f64>,
}

/// What things are called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) dataset: String,
    pub(crate) categories: Vec<String>,
    pub(crate) performer: String,
    pub(crate) classes: Vec<String>,
    pub(crate) settings: Option<String>,
}

/// Everything that a report shows.
pub struct Observations {
    pub(crate) side: usize,
    pub(crate) landmarks: Vec<String>,
    pub(crate) strongest: usize,
    pub(crate) share: f64,
    pub(crate) records: Vec<EpochRecord>,
    /// What of the method does not apply to the performer.
    pub(crate) notes: Vec<String>,
    pub(crate) text: Text,
    pub(crate) survey: Survey,
    pub(crate) parts: Vec<Part>,
    pub(crate) scattered: Vec<usize>,
    pub(crate) covering: Covering,
    pub(crate) fields: Vec<Option<AverageField>>,
    pub(crate) pages: Vec<Page>,
    pub(crate) rows: Vec<Row>,
    pub(crate) trust: Trust,
    pub(crate) filters: Vec<FilterFigures>,
    /// What interventions found, where they were made.
    pub(crate) evidence: Option<Evidence>,
    /// The largest difference between a score and its terms, over the terms' sizes together.
    pub(crate) remainder: f64,
}

impl Observations {
    /// The HTML file.
    ///
    /// # Errors
    /// [`ReportError::Picture`] if a picture cannot be encoded.
    pub fn html(&self) -> Result<String, ReportError> {
        page::document(self)
    }

    /// Writes the [HTML file](Self::html), which appears whole or not at all.
    ///
    /// # Errors
    /// As `html`, and [`ReportError::Io`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        file::write(&self.html()?, path.as_ref())
    }

    /// The images that were looked at, with the performer's prediction taken apart.
    pub fn images(&self) -> &[Seen] {
        &self.survey.images
    }

    /// The parts, the largest group of filters first.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The table: every layer and control.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What may be trusted.
    pub fn checks(&self) -> &[Check] {
        &self.trust.checks
    }

    /// The same with the number of images and what was measured of control fits.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The figures of each filter of the explainer's last interpretable conv-layer.
    pub fn filters(&self) -> &[FilterFigures] {
        &self.filters
    }

    /// What a filter gave to the scores, the mean over all images.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn contribution(&self, filter: usize) -> f64 {
        let images = self.images();
        images.iter().map(|image| image.contributions.filters[filter]).sum::<f64>() / images.len() as f64
    }

    /// The receptive field of a filter, `None` where it was not measured.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn receptive_field(&self, filter: usize) -> Option<&AverageField> {
        self.fields[filter].as_ref()
    }

    /// How the receptive fields were found.
    pub fn covering(&self) -> &Covering {
        &self.covering
    }

    /// The layer of one network that has the filters shown.
    pub fn layer(&self, network: Network) -> &Layer {
        match network {
            Network::Explainer => self.survey.explained(),
            Network::Performer => &self.survey.top_conv,
        }
    }

    /// What a part is called: its name, or its number and the landmark nearest to it.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn part_name(&self, part: usize) -> String {
        let Part { group, name } = &self.parts[part];
        match (name, &group.landmark) {
            (Some(name), _) => name.clone(),
            (None, Some(near)) => format!("Part {}, near {}", part + 1, self.landmarks[near.landmark]),
            (None, None) => format!("Part {}", part + 1),
        }
    }

    /// The part that a filter belongs to.
    pub fn part_of(&self, filter: usize) -> Option<usize> {
        self.parts.iter().position(|part| part.group.filters.contains(&filter))
    }

    /// The strongest images of a filter, `side` pixels each, in rows of three: the explainer's with the region
    /// of the filter's receptive field around the peak (with a ring where no field was measured), the
    /// performer's with a ring around the peak. `None` if it never fired.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn gallery(&self, network: Network, filter: usize, side: u32) -> Option<RgbImage> {
        let mut images = self.layer(network).strongest(filter);
        images.truncate(self.strongest);
        let pictures: Vec<_> =
            images.into_iter().map(|image| self.marked(network, filter, image, side)).collect();
        (!pictures.is_empty()).then(|| draw::tiled(&pictures, COLUMNS, GAP, PAPER))
    }

    /// One image of `side` pixels with the mark of a filter, as in its [`gallery`](Self::gallery).
    ///
    /// # Panics
    /// If there is no such filter or image.
    pub fn marked(&self, network: Network, filter: usize, image: usize, side: u32) -> RgbImage {
        let scale = f64::from(side) / self.side as f64;
        let peak = self.layer(network).place(filter, image);
        let small = draw::thumbnail(&self.images()[image].picture, side);
        let field = match network {
            Network::Explainer => self.receptive_field(filter),
            Network::Performer => None,
        };
        match field {
            Some(field) => {
                draw::contoured(small, |at| field.contains([0, 1].map(|axis| at[axis] / scale - peak[axis])))
            }
            None => draw::ringed(small, peak.map(|at| at * scale)),
        }
    }

    /// The maps of a filter in the images of its [`gallery`](Self::gallery), unit by unit; `None` if it
    /// never fired.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn maps(&self, filter: usize) -> Option<RgbImage> {
        let layer = self.layer(Network::Explainer);
        let images = layer.strongest(filter).into_iter().take(self.strongest);
        let width = layer.peaks.grid()[1];
        let maps: Vec<_> =
            images.map(|image| draw::heat_map(&self.survey.map(filter, image), width)).collect();
        (!maps.is_empty()).then(|| draw::tiled(&maps, COLUMNS, 1, PAPER))
    }

    /// How often a filter peaks at each unit, over the most frequent one.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn peak_histogram(&self, filter: usize) -> RgbImage {
        let peaks = &self.layer(Network::Explainer).peaks;
        let [height, width] = peaks.grid();
        let mut counts = vec![0.0; height * width];
        for image in (0..peaks.images()).filter(|&image| peaks.fired(filter, image)) {
            let peak = peaks.get(filter, image);
            counts[usize::from(peak.row) * width + usize::from(peak.column)] += 1.0;
        }
        let most = counts.iter().copied().fold(1.0, f64::max);
        let shares: Vec<f64> = counts.into_iter().map(|count| count / most).collect();
        draw::heat_map(&shares, width)
    }

    /// A filter's receptive field around its peak, on `side` pixels, as large as the image; `None` where it was
    /// not measured.
    ///
    /// # Panics
    /// If there is no such filter.
    pub fn field_picture(&self, filter: usize, side: u32) -> Option<RgbImage> {
        let field = self.receptive_field(filter)?;
        let pixel = self.side as f64 / f64::from(side);
        let middle = (f64::from(side) - 1.0) / 2.0;
        let at = |x: u32, y: u32| field.at([x, y].map(|at| (f64::from(at) - middle) * pixel));
        Some(RgbImage::from_fn(side, side, |x, y| draw::heat_color(at(x, y))))
    }

    /// Patches around a part's peaks, `count` of them, from its filters' strongest images; and their mean.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn patches(&self, part: usize, count: usize) -> (Option<RgbImage>, Vec<RgbImage>) {
        let (layer, filters) = (self.layer(Network::Explainer), &self.parts[part].group.filters);
        let side = (PATCH * self.side as f64).round() as u32;
        let each = PATCHES.div_ceil(filters.len().max(1));
        let cut = |filter: usize, image: usize| {
            draw::patch(&self.images()[image].picture, layer.place(filter, image), side)
        };
        let strongest: Vec<Vec<usize>> = filters.iter().map(|&filter| layer.strongest(filter)).collect();
        let of_all = filters
            .iter()
            .zip(&strongest)
            .flat_map(|(&filter, images)| images.iter().take(each).map(move |&image| cut(filter, image)));
        let mut shown: Vec<(usize, usize)> = Vec::new();
        for rank in 0..self.images().len() {
            for (&filter, images) in filters.iter().zip(&strongest) {
                let Some(&image) = images.get(rank) else { continue };
                if shown.len() < count && shown.iter().all(|&(_, other)| other != image) {
                    shown.push((filter, image));
                }
            }
        }
        (draw::mean(of_all), shown.into_iter().map(|(filter, image)| cut(filter, image)).collect())
    }

    /// Grad-CAM of the prediction of an image with a page over its picture; `None` if it has no page, or the
    /// performer's layers are not all known.
    pub fn grad_cam(&self, network: Network, image: usize) -> Option<RgbImage> {
        let cam = self.cam(network, image)?;
        let layer = self.layer(network);
        let [height, width] = layer.peaks.grid();
        let unit = |pixel: f64, units: usize| {
            ((pixel - layer.field.center) / layer.field.stride).clamp(0.0, units as f64 - 1.0)
        };
        Some(draw::heated(&self.images()[image].picture, |[x, y]| {
            let place = [unit(y, height), unit(x, width)];
            bilinear(place, height, |row, column| cam[row * width + column]).unwrap_or(0.0)
        }))
    }

    /// The values of [`grad_cam`](Self::grad_cam), unit by unit, over the largest one.
    pub(crate) fn cam(&self, network: Network, image: usize) -> Option<&[f64]> {
        let page = self.pages.iter().find(|page| page.image == image)?;
        match network {
            Network::Explainer => Some(&page.parts),
            Network::Performer => page.channels.as_deref(),
        }
    }

    /// Where each part lies in an image, by the peak of that of its filters that gave most to the score;
    /// `None` for a part none of whose filters fired.
    pub fn part_places(&self, image: usize) -> Vec<Option<[f64; 2]>> {
        let (layer, given) = (self.layer(Network::Explainer), &self.images()[image].contributions.filters);
        let place = |part: &Part| {
            let fired = part.group.filters.iter().filter(|&&filter| layer.peaks.fired(filter, image));
            let most = fired.max_by(|&&a, &&b| given[a].total_cmp(&given[b]))?;
            Some(layer.place(*most, image))
        };
        self.parts.iter().map(place).collect()
    }

    /// The contact sheet: a row for each filter, its strongest images with a ring around the peak. On the left
    /// the explainer, on the right the performer; on either side filters at evenly spaced ranks of tracking
    /// (of activation, where no landmark is known), the best in the first row: neither side shows its best only.
    pub fn contact_sheet(&self) -> RgbImage {
        let half = SHEET_IMAGES as u32 * (SHEET_SIDE + SHEET_GAP);
        let paper = Rgb([255, 255, 255]);
        let height = SHEET_ROWS as u32 * (SHEET_SIDE + SHEET_GAP) + SHEET_GAP;
        let mut sheet = RgbImage::from_pixel(2 * half + SHEET_MIDDLE + SHEET_GAP, height, paper);
        for (network, left) in
            [(Network::Explainer, SHEET_GAP), (Network::Performer, half + SHEET_MIDDLE + SHEET_GAP)]
        {
            let layer = self.layer(network);
            for (row, filter) in (0u32..).zip(self.spread_by_rank(layer)) {
                for (column, image) in (0u32..).zip(layer.strongest(filter).into_iter().take(SHEET_IMAGES)) {
                    let scale = f64::from(SHEET_SIDE) / self.side as f64;
                    let small = draw::thumbnail(&self.images()[image].picture, SHEET_SIDE);
                    let marked = draw::ringed(small, layer.place(filter, image).map(|at| at * scale));
                    let [x, y] = [
                        left + column * (SHEET_SIDE + SHEET_GAP),
                        SHEET_GAP + row * (SHEET_SIDE + SHEET_GAP),
                    ];
                    image::imageops::replace(&mut sheet, &marked, i64::from(x), i64::from(y));
                }
            }
        }
        sheet
    }

    /// Live filters at evenly spaced ranks, the best first.
    fn spread_by_rank(&self, layer: &Layer) -> Vec<usize> {
        let strength = |filter: usize| {
            let images = 0..layer.peaks.images();
            images.map(|image| f64::from(layer.peaks.get(filter, image).strength)).sum::<f64>()
        };
        let ranks: Vec<f64> = match &self.survey.landmarks {
            Some(landmarks) => {
                let found =
                    explainer_metrics::tracking(&layer.peaks, landmarks, explainer_metrics::STRONGEST_IMAGES);
                found.per_filter.into_iter().map(|value| value.unwrap_or(0.0)).collect()
            }
            None => (0..layer.peaks.filters()).map(strength).collect(),
        };
        let mut live = layer.peaks.live_filters();
        live.sort_by(|&a, &b| ranks[b].total_cmp(&ranks[a]));
        let count = SHEET_ROWS.min(live.len());
        (0..count).map(|row| live[row * (live.len() - 1) / count.saturating_sub(1).max(1)]).collect()
    }
}
