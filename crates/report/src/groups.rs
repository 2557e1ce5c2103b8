//! Groups of filters that fire at one place: parts without labels.

use std::cmp::{Ordering, Reverse};

use explainer_metrics::{Landmarks, Peaks, ReceptiveField};
use kodama::{Method, linkage};

/// Filters whose peaks lie within so many units of one another, on average over pairs, are of one part: a peak
/// is a unit off by the grid alone.
const SAME_PART: f64 = 2.0;
/// A pair of filters is compared on the images in which both are among their strongest; with fewer than
/// this many in common, nothing says that they belong together.
const COMMON_IMAGES: usize = 5;
/// A filter is looked at in this share of the images in which it fired, its strongest: the faint rest is noise.
const STRONGEST_SHARE: f64 = 0.5;
/// A group of fewer filters is no part: they stay scattered.
const LEAST_FILTERS: usize = 2;
/// At most so many groups, the largest.
const MOST_GROUPS: usize = 10;

/// Filters that fire at one place of the object.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The filters, the most typical first: the one nearest to all others.
    pub filters: Vec<usize>,
    /// Mean over pairs of the median distance of their peaks, over the image's diagonal.
    pub width: f64,
    /// The landmark that the group lies nearest to, where landmarks are known.
    pub landmark: Option<NearLandmark>,
}

/// A landmark and how a group lies to it.
#[derive(Clone, Debug, PartialEq)]
pub struct NearLandmark {
    /// Its number among the set's landmarks.
    pub landmark: usize,
    /// Median distance of the group's peaks from it, over the image's diagonal.
    pub distance: f64,
    /// Standard deviation of their displacement from it (both axes), over the image's diagonal.
    pub spread: f64,
}

/// The groups, and the live filters that belong to none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// The largest first.
    pub groups: Vec<Group>,
    /// Filters that fired but are of no group.
    pub scattered: Vec<usize>,
}

/// Where filters fire, in pixels, in the images that count.
struct Places {
    filters: Vec<usize>,
    /// For each filter and image, if it is among the filter's strongest.
    at: Vec<Vec<Option<[f64; 2]>>>,
    diagonal: f64,
}

impl Places {
    fn of(peaks: &Peaks, field: &ReceptiveField, diagonal: f64) -> Self {
        let filters = peaks.live_filters();
        let at = filters.iter().map(|&filter| strongest(peaks, field, filter)).collect();
        Self { filters, at, diagonal }
    }

    /// The median distance between the peaks of two filters, over the diagonal; 1 if they are seldom seen
    /// together.
    fn distance(&self, first: usize, second: usize) -> f64 {
        let both =
            self.at[first].iter().zip(&self.at[second]).filter_map(|(p, q)| Some((p.as_ref()?, q.as_ref()?)));
        let mut distances: Vec<f64> = both.map(|(p, q)| (p[0] - q[0]).hypot(p[1] - q[1])).collect();
        if distances.len() < COMMON_IMAGES { 1.0 } else { median(&mut distances) / self.diagonal }
    }
}

fn strongest(peaks: &Peaks, field: &ReceptiveField, filter: usize) -> Vec<Option<[f64; 2]>> {
    let strength = |image: usize| peaks.get(filter, image).strength;
    let mut fired: Vec<usize> = (0..peaks.images()).filter(|&image| peaks.fired(filter, image)).collect();
    fired.sort_by(|&a, &b| strength(b).total_cmp(&strength(a)));
    fired.truncate((STRONGEST_SHARE * fired.len() as f64).ceil() as usize);
    let mut at = vec![None; peaks.images()];
    for image in fired {
        let peak = peaks.get(filter, image);
        at[image] = Some([peak.column, peak.row].map(|unit| field.pixel(usize::from(unit))));
    }
    at
}

