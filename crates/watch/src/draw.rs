//! A run on a screen of any size: what it says in a line, curves, where the time goes, a rollout.
//!
//! What does not fit is left out, the last part first. Texts of strangers have no control characters, see
//! `vigos_report::visible`, and ratatui writes none.

use crate::look::Look;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Sparkline, Wrap};
use std::time::Duration;
use vigos_report::{Curve, Text};

/// Most letters of a curve's name.
const NAME: u16 = 30;
/// Letters of a value.
const VALUE: u16 = 10;
/// Values of a curve are drawn in so many heights.
const HEIGHTS: f64 = 1000.0;
/// Share of the height that the lowest value has, so that it is seen.
const LOWEST: f64 = 0.13;
/// Colours of phases, one after another.
const PHASES: [Color; 4] = [Color::Cyan, Color::Magenta, Color::Yellow, Color::Green];

/// Draws a run.
pub fn draw(frame: &mut Frame<'_>, look: &Look) {
    let area = frame.area();
    let rows = area.height;
    let curves = look.glance.curves.len() as u16;
    // The chosen curve in large from 20 rows on, a rollout from 10 on.
    let (large, below) = (if rows >= 20 { 6 } else { 0 }, if rows >= 10 { rows / 3 } else { 0 });
    let list = rows.saturating_sub(4 + large + below).min(curves).max(1);
    let [head, chosen, all, phases, rollout, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(large),
        Constraint::Length(list),
        Constraint::Length(if rows >= 4 { 2 } else { 0 }),
        Constraint::Min(0),
        Constraint::Length(u16::from(rows >= 3)),
    ])
    .areas(area);
    frame.render_widget(title(look), head);
    draw_chosen(frame, look, chosen);
    draw_curves(frame, look, all);
    draw_phases(frame, look, phases);
    draw_rollout(frame, look, rollout);
    let words = "q quit  ↑↓ curve  ←→ rollout  PgUp PgDn scroll";
    frame.render_widget(Line::styled(words, Modifier::DIM), keys);
}

fn title(look: &Look) -> Line<'static> {
    let glance = &look.glance;
    let mut parts = vec![Span::styled(glance.name.clone(), Modifier::BOLD)];
    let step = match (glance.step, glance.steps) {
        (Some(step), Some(steps)) => format!("step {step}/{steps}"),
        (Some(step), None) => format!("step {step}"),
        (None, _) => "before its first step".into(),
    };
    parts.push(step.into());
    if let (Some(step), Some(steps), Some(left)) = (glance.step, glance.steps, glance.seconds_left) {
        parts.push(if step >= steps { "done".into() } else { format!("{} left", clock(left)).into() });
    }
    if let Some(age) = look.age {
        parts.push(format!("changed {} ago", clock(age.as_secs_f64())).into());
    }
    parts.extend(glance.notes.first().map(|note| Span::styled(note.clone(), Color::Yellow)));
    Line::from_iter(parts.into_iter().flat_map(|part| [part, "  ".into()]))
}

/// The chosen curve, with its range.
fn draw_chosen(frame: &mut Frame<'_>, look: &Look, area: Rect) {
    let Some(curve) = look.glance.curves.get(look.curve) else { return };
    let (low, high) = range(curve);
    let block = Block::new().borders(Borders::TOP | Borders::BOTTOM).title(curve.name.clone());
    let said =
        if low <= high { format!("from {} to {}", short(low), short(high)) } else { "no value yet".into() };
    let block = block.title_bottom(said);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(sparkline(curve, inner.width), inner);
}

/// All curves, a line each; as many as there is room for around the chosen one.
fn draw_curves(frame: &mut Frame<'_>, look: &Look, area: Rect) {
    let curves = &look.glance.curves;
    let room = usize::from(area.height);
    let first = (look.curve + 1).saturating_sub(room);
    for (row, (at, curve)) in curves.iter().enumerate().skip(first).take(room).enumerate() {
        let line = Rect { y: area.y + row as u16, height: 1, ..area };
        let width = NAME.min(area.width / 3);
        let [name, drawn, value] = Layout::horizontal([
            Constraint::Length(width),
            Constraint::Min(0),
            Constraint::Length(VALUE.min(area.width / 3)),
        ])
        .spacing(1)
        .areas(line);
        let style = if at == look.curve { Modifier::REVERSED } else { Modifier::empty() };
        frame.render_widget(Line::styled(curve.name.clone(), style), name);
        frame.render_widget(sparkline(curve, drawn.width), drawn);
        frame.render_widget(Line::from(curve.last.map_or_else(String::new, short)).right_aligned(), value);
    }
}

