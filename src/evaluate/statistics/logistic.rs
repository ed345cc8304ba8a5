//! A plain classifier for probes: logistic regression, judged on patients that it did not see.
//!
//! It answers one question: how well can the class be told from these few numbers alone? A strong
//! learner is not needed for that; what a straight line finds is enough to distrust a cohort.
//!
//! Without any signal the out-of-fold area lies more often a little below one half than above: each
//! fold is judged by what the others happen to have more of. A value below one half means chance.

/// Weight of the penalty on standardised features: the default of the usual packages.
const PENALTY: f64 = 1.0;

/// Newton steps. Convergence takes about six on standardised features.
const STEPS: usize = 30;

/// Parts into which the patients are dealt.
pub const FOLDS: usize = 10;

/// Intercept and one weight per feature, by Newton's method with an L2 penalty on the weights.
#[must_use]
pub fn fit(rows: &[Vec<f64>], positive: &[bool]) -> Vec<f64> {
    let width = rows.first().map_or(0, Vec::len) + 1;
    let mut w = vec![0.0; width];
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; width];
        let mut hessian = vec![vec![0.0; width]; width];
        for k in 1..width {
            gradient[k] = PENALTY * w[k];
            hessian[k][k] = PENALTY;
        }
        // A whisper of it, so that a class that is always there has a finite intercept.
        hessian[0][0] = 1e-9;
        for (row, &positive) in rows.iter().zip(positive) {
            let p = chance(&w, row);
            let error = p - f64::from(u8::from(positive));
            let x = |k: usize| if k == 0 { 1.0 } else { row[k - 1] };
            for (i, (gradient, line)) in gradient.iter_mut().zip(&mut hessian).enumerate() {
                *gradient += error * x(i);
                for (j, cell) in line.iter_mut().enumerate() {
                    *cell += p * (1.0 - p) * x(i) * x(j);
                }
            }
        }
        let Some(step) = solve(hessian, gradient) else {
            break;
        };
        let longest = step.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        // Far from the solution Newton overshoots.
        let damp = if longest > 4.0 { 4.0 / longest } else { 1.0 };
        for (w, s) in w.iter_mut().zip(&step) {
            *w -= damp * s;
        }
        if longest < 1e-10 {
            break;
        }
    }
    w
}

/// The probability that a row is positive.
#[must_use]
pub fn chance(w: &[f64], row: &[f64]) -> f64 {
    let sum: f64 = w.first().copied().unwrap_or(0.0)
        + w.iter().skip(1).zip(row).map(|(w, x)| w * x).sum::<f64>();
    1.0 / (1.0 + (-sum).exp())
}

/// For each case the probability of class `k` (0 to 2) from a fit on other patients' cases.
///
/// `rows[i][f]` may be missing; it is filled with the mean of the training part, and whether it was
/// missing becomes a feature of its own. Patients are dealt to the folds class by class, in their
/// order, so that all folds have about the same mixture.
#[must_use]
pub fn out_of_fold(
    rows: &[Vec<Option<f64>>],
    classes: &[usize],
    patients: &[usize],
) -> Vec<[f64; 3]> {
    let fold = deal(classes, patients);
    let mut said = vec![[0.0; 3]; rows.len()];
    for test in 0..FOLDS {
        let train: Vec<usize> = (0..rows.len()).filter(|i| fold[*i] != test).collect();
        let held: Vec<usize> = (0..rows.len()).filter(|i| fold[*i] == test).collect();
        if held.is_empty() || train.is_empty() {
            continue;
        }
        let scale = Scale::new(rows, &train);
        let trained: Vec<Vec<f64>> = train.iter().map(|&i| scale.row(&rows[i])).collect();
        let weights = [0, 1, 2].map(|class| {
            let positive: Vec<bool> = train.iter().map(|&i| classes[i] == class).collect();
            fit(&trained, &positive)
        });
        for i in held {
            let row = scale.row(&rows[i]);
            said[i] = weights.each_ref().map(|w| chance(w, &row));
        }
    }
    said
}

/// The fold of each case; all cases of a patient are in one.
fn deal(classes: &[usize], patients: &[usize]) -> Vec<usize> {
    let mut fold_of = std::collections::BTreeMap::new();
    for class in 0..3 {
        // Each class begins where the one before it ended.
        for (case, &patient) in patients.iter().enumerate() {
            if classes[case] == class {
                let next = fold_of.len() % FOLDS;
                fold_of.entry(patient).or_insert(next);
            }
        }
    }
    patients
        .iter()
        .map(|p| fold_of.get(p).copied().unwrap_or(0))
        .collect()
}

/// Mean and deviation of each feature of the training part.
struct Scale(Vec<(f64, f64)>);

