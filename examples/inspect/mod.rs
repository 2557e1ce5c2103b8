//! What `inspect_dataset` does.

mod counts;
mod marks;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use explainer_datasets::{
    AnimalPart, AnimalPartConfig, Cub, CubCategories, CubConfig, Dataset, Faults, ImageFolder,
    ImageFolderConfig, Negatives, PascalPart, PascalPartConfig, PhotoSet, Prefetch, SyntheticSpecies,
    SyntheticSpeciesConfig,
};
use image::{ImageFormat, RgbImage, imageops};

use crate::program::{Failure, at_least_one, files, say};

/// Pictures side by side on the sheet.
const COLUMNS: usize = 8;
/// Synthetic birds, and as many negatives.
const SYNTHETIC: usize = 48;

/// The layouts that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// CUB-200-2011.
    Cub,
    /// Pascal-Part with VOC's pictures.
    PascalPart,
    /// ILSVRC Animal-Part.
    AnimalPart,
    /// One folder for each category.
    Folder,
    /// Birds drawn by a program; they need no folder.
    Synthetic,
}

/// Prints the counts of a set by category, split and landmark, and draws a sheet of its samples.
#[derive(Parser, Debug)]
#[command(version, about)]
pub struct Args {
    /// Layout of the folder.
    #[arg(long, value_enum)]
    pub kind: Kind,
    /// Folder of the set.
    #[arg(long, value_name = "DIR", required_if_eq_any([
        ("kind", "cub"), ("kind", "pascal-part"), ("kind", "animal-part"), ("kind", "folder"),
    ]))]
    pub data: Option<PathBuf>,
    /// A category (a species, class, WordNet number or folder); may be given several times. All birds, the six
    /// animals, or all there are if not given.
    #[arg(long, value_name = "NAME")]
    pub category: Vec<String>,
    /// Boxes and landmarks of a folder, as .csv or .json.
    #[arg(long, value_name = "FILE")]
    pub annotations: Option<PathBuf>,
    /// Folder of pictures without an object.
    #[arg(long, value_name = "DIR")]
    pub negatives: Option<PathBuf>,
    /// Share of each box that is shown beyond it on each side.
    #[arg(long, default_value_t = 0.0)]
    pub margin: f32,
    /// Side of each picture on the sheet, in pixels.
    #[arg(long, default_value_t = 160)]
    pub size: u32,
    /// Pictures on the sheet of each category, and of the negatives, evenly spread.
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    pub samples: usize,
    /// Where the sheet goes.
    #[arg(long, value_name = "FILE", default_value = "sheet.png")]
    pub sheet: PathBuf,
    /// Decodes every picture, and not those of the sheet only.
    #[arg(long)]
    pub read: bool,
    /// Leaves out what is damaged, and says how much and why; otherwise the first damage is an error.
    #[arg(long)]
    pub skip_damaged: bool,
}

impl Args {
    fn faults(&self) -> Faults {
        if self.skip_damaged { Faults::Skip } else { Faults::Stop }
    }

    /// The folder's pictures without an object, or what the set has otherwise.
    fn negatives(&self, otherwise: Negatives) -> Negatives {
        self.negatives.as_ref().map_or(otherwise, Negatives::folder)
    }
}

/// Prints the counts and draws the sheet.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.kind != Kind::Folder && args.annotations.is_some() {
        let kind = args.kind.to_possible_value().map_or_else(String::new, |kind| kind.get_name().to_owned());
        return Err(
            format!("--annotations: only for --kind folder; {kind} has annotations of its own").into()
        );
    }
    if args.kind == Kind::Synthetic && (args.negatives.is_some() || !args.category.is_empty()) {
        return Err("--kind synthetic: expected no --negatives and no --category".into());
    }
    let format = ImageFormat::from_path(&args.sheet)?;
    files::check(&args.sheet)?;
    let Some(data) = &args.data else {
        let config = SyntheticSpeciesConfig::new(SYNTHETIC, SYNTHETIC).with_size(args.size as usize);
        return shown(args, format, &SyntheticSpecies::new(config.with_seed(1))?);
    };
    let set = open(args, data)?;
    if !set.report().is_empty() {
        say!("annotations: {}", set.report());
    }
    shown(args, format, &set)
}

