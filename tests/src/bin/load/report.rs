//! What a run came to: words for people, and a plot of several.

use std::path::Path;

use plotters::prelude::*;
use serde::Serialize;

use crate::drive::Driven;
use crate::floors::Floors;
use crate::lookups::Lookups;
use crate::usage::own;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    /// How many deployments.
    pub(crate) count: u32,
    /// The version of nats-server.
    pub(crate) nats: String,
    /// What the servers did alone.
    pub(crate) floors: Floors,
    /// What became of the deployments.
    pub(crate) driven: Driven,
    /// Milliseconds from the submission to the confirmed commit of the verdict: median, 99 %, 99.9 %. Only at a rate: where as many wait as
    /// may, it is their number that sets how long.
    pub(crate) stored_ms: Option<[f64; 3]>,
    /// How quickly questions were answered right after the last verdict, while PostgreSQL still had to write.
    pub(crate) lookups_at_once: Lookups,
    /// Likewise, once it had written everything and looked through its tables.
    pub(crate) lookups: Lookups,
}

impl Run {
    /// CPU seconds of our own processes for 1,000 deployments.
    pub(crate) fn own_cpu(&self) -> f64 {
        own(&self.driven.cpu_s_per_1000)
    }
}

/// Says what one run came to.
pub(crate) fn print(run: &Run) {
    let Run { count, nats, floors, driven, lookups_at_once, lookups, .. } = run;
    println!("{count} deployments, nats-server {nats}");
    println!(
        "  verdicts      {:>8.0} /s   {:.3} of JetStream's {:.0} publishes/s, {:.3} of PostgreSQL's {:.0} rows/s",
        driven.verdicts_per_second,
        driven.verdicts_per_second / floors.publishes_per_second,
        floors.publishes_per_second,
        driven.verdicts_per_second / floors.rows_per_second,
        floors.rows_per_second
    );
    println!("  submissions   {:>8.0} /s   {} refused for want of room", driven.submissions_per_second, driven.refused);
    println!(
        "  decided in    {:>8.1} s    explained in {:.1} s, {} decided more than once",
        driven.decided_s, driven.explained_s, driven.verdicts_again
    );
    print_latencies(run);
    println!(
        "  CPU           {:>8.2} s    of our processes for 1,000 deployments:{}",
        run.own_cpu(),
        each(&driven.cpu_s_per_1000, 2)
    );
    println!(
        "  memory        {:>8.0} MB   of our processes at most:{}",
        own(&driven.memory_peak_mb),
        each(&driven.memory_peak_mb, 0)
    );
    for (when, Lookups { get_ms, list_ms }) in [("at once", lookups_at_once), ("at rest", lookups)] {
        println!(
            "  look-ups      {:>8.2} ms   p99 {:.2} ms; lists {:.2} ms, p99 {:.2} ms; {when}",
            get_ms[0], get_ms[1], list_ms[0], list_ms[1]
        );
    }
}

/// How long the verdicts took, beside what the servers need for as many hops.
fn print_latencies(run: &Run) {
    let Run { floors, driven, stored_ms, .. } = run;
    for (when, took) in [("stored", *stored_ms), ("told", Some(driven.latency_ms))] {
        if let Some([p50, p99, p999]) = took {
            println!(
                "  {when:<12}  {p50:>8.1} ms   p99 {p99:.1} ms, p99.9 {p999:.1} ms from the submission to the verdict"
            );
        }
    }
    println!(
        "  empty hops    {:>8.1} ms   p99 {:.1} ms for five; a commit p99 {:.1} ms",
        floors.pipeline_p50_ms, floors.pipeline_p99_ms, floors.commit_p99_ms
    );
    if let Some([_, p99, _]) = stored_ms {
        let allowed = 2.5 * floors.pipeline_p99_ms + floors.commit_p99_ms;
        println!("  stored p99    {:>8.2}      of 2.5 times the hops' p99 and one commit's", p99 / allowed);
    }
}

fn each(of: &std::collections::BTreeMap<String, f64>, digits: usize) -> String {
    of.iter().map(|(name, value)| format!(" {name} {value:.digits$}")).collect()
}

/// Draws time over deployments, and memory over the course of the longest run.
///
/// # Panics
/// When the file cannot be written.
pub(crate) fn plot(path: &Path, runs: &[Run]) {
    let area = SVGBackend::new(path, (1_000, 420)).into_drawing_area();
    area.fill(&WHITE).expect("a page");
    let (left, right) = area.split_horizontally(500);
    let points: Vec<(f64, f64)> = runs.iter().map(|run| (f64::from(run.count), run.driven.decided_s)).collect();
    draw(&left, "Seconds until all are decided, by deployments (grey: in proportion)", &points, true);
    let longest = runs.iter().max_by_key(|run| run.count).expect("at least one run");
    let points: Vec<(f64, f64)> =
        longest.driven.course.iter().map(|(_, decided, memory)| (f64::from(*decided), *memory)).collect();
    draw(&right, "Memory of our processes in MB, by verdicts so far", &points, false);
    area.present().expect("the file of --plot can be written");
}

/// One line over a grid from zero, with its points when they are few.
fn draw(area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>, title: &str, points: &[(f64, f64)], dots: bool) {
    let most = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(1.0, f64::max) * 1.05;
    let (x_most, y_most) = (most(|point| point.0), most(|point| point.1));
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..x_most, 0.0..y_most)
        .expect("a chart");
    let mut mesh = chart.configure_mesh();
    mesh.x_labels(5).light_line_style(WHITE).x_label_formatter(&thousands).y_label_formatter(&thousands);
    mesh.draw().expect("a grid");
    if dots {
        let (last_x, last_y) = points.last().copied().unwrap_or((1.0, 1.0));
        // What twice the deployments in twice the time would be.
        let straight = [(0.0, 0.0), (last_x, last_y)];
        chart.draw_series(LineSeries::new(straight, BLACK.mix(0.3))).expect("a line");
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, BLUE.filled()))).expect("points");
    } else {
        chart.draw_series(LineSeries::new(points.iter().copied(), BLUE)).expect("a line");
    }
}

/// A whole number with a comma before each three digits: `1,000,000`.
fn thousands(number: &f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
