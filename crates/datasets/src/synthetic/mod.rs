//! Birds drawn by rule, against scenes without one.

mod bird;
mod canvas;
mod config;
mod crop;
mod negatives;
mod outline;
mod plumage;
mod random;
mod scenery;
#[cfg(test)]
mod tests;

use crate::{BoundingBox, Dataset, DatasetError, Point, Sample, Split};
use bird::Bird;
use canvas::{Canvas, Part};
pub use config::{Framing, SyntheticBirdsConfig};
use crop::Cut;
use outline::{Bounds, Frame, at};
use plumage::Piece;
use random::{Dice, Noise};

/// The landmarks' names, in the order of [`Sample::landmarks`].
const LANDMARKS: [&str; 3] = ["head", "back", "tail"];
/// The bird's longer side over the image's.
const EXTENT: (f32, f32) = (0.6, 1.05);
/// Pixels of a scene's side for each of a sample's that shows its bird's box only: an average box then
/// is neither enlarged nor shrunk much.
const OBJECT_SCALE: f32 = 1.25;
/// Turns a set's seed into the one of its loose parts: they leave the rest of a scene as it was.
const STRAYS: u64 = 0x5354_5241_5953;
/// How far over the frame's edge a figure may reach, over its own extent.
const OVERHANG: f32 = 0.1;
/// The radius around a landmark in which at least half of the pixels must show its part, over the
/// image's side.
const VISIBLE_RADIUS: f32 = 0.02;

/// A painted scene before it is photographed.
struct Scene {
    dice: Dice,
    /// Knows what is on top where.
    canvas: Canvas,
    landmarks: Vec<Option<Point>>,
    bounding_box: Option<BoundingBox>,
}

/// Birds, and scenes without one, with exact landmarks and boxes; drawn on demand, never stored.
///
/// One category, `bird`. The first samples are the birds, the rest the negatives. A bird has a random
/// build, pose, plumage, place and scale. Negatives are made of the same colours, textures and parts in
/// other arrangements, so that a classifier has to combine parts.
///
/// # Framing
///
/// What a fixed place in the frame says about a landmark depends on what of the scene is shown. The
/// distances are means over 300 birds, in sides of the image.
///
/// - [`Framing::Scene`]: head and tail turn up nearly everywhere, the back around the middle. A filter
///   that always fires at the centre is 0.32 from the head, 0.20 from the back and 0.40 from the tail.
/// - [`Framing::Object`]: the bird fills the frame, turned and mirrored at random. Head and tail lie along
///   the edges, 0.40 and 0.50 from the centre; the back lies around it or above, at 0.22. So place alone
///   tells more than in a scene, and a filter has to be compared with one that knows nothing else.
///
/// # Landmarks
///
/// The landmarks are the centre of the head's disc, the middle of the back's line (a little inside the
/// torso) and a point on the tail's axis three quarters of the way to its tip. A landmark is `None` where
/// it lies outside the frame, or where leaves, twigs or the bird itself (a lifted wing before the back)
/// hide it. The box holds the whole bird, hidden or not, as far as the frame shows it.
///
/// A sample is a pure function of the configuration's seed and size and of the index; samples can be
/// drawn from several threads at once. The n-th bird and the n-th negative stay the same whatever the
/// numbers of both.
#[derive(Clone, Debug)]
pub struct SyntheticBirds {
    config: SyntheticBirdsConfig,
    categories: Vec<String>,
    landmark_names: Vec<String>,
}

impl SyntheticBirds {
    /// Checks the configuration; draws nothing yet.
    ///
    /// # Errors
    ///
    /// If the images are smaller than 32 pixels a side, or the validation share lies outside `[0, 1]`.
    pub fn new(config: SyntheticBirdsConfig) -> Result<SyntheticBirds, DatasetError> {
        config.check()?;
        Ok(SyntheticBirds {
            config,
            categories: vec!["bird".to_owned()],
            landmark_names: LANDMARKS.map(str::to_owned).to_vec(),
        })
    }

    /// Whether `index` is a bird, and its rank among its kind.
    fn rank(&self, index: usize) -> (bool, usize) {
        assert!(index < self.len(), "index {index} of a set of {} samples", self.len());
        let is_bird = index < self.config.birds;
        (is_bird, if is_bird { index } else { index - self.config.birds })
    }

    /// Side of the scenes in pixels.
    fn scene_size(&self) -> usize {
        match self.config.framing {
            Framing::Scene => self.config.size,
            Framing::Object => (OBJECT_SCALE * self.config.size as f32).round() as usize,
        }
    }

    /// The landmarks that a sample has, by their places in the list.
    fn seen(&self, index: usize) -> impl Iterator<Item = usize> {
        let mut landmarks = Vec::new();
        if self.rank(index).0 {
            let scene = self.paint(index);
            landmarks = scene.landmarks;
            if self.config.framing == Framing::Object {
                let cut = self.cut(index, scene.bounding_box);
                landmarks.iter_mut().for_each(|p| *p = p.and_then(|p| cut.landmark(p)));
            }
        }
        (0..landmarks.len()).filter(move |&i| landmarks[i].is_some())
    }