impl Scale {
    fn new(rows: &[Vec<Option<f64>>], train: &[usize]) -> Self {
        let width = rows.first().map_or(0, Vec::len);
        Self(
            (0..width)
                .map(|f| {
                    let there: Vec<f64> = train.iter().filter_map(|&i| rows[i][f]).collect();
                    let n = there.len().max(1) as f64;
                    let mean = there.iter().sum::<f64>() / n;
                    let variance = there.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                    (mean, variance.sqrt())
                })
                .collect(),
        )
    }

    fn row(&self, row: &[Option<f64>]) -> Vec<f64> {
        let values = self.0.iter().zip(row).map(|((mean, deviation), v)| {
            let off = v.map_or(0.0, |v| v - mean);
            if *deviation > 1e-12 {
                off / deviation
            } else {
                0.0
            }
        });
        let missing = row.iter().map(|v| f64::from(u8::from(v.is_none())));
        values.chain(missing).collect()
    }
}

/// Solves `a x = b` by elimination with pivots; `None` for a singular matrix.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| a[*i][k].abs().total_cmp(&a[*j][k].abs()))?;
        if a[pivot][k].abs() < 1e-14 {
            return None;
        }
        a.swap(k, pivot);
        b.swap(k, pivot);
        for i in k + 1..n {
            let share = a[i][k] / a[k][k];
            let (upper, lower) = a.split_at_mut(i);
            for (to, from) in lower[0][k..].iter_mut().zip(&upper[k][k..]) {
                *to -= share * from;
            }
            b[i] -= share * b[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b.iter().all(|v| v.is_finite()).then_some(b)
}

#[cfg(test)]
mod tests {
    use super::super::auc::Ranked;
    use super::super::bootstrap::unit;
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    /// scikit-learn 1.9: `LogisticRegression(C=1, tol=1e-12)` on the same rows.
    #[test]
    fn the_fit_is_scikit_learns() {
        let rows: Vec<Vec<f64>> = (0..24)
            .map(|i| {
                let i = f64::from(i);
                vec![(i * 0.7).sin(), (i * 1.3).cos() * 1.5]
            })
            .collect();
        let positive: Vec<bool> = (0..24).map(|i| (i * i + 3 * i) % 7 < 3).collect();
        let w = fit(&rows, &positive);
        for (got, expected) in w.iter().zip(WEIGHTS) {
            assert!((got - expected).abs() < 1e-6, "{w:?}");
        }
    }

    fn judge(signal: f64) -> f64 {
        let mut dice = Xoshiro256PlusPlus::seed_from_u64(11);
        let classes: Vec<usize> = (0..240).map(|i| i % 3).collect();
        let rows: Vec<Vec<Option<f64>>> = classes
            .iter()
            .map(|class| {
                let told = unit(&mut dice) + signal * *class as f64;
                let noise = unit(&mut dice);
                vec![Some(told), (unit(&mut dice) < 0.8).then_some(noise)]
            })
            .collect();
        let patients: Vec<usize> = (0..240).collect();
        let said = out_of_fold(&rows, &classes, &patients);
        let scores: Vec<f64> = said.iter().map(|p| p[2]).collect();
        let truth: Vec<bool> = classes.iter().map(|c| *c == 2).collect();
        Ranked::new(&scores, &truth).area().unwrap()
    }

    #[test]
    fn a_shortcut_is_found_and_its_absence_is_chance() {
        assert!(judge(0.8) > 0.9, "{}", judge(0.8));
        assert!(judge(0.0) < 0.6, "{}", judge(0.0));
    }

    #[test]
    fn a_patient_is_never_on_both_sides() {
        let patients: Vec<usize> = (0..60).map(|i| i / 2).collect();
        let classes: Vec<usize> = (0..60).map(|i| i / 2 % 3).collect();
        let fold = deal(&classes, &patients);
        assert!((0..30).all(|p| fold[2 * p] == fold[2 * p + 1]));
        assert!((0..FOLDS).all(|f| fold.contains(&f)));
    }

    #[test]
    fn a_constant_or_missing_feature_does_no_harm() {
        let rows = vec![vec![None, Some(3.0)]; 30];
        let classes: Vec<usize> = (0..30).map(|i| i % 3).collect();
        let patients: Vec<usize> = (0..30).collect();
        let said = out_of_fold(&rows, &classes, &patients);
        assert!(said.iter().flatten().all(|p| (p - 1.0 / 3.0).abs() < 0.1));
    }

    const WEIGHTS: [f64; 3] = [
        -0.894_044_827_032_531,
        0.046_282_327_474_444_04,
        0.108_030_602_602_861_68,
    ];
}
