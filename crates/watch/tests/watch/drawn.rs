//! The terminal view, drawn into memory.

use crate::support::{recorded, run};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use std::path::Path;
use vigos_report::Glance;
use vigos_watch::{Key, Look, draw};

/// What the screen shows of a run.
fn drawn(look: &Look, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, look)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let symbols: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
    symbols.chunks(width).map(|row| row.concat() + "\n").collect()
}

fn look(folder: &Path) -> Look {
    let mut look = Look::default();
    look.renew(Glance::of(folder).unwrap(), None);
    look
}

const SOME: &[(&str, &[&str], &str)] =
    &[("row-a", &["A", " cup", ".\nSo", " it", " is"], "ddrra"), ("row-b", &["no", " box"], "--")];

#[test]
fn a_screen_has_curves_phases_time_left_and_the_last_rollout_in_colours() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 4);
    recorded(folder.path(), 2, &[("old", &["old"], "d")]);
    recorded(folder.path(), 4, SOME);
    let mut look = look(folder.path());
    let buffer = drawn(&look, 80, 24);
    let shown = text(&buffer);
    for wanted in [
        "step 4/10",
        "1m00s left",
        "Loss",
        "0.2500",
        "Divergence by teacher",
        "Output format kept",
        "0.7500",
        "Answers that agree",
        "mean: Length of a compl",
        "rollout 60 %",
        "scoring 30 %",
        "update 10 %",
        "rollout 1 of 2, step 4",
        "row-a",
        "valid format",
        "answer a jug not a cup",
        "A cup.",
        "So it is",
        "q quit",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    let colour = |word: &str| {
        let row = shown.lines().position(|line| line.starts_with(word)).unwrap();
        buffer[(0, row as u16)].fg
    };
    assert_eq!((colour("A cup"), colour("So it is")), (Color::Cyan, Color::Yellow));
    look.press(Key::Right);
    assert!(text(&drawn(&look, 80, 24)).contains("invalid format: no_box"), "the next rollout");
    look.press(Key::Right);
    assert_eq!(look.rollout, 1, "the last one stays");
    look.press(Key::Down);
    assert!(
        text(&drawn(&look, 80, 24)).lines().nth(1).unwrap().contains("Divergence by teacher"),
        "the next curve"
    );
}

#[test]
fn every_size_of_a_screen_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 4);
    recorded(folder.path(), 4, SOME);
    let mut look = look(folder.path());
    (0..40).for_each(|_| look.press(Key::Down));
    for width in [1, 2, 5, 20, 40, 79, 80, 200] {
        for height in [1, 2, 3, 4, 8, 12, 20, 24, 60] {
            drawn(&look, width, height);
        }
    }
    let shown = text(&drawn(&look, 40, 10));
    assert!(shown.contains("step 4/10") && shown.contains("q quit"), "{shown}");
}

#[test]
fn no_text_of_a_run_commands_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 1);
    let hostile: &[&str] =
        &["\u{1b}[2J\u{1b}]0;mine\u{7}", "\u{9b}31m", "\r\u{8}\u{0}", "\u{202e}txet\u{200b}"];
    recorded(folder.path(), 1, &[("\u{1b}[31mid", hostile, "dddd")]);
    let line = "{\"step\":2,\"loss\":1,\"\\u001b[31mname\":1}\n";
    std::fs::write(folder.path().join("metrics.jsonl"), line).unwrap();
    let shown = text(&drawn(&look(folder.path()), 120, 40));
    let strange =
        shown.chars().find(|c| (c.is_control() && *c != '\n') || ['\u{202e}', '\u{200b}'].contains(c));
    assert_eq!(strange, None, "{shown}");
    assert!(shown.contains("⟨U+001B⟩[2J") && shown.contains("⟨U+202E⟩txet"), "{shown}");
}

#[test]
fn a_run_that_has_not_begun_and_one_without_rollouts_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), "[train]\nsteps = 3\n").unwrap();
    let shown = text(&drawn(&look(folder.path()), 80, 24));
    assert!(shown.contains("before its first step"), "{shown}");
    std::fs::write(folder.path().join("metrics.jsonl"), "{\"step\":3,\"loss\":null,\"seconds\":2.5}\n")
        .unwrap();
    let shown = text(&drawn(&look(folder.path()), 80, 24));
    assert!(shown.contains("step 3/3  done"), "{shown}");
}

#[test]
fn what_is_chosen_stays_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 2);
    recorded(folder.path(), 2, SOME);
    let mut look = look(folder.path());
    [Key::Down, Key::Right, Key::PageDown].into_iter().for_each(|key| look.press(key));
    let name = look.glance.curves[look.curve].name.clone();
    run(folder.path(), 3);
    look.renew(Glance::of(folder.path()).unwrap(), None);
    assert_eq!((&look.glance.curves[look.curve].name, look.rollout, look.scroll), (&name, 1, 4));
    recorded(folder.path(), 3, SOME);
    look.renew(Glance::of(folder.path()).unwrap(), None);
    assert_eq!((look.rollout, look.scroll), (0, 0), "a newer snapshot is looked at from its beginning");
}
