//! The plots of a model's report, each an SVG that stands in the page itself.

use std::ops::Range;

use anyhow::anyhow;
use ml_scoring::Model;
use ml_scoring::evaluation::Quality;
use ml_scoring::features::FEATURES;
use ml_scoring::metrics::Bin;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

const SIZE: (u32, u32) = (520, 400);
const FONT: (&str, u32) = ("sans-serif", 13);
const LINE: RGBColor = RGBColor(29, 84, 160);
const COMPARED: RGBColor = RGBColor(150, 150, 150);
const BAR: RGBColor = RGBColor(120, 160, 215);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The ROC curve, beside a coin's.
pub(super) fn roc(quality: &Quality) -> anyhow::Result<String> {
    svg(SIZE, |area| {
        let mut chart = axes(area, 0.0..1.0, 0.0..1.0, "share of the successes", "share of the failures", 2)?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], COMPARED)).map_err(anyhow_of)?;
        chart.draw_series(LineSeries::new(quality.roc.clone(), LINE.stroke_width(2))).map_err(anyhow_of)?;
        Ok(())
    })
}

/// Precision over recall, beside the share that failed.
pub(super) fn precision_recall(quality: &Quality) -> anyhow::Result<String> {
    let rate = quality.failures as f64 / quality.rows as f64;
    let top = quality.precision_recall.iter().map(|(_, precision)| *precision).fold(2.0 * rate, f64::max).min(1.0);
    svg(SIZE, |area| {
        let mut chart =
            axes(area, 0.0..1.0, 0.0..top, "share of the failures (recall)", "share that failed (precision)", 3)?;
        chart.draw_series(LineSeries::new([(0.0, rate), (1.0, rate)], COMPARED)).map_err(anyhow_of)?;
        chart
            .draw_series(LineSeries::new(quality.precision_recall.clone(), LINE.stroke_width(2)))
            .map_err(anyhow_of)?;
        Ok(())
    })
}

/// What was observed against what was predicted, with 95 % intervals, over how often each height was predicted.
pub(super) fn reliability(quality: &Quality) -> anyhow::Result<String> {
    let top = quality.bins.iter().map(|bin| bin.interval().1.max(bin.predicted)).fold(0.0, f64::max) * 1.05;
    svg((SIZE.0, SIZE.1 + 110), |area| {
        let (upper, lower) = area.split_vertically(SIZE.1);
        let mut chart = axes(&upper, 0.0..top, 0.0..top, "predicted", "observed", 3)?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (top, top)], COMPARED)).map_err(anyhow_of)?;
        let bars = quality.bins.iter().map(|bin| {
            let (low, high) = bin.interval();
            ErrorBar::new_vertical(bin.predicted, low, bin.observed(), high, LINE.filled(), 6)
        });
        chart.draw_series(bars).map_err(anyhow_of)?;
        let counts = histogram(&quality.bins, top);
        let most = counts.iter().map(|(_, _, height)| *height).fold(0.0, f64::max);
        let mut below = axes(&lower, 0.0..top, 0.0..most * 1.05, "", "density", 0)?;
        let bars =
            counts.into_iter().map(|(from, to, height)| Rectangle::new([(from, 0.0), (to, height)], BAR.filled()));
        below.draw_series(bars).map_err(anyhow_of)?;
        Ok(())
    })
}

/// How densely the predictions lie: each part holds as many, so that its height is one over its width.
fn histogram(bins: &[Bin], top: f64) -> Vec<(f64, f64, f64)> {
    let mut from = 0.0;
    let mut bars = Vec::new();
    for bin in bins {
        let to = bin.up_to.min(top);
        if to > from {
            bars.push((from, to, 1.0 / (bins.len() as f64 * (to - from))));
            from = to;
        }
    }
    bars
}

/// How many times the usual share of failures each tenth holds, from the safest to the riskiest.
pub(super) fn lift(quality: &Quality) -> anyhow::Result<String> {
    let rate = quality.failures as f64 / quality.rows as f64;
    let lifts: Vec<f64> = quality.deciles.iter().map(|bin| bin.observed() / rate).collect();
    let top = lifts.iter().copied().fold(1.5, f64::max) * 1.05;
    svg(SIZE, |area| {
        let mut chart = axes(area, 0.0..lifts.len() as f64, 0.0..top, "tenth, from the safest", "lift", 1)?;
        let bars = lifts.iter().enumerate().map(|(tenth, lift)| {
            Rectangle::new([(tenth as f64 + 0.1, 0.0), (tenth as f64 + 0.9, *lift)], BAR.filled())
        });
        chart.draw_series(bars).map_err(anyhow_of)?;
        chart.draw_series(LineSeries::new([(0.0, 1.0), (lifts.len() as f64, 1.0)], COMPARED)).map_err(anyhow_of)?;
        Ok(())
    })
}

/// The coefficients with their 95 % intervals, the strongest on top.
pub(super) fn coefficients(model: &Model) -> anyhow::Result<String> {
    let mut weights: Vec<_> = model.file().weights.features.iter().collect();
    weights.sort_by(|a, b| a.coefficient.abs().total_cmp(&b.coefficient.abs()));
    let reach = |weight: &&ml_scoring::model::Weight| weight.coefficient.abs() + 1.96 * weight.standard_error;
    let most = weights.iter().map(reach).fold(0.0, f64::max) * 1.05;
    let rows = weights.len() as f64;
    svg((760, 40 + 20 * weights.len() as u32), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .x_label_area_size(40)
            .y_label_area_size(220)
            .build_cartesian_2d(-most..most, 0.0..rows)
            .map_err(anyhow_of)?;
        let name = |row: &f64| weights.get(*row as usize).map_or("", |weight| FEATURES[weight.feature].name).to_owned();
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .y_labels(weights.len() + 1)
            .y_label_formatter(&name)
            .x_desc("log-odds for each standard deviation")
            .label_style(FONT)
            .draw()
            .map_err(anyhow_of)?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (0.0, rows)], COMPARED)).map_err(anyhow_of)?;
        let bars = weights.iter().enumerate().map(|(row, weight)| {
            let (middle, error) = (weight.coefficient, 1.96 * weight.standard_error);
            ErrorBar::new_horizontal(row as f64, middle - error, middle, middle + error, LINE.filled(), 6)
        });
        chart.draw_series(bars).map_err(anyhow_of)?;
        Ok(())
    })
}

/// A chart with labelled axes; `digits` behind the point.
fn axes<'a, 'b>(
    area: &'a Area<'b>,
    x: Range<f64>,
    y: Range<f64>,
    x_name: &str,
    y_name: &str,
    digits: usize,
) -> anyhow::Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(if x_name.is_empty() { 10 } else { 40 })
        .y_label_area_size(60)
        .build_cartesian_2d(x, y)
        .map_err(anyhow_of)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.08))
        .x_desc(x_name)
        .y_desc(y_name)
        .x_labels(if x_name.is_empty() { 0 } else { 6 })
        .y_labels(if x_name.is_empty() { 0 } else { 6 })
        .x_label_formatter(&|value| format!("{value:.digits$}"))
        .y_label_formatter(&|value| format!("{value:.digits$}"))
        .label_style(FONT)
        .axis_desc_style(FONT)
        .draw()
        .map_err(anyhow_of)?;
    Ok(chart)
}

/// What `draw` draws, as SVG.
fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> anyhow::Result<()>) -> anyhow::Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area)?;
        area.present().map_err(anyhow_of)?;
    }
    Ok(text)
}

/// The library's errors borrow what they were made from.
fn anyhow_of(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}
