//! Aggregates over filters.

use serde::{Deserialize, Deserializer, Serialize};

/// The distribution of a share (1 is best) over filters.
///
/// Serialises as `{"mean", "median", "p90", "above_025", "above_050"}`. Over no values, all are
/// NaN (`null` in JSON).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Arithmetic mean.
    #[serde(deserialize_with = "nan_or_null")]
    pub mean: f64,
    /// Median.
    #[serde(deserialize_with = "nan_or_null")]
    pub median: f64,
    /// 90th percentile.
    #[serde(deserialize_with = "nan_or_null")]
    pub p90: f64,
    /// Share of the values above 0.25.
    #[serde(deserialize_with = "nan_or_null")]
    pub above_025: f64,
    /// Share of the values above 0.5.
    #[serde(deserialize_with = "nan_or_null")]
    pub above_050: f64,
}

impl Summary {
    /// Summarises `values`.
    ///
    /// Percentiles are interpolated linearly between the two nearest ranks, `q · (n − 1)`
    /// counted from 0 (NumPy's default).
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let above = |threshold: f64| mean(values.iter().map(|&v| f64::from(v > threshold)));
        Self {
            mean: mean(values.iter().copied()),
            median: quantile(&values, 0.5),
            p90: quantile(&values, 0.9),
            above_025: above(0.25),
            above_050: above(0.5),
        }
    }
}

/// Arithmetic mean; NaN of nothing.
pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / count
}

/// Linearly interpolated quantile of ascending values; NaN of nothing.
fn quantile(ascending: &[f64], q: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return f64::NAN;
    };
    let rank = q * last as f64;
    let below = rank.floor() as usize;
    let above = (below + 1).min(last);
    ascending[below] + (rank - below as f64) * (ascending[above] - ascending[below])
}

/// JSON has no NaN and writes `null`: reads it back.
pub(crate) fn nan_or_null<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or(f64::NAN))
}

/// [`nan_or_null`] for lists.
pub(crate) fn nans_or_nulls<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<f64>, D::Error> {
    let values: Vec<Option<f64>> = Vec::deserialize(input)?;
    Ok(values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_by_hand() {
        // Ranks 0..=3: the median lies at 1.5, the 90th percentile at 2.7.
        let summary = Summary::of([0.6, 0.0, 0.5, 0.25]);
        assert!((summary.mean - 0.3375).abs() < 1e-15);
        assert!((summary.median - 0.375).abs() < 1e-15);
        assert!((summary.p90 - 0.57).abs() < 1e-15);
        assert_eq!((summary.above_025, summary.above_050), (0.5, 0.25));
        assert_eq!(Summary::of([0.7]).p90, 0.7);
    }

    #[test]
    fn json() {
        let json = serde_json::to_string(&Summary::of([0.5, 0.75])).unwrap();
        assert_eq!(json, r#"{"mean":0.625,"median":0.625,"p90":0.725,"above_025":1.0,"above_050":0.5}"#);
        let nothing = serde_json::to_string(&Summary::of([])).unwrap();
        assert!(nothing.starts_with(r#"{"mean":null,"#));
        let back: Summary = serde_json::from_str(&nothing).unwrap();
        assert!(back.mean.is_nan() && back.above_050.is_nan());
    }
}
