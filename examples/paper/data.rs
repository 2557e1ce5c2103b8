//! The datasets of a plan.

use explainer_datasets::{
    AnimalPart, AnimalPartConfig, Cub, CubConfig, Dataset, Faults, Framing, ImageFolder, ImageFolderConfig,
    Negatives, PascalPart, PascalPartConfig, PhotoSet, SyntheticBirds, SyntheticBirdsConfig,
};

use super::places::{Missing, Places};
use super::plan;
use crate::common::Failure;

impl plan::Negatives {
    fn find(&self, places: &Places, needs: &str) -> Result<Negatives, Missing> {
        Ok(match self {
            Self::None => Negatives::none(),
            Self::Own => Negatives::own(),
            Self::Others => Negatives::other_categories([""; 0]),
            Self::Folder(place) => Negatives::folder(places.find(place, needs)?),
        })
    }
}

impl plan::Dataset {
    /// Whether it has images without a category.
    pub fn has_negatives(&self) -> bool {
        match self {
            Self::SyntheticBirds { .. } => true,
            Self::AnimalPart { negatives, .. }
            | Self::Cub { negatives, .. }
            | Self::PascalPart { negatives, .. }
            | Self::Folder { negatives, .. } => negatives.any(),
        }
    }

    /// Birds like those of this set, so many and so many without; `None` of photographs.
    pub fn scenes(&self, birds: usize, others: usize, size: usize) -> Option<SyntheticBirdsConfig> {
        let Self::SyntheticBirds { strays, lookalikes, .. } = *self else { return None };
        let config = SyntheticBirdsConfig::new(birds, others).with_size(size).with_framing(Framing::Object);
        Some(config.with_strays(strays).with_lookalikes(lookalikes))
    }

    /// Opens it with pictures of `size` pixels a side.
    pub fn open(
        &self,
        categories: &[String],
        size: usize,
        faults: Faults,
        places: &Places,
        needs: &str,
    ) -> Result<Box<dyn Dataset>, Failure> {
        let names: Vec<&str> = categories.iter().map(String::as_str).collect();
        let one_bird = || match names[..] {
            ["bird"] => Ok(()),
            _ => Err(format!("{needs}: the set has one category, bird, not {names:?}")),
        };
        macro_rules! with_photos {
            ($config:expr, $negatives:expr) => {
                $config
                    .with_image_size(size as u32)
                    .with_negatives($negatives.find(places, needs)?)
                    .with_faults(faults)
            };
        }
        let photos: PhotoSet = match self {
            Self::SyntheticBirds { birds, seed, .. } => {
                one_bird()?;
                let scenes = self.scenes(*birds, birds.div_ceil(3), size).ok_or("no birds")?;
                return Ok(Box::new(SyntheticBirds::new(scenes.with_seed(*seed))?));
            }
            Self::AnimalPart { root, split, negatives } => {
                let config = AnimalPartConfig::new().with_split(*split);
                AnimalPart::open(places.find(root, needs)?, &names, &with_photos!(config, negatives))?
            }
            Self::Cub { root, negatives } => {
                one_bird()?;
                Cub::open(places.find(root, needs)?, &with_photos!(CubConfig::new(), negatives))?
            }
            Self::PascalPart { root, negatives } => {
                let config = with_photos!(PascalPartConfig::new(), negatives);
                PascalPart::open(places.find(root, needs)?, &names, &config)?
            }
            Self::Folder { root, annotations, negatives } => {
                let config = ImageFolderConfig::new()
                    .with_categories(names)
                    .with_annotations(places.find(annotations, needs)?);
                ImageFolder::open(places.find(root, needs)?, &with_photos!(config, negatives))?
            }
        };
        if !photos.report().is_empty() {
            println!("{needs}: annotations: {}", photos.report());
        }
        Ok(Box::new(photos))
    }
}
