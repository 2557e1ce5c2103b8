//! The datasets of a plan.

use explainer_datasets::{
    AnimalPart, AnimalPartConfig, Cub, CubConfig, Dataset, Faults, ImageFolder, ImageFolderConfig, Negatives,
    PascalPart, PascalPartConfig, PhotoSet, SyntheticSpecies, SyntheticSpeciesConfig,
};

use super::places::{Missing, Places};
use super::plan;
use crate::common::Failure;
use crate::common::program::say;

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
            Self::SyntheticSpecies { .. } => true,
            Self::AnimalPart { negatives, .. }
            | Self::Cub { negatives, .. }
            | Self::PascalPart { negatives, .. }
            | Self::Folder { negatives, .. } => negatives.any(),
        }
    }

    /// Birds like those of this set, so many and so many without; `None` of photographs.
    pub fn scenes(&self, birds: usize, others: usize, size: usize) -> Option<SyntheticSpeciesConfig> {
        let synthetic = matches!(self, Self::SyntheticSpecies { .. });
        synthetic.then(|| SyntheticSpeciesConfig::new(birds, others).with_size(size))
    }

    /// A checksum of the photographs that it would be opened with, and of what is known of them; `None` of what a
    /// program draws, which its settings say all of.
    pub fn checksum(
        &self,
        categories: &[String],
        size: usize,
        faults: Faults,
        places: &Places,
        needs: &str,
    ) -> Result<Option<u32>, Failure> {
        let photos = self.photos(categories, size, faults, places, needs)?;
        Ok(photos.map(|photos| photos.checksum()).transpose()?)
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
        if let Some(photos) = self.photos(categories, size, faults, places, needs)? {
            if !photos.report().is_empty() {
                say!("{needs}: annotations: {}", photos.report());
            }
            return Ok(Box::new(photos));
        }
        let Self::SyntheticSpecies { birds, seed } = self else { return Err("no photographs".into()) };
        let scenes = self.scenes(*birds, birds.div_ceil(3), size).ok_or("no birds")?;
        Ok(Box::new(SyntheticSpecies::new(scenes.with_seed(*seed))?))
    }

    /// Its photographs; `None` where a program draws them.
    fn photos(
        &self,
        categories: &[String],
        size: usize,
        faults: Faults,
        places: &Places,
        needs: &str,
    ) -> Result<Option<PhotoSet>, Failure> {
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
        Ok(Some(match self {
            Self::SyntheticSpecies { .. } => {
                let species = plan::species();
                return match names.iter().eq(species.iter()) {
                    true => Ok(None),
                    false => {
                        Err(format!("{needs}: the set has the categories {species:?}, not {names:?}").into())
                    }
                };
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
        }))
    }
}