/// The lower median of some values; they are put in another order.
fn median(values: &mut [f64]) -> f64 {
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

impl Groups {
    /// Groups live filters by where they fire relative to one another: average linkage of the median
    /// distances between their peaks, cut where groups are two units apart.
    ///
    /// # Panics
    /// If `landmarks` are of another number of images.
    pub fn of(peaks: &Peaks, field: &ReceptiveField, landmarks: Option<&Landmarks>, diagonal: f64) -> Self {
        let places = Places::of(peaks, field, diagonal);
        let count = places.filters.len();
        let below = |first| (0..first).map(|second| places.distance(first, second)).collect();
        let below: Vec<Vec<f64>> = (0..count).map(below).collect();
        let distance = |first: usize, second: usize| match first.cmp(&second) {
            Ordering::Equal => 0.0,
            Ordering::Greater => below[first][second],
            Ordering::Less => below[second][first],
        };
        let row = |first| (0..count).map(|second| distance(first, second)).collect();
        let distances: Vec<Vec<f64>> = (0..count).map(row).collect();
        let mut clusters = clusters(&distances, SAME_PART * field.stride / diagonal);
        clusters.sort_by_key(|cluster| (Reverse(cluster.len()), cluster[0]));
        let mut found = Self::default();
        for mut cluster in clusters {
            let far = |one: usize| cluster.iter().map(|&other| distances[one][other]).sum::<f64>();
            let mut by_distance: Vec<(f64, usize)> = cluster.iter().map(|&one| (far(one), one)).collect();
            if cluster.len() < LEAST_FILTERS || found.groups.len() == MOST_GROUPS {
                found.scattered.extend(cluster.iter().map(|&one| places.filters[one]));
                continue;
            }
            by_distance.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let pairs = (cluster.len() * (cluster.len() - 1)) as f64;
            let width = by_distance.iter().map(|(far, _)| far).sum::<f64>() / pairs;
            cluster = by_distance.into_iter().map(|(_, one)| one).collect();
            let landmark = landmarks.and_then(|landmarks| nearest(&places, &cluster, landmarks));
            let filters = cluster.into_iter().map(|one| places.filters[one]).collect();
            found.groups.push(Group { filters, width, landmark });
        }
        found.scattered.sort_unstable();
        found
    }

    /// The group of a filter.
    pub fn group_of(&self, filter: usize) -> Option<usize> {
        self.groups.iter().position(|group| group.filters.contains(&filter))
    }
}

/// Clusters of average linkage up to `width`, each in ascending order.
fn clusters(distances: &[Vec<f64>], width: f64) -> Vec<Vec<usize>> {
    let count = distances.len();
    let mut condensed: Vec<f64> =
        (0..count).flat_map(|row| distances[row][row + 1..].iter().copied()).collect();
    let mut members: Vec<Option<Vec<usize>>> = (0..count).map(|one| Some(vec![one])).collect();
    if count > 1 {
        for step in linkage(&mut condensed, count, Method::Average).steps() {
            let together = (step.dissimilarity <= width)
                .then(|| members[step.cluster1].take().zip(members[step.cluster2].take()))
                .flatten();
            members.push(together.map(|(one, other)| [one, other].concat()));
        }
    }
    let mut clusters: Vec<Vec<usize>> = members.into_iter().flatten().collect();
    clusters.iter_mut().for_each(|cluster| cluster.sort_unstable());
    clusters
}

/// The landmark nearest to the peaks of a cluster.
fn nearest(places: &Places, cluster: &[usize], landmarks: &Landmarks) -> Option<NearLandmark> {
    let of = |landmark: usize| {
        let displaced = cluster.iter().flat_map(|&one| places.at[one].iter().enumerate());
        let displaced: Vec<[f64; 2]> = displaced
            .filter_map(|(image, place)| {
                let (place, landmark) = ((*place)?, landmarks.get(image, landmark)?);
                Some([place[0] - landmark[0], place[1] - landmark[1]])
            })
            .collect();
        let mut distances: Vec<f64> = displaced.iter().map(|d| d[0].hypot(d[1])).collect();
        if distances.is_empty() {
            return None;
        }
        let count = displaced.len() as f64;
        let mean = [0, 1].map(|axis| displaced.iter().map(|d| d[axis]).sum::<f64>() / count);
        let square = |d: &[f64; 2]| (d[0] - mean[0]).powi(2) + (d[1] - mean[1]).powi(2);
        let spread = (displaced.iter().map(square).sum::<f64>() / count).sqrt() / places.diagonal;
        Some(NearLandmark { landmark, distance: median(&mut distances) / places.diagonal, spread })
    };
    let found = (0..landmarks.len()).filter_map(of);
    found.min_by(|a, b| a.distance.total_cmp(&b.distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six filters on 20 × 20 pixels: 0, 2 and 5 follow one place, 1 and 4 another that moves otherwise, 3
    /// fires anywhere; 6 is dead.
    fn peaks() -> (Peaks, Landmarks) {
        let mut peaks = Peaks::new(7, [20, 20]);
        let mut landmarks = Landmarks::new(["head", "tail"]);
        for image in 0..40usize {
            let (head, tail) = ([image * 7 % 18, image * 3 % 17], [19 - image % 19, image * 11 % 19]);
            let mut maps = vec![0.0; 7 * 400];
            let mut fire = |filter: usize, [row, column]: [usize; 2]| {
                maps[filter * 400 + row * 20 + column] = 1.0 + image as f32;
            };
            fire(0, head);
            fire(2, [head[0], head[1] + 1]);
            fire(5, [head[0] + 1, head[1]]);
            fire(1, tail);
            fire(4, tail);
            fire(3, [image * 13 % 20, (image * image + 5) % 20]);
            peaks.push(&maps).unwrap();
            let point = |[row, column]: [usize; 2]| Some([column as f64, row as f64]);
            landmarks.push([point(head), point(tail)]);
        }
        (peaks, landmarks)
    }

    #[test]
    fn filters_that_fire_together_are_one_part() {
        let (peaks, landmarks) = peaks();
        let diagonal = 20f64.hypot(20.0);
        let found = Groups::of(&peaks, &ReceptiveField::pixels(), Some(&landmarks), diagonal);
        assert_eq!(found.groups.len(), 2, "{found:?}");
        let [head, tail] = &found.groups[..] else { panic!("two groups") };
        assert_eq!((&head.filters, &tail.filters), (&vec![0, 2, 5], &vec![1, 4]));
        assert_eq!(found.scattered, [3]);
        assert_eq!((found.group_of(5), found.group_of(4), found.group_of(3)), (Some(0), Some(1), None));
        // Distances 1, 1 and √2 between the three.
        assert!((head.width * diagonal - (2.0 + 2f64.sqrt()) / 3.0).abs() < 1e-9, "{}", head.width);
        let near = |group: &Group| group.landmark.clone().unwrap();
        assert_eq!((near(head).landmark, near(tail).landmark), (0, 1));
        assert_eq!((near(tail).distance, near(tail).spread), (0.0, 0.0));
        // Displacements (0, 0), (1, 0), (0, 1) in equal numbers: mean (1/3, 1/3), mean square distance 4/9.
        assert!((near(head).spread * diagonal - 2.0 / 3.0).abs() < 1e-9, "{:?}", near(head));
        assert!((near(head).distance * diagonal - 1.0).abs() < 1e-9);
    }

    #[test]
    fn without_landmarks_and_without_filters() {
        let (peaks, _) = peaks();
        let found = Groups::of(&peaks, &ReceptiveField::pixels(), None, 28.0);
        assert!(found.groups.iter().all(|group| group.landmark.is_none()));
        let dead = Groups::of(&Peaks::dead(3, 9, [4, 4]), &ReceptiveField::pixels(), None, 6.0);
        assert_eq!(dead, Groups::default());
    }

    #[test]
    fn filters_that_are_never_seen_together_stay_apart() {
        let mut peaks = Peaks::new(2, [5, 5]);
        for image in 0..40 {
            let mut maps = vec![0.0; 50];
            maps[if image % 2 == 0 { 12 } else { 37 }] = 1.0;
            peaks.push(&maps).unwrap();
        }
        let found = Groups::of(&peaks, &ReceptiveField::pixels(), None, 7.0);
        assert_eq!((found.groups.len(), found.scattered), (0, vec![0, 1]));
    }
}
