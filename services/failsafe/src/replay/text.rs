//! What would change, for a terminal.

use domain::Verdict;

use super::{Changed, Tally};
use crate::terminal::{Look, Sheet, Style};

/// The report.
pub(super) fn report(tally: &Tally, style: Style) -> String {
    let mut sheet = Sheet::new(style);
    let (all, changed) = (tally.deployments, tally.changed());
    if all == 0 {
        let nothing =
            "No verdict was reached in that time, or none with a candidate in its shadow: give an earlier --since.";
        sheet.paragraph(0, Look::Plain, nothing);
        return sheet.into_text();
    }
    let title = format!("{all} deployments decided again by policy {}: {changed} otherwise", tally.policy);
    sheet.paragraph(0, Look::Bold, &title);
    sheet.space();
    let header = Verdict::ALL.map(|verdict| format!("{:>8}", verdict.name()));
    sheet.row(&[(Look::Dim, "  was \\ would be"), (Look::Dim, &header.join(""))]);
    for (verdict, row) in Verdict::ALL.iter().zip(&tally.changes) {
        let cells: String = row.iter().map(|count| format!("{count:>8}")).collect();
        sheet.row(&[(Look::Plain, &format!("  {:<14}", verdict.name())), (Look::Plain, &cells)]);
    }
    for (why, count) in &tally.kept_as_stored {
        sheet.paragraph(2, Look::Doubtful, &format!("{count} times {why}"));
    }
    list(&mut sheet, "Stricter", &tally.stricter);
    list(&mut sheet, "Milder", &tally.milder);
    sheet.space();
    let (before, after) = (&tally.before, &tally.after);
    if before.failures + before.good == 0 {
        sheet.paragraph(0, Look::Dim, "No outcome is known: what the change is worth cannot be said.");
        return sheet.into_text();
    }
    sheet.paragraph(0, Look::Bold, "Against the known outcomes");
    for (name, gate) in [("as it was", before), ("as it would be", after)] {
        let [held_up, captured, good] = gate.told(all);
        let told = format!("held up {held_up}; failures captured {captured}; good ones held up {good}");
        sheet.item(2, (Look::Plain, name), Look::Plain, &told);
    }
    sheet.into_text()
}

fn list(sheet: &mut Sheet, title: &str, changed: &[Changed]) {
    if changed.is_empty() {
        return;
    }
    sheet.space();
    sheet.paragraph(0, Look::Bold, title);
    for one in changed {
        let outcome = outcome(one.failed);
        let what = format!("{} → {}{outcome}: {}", one.before, one.after, one.why);
        sheet.item(2, (Look::Plain, &crate::terminal::safe(&one.name)), Look::Plain, &what);
        sheet.paragraph(4, Look::Dim, &one.id);
    }
}

/// What became of it, in a few words.
pub(super) const fn outcome(failed: Option<bool>) -> &'static str {
    match failed {
        Some(true) => " (it failed)",
        Some(false) => " (it succeeded)",
        None => "",
    }
}
