//! What the papers define, for the maps of one filter: plain loops in `f64`.

use explainer_filter_loss::{Scale, TemplatesConfig};

/// p(x|T) by template and map, and p(x).
pub fn densities(maps: &[Vec<f64>], config: &TemplatesConfig) -> (Vec<Vec<f64>>, Vec<f64>) {
    let templates: Vec<Vec<f64>> = config.values().chunks(config.units()).map(<[f64]>::to_vec).collect();
    let mut conditional = vec![];
    for template in &templates {
        let traces: Vec<f64> =
            maps.iter().map(|map| map.iter().zip(template).map(|(x, t)| x * t).sum()).collect();
        let partition: f64 = traces.iter().map(|trace: &f64| trace.exp()).sum();
        conditional.push(traces.iter().map(|trace| trace.exp() / partition).collect::<Vec<f64>>());
    }
    let priors = config.priors();
    let marginal = |x: usize| conditional.iter().zip(&priors).map(|(row, prior)| prior * row[x]).sum();
    let marginal = (0..maps.len()).map(marginal).collect();
    (conditional, marginal)
}

/// −MI(X; T).
pub fn value(maps: &[Vec<f64>], config: &TemplatesConfig) -> f64 {
    let (conditional, marginal) = densities(maps, config);
    let mut information = 0.0;
    for (row, prior) in conditional.iter().zip(config.priors()) {
        for (q, p) in row.iter().zip(&marginal) {
            information += prior * q * (q / p).ln();
        }
    }
    -information
}

/// T̂ of every map: the template at its strongest unit, the lowest of several, or the negative one.
fn targets(maps: &[Vec<f64>], members: &[bool], config: &TemplatesConfig) -> Vec<usize> {
    let strongest = |map: &[f64]| {
        let mut target = 0;
        for unit in 1..map.len() {
            if map[unit] > map[target] {
                target = unit;
            }
        }
        target
    };
    maps.iter()
        .zip(members)
        .map(|(map, &member)| if member { strongest(map) } else { config.units() })
        .collect()
}

/// −p(T̂)/Z_T̂ · e^{s_T̂(x)} · { s_T̂(x) − log[Z_T̂ p(x)] } · T̂.
pub fn gradient(maps: &[Vec<f64>], members: &[bool], config: &TemplatesConfig) -> Vec<Vec<f64>> {
    let (conditional, marginal) = densities(maps, config);
    let values = config.values();
    let mut gradients = vec![];
    let targets = targets(maps, members, config);
    for x in 0..maps.len() {
        let target = targets[x];
        let q = conditional[target][x];
        let weight = -config.priors()[target] * q * (q.ln() - marginal[x].ln());
        let template = &values[target * config.units()..][..config.units()];
        gradients.push(template.iter().map(|t| weight * t).collect());
    }
    gradients
}