    /// What of the scene at `index` is shown, where that is an object: the bird's box, or a negative's.
    fn cut(&self, index: usize, bird: Option<BoundingBox>) -> Cut {
        let frame = bird.unwrap_or_else(|| self.negatives_box(index));
        Cut::new(frame, self.scene_size() as f32, self.config.size)
    }

    /// Where a negative is cut: at the box of a bird that is never painted, so that the boxes of both
    /// kinds are distributed alike. The seed's complement keeps it apart from the set's own birds.
    fn negatives_box(&self, index: usize) -> BoundingBox {
        let (_, rank) = self.rank(index);
        let size = self.scene_size() as f32;
        let mut dice = Dice::new(!self.config.seed, 2 * rank as u64);
        let bird = Bird::draw(&mut dice);
        let frame = bird_frame(&mut dice, &bird, size);
        bounding_box(&bird.pieces, frame, size)
    }

    /// Paints the scene at `index`.
    fn paint(&self, index: usize) -> Scene {
        let (is_bird, rank) = self.rank(index);
        // Birds have the even streams, negatives the odd ones.
        let stream = 2 * rank as u64 + u64::from(!is_bird);
        let mut dice = Dice::new(self.config.seed, stream);
        let noise = Noise::new(&mut dice);
        let mut canvas = scenery::ground(&mut dice, &noise, self.scene_size());
        scenery::clutter(&mut dice, &noise, &mut canvas);
        let mut loose = Dice::new(self.config.seed ^ STRAYS, stream);
        for _ in 0..self.config.strays {
            negatives::stray(&mut loose, &noise, &mut canvas);
        }
        let placed = if is_bird {
            for _ in 0..dice.count(0, 1) {
                let with_parts = self.config.lookalikes > 0.0;
                negatives::distractor(&mut dice, &noise, &mut canvas, [0.15, 0.4], with_parts);
            }
            Some(place_bird(&mut dice, &noise, &mut canvas))
        } else {
            negatives::draw(&mut dice, &noise, &mut canvas, self.config.lookalikes);
            None
        };
        scenery::occluders(&mut dice, &noise, &mut canvas);
        Scene {
            landmarks: match &placed {
                Some((bird, frame)) => landmarks(bird, *frame, &canvas),
                None => vec![None; LANDMARKS.len()],
            },
            bounding_box: placed.map(|(bird, frame)| bounding_box(&bird.pieces, frame, canvas.size())),
            canvas,
            dice,
        }
    }
}

impl Dataset for SyntheticBirds {
    fn name(&self) -> &str {
        "synthetic birds"
    }

    fn len(&self) -> usize {
        self.config.birds + self.config.negatives
    }

    /// # Errors
    ///
    /// If there is no such index.
    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        if index >= self.len() {
            return Err(DatasetError::Index { dataset: self.name().to_string(), len: self.len(), index });
        }
        let (is_bird, rank) = self.rank(index);
        let Scene { mut dice, mut canvas, landmarks, bounding_box } = self.paint(index);
        let scene = Sample {
            id: format!("{}-{rank:06}", if is_bird { "bird" } else { "negative" }),
            image: photograph(&mut dice, &mut canvas),
            category: is_bird.then_some(0),
            bounding_box,
            landmarks,
            masks: vec![],
        };
        Ok(match self.config.framing {
            Framing::Scene => scene,
            Framing::Object => self.cut(index, bounding_box).sample(&scene),
        })
    }

    fn categories(&self) -> &[String] {
        &self.categories
    }

    fn landmark_names(&self) -> &[String] {
        &self.landmark_names
    }

    /// Every so many birds, and every so many negatives, one is for validation.
    fn split(&self, index: usize) -> Split {
        let (_, rank) = self.rank(index);
        let share = f64::from(self.config.validation_share);
        let until = |n: usize| (n as f64 * share + 1e-6).floor();
        if until(rank + 1) > until(rank) { Split::Validation } else { Split::Train }
    }

    fn category(&self, index: usize) -> Option<usize> {
        self.rank(index).0.then_some(0)
    }

    /// The extent in the scene. It is known only once the bird is painted, so that this takes about as long as
    /// [`sample`](Dataset::sample).
    fn box_extent(&self, index: usize) -> Option<[f32; 2]> {
        let is_bird = self.rank(index).0;
        let bird = is_bird.then(|| self.paint(index)).and_then(|scene| scene.bounding_box)?;
        Some([bird.right - bird.left, bird.bottom - bird.top])
    }

    /// A negative has none. What hides a bird's landmarks is known only once it is painted, so that this
    /// takes about as long as [`sample`](Dataset::sample).
    fn has_landmark(&self, index: usize, landmark: usize) -> bool {
        assert!(landmark < LANDMARKS.len(), "landmark {landmark} of {LANDMARKS:?}");
        self.seen(index).any(|seen| seen == landmark)
    }

    fn has_landmarks(&self, index: usize) -> bool {
        self.seen(index).next().is_some()
    }
}