/// A sparkline over the whole width: a value in several columns where there are few, the mean of several in one where there
/// are many.
fn sparkline(curve: &Curve, width: u16) -> Sparkline<'static> {
    let (low, high) = range(curve);
    let (count, width) = (curve.values.len(), usize::from(width));
    let columns = (0..width).map(|column| {
        let from = column * count / width;
        let to = ((column + 1) * count / width).max(from + 1).min(count);
        let known: Vec<f64> = curve.values.get(from..to)?.iter().copied().flatten().collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        // What never changes is in the middle.
        let height = if high > low { (mean - low) / (high - low) } else { 0.5 };
        (!known.is_empty()).then_some((HEIGHTS * (LOWEST + (1.0 - LOWEST) * height)) as u64)
    });
    let columns: Vec<Option<u64>> = columns.collect();
    Sparkline::default().data(columns).max(HEIGHTS as u64).style(Style::new().fg(Color::Cyan))
}

fn range(curve: &Curve) -> (f64, f64) {
    let values = curve.values.iter().copied().flatten();
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// A bar of the phases' shares, and their names.
fn draw_phases(frame: &mut Frame<'_>, look: &Look, area: Rect) {
    let phases = &look.glance.phases;
    let all: f64 = phases.iter().map(|phase| phase.seconds).sum();
    if all <= 0.0 {
        return;
    }
    let (mut bar, mut names) = (Vec::new(), Vec::new());
    for (phase, colour) in phases.iter().zip(PHASES.into_iter().cycle()) {
        let share = phase.seconds / all;
        let columns = (share * f64::from(area.width)).round() as usize;
        bar.push(Span::styled("█".repeat(columns), colour));
        names.push(Span::styled(format!("■ {} {:.0} %  ", phase.name, 100.0 * share), colour));
    }
    frame.render_widget(Paragraph::new(vec![Line::from(bar), Line::from(names)]), area);
}

fn draw_rollout(frame: &mut Frame<'_>, look: &Look, area: Rect) {
    let rollouts = &look.glance.rollouts;
    let Some(rollout) = rollouts.get(look.rollout) else { return };
    let place = format!("rollout {} of {}, step {}", look.rollout + 1, rollouts.len(), rollout.step);
    let block = Block::new().borders(Borders::TOP).title(place).title(rollout.id.clone());
    let legend =
        ["description", "reasoning", "answer"].map(|part| Span::styled(format!(" {part} "), span(part)));
    let block = block.title(Line::from_iter(legend).right_aligned());
    let mut lines = vec![judged(rollout)];
    lines.extend(text(rollout));
    frame.render_widget(
        Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((look.scroll, 0)).block(block),
        area,
    );
}

/// What was made of a rollout.
fn judged(rollout: &Text) -> Line<'static> {
    let format = match &rollout.fault {
        None => Span::styled("valid format", Color::Green),
        Some(fault) => Span::styled(format!("invalid format: {fault}"), Color::Red),
    };
    let answer = match &rollout.predicted {
        Some(predicted) => format!("answer {predicted}"),
        None => "no answer".into(),
    };
    let agrees = match rollout.correct {
        true => Span::styled("agrees with", Color::Green),
        false => Span::styled("not", Color::Red),
    };
    Line::from(vec![
        format,
        "; ".into(),
        answer.into(),
        " ".into(),
        agrees,
        format!(" {}", rollout.answer).into(),
    ])
}

/// A completion in lines, each span in its colour.
fn text(rollout: &Text) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    for piece in &rollout.pieces {
        for (number, part) in piece.text.split('\n').enumerate() {
            if number > 0 {
                lines.push(Line::default());
            }
            if let Some(line) = lines.last_mut() {
                line.push_span(Span::styled(part.replace('\t', "    "), of_letter(piece.span)));
            }
        }
    }
    lines
}

fn of_letter(letter: char) -> Style {
    match letter {
        'd' => span("description"),
        'r' => span("reasoning"),
        'a' => span("answer"),
        _ => Style::new(),
    }
}

/// How a part of a completion looks; without colours too.
fn span(part: &str) -> Style {
    match part {
        "description" => Style::new().fg(Color::Cyan),
        "reasoning" => Style::new().fg(Color::Yellow).add_modifier(Modifier::ITALIC),
        _ => Style::new().fg(Color::Magenta).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
    }
}

/// A number in few letters.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.1e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.4}"),
    }
}

fn clock(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, rest) => format!("{minutes}m{rest:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}