/// −Σ_T p(T) p(x|T) [log(p(x|T) / p(x)) − KL(p(·|T) ‖ p)] T.
pub fn exact_gradient(maps: &[Vec<f64>], config: &TemplatesConfig) -> Vec<Vec<f64>> {
    let (conditional, marginal) = densities(maps, config);
    let mut gradients = vec![vec![0.0; config.units()]; maps.len()];
    for (template, values) in config.values().chunks(config.units()).enumerate() {
        let row = &conditional[template];
        let divergence: f64 = row.iter().zip(&marginal).map(|(q, p)| q * (q / p).ln()).sum();
        for (x, gradient) in gradients.iter_mut().enumerate() {
            let weight = -config.priors()[template] * row[x] * ((row[x] / marginal[x]).ln() - divergence);
            gradient.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    gradients
}

/// −(1/N) Σ_x KL(p_f(·|x) ‖ q(·|x)) of every filter, `filters[f]` holding the maps of filter f, and
/// `members[x][f]` whether image x is of its category.
pub fn negative_diversity(
    filters: &[Vec<Vec<f64>>],
    members: &[Vec<bool>],
    config: &TemplatesConfig,
) -> Vec<f64> {
    let densities: Vec<_> = filters.iter().map(|maps| densities(maps, config)).collect();
    let priors = config.priors();
    let posterior = |f: usize, x: usize, t: usize| {
        let (conditional, marginal) = &densities[f];
        priors[t] * conditional[t][x] / marginal[x]
    };
    let mut sums = vec![0.0; filters.len()];
    for (x, members) in members.iter().enumerate() {
        let own: Vec<usize> = (0..filters.len()).filter(|&f| members[f]).collect();
        for t in 0..priors.len() {
            let mean = own.iter().map(|&f| posterior(f, x, t)).sum::<f64>() / own.len() as f64;
            for &f in &own {
                sums[f] -= posterior(f, x, t) * (posterior(f, x, t) / mean).ln();
            }
        }
    }
    sums.into_iter().map(|sum| sum / members.len() as f64).collect()
}

/// The maps at the scale of the loss.
pub fn scaled(maps: &[Vec<f64>], scale: Scale, config: &TemplatesConfig) -> Vec<Vec<f64>> {
    let count = maps.len() as f64;
    let factor = match scale {
        Scale::Mass { trace } => trace / config.tau() / (maps.iter().flatten().sum::<f64>() / count),
        Scale::Energy { trace } => {
            trace / config.tau() / (maps.iter().flatten().map(|x| x * x).sum::<f64>() / count).sqrt()
        }
        _ => 1.0,
    };
    maps.iter().map(|map| map.iter().map(|x| factor * x).collect()).collect()
}

/// The maps of a filter whose images are in its population.
pub fn inside(maps: &[Vec<f64>], members: &[bool]) -> Vec<Vec<f64>> {
    maps.iter().zip(members).filter(|(_, member)| **member).map(|(map, _)| map.clone()).collect()
}

/// The gradient of the released code, with traces `temperature · tr(x · T̂)`.
pub fn released_gradient(
    maps: &[Vec<f64>],
    members: &[bool],
    temperature: f64,
    config: &TemplatesConfig,
) -> Vec<Vec<f64>> {
    let targets = targets(maps, members, config);
    let values = config.values();
    let template = |x: usize| &values[targets[x] * config.units()..][..config.units()];
    let power = |x: usize| temperature * maps[x].iter().zip(template(x)).map(|(x, t)| x * t).sum::<f64>();
    let mut gradients = vec![vec![]; maps.len()];
    for group in [true, false] {
        let images: Vec<usize> = (0..maps.len()).filter(|&x| members[x] == group).collect();
        let mean =
            |of: &dyn Fn(usize) -> f64| images.iter().map(|&x| of(x)).sum::<f64>() / images.len() as f64;
        let partition = mean(&|x| power(x).exp());
        let strength = |x: usize| power(x).exp() / partition * (power(x) - partition.ln() + 1.0);
        let unit = mean(&strength);
        for &x in &images {
            gradients[x] = template(x).iter().map(|t| -strength(x) / unit * t / config.tau()).collect();
        }
    }
    gradients
}

/// The exact gradient with Z_T (a mean over maps) and KL_T of a larger population.
pub fn exact_gradient_with(
    maps: &[Vec<f64>],
    partition: &[f64],
    divergence: &[f64],
    config: &TemplatesConfig,
) -> Vec<Vec<f64>> {
    let values = config.values();
    let template = |t: usize| &values[t * config.units()..][..config.units()];
    let templates = config.count() as f64;
    let gradient = |map: &Vec<f64>| {
        let density: Vec<f64> = (0..config.count())
            .map(|t| map.iter().zip(template(t)).map(|(x, t)| x * t).sum::<f64>().exp() / partition[t])
            .collect();
        let marginal = density.iter().sum::<f64>() / templates;
        let mut sum = vec![0.0; config.units()];
        for t in 0..config.count() {
            let bracket = (density[t] / marginal).ln() - divergence[t];
            let weight = -density[t] * bracket / (templates * maps.len() as f64);
            sum.iter_mut().zip(template(t)).for_each(|(sum, value)| *sum += weight * value);
        }
        sum
    };
    maps.iter().map(gradient).collect()
}
