//! What was measured: a row for each workload, backend, contender, number of tasks and metric.

use serde::Serialize;

/// One line of `bench.json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) backend: String,
    pub(crate) contender: String,
    pub(crate) tasks: usize,
    pub(crate) metric: String,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
    /// The median, divided by that of what it is compared with in this workload.
    pub(crate) ratio_to_floor: Option<f64>,
}

/// What is measured together: one workload on one backend with so many tasks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) workload: &'a str,
    pub(crate) backend: &'a str,
    pub(crate) tasks: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) rows: Vec<Row>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

impl Results {
    /// Adds the values of one metric over all repetitions.
    pub(crate) fn add(&mut self, subject: Subject<'_>, contender: &str, metric: &str, values: &[f64]) {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max), Some(median)) = (sorted.first(), sorted.last(), median(&sorted)) else {
            return;
        };
        self.rows.push(Row {
            workload: subject.workload.to_owned(),
            backend: subject.backend.to_owned(),
            contender: contender.to_owned(),
            tasks: subject.tasks,
            metric: metric.to_owned(),
            min,
            median,
            max,
            ratio_to_floor: None,
        });
    }

    pub(crate) fn find(&self, subject: Subject<'_>, contender: &str, metric: &str) -> Option<&Row> {
        self.rows.iter().find(|row| is_of(row, subject, metric) && row.contender == contender)
    }

    /// The rows of all contenders.
    pub(crate) fn of<'a>(&'a self, subject: Subject<'a>, metric: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| is_of(row, subject, metric))
    }

    /// Compares each contender's median with `floor`.
    pub(crate) fn compare(&mut self, subject: Subject<'_>, metric: &str, floor: f64) {
        for row in self.rows.iter_mut().filter(|row| is_of(row, subject, metric)) {
            row.ratio_to_floor = Some(row.median / floor).filter(|ratio| ratio.is_finite());
        }
    }

    /// Compares each contender's median with that of `floor`, one of them.
    pub(crate) fn compare_with(&mut self, subject: Subject<'_>, metric: &str, floor: &str) {
        if let Some(floor) = self.find(subject, floor, metric).map(|row| row.median) {
            self.compare(subject, metric, floor);
        }
    }

    /// Compares each contender's median with the largest that is not golock's.
    pub(crate) fn compare_with_best(&mut self, subject: Subject<'_>, metric: &str) {
        let others = self.of(subject, metric).filter(|row| row.contender != "golock");
        let best = others.map(|row| row.median).max_by(f64::total_cmp);
        if let Some(best) = best {
            self.compare(subject, metric, best);
        }
    }
}

fn is_of(row: &Row, subject: Subject<'_>, metric: &str) -> bool {
    row.workload == subject.workload
        && row.backend == subject.backend
        && row.tasks == subject.tasks
        && row.metric == metric
}

/// Of values in order; `None` if there are none.
pub(crate) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    Some(if sorted.len() % 2 == 1 { upper } else { (sorted[middle - 1] + upper) / 2.0 })
}

/// The value below which so much (0 to 1) of them lies: the nearest rank. NaN if there are none.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{Results, Subject, percentile};

    const SUBJECT: Subject<'_> = Subject { workload: "W2", backend: "redis", tasks: 64 };

    #[test]
    fn a_row_has_the_median_and_what_it_lies_between() {
        let mut results = Results::default();
        results.add(SUBJECT, "golock", "pairs_per_s", &[3.0, f64::NAN, 1.0, 8.0, 2.0]);
        let row = results.find(SUBJECT, "golock", "pairs_per_s").unwrap();
        assert_eq!((row.min, row.median, row.max), (1.0, 2.5, 8.0));
        results.add(SUBJECT, "raw", "pairs_per_s", &[]);
        assert!(results.find(SUBJECT, "raw", "pairs_per_s").is_none());
    }

    #[test]
    fn the_best_that_golock_is_compared_with_is_anothers() {
        let mut results = Results::default();
        for (contender, value) in [("golock", 300.0), ("push", 200.0), ("rslock", 10.0)] {
            results.add(SUBJECT, contender, "handoffs_per_s", &[value]);
        }
        results.compare_with_best(SUBJECT, "handoffs_per_s");
        let ratio = |contender| results.find(SUBJECT, contender, "handoffs_per_s").unwrap().ratio_to_floor;
        assert_eq!((ratio("golock"), ratio("push"), ratio("rslock")), (Some(1.5), Some(1.0), Some(0.05)));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((percentile(&mut values, 0.5), percentile(&mut values, 0.99)), (50.0, 99.0));
        assert_eq!(percentile(&mut [7.0], 0.99), 7.0);
        assert!(percentile(&mut [], 0.5).is_nan());
    }
}
