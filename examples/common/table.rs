//! The figures as a table for people.

use explainer_evaluation::{Took, names};
use explainer_metrics::Summary;
use explainer_report::{Trust, Verdict};

use super::figures::Figures;
use super::program::say;

/// Prints all figures with their controls.
pub fn print(figures: &Figures) {
    let (place, follow) = (&figures.location_instability, &figures.tracking);
    let (spread, diversity) = (&figures.peak_spread, &figures.diversity);
    let epochs = match figures.epochs {
        0 => String::new(),
        epochs => format!(" · {epochs} epochs"),
    };
    say!(
        "\n{} · {} · {} · {} · seed {}{epochs} · {} images with landmarks\n",
        figures.dataset,
        figures.category,
        figures.performer,
        figures.form,
        figures.seed,
        figures.images
    );
    say!(
        "{:<34}{:>12}{:>10}{:>9}{:>9}{:>9}{:>11}",
        "",
        "instability",
        "tracking",
        "median",
        "p90",
        "spread",
        "diversity"
    );
    say!("{:<34}{:>12}{:>10}{:>9}{:>9}{:>9}{:>11}", "", "lower", "higher", "", "", "", "peaks");
    row("performer, target layer", place.target, Some(&follow.target), None);
    row(
        "performer, top conv",
        place.top_conv,
        Some(&follow.top_conv),
        Some((spread.top_conv, diversity.top_conv)),
    );
    let first = Some((spread.conv_interp_1, diversity.conv_interp_1));
    row("explainer, conv-interp-1", place.conv_interp_1, Some(&follow.conv_interp_1), first);
    let second = Some((spread.conv_interp_2, diversity.conv_interp_2));
    row("explainer, conv-interp-2", place.conv_interp_2, Some(&follow.conv_interp_2), second);
    say!("controls");
    row("  conv-interp-2, unfitted", place.unfitted, Some(&follow.unfitted), None);
    if let Some((instability, tracking)) = place.places.zip(follow.places.as_ref()) {
        row("  conv-interp-2, places alone", instability, Some(tracking), None);
    }
    row("  performer, random weights", place.random_performer, Some(&follow.random_performer), None);
    row("  conv-interp-2, permuted landmarks", f64::NAN, Some(&follow.null), None);
    row("  the landmarks themselves", f64::NAN, None, Some((figures.landmark_spread, f64::NAN)));
    row("  always at the centre", place.always_centre, None, None);
    row("  dead filter", place.dead_filter, None, None);
    row("  random unit", place.random_unit, None, None);
    say!(
        "(all {} images with landmarks, nine in ten fitted on; error and agreement: {} validation images)",
        figures.images,
        figures.validation_images
    );
    say!(
        "\nconv-interp-2 over the top conv: instability {:.2}×, tracking {:.2}×, spread {:.2}×, diversity {:.2}×",
        place.conv_interp_2 / place.top_conv,
        follow.conv_interp_2.mean / follow.top_conv.mean,
        spread.conv_interp_2 / spread.top_conv,
        diversity.conv_interp_2 / diversity.top_conv,
    );
    say!(
        "live filters {} of {} · share p {:.3}{} · relative error fc-dec-1 {:.4}{}",
        figures.live_filters,
        figures.filters,
        figures.share,
        figures.mass_share.map_or(String::new(), |share| format!(", by mass {share:.3}")),
        figures.reconstruction.fc_dec_1,
        figures.reconstruction.fc_dec_2.map_or(String::new(), |error| format!(", fc-dec-2 {error:.4}"))
    );
    let errors = figures.error.as_ref().map_or(String::new(), |error| {
        format!(
            "error of the performer {:.2} %, with the explainer's features {:.2} %, ",
            100.0 * error.performer,
            100.0 * error.explainer
        )
    });
    say!("{errors}agreement {:.3}", figures.agreement);
    let seconds = &figures.seconds;
    let memory = figures.peak_rss_mib.map_or(String::new(), |mib| format!(" · {mib:.0} MiB at most"));
    say!(
        "features {:.1} s, fit {:.1} s, evaluation {:.1} s{memory}",
        seconds.features,
        seconds.fit,
        seconds.evaluate
    );
}

/// Prints what interventions found, and how long they took.
pub fn print_evidence(figures: &Figures) {
    let evidence = &figures.evidence;
    say!("\n{}", evidence.table(names::EXPLAINED));
    if let Some(parts) = figures.part_detectors.as_ref().and_then(|parts| parts.validation.as_ref()) {
        say!(
            "{:.1} of {} parts are present in an image; within two units of their peaks lies {:.2} of the mass; from that \
             alone the performer decides alike in {:.3} of the images (relative error {})",
            parts.present,
            figures.filters,
            parts.mass_share,
            parts.agreement_of_parts,
            parts.error_of_parts.iter().map(|error| format!("{error:.3}")).collect::<Vec<_>>().join(" / "),
        );
    }
    let Took { performer, pictures, probes } = evidence.took;
    let [performer, pictures, probes] = [performer, pictures, probes].map(|took| took.as_secs_f64());
    say!("(the performer {performer:.1} s, pictures {pictures:.1} s, detectors and controls {probes:.1} s)");
}

/// Prints how many checks were passed, and each that was not.
pub fn print_trust(trust: &Trust) {
    let Trust { passed, failed, not_measured, checks, .. } = trust;
    say!("\ntrust: {passed} of {} checks passed, {not_measured} not measured", passed + failed);
    for check in checks.iter().filter(|check| check.verdict != Verdict::Passed) {
        let word = if check.verdict == Verdict::Failed { "not passed" } else { "not measured" };
        say!("  {word}: {} {}; asked: {}", check.question, check.found, check.bar);
    }
}

/// One line; what was not measured stays blank.
fn row(name: &str, instability: f64, tracking: Option<&Summary>, peaks: Option<(f64, f64)>) {
    let cell = |value: Option<f64>, width: usize, digits: usize| match value {
        Some(value) if value.is_finite() => format!("{value:>width$.digits$}"),
        _ => " ".repeat(width),
    };
    say!(
        "{name:<34}{}{}{}{}{}{}",
        cell(Some(instability), 12, 4),
        cell(tracking.map(|t| t.mean), 10, 3),
        cell(tracking.map(|t| t.median), 9, 3),
        cell(tracking.map(|t| t.p90), 9, 3),
        cell(peaks.map(|p| p.0), 9, 3),
        cell(peaks.map(|p| p.1), 11, 1),
    );
}
