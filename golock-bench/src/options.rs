//! The command line, and how much is measured.

use std::path::PathBuf;
use std::time::Duration;

use crate::contender::BoxError;
use crate::databases::{self, Database};

pub(crate) const USAGE: &str = "\
usage: golock-bench [--quick] [--backends redis,postgres] [--workloads W1,W3] [--json FILE] [--plots DIR] [--write-readme]
  --quick         a few hundred ms a measurement: to see that it works, not what it is worth
  --backends      of redis, postgres, mariadb, mysql, mongo; all by default
  --workloads     of W1 to W6; all by default
  --json          where the results go; target/bench.json by default
  --plots         where the plots go; target by default, golock-bench/plots with --write-readme
  --write-readme  puts the results into golock-bench/README.md";

pub(crate) struct Options {
    pub(crate) databases: Vec<&'static dyn Database>,
    workloads: Option<Vec<String>>,
    pub(crate) effort: Effort,
    pub(crate) json: PathBuf,
    pub(crate) plots: PathBuf,
    pub(crate) write_readme: bool,
}

impl Options {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, BoxError> {
        let mut options = Self {
            databases: databases::ALL.to_vec(),
            workloads: None,
            effort: Effort::FULL,
            json: PathBuf::from("target/bench.json"),
            plots: PathBuf::new(),
            write_readme: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--quick" => options.effort = Effort::QUICK,
                "--write-readme" => options.write_readme = true,
                "--backends" => options.databases = parse_databases(&value()?)?,
                "--workloads" => {
                    options.workloads =
                        Some(value()?.split(',').map(|word| word.trim().to_uppercase()).collect());
                }
                "--json" => options.json = value()?.into(),
                "--plots" => options.plots = value()?.into(),
                other => return Err(format!("what is {other:?}?\n{USAGE}").into()),
            }
        }
        if options.plots.as_os_str().is_empty() {
            options.plots = if options.write_readme { "golock-bench/plots" } else { "target" }.into();
        }
        Ok(options)
    }

    /// Whether a workload, `W1` to `W6`, was asked for.
    pub(crate) fn runs(&self, workload: &str) -> bool {
        self.workloads.as_ref().is_none_or(|asked| asked.iter().any(|one| one == workload))
    }
}

fn parse_databases(list: &str) -> Result<Vec<&'static dyn Database>, BoxError> {
    list.split(',')
        .map(|id| {
            databases::find(id.trim()).ok_or_else(|| format!("there is no backend {id:?}\n{USAGE}").into())
        })
        .collect()
}

/// How long and how often things are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) is_quick: bool,
    pub(crate) repetitions: usize,
    /// One measurement of a rate.
    pub(crate) span: Duration,
    /// Wake-ups in one measurement, at most, and for how long.
    pub(crate) wakeups: usize,
    pub(crate) wakeups_within: Duration,
    /// Windows in which the requests of idle waiters are counted.
    pub(crate) idle: Duration,
    /// W5: leases, and how long each is.
    pub(crate) leases: usize,
    pub(crate) lease: Duration,
    /// W6: names in the small and in the large table, and acquires in one measurement.
    pub(crate) rows: [usize; 2],
    pub(crate) acquires: usize,
}

impl Effort {
    const FULL: Self = Self {
        is_quick: false,
        repetitions: 5,
        span: Duration::from_secs(1),
        wakeups: 100,
        wakeups_within: Duration::from_secs(5),
        idle: Duration::from_secs(2),
        leases: 10_000,
        lease: Duration::from_secs(30),
        rows: [1_000, 1_000_000],
        acquires: 300,
    };

    const QUICK: Self = Self {
        is_quick: true,
        repetitions: 3,
        span: Duration::from_millis(200),
        wakeups: 10,
        wakeups_within: Duration::from_secs(1),
        idle: Duration::from_millis(300),
        leases: 300,
        lease: Duration::from_secs(3),
        rows: [100, 10_000],
        acquires: 30,
    };
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned)).map_err(|error| error.to_string())
    }

    #[test]
    fn backends_and_workloads_are_chosen_by_name() {
        let options = parse("--quick --backends postgres,redis --workloads w1,W3").unwrap();
        let ids: Vec<_> = options.databases.iter().map(|database| database.kind().id).collect();
        assert_eq!(ids, ["postgres", "redis"]);
        assert!(options.effort.is_quick && options.runs("W1") && options.runs("W3") && !options.runs("W2"));
        assert!(parse("").unwrap().runs("W6"));
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        for (line, word) in
            [("--backends redis,oracle", "oracle"), ("--fast", "--fast"), ("--json", "--json")]
        {
            let error = parse(line).err().unwrap();
            assert!(error.contains(word), "{error}");
        }
    }
}
