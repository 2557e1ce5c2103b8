//! Birds of species that differ in the shapes of their parts, drawn by rule, and scenes without one.

mod bird;
mod by_shape;
mod canvas;
mod config;
mod outline;
mod plan;
mod plumage;
mod random;
mod scenery;
mod shape;
mod species;
#[cfg(test)]
mod tests;

use crate::{BoundingBox, Change, Dataset, DatasetError, PartMask, Point, Rendered, Sample, Split};
use bird::Bird;
pub use by_shape::SpeciesByShape;
use canvas::{Canvas, Label};
pub use config::SyntheticSpeciesConfig;
use outline::Bounds;
use plan::{Drawn, Plan};
use random::{Dice, Noise};
use scenery::Ground;
use species::{PARTS, Part, SPECIES, shapes};

/// Share of the birds of which a part is hidden on purpose.
const HIDDEN: f32 = 1.0 / 3.0;
/// Share of those where it is out of view; else it is behind leaves.
const OUT_OF_VIEW: f32 = 0.3;
/// Share of those where leaves hide one more part.
const TWO_HIDDEN: f32 = 0.1;
/// Radius of the leaves that hide a part, over its extent.
const COVER: f32 = 0.55;
/// The least share of a part's pixels by which it counts as seen.
const SEEN: f32 = 0.4;
/// Share of the negatives with a torso in them, and of those with a head on it.
const TORSO: f32 = 0.6;
const HEAD: f32 = 0.5;

/// What has random numbers of its own, so that nothing else depends on how many it draws.
#[derive(Clone, Copy)]
enum Thing {
    Noise,
    Ground,
    ObjectCount,
    Pose,
    Paint,
    Hiding,
    Camera,
    Kind,
    Object(usize),
}

/// Streams of random numbers that a sample may use.
const STREAMS: u64 = 32;

/// Birds of eight species, and scenes without one, with exact landmarks, masks and boxes; drawn on demand, never stored.
///
/// The species are told apart by the shapes of five parts and by nothing else: beak, crest, wing, tail and feet. Each part
/// has two shapes, and each shape is that of four species. Any two species differ in at least two parts, so that with one
/// part hidden the others still tell the species. A category is a species; scenes without a bird are negatives.
///
/// | part | one shape | the other |
/// |---|---|---|
/// | beak | long, thin, straight | short, thick, hooked |
/// | crest | three spikes | a ball on a stalk |
/// | wing | long and pointed | round, with a scalloped edge |
/// | tail | long and forked | a broad round fan |
/// | feet | long thin legs, webbed | short thick legs, three toes each |
///
/// The n-th bird is of species `n % 8`. Its build, pose, place, size, paints and textures, the light and what lies around
/// do not depend on it. All parts take their colours from the same distribution. The idea is that of FunnyBirds
/// (arXiv:2308.06248): as the parts are known, an image can be drawn again without one of them ([`Rendered`]).
///
/// One to four objects lie behind a bird: stones, leaves, twigs, berries, rings, crosses, bricks. Negatives show more of
/// them, and often a torso or a torso with a head, but none of the five parts.
///
/// # Landmarks and masks
///
/// A part's mask holds the pixels that show it, and its landmark is their centre. Both are `None` where less than 40 % of
/// the part's pixels are seen. In a third of the birds a part is hidden on purpose, rarely two: behind leaves, or over the
/// frame's edge. The pose hides some more. The box holds the whole bird, hidden or not, as far as the frame shows it.
///
/// A sample is a pure function of the configuration's seed and size and of the index; samples can be drawn from several
/// threads at once. The n-th bird and the n-th negative stay the same whatever the numbers of both.
#[derive(Clone, Debug)]
pub struct SyntheticSpecies {
    config: SyntheticSpeciesConfig,
    categories: Vec<String>,
    landmark_names: Vec<String>,
}

impl SyntheticSpecies {
    /// Checks the configuration; draws nothing yet.
    ///
    /// # Errors
    ///
    /// If the images are smaller than 32 pixels a side, or the validation share lies outside `[0, 1]`.
    pub fn new(config: SyntheticSpeciesConfig) -> Result<SyntheticSpecies, DatasetError> {
        config.check()?;
        Ok(SyntheticSpecies {
            config,
            categories: SPECIES.map(str::to_owned).to_vec(),
            landmark_names: Part::ALL.map(|part| part.name().to_owned()).to_vec(),
        })
    }