fn open(args: &Args, data: &Path) -> Result<PhotoSet, Failure> {
    /// The settings that all sets have.
    macro_rules! with_photos {
        ($config:expr, $negatives:expr) => {
            $config
                .with_image_size(args.size)
                .with_margin(args.margin)
                .with_negatives(args.negatives($negatives))
                .with_faults(args.faults())
        };
    }
    let named: Vec<&str> = args.category.iter().map(String::as_str).collect();
    Ok(match args.kind {
        Kind::Cub => {
            let config = with_photos!(CubConfig::new(), Negatives::none());
            let config = match &args.category[..] {
                [] => config,
                species => config.with_categories(CubCategories::Species(species.to_vec())),
            };
            Cub::open(data, &config)?
        }
        Kind::PascalPart => {
            let classes = if named.is_empty() { &PascalPart::ANIMALS } else { &named[..] };
            PascalPart::open(data, classes, &with_photos!(PascalPartConfig::new(), Negatives::none()))?
        }
        Kind::AnimalPart => {
            let all = AnimalPart::categories(data)?;
            let wnids = if named.is_empty() { all.iter().map(String::as_str).collect() } else { named };
            AnimalPart::open(data, &wnids, &with_photos!(AnimalPartConfig::new(), Negatives::own()))?
        }
        Kind::Folder => {
            let mut config = with_photos!(ImageFolderConfig::new(), Negatives::none());
            config.annotations.clone_from(&args.annotations);
            ImageFolder::open(data, &config.with_categories(named))?
        }
        Kind::Synthetic => return Err("--data: synthetic species come from no folder".into()),
    })
}

fn shown(args: &Args, format: ImageFormat, set: &dyn Dataset) -> Result<(), Failure> {
    say!("{}", counts::table(set).trim_end());
    if args.read {
        let all: Vec<usize> = (0..set.len()).collect();
        let read = |samples: &mut explainer_datasets::Samples<'_>| {
            samples.try_fold(0, |count, sample| sample.map(|_| count + 1))
        };
        let (count, report) = Prefetch::new().with_faults(args.faults()).run(set, &all, read);
        let count = count?;
        say!("pictures: {count} of {} read; {report}", set.len());
        if count == 0 {
            return Err(format!("{}: none of {} pictures could be read", set.name(), set.len()).into());
        }
    }
    let chosen = chosen(set, args.samples);
    let sheet = sheet(set, &chosen, args)?;
    files::write(&args.sheet, |file| Ok(sheet.write_to(file, format)?))?;
    say!("{}: {} samples; {}", args.sheet.display(), chosen.len(), marks::legend(set.landmark_names()));
    Ok(())
}

/// So many samples of each category and of the negatives, evenly spread.
fn chosen(set: &dyn Dataset, each: usize) -> Vec<usize> {
    let mut of_category = vec![Vec::new(); set.categories().len() + 1];
    for index in 0..set.len() {
        of_category[set.category(index).unwrap_or(set.categories().len())].push(index);
    }
    let spread = |all: Vec<usize>| {
        let count = each.min(all.len());
        (0..count).map(move |i| all[i * all.len() / count]).collect::<Vec<_>>()
    };
    of_category.into_iter().flat_map(spread).collect()
}

fn sheet(set: &dyn Dataset, chosen: &[usize], args: &Args) -> Result<RgbImage, Failure> {
    let rows = chosen.len().div_ceil(COLUMNS).max(1);
    let mut sheet = RgbImage::new(COLUMNS as u32 * args.size, rows as u32 * args.size);
    let mut count = 0;
    let (drawn, report) = Prefetch::new().with_faults(args.faults()).run(set, chosen, |samples| {
        for (place, sample) in samples.enumerate() {
            let mut sample = sample?.1;
            marks::draw(&mut sample);
            let [x, y] = [place % COLUMNS, place / COLUMNS].map(|n| n as i64 * i64::from(args.size));
            imageops::replace(&mut sheet, &sample.image, x, y);
            count += 1;
        }
        Ok::<_, Failure>(())
    });
    drawn?;
    if !report.is_empty() {
        say!("sheet: {report}");
    }
    if count == 0 {
        let what = format!("none of {} pictures could be read", chosen.len());
        return Err(format!("{}: {what}", set.name()).into());
    }
    Ok(sheet)
}
