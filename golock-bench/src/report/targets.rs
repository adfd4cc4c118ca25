//! What golock is to reach, beside what it did reach.

use super::table::{Table, short};
use crate::options::Effort;
use crate::results::{Results, Subject};
use crate::workloads::{ONE_NAME, OWN_NAMES, PROCESSES, TASKS_A_PROCESS, WAITERS};

/// Backends that push: there a waiter need not ask.
const PUSHES: [&str; 3] = ["redis", "postgres", "mongo"];

/// A line a target, a column a backend. A value that misses its target is marked.
pub(super) fn table(results: &Results, backends: &[&'static str], effort: Effort) -> Table {
    let mut table = Table::new(["target", "at"].into_iter().chain(backends.iter().copied()));
    for target in targets(effort) {
        let cells = backends.iter().map(|backend| target.cell(results, backend));
        table.push([target.what.clone(), target.workload.to_owned()].into_iter().chain(cells));
    }
    table
}

struct Target {
    what: String,
    workload: &'static str,
    tasks: usize,
    contender: String,
    metric: &'static str,
    value: Value,
    goal: fn(&str) -> Option<Goal>,
}

/// What of a row is looked at.
#[derive(Clone, Copy)]
enum Value {
    Median,
    Ratio,
}

#[derive(Clone, Copy)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn new(what: &str, workload: &'static str, tasks: usize, metric: &'static str, value: Value) -> Self {
        let contender = "golock".to_owned();
        Self { what: what.to_owned(), workload, tasks, contender, metric, value, goal: |_| None }
    }

    fn goal(self, goal: fn(&str) -> Option<Goal>) -> Self {
        Self { goal, ..self }
    }

    fn cell(&self, results: &Results, backend: &str) -> String {
        let subject = Subject { workload: self.workload, backend, tasks: self.tasks };
        let Some(row) = results.find(subject, &self.contender, self.metric) else { return "–".to_owned() };
        let value = match self.value {
            Value::Median => row.median,
            Value::Ratio => match row.ratio_to_floor {
                Some(ratio) => ratio,
                None => return "–".to_owned(),
            },
        };
        match (self.goal)(backend) {
            None => short(value),
            Some(Goal::AtLeast(goal)) if value >= goal => format!("{} (≥ {goal})", short(value)),
            Some(Goal::AtMost(goal)) if value <= goal => format!("{} (≤ {goal})", short(value)),
            Some(Goal::AtLeast(goal)) => format!("**{}** (≥ {goal})", short(value)),
            Some(Goal::AtMost(goal)) => format!("**{}** (≤ {goal})", short(value)),
        }
    }
}

fn targets(effort: Effort) -> Vec<Target> {
    use Goal::{AtLeast, AtMost};
    use Value::{Median, Ratio};

    let mut targets = vec![
        Target::new("round trips a pair", "W1", 1, "round_trips_per_pair", Median)
            .goal(|_| Some(AtMost(2.0))),
        Target::new("connections, 64 tasks", "W2", 64, "connections", Median).goal(|_| Some(AtMost(2.0))),
        Target::new("connections, 100 waiters", "W4", WAITERS, "connections", Median)
            .goal(|_| Some(AtMost(2.0))),
    ];
    for (workload, tasks) in OWN_NAMES {
        let goal: fn(&str) -> Option<Goal> = match tasks {
            1 | 16 => |_| Some(AtLeast(0.9)),
            64 => |backend| {
                Some(AtLeast(match backend {
                    "redis" => 1.2,
                    "postgres" => 3.0,
                    "mariadb" => 2.0,
                    _ => 1.0,
                }))
            },
            _ => |_| None,
        };
        let what = format!("pairs/s against the raw statement, tasks: {tasks}");
        targets.push(Target::new(&what, workload, tasks, "pairs_per_s", Ratio).goal(goal));
    }
    for tasks in ONE_NAME {
        let goal: fn(&str) -> Option<Goal> = if tasks == 128 { |_| Some(AtLeast(1.0)) } else { |_| None };
        let what = format!("hand-offs/s against the best other, tasks: {tasks}");
        targets.push(Target::new(&what, "W3", tasks, "handoffs_per_s", Ratio).goal(goal));
    }
    targets.extend([
        Target::new("requests a hand-off, 128 tasks", "W3", 128, "requests_per_handoff", Median)
            .goal(|_| Some(AtMost(1.2))),
        Target::new("max − min grants a task, 128 tasks", "W3", 128, "grants_a_task_spread", Median)
            .goal(|_| Some(AtMost(1.0))),
    ]);
    for (workload, processes) in PROCESSES {
        let what = format!("slowest/fastest of {processes} processes");
        let target = Target::new(&what, workload, TASKS_A_PROCESS, "slowest_to_fastest", Median);
        targets.push(target.goal(|_| Some(AtLeast(0.5))));
        let what =
            format!("process changes/s against push (native where there is none), {processes} processes");
        let target = Target::new(&what, workload, TASKS_A_PROCESS, "process_changes_per_s", Ratio);
        targets.push(target.goal(|backend| ["redis", "postgres"].contains(&backend).then_some(AtLeast(0.9))));
    }
    targets.extend([
        Target::new("requests of 100 idle waiters, all windows", "W4", WAITERS, "idle_requests", Median)
            .goal(|backend| PUSHES.contains(&backend).then_some(AtMost(1.0))),
        Target::new("requests/s of 100 idle waiters", "W4", WAITERS, "idle_requests_per_s", Median)
            .goal(|_| Some(AtMost(1.0))),
        Target::new("wake-up p50, in round trips", "W4", WAITERS, "wakeup_p50_ms", Ratio).goal(|backend| {
            match backend {
                "redis" => Some(AtMost(2.5)),
                "postgres" => Some(AtMost(4.5)),
                _ => None,
            }
        }),
        Target::new("wake-up p99, in round trips", "W4", WAITERS, "wakeup_p99_ms", Ratio).goal(|backend| {
            match backend {
                "redis" => Some(AtMost(5.0)),
                "postgres" => Some(AtMost(10.0)),
                _ => None,
            }
        }),
    ]);
    let leases = effort.leases;
    targets.extend([
        Target::new(
            &format!("requests/s of {leases} renewed leases"),
            "W5",
            leases,
            "requests_per_s",
            Median,
        )
        .goal(|_| Some(AtMost(2.0))),
        Target::new("heap a lease, bytes", "W5", leases, "heap_bytes_a_lease", Median)
            .goal(|_| Some(AtMost(256.0))),
        Target::new("leases lost", "W5", leases, "lost", Median).goal(|_| Some(AtMost(0.0))),
    ]);
    let [small, large] = effort.rows;
    let what = format!("acquire p50, {large} rows against {small}");
    let mut rows = Target::new(&what, "W6", 1, "acquire_p50_ms", Ratio).goal(|_| Some(AtMost(1.1)));
    rows.contender = crate::workloads::rows_label(large);
    targets.push(rows);
    targets
}