    /// Whether `index` is a bird, and its rank among its kind.
    fn rank(&self, index: usize) -> (bool, usize) {
        assert!(index < self.len(), "index {index} of a set of {} samples", self.len());
        let is_bird = index < self.config.birds;
        (is_bird, if is_bird { index } else { index - self.config.birds })
    }

    fn check_index(&self, index: usize) -> Result<(), DatasetError> {
        if index < self.len() {
            return Ok(());
        }
        Err(DatasetError::Index { dataset: self.name().to_string(), len: self.len(), index })
    }

    /// The side in pixels.
    fn size(&self) -> f32 {
        self.config.size as f32
    }

    /// The random numbers of one thing in a sample.
    fn dice(&self, index: usize, thing: Thing) -> Dice {
        let (is_bird, rank) = self.rank(index);
        // Birds have the even numbers, negatives the odd ones.
        let sample = 2 * rank as u64 + u64::from(!is_bird);
        let stream = match thing {
            Thing::Noise => 0,
            Thing::Ground => 1,
            Thing::ObjectCount => 2,
            Thing::Pose => 3,
            Thing::Paint => 4,
            Thing::Hiding => 5,
            Thing::Camera => 6,
            Thing::Kind => 7,
            Thing::Object(object) => 8 + object as u64,
        };
        Dice::new(self.config.seed, STREAMS * sample + stream)
    }

    /// The scene as it is.
    fn plan(&self, index: usize) -> Plan {
        Plan::new(self.category(index), self.objects(index))
    }

    /// The bird of a sample, or the one whose torso a negative may show, and which parts of it leaves are to hide.
    fn bird(&self, index: usize, ground: &Ground) -> (Bird, Vec<Part>, Dice) {
        let (mut pose, mut paint) = (self.dice(index, Thing::Pose), self.dice(index, Thing::Paint));
        let mut bird = Bird::draw(&mut pose, &mut paint, ground.colour(), self.size());
        let mut dice = self.dice(index, Thing::Hiding);
        let [hides, out, two] = [HIDDEN, OUT_OF_VIEW, TWO_HIDDEN].map(|share| dice.chance(share));
        let first = dice.count(0, PARTS - 1);
        let second = (first + dice.count(1, PARTS - 1)) % PARTS;
        let [first, second] = [first, second].map(|part| Part::ALL[part]);
        // A wing out of view would take most of the bird with it.
        let out = out && first != Part::Wing;
        let mut behind_leaves = Vec::new();
        if hides && out {
            bird.push_out(first, self.size());
        } else if hides {
            behind_leaves.push(first);
        }
        if hides && two {
            behind_leaves.push(second);
        }
        (bird, behind_leaves, dice)
    }

    /// Paints a scene.
    fn paint(&self, index: usize, plan: &Plan) -> Scene {
        let noise = Noise::new(&mut self.dice(index, Thing::Noise));
        let ground = Ground::draw(&mut self.dice(index, Thing::Ground));
        let mut canvas = if plan.ground {
            ground.paint(&noise, self.config.size)
        } else {
            Canvas::new(self.config.size, |_| ground.colour())
        };
        for (object, _) in plan.objects.iter().enumerate().filter(|(_, shown)| **shown) {
            scenery::object(&mut self.dice(index, Thing::Object(object)), &noise, &mut canvas);
        }
        let (bird, behind_leaves, mut leaves) = self.bird(index, &ground);
        match &plan.parts {
            Some(parts) => paint_bird(&bird, parts, &noise, &mut canvas),
            None => self.paint_torso(index, &bird, &noise, &mut canvas),
        }
        for part in behind_leaves {
            let bounds = bird.bounds(part);
            let radius = COVER * bounds.width().max(bounds.height());
            scenery::bush(&mut leaves, &noise, &mut canvas, bounds.center(), radius);
        }
        let masks = match &plan.parts {
            Some(parts) => masks(&bird, parts, &canvas),
            None => vec![None; PARTS],
        };
        Scene {
            canvas,
            masks,
            bounding_box: plan.parts.as_ref().map(|parts| self.bounding_box(&bird, parts)),
        }
    }

