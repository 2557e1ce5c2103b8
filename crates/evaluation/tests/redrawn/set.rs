//! Small pictures that are drawn again without one thing.

use explainer_datasets::{Change, Dataset, DatasetError, PartMask, Point, Rendered, Sample, Split};
use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::blobs::{SIDE, spot};

/// Radius of a part in pixels.
const RADIUS: f32 = 6.0;
/// Colours of head, tail and foot.
const COLORS: [[u8; 3]; 3] = [[200, 40, 200], [220, 220, 40], [40, 200, 40]];

/// Grey scenes with a white body and three parts around it, at places that vary; bluish stones lie in the corners,
/// behind everything, but in every fifth scene. In every third scene the tail is out of sight.
pub struct Scenes {
    count: usize,
    landmarks: Vec<String>,
    categories: Vec<String>,
}

impl Scenes {
    pub fn new(count: usize) -> Self {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self { count, landmarks: names(&["head", "tail", "foot"]), categories: names(&["blob"]) }
    }

    fn shows(index: usize, part: usize) -> bool {
        part != 1 || index % 3 != 2
    }
}

impl Dataset for Scenes {
    fn name(&self) -> &str {
        "scenes"
    }
    fn len(&self) -> usize {
        self.count
    }
    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        self.changed(index, &[])
    }
    fn categories(&self) -> &[String] {
        &self.categories
    }
    fn landmark_names(&self) -> &[String] {
        &self.landmarks
    }
    fn rendered(&self) -> Option<&dyn Rendered> {
        Some(self)
    }
    fn split(&self, _: usize) -> Split {
        Split::Train
    }
    fn category(&self, _: usize) -> Option<usize> {
        Some(0)
    }
    fn has_landmark(&self, index: usize, landmark: usize) -> bool {
        Self::shows(index, landmark)
    }
}

impl Rendered for Scenes {
    fn objects(&self, index: usize) -> usize {
        if index.is_multiple_of(5) { 0 } else { 2 }
    }

    fn changed(&self, index: usize, changes: &[Change]) -> Result<Sample, DatasetError> {
        let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
        let mut image = RgbImage::from_fn(SIDE as u32, SIDE as u32, |_, _| {
            let grey = rng.random_range(98..103);
            Rgb([grey; 3])
        });
        for object in
            (0..self.objects(index)).filter(|&object| !changes.contains(&Change::WithoutObject { object }))
        {
            spot(&mut image, [[5.0, 5.0], [58.0, 58.0]][object], 4.0, [100, 100, 130]);
        }
        let body = [32.0 + rng.random_range(-3.0..3.0), 32.0 + rng.random_range(-3.0..3.0f32)];
        spot(&mut image, body, 7.0, [250, 250, 250]);
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let mut away = |x: f32, y: f32| {
            [body[0] + side * x + rng.random_range(-4.0..4.0), body[1] + y + rng.random_range(-4.0..4.0f32)]
        };
        let places = [away(15.0, -12.0), away(-18.0, 0.0), away(3.0, 18.0)];
        let (mut landmarks, mut masks) = (Vec::new(), Vec::new());
        for (part, mut place) in places.into_iter().enumerate() {
            for change in changes {
                if let Change::Moved { part: moved, by } = change
                    && *moved == part
                {
                    place = [place[0] + by[0], place[1] + by[1]];
                }
            }
            if !Self::shows(index, part) || changes.contains(&Change::Without { part }) {
                landmarks.push(None);
                masks.push(None);
                continue;
            }
            spot(&mut image, place, RADIUS, COLORS[part]);
            let covers = |x: u32, y: u32| (x as f32 - place[0]).hypot(y as f32 - place[1]) < RADIUS;
            let mask = PartMask::from_fn([SIDE as u32; 2], covers);
            landmarks.push(mask.is_some().then_some(Point { x: place[0], y: place[1] }));
            masks.push(mask);
        }
        let id = format!("scene {index}");
        Ok(Sample { id, image, category: Some(0), bounding_box: None, landmarks, masks })
    }

    fn shape(&self, _: usize, _: usize) -> usize {
        0
    }
}
