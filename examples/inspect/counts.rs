//! How many samples a set has, and how many have each landmark.

use explainer_datasets::{Dataset, Split};

/// A line for each category and split, and for the negatives.
pub fn table(set: &dyn Dataset) -> String {
    let (names, categories) = (set.landmark_names(), set.categories());
    // Category by category, training and validation: samples, and those with each landmark.
    let mut counts = vec![[vec![0; names.len() + 1], vec![0; names.len() + 1]]; categories.len() + 1];
    for index in 0..set.len() {
        let side = usize::from(set.split(index) == Split::Validation);
        let counts = &mut counts[set.category(index).unwrap_or(categories.len())][side];
        counts[0] += 1;
        for (landmark, count) in counts[1..].iter_mut().enumerate() {
            *count += usize::from(set.has_landmark(index, landmark));
        }
    }
    let mut text = format!("{}: {} samples\n{:<32}{:<12}{:>9}", set.name(), set.len(), "", "", "samples");
    text.extend(names.iter().map(|name| format!("{name:>13}")));
    text += "\n";
    let titles = categories.iter().map(String::as_str).chain(["(negatives)"]);
    for (title, sides) in titles.zip(counts) {
        for (split, counts) in ["training", "validation"].iter().zip(sides) {
            text += &format!("{title:<32}{split:<12}{:>9}", counts[0]);
            text.extend(counts[1..].iter().map(|count| format!("{count:>13}")));
            text += "\n";
        }
    }
    text
}