    /// What a negative shows of a bird: often a torso, at times with a head.
    fn paint_torso(&self, index: usize, bird: &Bird, noise: &Noise, canvas: &mut Canvas) {
        let mut kind = self.dice(index, Thing::Kind);
        let [torso, head] = [TORSO, HEAD].map(|share| kind.chance(share));
        if torso {
            bird.paint_torso(canvas, noise, Label::Scenery);
        }
        if torso && head {
            bird.paint_head(canvas, noise, Label::Scenery);
        }
    }

    /// The box of all that is drawn, cut at the frame. A box counts from the first pixel's edge, a point from its centre.
    fn bounding_box(&self, bird: &Bird, parts: &[Drawn; PARTS]) -> BoundingBox {
        let shown = Part::ALL.into_iter().zip(parts).filter(|(_, drawn)| drawn.shown);
        let shown = shown.flat_map(|(part, drawn)| bird.shown(part, drawn.shape, drawn.moved)).flatten();
        let points: Vec<Point> = shown.chain(bird.shown_body()).collect();
        let bounds = Bounds::of(&points);
        let cut = |v: f32| (v + 0.5).clamp(0.0, self.size());
        BoundingBox {
            left: cut(bounds.left),
            top: cut(bounds.top),
            right: cut(bounds.right),
            bottom: cut(bounds.bottom),
        }
    }

    /// The sample that a plan describes.
    fn draw(&self, index: usize, plan: &Plan) -> Sample {
        let (is_bird, rank) = self.rank(index);
        let mut scene = self.paint(index, plan);
        Sample {
            id: format!("{}-{rank:06}", if is_bird { "bird" } else { "negative" }),
            image: photograph(&mut self.dice(index, Thing::Camera), &mut scene.canvas),
            category: self.category(index),
            bounding_box: scene.bounding_box,
            landmarks: scene.masks.iter().map(|mask| mask.as_ref().map(PartMask::center)).collect(),
            masks: scene.masks,
        }
    }
}

/// A painted scene before it is photographed.
struct Scene {
    canvas: Canvas,
    masks: Vec<Option<PartMask>>,
    bounding_box: Option<BoundingBox>,
}

impl Dataset for SyntheticSpecies {
    fn name(&self) -> &str {
        "synthetic species"
    }

    fn len(&self) -> usize {
        self.config.birds + self.config.negatives
    }

    /// # Errors
    ///
    /// If there is no such index.
    fn sample(&self, index: usize) -> Result<Sample, DatasetError> {
        self.changed(index, &[])
    }

    fn categories(&self) -> &[String] {
        &self.categories
    }

    fn landmark_names(&self) -> &[String] {
        &self.landmark_names
    }

    /// It does: a part that is not seen has no landmark.
    fn states_visibility(&self) -> bool {
        true
    }

    /// Every so many birds of a species, and every so many negatives, one is for validation; the species take turns.
    fn split(&self, index: usize) -> Split {
        let (is_bird, rank) = self.rank(index);
        let (rank, turn) = if is_bird { (rank / SPECIES.len(), rank % SPECIES.len()) } else { (rank, 0) };
        let share = f64::from(self.config.validation_share);
        let until = |n: usize| (n as f64 * share + turn as f64 / SPECIES.len() as f64 + 1e-6).floor();
        if until(rank + 1) > until(rank) { Split::Validation } else { Split::Train }
    }

    fn category(&self, index: usize) -> Option<usize> {
        let (is_bird, rank) = self.rank(index);
        is_bird.then_some(rank % SPECIES.len())
    }

    /// The extent in the image. The bird is drawn for it, but not painted.
    fn box_extent(&self, index: usize) -> Option<[f32; 2]> {
        let parts = self.plan(index).parts?;
        let ground = Ground::draw(&mut self.dice(index, Thing::Ground));
        let bird = self.bounding_box(&self.bird(index, &ground).0, &parts);
        Some([bird.right - bird.left, bird.bottom - bird.top])
    }

