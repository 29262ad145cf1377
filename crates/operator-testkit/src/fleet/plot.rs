//! Two curves over the same seconds, as SVG: writes a second, and memory.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// One second.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Writes so far.
    pub writes: usize,
    /// Memory in MB.
    pub memory: f64,
}

/// The seconds so far, and at which of them what began.
type Course = (Vec<Sample>, Vec<(usize, &'static str)>);

/// Both curves, as they grow.
pub struct Plot {
    count: usize,
    kind: &'static str,
    inner: Mutex<Course>,
}

const WIDTH: f64 = 880.0;
const LEFT: f64 = 60.0;
const HEIGHT: f64 = 150.0;
const TOP: f64 = 50.0;
const GAP: f64 = 50.0;

impl Plot {
    /// Nothing yet, of so many resources of a kind.
    pub fn new(count: usize, kind: &'static str) -> Self {
        Self { count, kind, inner: Mutex::default() }
    }

    /// Adds a second.
    pub fn add(&self, sample: Sample) {
        self.lock().0.push(sample);
    }

    /// Notes that something begins now.
    pub fn phase(&self, name: &'static str) {
        let mut inner = self.lock();
        let now = inner.0.len();
        inner.1.push((now, name));
    }

    /// Writes so far.
    pub fn writes(&self) -> usize {
        self.lock().0.last().map_or(0, |last| last.writes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Course> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plot.
    pub fn draw(&self) -> String {
        let (samples, phases) = self.lock().clone();
        let seconds = samples.len().max(2);
        let mut last = 0;
        let rates: Vec<f64> = samples
            .iter()
            .map(|sample| {
                let rate = sample.writes.saturating_sub(last);
                last = sample.writes;
                rate as f64
            })
            .collect();
        let memory: Vec<f64> = samples.iter().map(|sample| sample.memory).collect();
        let whole = TOP + 2.0 * HEIGHT + GAP + 40.0;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {whole:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{} suspended {}s: what the operator writes, and its memory</text>\n",
            WIDTH + LEFT + 20.0,
            self.count,
            self.kind
        );
        curve(&mut svg, &rates, seconds, TOP, "#2f6f9f", "writes a second");
        curve(&mut svg, &memory, seconds, TOP + HEIGHT + GAP, "#a0522d", "memory, MB");
        for (at, name) in phases {
            let x = LEFT + WIDTH * at as f64 / seconds as f64;
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"#888888\" stroke-dasharray=\"4 3\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#555555\">{name}</text>",
                TOP + 2.0 * HEIGHT + GAP,
                x + 4.0,
                TOP + 14.0
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\" fill=\"#555555\">0 s</text><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">{seconds} s</text>\n</svg>",
            whole - 18.0,
            LEFT + WIDTH,
            whole - 18.0
        );
        svg
    }
}

fn curve(svg: &mut String, values: &[f64], seconds: usize, top: f64, colour: &str, title: &str) {
    let most = values.iter().copied().fold(1.0, f64::max);
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(second, value)| {
            let x = LEFT + WIDTH * second as f64 / seconds as f64;
            format!("{x:.1},{:.1}", top + HEIGHT * (1.0 - value / most))
        })
        .collect();
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{title}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">{most:.0}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">0</text>\
         <line x1=\"{LEFT}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#444444\"/>\
         <polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
        top - 8.0,
        LEFT - 6.0,
        top + 8.0,
        LEFT - 6.0,
        top + HEIGHT,
        top + HEIGHT,
        LEFT + WIDTH,
        top + HEIGHT,
        points.join(" ")
    );
}
