//! What a run leaves: the rows as JSON, tables for the terminal and the README, plots.

mod plot;
mod readme;
mod table;
mod targets;

use std::fs;
use std::path::Path;

use self::plot::{Bar, Group, Plot};
use self::table::{Table, number, ratio, ratio_and_rate};
use crate::contender::BoxError;
use crate::options::Options;
use crate::results::{Results, Row, Subject};
use crate::workloads::{ONE_NAME, OWN_NAMES, PROCESSES, TASKS_A_PROCESS, WAITERS};

pub(crate) struct Report<'a> {
    options: &'a Options,
    results: &'a Results,
    /// Each backend and its server.
    servers: &'a [(&'static str, String)],
}

impl<'a> Report<'a> {
    pub(crate) fn new(
        options: &'a Options,
        results: &'a Results,
        servers: &'a [(&'static str, String)],
    ) -> Self {
        Self { options, results, servers }
    }

    /// The rows alone.
    pub(crate) fn write_json(&self) -> Result<(), BoxError> {
        write(&self.options.json, &serde_json::to_string_pretty(&self.results.rows)?)
    }

    /// Everything but the rows.
    #[allow(clippy::print_stdout, reason = "the table is what the command is for")]
    pub(crate) fn write(&self) -> Result<(), BoxError> {
        // It says whether the tree is as it was committed: before plots are drawn into it.
        let text = self.text();
        fs::create_dir_all(&self.options.plots)?;
        for (name, plot) in self.plots() {
            write(&self.options.plots.join(format!("{name}.svg")), &plot.svg())?;
        }
        if self.options.write_readme {
            readme::update(Path::new("golock-bench/README.md"), &text)?;
        }
        println!("{text}");
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = readme::origin(self.options, self.servers);
        text += "\n### Targets\n\n";
        text += &targets::table(self.results, &self.backends(), self.options.effort).markdown();
        if self.options.write_readme {
            for (name, plot) in self.plots() {
                text += &format!("\n![{}](plots/{name}.svg)\n", plot.title);
            }
        }
        for (backend, _) in self.servers {
            text += &format!("\n### {backend}: ratios, and what was measured\n\n");
            text += &self.rates(backend).markdown();
            text.push('\n');
            text += &self.waits(backend).markdown();
        }
        if !self.results.failures.is_empty() {
            text += "\n### Not measured\n\n";
            for failure in &self.results.failures {
                text += &format!("* {failure}\n");
            }
        }
        text
    }

    fn backends(&self) -> Vec<&'static str> {
        self.servers.iter().map(|(id, _)| *id).collect()
    }

    /// What is measured as a rate, for each workload and number of tasks.
    fn rates(&self, backend: &'a str) -> Table {
        let mut columns = Vec::new();
        for (workload, tasks) in OWN_NAMES {
            let subject = Subject { workload, backend, tasks };
            columns.push(Column::new(format!("{workload}, {tasks}"), subject, "pairs_per_s", ratio_and_rate));
        }
        for tasks in ONE_NAME {
            let subject = Subject { workload: "W3", backend, tasks };
            columns.push(Column::new(format!("W3, {tasks}"), subject, "handoffs_per_s", ratio_and_rate));
        }
        for (workload, processes) in PROCESSES {
            let subject = Subject { workload, backend, tasks: TASKS_A_PROCESS };
            let title = format!("W3, {processes} processes");
            columns.push(Column::new(title, subject, "process_changes_per_s", ratio_and_rate));
        }
        self.table(backend, &columns)
    }

    /// What is measured of those that wait.
    fn waits(&self, backend: &'a str) -> Table {
        let idle = Subject { workload: "W4", backend, tasks: WAITERS };
        let many = Subject { workload: "W3", backend, tasks: 128 };
        let eight = Subject { workload: "W3-8-processes", backend, tasks: TASKS_A_PROCESS };
        self.table(
            backend,
            &[
                Column::new("requests a hand-off, 128 tasks", many, "requests_per_handoff", number),
                Column::new("max − min grants, 128 tasks", many, "grants_a_task_spread", number),
                Column::new("slowest/fastest of 8 processes", eight, "slowest_to_fastest", number),
                Column::new("requests/s of 100 idle waiters", idle, "idle_requests_per_s", number),
                Column::new("wake-up p50, in round trips", idle, "wakeup_p50_ms", ratio),
                Column::new("wake-up p99, in round trips", idle, "wakeup_p99_ms", ratio),
            ],
        )
    }

    /// A line for each contender of which one of the columns says something.
    fn table(&self, backend: &str, columns: &[Column<'_>]) -> Table {
        let head = columns.iter().map(|column| column.title.as_str());
        let mut table = Table::new(["contender"].into_iter().chain(head));
        for contender in self.contenders(backend) {
            let cell = |column: &Column<'_>| {
                let row = self.results.find(column.subject, contender, column.metric);
                row.map(column.shown).unwrap_or_default()
            };
            let cells: Vec<String> = columns.iter().map(cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                table.push([contender.to_owned()].into_iter().chain(cells));
            }
        }
        table
    }

    /// In the order in which they were first measured: golock first.
    fn contenders(&self, backend: &str) -> Vec<&'a str> {
        let mut seen = Vec::new();
        let rates =
            self.results.rows.iter().filter(|row| row.backend == backend && row.metric.ends_with("_per_s"));
        for row in rates.filter(|row| row.workload != "W5") {
            if !seen.contains(&row.contender.as_str()) {
                seen.push(&row.contender);
            }
        }
        seen
    }

    fn plots(&self) -> Vec<(&'static str, Plot)> {
        let subjects = |workload, tasks, metric| self.plotted(workload, tasks, metric);
        vec![
            (
                "own-names",
                Plot {
                    title: "64 tasks, own names: locks and unlocks a second, raw statement = 1",
                    groups: subjects("W2", 64, "pairs_per_s"),
                },
            ),
            (
                "one-name",
                Plot {
                    title: "128 tasks, one name, one process: hand-offs a second, best of the others = 1",
                    groups: subjects("W3", 128, "handoffs_per_s"),
                },
            ),
            (
                "wake-ups",
                Plot {
                    title: "From unlock until a waiter of another client has it: median, in round trips",
                    groups: subjects("W4", WAITERS, "wakeup_p50_ms"),
                },
            ),
        ]
    }

    fn plotted(&self, workload: &'a str, tasks: usize, metric: &'a str) -> Vec<Group> {
        let group = |backend: &&'static str| {
            let rows = self.results.of(Subject { workload, backend, tasks }, metric);
            let bars = rows.filter_map(|row| Some(Bar::new(&row.contender, row.ratio_to_floor?))).collect();
            Group { label: (*backend).to_owned(), bars }
        };
        self.backends().iter().map(group).collect()
    }
}

/// Where a column's values come from, and how they are shown.
struct Column<'a> {
    title: String,
    subject: Subject<'a>,
    metric: &'static str,
    shown: fn(&Row) -> String,
}

impl<'a> Column<'a> {
    fn new(
        title: impl Into<String>,
        subject: Subject<'a>,
        metric: &'static str,
        shown: fn(&Row) -> String,
    ) -> Self {
        Self { title: title.into(), subject, metric, shown }
    }
}

fn write(path: &Path, text: &str) -> Result<(), BoxError> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}
