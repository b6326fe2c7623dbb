//! What would change, as one HTML page that needs nothing else.

use std::fmt::Write as _;

use domain::Verdict;

use super::text::outcome;
use super::{Changed, Gate, Tally};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}table{border-collapse:collapse}\
th,td{padding:.25em .9em;text-align:right;border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}\
th:first-child,td:first-child{text-align:left}td.same{color:#888}td.left{text-align:left}p.note{color:#666;max-width:46em}";

/// Side of the plot in pixels.
const SIDE: f64 = 320.0;

/// The page.
pub(super) fn page(tally: &Tally) -> String {
    let mut body = String::new();
    let title = format!("{} deployments decided again by policy {}", tally.deployments, tally.policy);
    // A string takes every write.
    let _ = write!(body, "<h1>{}</h1><p>{} of them otherwise.</p>", escaped(&title), tally.changed());
    matrix(&mut body, tally);
    for (why, count) in &tally.kept_as_stored {
        let _ = write!(body, "<p class=\"note\">{count} times {}.</p>", escaped(why));
    }
    worth(&mut body, tally);
    list(&mut body, "Stricter", &tally.stricter);
    list(&mut body, "Milder", &tally.milder);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title><style>{STYLE}</style></head>\
         <body>{body}</body></html>\n",
        escaped(&title)
    )
}

fn matrix(body: &mut String, tally: &Tally) {
    body.push_str("<table><tr><th>was \\ would be</th>");
    for verdict in Verdict::ALL {
        let _ = write!(body, "<th>{verdict}</th>");
    }
    body.push_str("</tr>");
    for (was, row) in tally.changes.iter().enumerate() {
        let _ = write!(body, "<tr><td>{}</td>", Verdict::ALL[was]);
        for (would, count) in row.iter().enumerate() {
            let class = if was == would { " class=\"same\"" } else { "" };
            let _ = write!(body, "<td{class}>{count}</td>");
        }
        body.push_str("</tr>");
    }
    body.push_str("</table>");
}

fn worth(body: &mut String, tally: &Tally) {
    let (before, after, all) = (&tally.before, &tally.after, tally.deployments);
    body.push_str("<h2>Against the known outcomes</h2>");
    if before.failures + before.good == 0 {
        body.push_str("<p>No outcome is known: what the change is worth cannot be said.</p>");
        return;
    }
    body.push_str("<table><tr><th></th><th>held up</th><th>failures captured</th><th>good ones held up</th></tr>");
    for (name, gate) in [("as it was", before), ("as it would be", after)] {
        let [held_up, captured, good] = gate.told(all);
        let _ = write!(body, "<tr><td>{name}</td><td>{held_up}</td><td>{captured}</td><td>{good}</td></tr>");
    }
    body.push_str("</table>");
    curve(body, tally);
}

/// Failures captured against the share of deployments held up: the two policies, and all limits on the risk alone.
#[expect(clippy::cast_precision_loss, reason = "a plot of some hundred pixels")]
fn curve(body: &mut String, tally: &Tally) {
    let mut risks = tally.risks.clone();
    let failures = risks.iter().filter(|(_, failed)| *failed).count();
    if failures == 0 {
        return;
    }
    risks.sort_by(|one, other| other.0.total_cmp(&one.0));
    let (mut points, mut captured) = (String::from("0,320"), 0_usize);
    let step = (risks.len() / 400).max(1);
    for (index, (_, failed)) in risks.iter().enumerate() {
        captured += usize::from(*failed);
        if index % step == 0 || index + 1 == risks.len() {
            let x = SIDE * (index + 1) as f64 / risks.len() as f64;
            let y = SIDE - SIDE * captured as f64 / failures as f64;
            let _ = write!(points, " {x:.1},{y:.1}");
        }
    }
    let _ = write!(
        body,
        "<p class=\"note\">Failures captured (upwards) against deployments with a known outcome held up (to the right), each from 0 to \
         100 %. The line is what limits on the risk alone would give; the grey diagonal is chance.</p>\
         <svg width=\"360\" height=\"360\" viewBox=\"-20 -20 360 360\" role=\"img\" aria-label=\"failures captured against deployments held up\">\
         <rect width=\"320\" height=\"320\" fill=\"none\" stroke=\"#999\"/><line x1=\"0\" y1=\"320\" x2=\"320\" y2=\"0\" stroke=\"#ccc\"/>\
         <polyline points=\"{points}\" fill=\"none\" stroke=\"#06c\" stroke-width=\"2\"/>"
    );
    for (name, gate, colour) in [("was", &tally.before, "#888"), ("would be", &tally.after, "#c00")] {
        let (x, y) = place(gate);
        let _ = write!(
            body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\" font-size=\"13\" fill=\"{colour}\">{name}</text>",
            x + 8.0,
            y + 4.0
        );
    }
    body.push_str("</svg>");
}

#[expect(clippy::cast_precision_loss, reason = "a place in a plot")]
fn place(gate: &Gate) -> (f64, f64) {
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let held_up = share(gate.failures_gated + gate.good_gated, gate.failures + gate.good);
    (SIDE * held_up, SIDE - SIDE * share(gate.failures_gated, gate.failures))
}

fn list(body: &mut String, title: &str, changed: &[Changed]) {
    if changed.is_empty() {
        return;
    }
    let _ = write!(body, "<h2>{title}</h2><table>");
    for one in changed {
        let _ = write!(
            body,
            "<tr><td>{}<br><small>{}</small></td><td class=\"left\">{} → {}{}</td><td class=\"left\">{}</td></tr>",
            escaped(&one.name),
            one.id,
            one.before,
            one.after,
            outcome(one.failed),
            escaped(&one.why)
        );
    }
    body.push_str("</table>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