    /// A negative has none. What hides a bird's landmarks is known only once it is painted, so that this
    /// takes about as long as [`sample`](Dataset::sample).
    fn has_landmark(&self, index: usize, landmark: usize) -> bool {
        assert!(landmark < PARTS, "landmark {landmark} of {:?}", self.landmark_names);
        self.rank(index).0 && self.paint(index, &self.plan(index)).masks[landmark].is_some()
    }

    fn has_landmarks(&self, index: usize) -> bool {
        self.rank(index).0 && self.paint(index, &self.plan(index)).masks.iter().any(Option::is_some)
    }

    fn rendered(&self) -> Option<&dyn Rendered> {
        Some(self)
    }
}

impl Rendered for SyntheticSpecies {
    fn objects(&self, index: usize) -> usize {
        let (low, high) = if self.rank(index).0 { (1, 4) } else { (3, 7) };
        self.dice(index, Thing::ObjectCount).count(low, high)
    }

    fn changed(&self, index: usize, changes: &[Change]) -> Result<Sample, DatasetError> {
        self.check_index(index)?;
        let mut plan = self.plan(index);
        for &change in changes {
            plan.change(self.category(index), change)?;
        }
        Ok(self.draw(index, &plan))
    }

    fn shape(&self, category: usize, part: usize) -> usize {
        assert!(category < SPECIES.len(), "category {category} of {SPECIES:?}");
        assert!(part < PARTS, "part {part} of {:?}", self.landmark_names);
        shapes(category)[part]
    }
}

/// Paints a bird from back to front.
fn paint_bird(bird: &Bird, parts: &[Drawn; PARTS], noise: &Noise, canvas: &mut Canvas) {
    let paint = |canvas: &mut Canvas, part: Part| {
        let Drawn { shape, moved, shown } = parts[part as usize];
        if shown {
            bird.paint_part(canvas, noise, part, shape, moved);
        }
    };
    paint(canvas, Part::Tail);
    paint(canvas, Part::Feet);
    bird.paint_torso(canvas, noise, Label::Body);
    paint(canvas, Part::Crest);
    paint(canvas, Part::Beak);
    bird.paint_head(canvas, noise, Label::Body);
    paint(canvas, Part::Wing);
}

/// The visible pixels of each part, `None` where they are too small a share of it.
fn masks(bird: &Bird, parts: &[Drawn; PARTS], canvas: &Canvas) -> Vec<Option<PartMask>> {
    let side = canvas.size() as usize;
    let mut seen = [0; PARTS];
    let mut bounds = [[side as u32, side as u32, 0, 0]; PARTS];
    for (x, y) in (0..side * side).map(|i| (i % side, i / side)) {
        if let Label::Part(part) = canvas.label(x, y) {
            seen[part as usize] += 1;
            let [left, top, right, bottom] = &mut bounds[part as usize];
            let (x, y) = (x as u32, y as u32);
            (*left, *top) = (x.min(*left), y.min(*top));
            (*right, *bottom) = ((x + 1).max(*right), (y + 1).max(*bottom));
        }
    }
    let mask = |(part, drawn): (Part, &Drawn)| {
        let whole = canvas::area(&bird.shown(part, drawn.shape, drawn.moved));
        let seen = seen[part as usize];
        if seen == 0 || (seen as f32) < SEEN * whole as f32 {
            return None;
        }
        let shows = |x: u32, y: u32| canvas.label(x as usize, y as usize) == Label::Part(part);
        PartMask::within(bounds[part as usize], [side as u32; 2], shows)
    };
    Part::ALL.into_iter().zip(parts).map(mask).collect()
}

/// Takes the picture: the lens's blur, the light's colour and direction, the sensor's noise.
fn photograph(dice: &mut Dice, canvas: &mut Canvas) -> image::RgbImage {
    canvas.blur(dice.between(0.0, 0.2));
    let brightness = dice.between(0.75, 1.15);
    let tint = [0; 3].map(|_| brightness * dice.between(0.9, 1.1));
    let (sin, cos) = dice.angle(0.0, 360.0).sin_cos();
    let slope = dice.between(0.0, 0.5) / canvas.size();
    let half = 0.5 * canvas.size();
    let grain = dice.between(0.0, 0.05);
    canvas.develop(dice, grain, |p| {
        let light = 1.0 + slope * ((p.x - half) * cos + (p.y - half) * sin);
        tint.map(|c| c * light)
    })
}
