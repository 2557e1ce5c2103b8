//! Does a filter fall silent where its part is not visible?

use super::{
    Figure, LandmarkMatching, MatchedFigure,
    landmark::check_length,
    terms::{both_ways, clustered},
};
use crate::{MetricsError, Responses};

/// The images in which a part may be visible or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceImages {
    visible: Vec<bool>,
    strata: Vec<usize>,
    photos: Vec<usize>,
}

impl PresenceImages {
    /// Of each image: whether the part is visible, the stratum of images with which it can be
    /// compared (those of one side faced and like scale; any number for each), and its source
    /// photograph.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Length`] if there are not as many of each.
    pub fn new(visible: Vec<bool>, strata: Vec<usize>, photos: Vec<usize>) -> Result<Self, MetricsError> {
        check_length("strata of the images", visible.len(), strata.len())?;
        check_length("photographs of the images", visible.len(), photos.len())?;
        Ok(Self { visible, strata, photos })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.visible.len()
    }
}

/// Presence AUC: the share of pairs of images of one stratum, the part visible in x and not in y,
/// with `s_k(x) > s_k(y)`, ties ½:
///
/// `AUC = Σ_strata Σ_{x, y} [s_k(x) > s_k(y)] / Σ_strata (number of pairs)`.
///
/// 1 for a filter that falls silent without its part, 0.5 for one that does not know. Filters are
/// matched to the part's landmark (`matching`) on one half of the photographs, and measured and
/// averaged on the other as in [`landmark_evidence`](crate::landmark_evidence). Not measured
/// where there is no pair.
///
/// The influence of an image on the AUC is the sum over its pairs of `[…] − AUC`, divided by the
/// number of all pairs (DeLong, DeLong and Clarke-Pearson, *Biometrics* 44, 1988).
///
/// # Errors
///
/// [`MetricsError::Length`] if the tables do not fit, [`MetricsError::UnknownPhoto`] if a
/// photograph is in neither half.
pub fn presence_auc(
    images: &PresenceImages,
    responses: &Responses,
    matching: &LandmarkMatching,
) -> Result<MatchedFigure, MetricsError> {
    check_length("responses to the images", images.images(), responses.images())?;
    matching.check(responses.filters())?;
    let halves = matching.halves().images(&images.photos)?;
    let groups = halves.map(|half| groups(images, &half));
    Ok(both_ways(matching, responses.filters(), |filter, half| {
        auc(&groups[half], &images.photos, |image| responses.strength(filter, image))
    }))
}

/// Images of one stratum in which the part is visible, and those in which it is not.
type Group = [Vec<usize>; 2];

fn groups(images: &PresenceImages, among: &[usize]) -> Vec<Group> {
    let mut groups = std::collections::BTreeMap::<usize, Group>::new();
    for &image in among {
        let group = groups.entry(images.strata[image]).or_default();
        group[usize::from(!images.visible[image])].push(image);
    }
    groups.into_values().filter(|group| group.iter().all(|images| !images.is_empty())).collect()
}

fn auc(groups: &[Group], photos: &[usize], strength: impl Fn(usize) -> f64) -> Option<Figure> {
    // Of each image: photograph, sum of its outcomes, number of its pairs.
    let mut outcomes = Vec::new();
    let (mut won, mut pairs) = (0.0, 0.0);
    for group in groups {
        let sorted = group.each_ref().map(|images| {
            let mut strengths: Vec<f64> = images.iter().map(|&image| strength(image)).collect();
            strengths.sort_unstable_by(f64::total_cmp);
            strengths
        });
        for (part, images) in group.iter().enumerate() {
            let others = &sorted[1 - part];
            for &image in images {
                let own = strength(image);
                let below = others.partition_point(|&other| other < own);
                let not_above = others.partition_point(|&other| other <= own);
                let beaten = (below + not_above) as f64 / 2.0;
                let all = others.len() as f64;
                let outcome = if part == 0 { beaten } else { all - beaten };
                outcomes.push((photos[image], outcome, all));
                if part == 0 {
                    (won, pairs) = (won + outcome, pairs + all);
                }
            }
        }
    }
    if pairs == 0.0 {
        return None;
    }
    let value = won / pairs;
    clustered(
        value,
        outcomes.into_iter().map(|(photo, won, all)| (photo, (won - value * all) / pairs)).collect(),
    )
}
