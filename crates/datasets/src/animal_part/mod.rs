//! The authors' "ILSVRC 2013 DET Animal-Part" set: 30 animals with two landmarks.

pub(crate) mod annotations;
mod config;

use std::path::Path;

pub use config::AnimalPartConfig;

use crate::faults::Sieve;
use crate::mat::read_mat;
use crate::photos::entry::check_file;
use crate::photos::{Coordinates, Copies, Draft, Entry, Picture};
use crate::{DatasetError, Orientation, PhotoSet};

/// The parts of which the centres are annotated; part `i + 1` in `truth_partNN.mat`.
const LANDMARKS: [&str; 2] = ["head", "front legs"];
/// What follows the WordNet id in a category's folder.
const FOLDER_END: &str = "_obj";

/// Reader of one or several animals of Animal-Part, and pictures without any.
///
/// A positive is the object's box, clamped to its photo and without a margin, resized to a square; a
/// negative is a whole picture, resized. EXIF orientations are not applied.
///
/// # Landmarks
///
/// `head` and `front legs` are the centres of parts 1 and 2, moved from MATLAB's 1-based `[y; x]` in
/// a crop of 224 × 224 to 0-based pixels of the sample. A landmark of which several instances are
/// marked in one crop counts as missing, as in the authors' evaluation. A sample is *annotated* if it
/// has at least one landmark ([`PhotoSet::annotated`]): counted so, after leaving
/// out small boxes, there are 229 annotated tigers, 236 koalas and 164 elephants.
///
/// # Layout
///
/// `<wnid>_obj/img/data.mat` with the boxes, `<wnid>_obj/img/img/00001.jpg` and so on,
/// `truth/<wnid>/truth_part01.mat` and `truth_part02.mat`, and `neg/*.JPEG`.
#[derive(Clone, Copy, Debug)]
pub struct AnimalPart;

impl AnimalPart {
    /// Reads the annotations of the categories with these WordNet ids, such as `n02129604`.
    ///
    /// # Errors
    ///
    /// If `wnids` is empty or repeats itself, a setting cannot be met, or a file is missing,
    /// damaged or does not agree with the others. With [`Faults::Skip`](crate::Faults) the samples are left out of which
    /// the picture is missing or an annotation makes no sense.
    pub fn open(
        root: impl AsRef<Path>,
        wnids: &[&str],
        config: &AnimalPartConfig,
    ) -> Result<PhotoSet, DatasetError> {
        let root = root.as_ref();
        config.photos.check()?;
        if wnids.is_empty() || wnids.iter().enumerate().any(|(i, w)| wnids[..i].contains(w)) {
            let found = format!("{wnids:?}");
            return Err(DatasetError::config("wnids", "one category or more, each once", found));
        }
        let mut sieve = Sieve::new(config.photos.faults);
        let (mut positives, mut others) = (Vec::new(), Vec::new());
        for (category, wnid) in wnids.iter().enumerate() {
            positives.extend(samples(root, wnid, category, &mut sieve)?);
        }
        if let Some(names) = config.photos.negatives.categories() {
            let names = if names.is_empty() { Self::categories(root)? } else { names.to_vec() };
            for wnid in names.iter().filter(|name| !wnids.contains(&name.as_str())) {
                others.extend(samples(root, wnid, wnids.len(), &mut sieve)?);
            }
        }
        let draft = Draft {
            name: format!("Animal-Part {}", wnids.join("+")),
            orientation: Orientation::AsStored,
            coordinates: Coordinates::Resized(annotations::ANNOTATED_SIZE),
            copies: Copies::Stored,
            categories: wnids.iter().map(|&w| w.to_owned()).collect(),
            landmark_names: LANDMARKS.map(str::to_owned).to_vec(),
            positives,
            others,
            own_negatives: Some(root.join("neg")),
            states_visibility: false,
            report: sieve.report,
        };
        draft.finish(&config.photos, Some(config.split))
    }

    /// The WordNet ids of all categories in a folder, sorted.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn categories(root: impl AsRef<Path>) -> Result<Vec<String>, DatasetError> {
        let root = root.as_ref();
        let io = |e| DatasetError::io(root, e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(root).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            found.extend(name.to_str().and_then(|name| name.strip_suffix(FOLDER_END)).map(str::to_owned));
        }
        found.sort();
        Ok(found)
    }
}

/// The samples of one category.
fn samples(root: &Path, wnid: &str, category: usize, sieve: &mut Sieve) -> Result<Vec<Entry>, DatasetError> {
    let folder = root.join(format!("{wnid}{FOLDER_END}")).join("img");
    let boxes = annotations::boxes(&read_mat(folder.join("data.mat"))?)?;
    let boxes = boxes.into_iter().map(|frame| sieve.pass(frame)).collect::<Result<Vec<_>, _>>()?;
    let mut parts = Vec::new();
    for part in 1..=LANDMARKS.len() {
        let path = root.join("truth").join(wnid).join(format!("truth_part{part:02}.mat"));
        parts.push(annotations::landmarks(&read_mat(path)?, boxes.len())?.into_iter());
    }
    let mut entries = Vec::new();
    for (i, frame) in boxes.into_iter().enumerate() {
        // Each part's next landmark belongs to this sample, whether the sample is kept or not.
        let landmarks: Vec<_> = parts.iter_mut().filter_map(Iterator::next).collect();
        if frame.is_none() {
            continue;
        }
        let entry = || {
            let image = folder.join("img").join(format!("{:05}.jpg", i + 1));
            check_file(&image)?;
            Ok(Entry {
                id: format!("{wnid}/{:05}", i + 1).into(),
                frame,
                landmarks: landmarks.into_iter().collect::<Result<_, _>>()?,
                ..Entry::whole(Picture::File(image.into()), Some(category))
            })
        };
        entries.extend(sieve.pass(entry())?);
    }
    Ok(entries)
}
