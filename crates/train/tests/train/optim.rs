//! The optimiser against its published formula, and the learning rate at its corners.

use crate::support;

use support::{Recorded, host, optim};
use vigos_checkpoint::optim::{AdamW, clip_global_norm, global_norm, learning_rate};
use vigos_models::Adapter;
use vigos_recipe::{Optim, Schedule};

/// A gradient that differs from value to value and from step to step.
fn gradient(adapter: &Adapter, step: usize) -> Adapter {
    adapter.map(|_, t| (t.clone() * (3.0 + step as f64)).sin() * 0.01)
}

#[test]
fn three_updates_equal_the_formula_in_f64() {
    let adapter = Recorded::load().adapter;
    let settings = Optim { betas: (0.9, 0.95), weight_decay: 0.1, eps: 1e-8, ..optim() };
    let mut optimiser = AdamW::new(&adapter);
    let mut found = adapter.clone();
    let mut wanted = host(&adapter);
    let mut moments: std::collections::BTreeMap<String, Vec<(f64, f64)>> =
        wanted.iter().map(|(name, values)| (name.clone(), vec![(0.0, 0.0); values.len()])).collect();
    for step in 0..3 {
        let gradient = gradient(&adapter, step);
        found = optimiser.update(&found, &gradient, 1e-2, &settings);
        let (b1, b2) = settings.betas;
        let t = step as i32 + 1;
        for (name, gradient) in host(&gradient) {
            let weights = wanted.get_mut(&name).unwrap();
            for ((w, g), (m, v)) in weights.iter_mut().zip(gradient).zip(moments.get_mut(&name).unwrap()) {
                (*m, *v) = (b1 * *m + (1.0 - b1) * g, b2 * *v + (1.0 - b2) * g * g);
                let (mean, square) = (*m / (1.0 - b1.powi(t)), *v / (1.0 - b2.powi(t)));
                *w -= 1e-2 * settings.weight_decay * *w;
                *w -= 1e-2 * mean / (square.sqrt() + settings.eps);
            }
        }
    }
    for (name, found) in host(&found) {
        let worst = found.iter().zip(&wanted[&name]).map(|(f, w)| (f - w).abs()).fold(0.0, f64::max);
        // Where a gradient is near ε, Adam divides its f32 rounding by it.
        assert!(worst < 2e-5, "{name}: {worst:e}");
    }
}

#[test]
fn the_norm_is_over_all_tensors_together_and_clipping_keeps_directions() {
    let adapter = Recorded::load().adapter;
    let gradient = gradient(&adapter, 0);
    let values: Vec<f64> = host(&gradient).into_values().flatten().collect();
    let wanted = values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let norm = global_norm(&gradient).unwrap();
    assert!((norm - wanted).abs() < 1e-5 * wanted);
    let clipped = clip_global_norm(gradient.clone(), norm, norm / 4.0);
    assert!((global_norm(&clipped).unwrap() - norm / 4.0).abs() < 1e-5 * norm);
    for (c, g) in host(&clipped).into_values().flatten().zip(&values) {
        assert!((c - g / 4.0).abs() < 1e-7);
    }
    assert_eq!(host(&clip_global_norm(gradient.clone(), norm, 0.0)), host(&gradient), "0 is off");
    assert_eq!(host(&clip_global_norm(gradient.clone(), norm, norm * 2.0)), host(&gradient));
}

#[test]
fn the_learning_rate_rises_falls_and_never_wastes_a_step() {
    let settings = |schedule, warmup_steps| Optim { lr: 1.0, schedule, warmup_steps, ..optim() };
    let rates = |settings: &Optim, total| -> Vec<f64> {
        (0..total).map(|s| learning_rate(settings, s, total)).collect()
    };
    assert_eq!(rates(&settings(Schedule::Linear, 0), 4), [1.0, 0.75, 0.5, 0.25]);
    assert_eq!(rates(&settings(Schedule::Linear, 2), 6), [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]);
    assert_eq!(rates(&settings(Schedule::Constant, 2), 4), [0.5, 1.0, 1.0, 1.0]);
    let cosine = rates(&settings(Schedule::Cosine, 0), 4);
    assert!((cosine[0] - 1.0).abs() < 1e-12 && (cosine[2] - 0.5).abs() < 1e-12);
    assert!(cosine.windows(2).all(|w| w[0] > w[1]) && cosine[3] > 0.0);
    // More warm-up than steps: it is simply never over.
    assert_eq!(rates(&settings(Schedule::Linear, 8), 2), [0.125, 0.25]);
}
