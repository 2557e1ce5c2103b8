//! Crosstalk and selectivity, worked by hand.

use explainer_metrics::{
    Halves, LandmarkData, LandmarkImages, LandmarkResponses, Responses, crosstalk, selectivity,
};

use crate::{DIAGONAL, close, value};

const IMAGES: usize = 8;
const PLACES: [[f64; 2]; 2] = [[20.0, 20.0], [70.0, 20.0]];

/// Two parts and two filters, in eight images. Moved by 20 px, the first part takes `follow[k]`
/// of it with filter k, and so the second; without a part, filter k loses `drops[part][k]`.
fn parts(follow: [f64; 2], drops: [[f64; 2]; 2]) -> Vec<(LandmarkImages, LandmarkResponses)> {
    let responses = |strengths: [f64; 2], moved: [f64; 2]| {
        let mut responses = Responses::new(2);
        for _ in 0..IMAGES {
            let peaks = [0, 1].map(|filter| [PLACES[filter][0], PLACES[filter][1] + moved[filter]]);
            responses.push(&strengths, &peaks).expect("finite responses");
        }
        responses
    };
    (0..2)
        .map(|part| {
            let [x, y] = PLACES[part];
            let images = LandmarkImages::new(vec![[x, y]; IMAGES], (0..IMAGES).collect(), DIAGONAL)
                .and_then(|images| images.with_pasted(vec![[x, y + 20.0]; IMAGES]))
                .expect("points");
            let original = responses([5.0; 2], [0.0; 2]);
            let without = responses([5.0 - drops[part][0], 5.0 - drops[part][1]], [0.0; 2]);
            let responses = LandmarkResponses::new(original.clone())
                .with_erased(without, original)
                .with_transplanted(responses([5.0; 2], follow.map(|share| share * 20.0)));
            (images, responses)
        })
        .collect()
}

fn data(parts: &[(LandmarkImages, LandmarkResponses)]) -> Vec<LandmarkData<'_>> {
    parts.iter().map(|(images, responses)| LandmarkData { images, responses }).collect()
}

#[test]
fn crosstalk_by_hand() {
    let halves = Halves::new(&(0..IMAGES).collect::<Vec<_>>(), 0);
    let parts = parts([0.25, 0.75], [[1.0; 2]; 2]);
    let result = crosstalk(&data(&parts), &halves).unwrap();
    // At least two filters count as best, and there are two: 0.25 and 0.75 of the other part.
    for part in &result {
        close(value(&part.best), 0.5);
        assert_eq!(part.best.as_ref().unwrap().standard_error(), 0.0);
    }
    let alone = crosstalk(&data(&parts)[..1], &halves).unwrap();
    assert_eq!(alone[0].best, None);
    assert!(crosstalk(&[], &halves).unwrap().is_empty());
}

#[test]
fn selectivity_by_hand() {
    let halves = Halves::new(&(0..IMAGES).collect::<Vec<_>>(), 0);
    let of = |drops| {
        let parts = parts([0.0; 2], drops);
        selectivity(&data(&parts), &halves, 0).unwrap().unwrap()
    };
    // Rows are the parts that go: each filter misses its own most; only the first does; neither;
    // and where nothing is missed, both parts tie.
    assert_eq!(of([[2.0, 1.0], [1.0, 3.0]]).value, 1.0);
    assert_eq!(of([[2.0, 4.0], [1.0, 3.0]]).value, 0.5);
    assert_eq!(of([[0.0, 4.0], [1.0, 3.0]]).value, 0.0);
    let blind = of([[0.0; 2]; 2]);
    assert_eq!((blind.value, blind.standard_error), (0.5, 0.0));
}

#[test]
fn selectivity_needs_two_parts_that_were_erased() {
    let halves = Halves::new(&(0..IMAGES).collect::<Vec<_>>(), 0);
    let mut parts = parts([0.0; 2], [[1.0; 2]; 2]);
    assert_eq!(selectivity(&data(&parts)[..1], &halves, 0), Ok(None));
    parts[1].1.erased = None;
    assert_eq!(selectivity(&data(&parts), &halves, 0), Ok(None));
}
