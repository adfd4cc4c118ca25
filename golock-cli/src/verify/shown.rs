//! How the outcome is shown: promise by promise, then what failed, then what was not checked and why.

use std::collections::BTreeMap;
use std::io::{self, Write};

use golock_conformance::Outcome;
use serde_json::{Value, json};

use super::Checks;
use super::promises::PROMISES;
use crate::shown::printable;

pub(super) fn print(checks: &Checks, left_over: &[String], json: bool) -> io::Result<()> {
    let text = if json { as_json(checks, left_over).to_string() } else { in_words(checks, left_over) };
    writeln!(io::stdout(), "{text}")
}

fn in_words(checks: &Checks, left_over: &[String]) -> String {
    let mut lines = Vec::new();
    for promise in PROMISES {
        let tally = promise.tally(checks);
        let mut counts = format!("{} checks", tally.held + tally.failed);
        for (count, what) in [(tally.failed, "failed"), (tally.not_checked, "not checked")] {
            if count > 0 {
                counts.push_str(&format!(", {count} {what}"));
            }
        }
        lines.push(format!("{}  {:<36} {:<12} {counts}", promise.number, promise.title, tally.verdict()));
    }
    let failed = checks.iter().filter_map(|(case, outcome)| match outcome {
        Outcome::Failed(reason) => Some((case, reason)),
        _ => None,
    });
    for (case, reason) in failed {
        lines.push(format!("\nFAILED {}: {}", case.name, case.proves()));
        // A server's words may be part of it.
        lines.extend(reason.lines().map(|line| format!("       {}", printable(line))));
    }
    let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
    for (case, outcome) in checks {
        if let Outcome::Ignored(reason) = outcome {
            reasons.entry(reason).or_default().push(case.name);
        }
    }
    if !reasons.is_empty() {
        lines.push("\nNot checked:".to_owned());
    }
    for (reason, names) in reasons {
        lines.push(format!("  {reason}\n    {}", names.join(", ")));
    }
    for what in left_over {
        lines.push(format!("\nNot removed: {}", printable(what)));
    }
    lines.join("\n")
}

fn as_json(checks: &Checks, left_over: &[String]) -> Value {
    let promises = PROMISES.iter().map(|promise| {
        let tally = promise.tally(checks);
        json!({
            "number": promise.number,
            "promise": promise.title,
            "verdict": tally.verdict(),
            "held": tally.held,
            "failed": tally.failed,
            "not_checked": tally.not_checked,
        })
    });
    let shown = checks.iter().map(|(case, outcome)| {
        let (outcome, reason) = match outcome {
            Outcome::Passed => ("held", None),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Ignored(reason) => ("not checked", Some(reason)),
        };
        json!({ "check": case.name, "proves": case.proves(), "outcome": outcome, "reason": reason })
    });
    json!({
        "holds": checks.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Failed(_))),
        "promises": Value::from_iter(promises),
        "checks": Value::from_iter(shown),
        "not_removed": left_over,
    })
}

#[cfg(test)]
mod tests {
    use golock_conformance::{Outcome, cases};

    use super::in_words;

    #[test]
    fn a_servers_words_can_not_play_with_the_terminal() {
        let failed = Outcome::Failed("it said\n\u{1b}[2Jno".to_owned());
        let shown = in_words(&vec![(&cases()[0], failed)], &["\u{1b}[2J".to_owned()]);
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert!(shown.contains("       it said\n       \\u{1b}[2Jno"), "{shown}");
    }
}