/// Moves and scales a turned frame so that the longer side of the pieces is `extent` pixels and they lie
/// anywhere in the image, at most a little over its edge.
fn place(dice: &mut Dice, frame: Frame, pieces: &[Piece], extent: f32, size: f32) -> Frame {
    let shown: Vec<Point> =
        pieces.iter().flat_map(|piece| &piece.outline).map(|&p| frame.to_image(p)).collect();
    let bounds = Bounds::of(&shown);
    let scale = extent / bounds.width().max(bounds.height()).max(1e-6);
    let mut along = |low: f32, high: f32| {
        let over = OVERHANG * scale * (high - low);
        dice.between(-over - scale * low, size - 1.0 + over - scale * high)
    };
    let (x, y) = (along(bounds.left, bounds.right), along(bounds.top, bounds.bottom));
    Frame { scale, origin: at(x, y), ..frame }
}

/// Paints a bird somewhere.
fn place_bird(dice: &mut Dice, noise: &Noise, canvas: &mut Canvas) -> (Bird, Frame) {
    let bird = Bird::draw(dice);
    let frame = bird_frame(dice, &bird, canvas.size());
    for piece in &bird.pieces {
        piece.draw(canvas, frame, piece.part, noise);
    }
    (bird, frame)
}

/// A place, a scale and a tilt for a bird, its head's centre in the frame.
fn bird_frame(dice: &mut Dice, bird: &Bird, size: f32) -> Frame {
    let tilt = if bird.flying { dice.angle(-60.0, 60.0) } else { dice.angle(-35.0, 60.0) };
    let turned = Frame::turned(tilt, dice.chance(0.5));
    let extent = size * dice.between(EXTENT.0, EXTENT.1);
    let frame = place(dice, turned, &bird.pieces, extent, size);
    let head = frame.to_image(bird.head);
    let margin = 0.7 * bird.head_radius * frame.scale;
    let inwards = |v: f32| v.clamp(margin, size - 1.0 - margin) - v;
    let origin = at(frame.origin.x + inwards(head.x), frame.origin.y + inwards(head.y));
    Frame { origin, ..frame }
}

/// The landmarks in the image, `None` where their part is not seen.
fn landmarks(bird: &Bird, frame: Frame, canvas: &Canvas) -> Vec<Option<Point>> {
    let own: [(Point, &[Part]); 3] = [
        (bird.head, &[Part::Head, Part::Eye, Part::Beak]),
        (bird.back, &[Part::Torso, Part::Neck]),
        (bird.tail, &[Part::Tail]),
    ];
    own.map(|(point, parts)| Some(frame.to_image(point)).filter(|p| is_visible(*p, parts, canvas))).to_vec()
}

/// Whether most pixels close to a position show one of the parts.
fn is_visible(position: Point, parts: &[Part], canvas: &Canvas) -> bool {
    let last = canvas.size() - 1.0;
    if !(0.0..=last).contains(&position.x) || !(0.0..=last).contains(&position.y) {
        return false;
    }
    let radius = (VISIBLE_RADIUS * canvas.size()).max(1.0);
    let range = |v: f32| (v - radius).round().max(0.0) as usize..=(v + radius).round().min(last) as usize;
    let (mut seen, mut all) = (0, 0);
    for y in range(position.y) {
        for x in range(position.x) {
            all += 1;
            seen += usize::from(parts.contains(&canvas.label(x, y)));
        }
    }
    2 * seen >= all
}

/// The box of the pieces, cut at the frame. A box counts from the first pixel's edge, a point from its
/// centre.
fn bounding_box(pieces: &[Piece], frame: Frame, size: f32) -> BoundingBox {
    let shown: Vec<Point> =
        pieces.iter().flat_map(|piece| &piece.outline).map(|&p| frame.to_image(p)).collect();
    let bounds = Bounds::of(&shown);
    let cut = |v: f32| (v + 0.5).clamp(0.0, size);
    BoundingBox {
        left: cut(bounds.left),
        top: cut(bounds.top),
        right: cut(bounds.right),
        bottom: cut(bounds.bottom),
    }
}

/// Takes the picture: the lens's blur, the light's colour and direction, the sensor's noise.
fn photograph(dice: &mut Dice, canvas: &mut Canvas) -> image::RgbImage {
    canvas.blur(dice.between(0.0, 0.25));
    let brightness = dice.between(0.75, 1.15);
    let tint = [0; 3].map(|_| brightness * dice.between(0.9, 1.1));
    let (sin, cos) = dice.angle(0.0, 360.0).sin_cos();
    let slope = dice.between(0.0, 0.5) / canvas.size();
    let half = 0.5 * canvas.size();
    let grain = dice.between(0.0, 0.06);
    canvas.develop(dice, grain, |p| {
        let light = 1.0 + slope * ((p.x - half) * cos + (p.y - half) * sin);
        tint.map(|c| c * light)
    })
}
