//! The terminal: taken, drawn on when something changes, and given back as it was, after a panic too.

use crate::draw::draw;
use crate::error::WatchError;
use crate::look::{Key, Look};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io::{IsTerminal, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use vigos_report::{Glance, ReportError, stamp};

/// Longest wait for a key: the clock goes on.
const GLANCE: Duration = Duration::from_millis(250);
/// Least time between two readings of the run's files.
const INTERVAL: Duration = Duration::from_secs(1);
/// A run that takes long to read is read so many times as rarely.
const RARELY: u32 = 10;

/// Shows the run in a folder until `q` is pressed or `stop` is set.
///
/// # Errors
/// If there is no terminal, or nothing of a run in the folder.
pub fn top(run: &Path, stop: &AtomicBool) -> Result<(), WatchError> {
    let mut look = Look::default();
    look.renew(Glance::of(run)?, age(run));
    if !stdin().is_terminal() || !stdout().is_terminal() {
        return Err(WatchError::NoTerminal);
    }
    let news = reader(run.to_owned());
    let mut terminal = ratatui::try_init().map_err(WatchError::Terminal)?;
    let shown =
        show(&mut look, run, &news, stop, &mut |look| terminal.draw(|frame| draw(frame, look)).map(drop));
    let restored = ratatui::try_restore().map_err(WatchError::Terminal);
    shown.and(restored)
}

fn show(
    look: &mut Look,
    run: &Path,
    news: &Receiver<Result<Glance, ReportError>>,
    stop: &AtomicBool,
    paint: &mut dyn FnMut(&Look) -> std::io::Result<()>,
) -> Result<(), WatchError> {
    while !stop.load(Ordering::SeqCst) {
        match news.try_recv() {
            Ok(glance) => look.renew(glance?, age(run)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => look.age = age(run),
        }
        paint(look).map_err(WatchError::Terminal)?;
        if !event::poll(GLANCE).map_err(WatchError::Terminal)? {
            continue;
        }
        if let Event::Key(pressed) = event::read().map_err(WatchError::Terminal)? {
            if ends(pressed) {
                return Ok(());
            }
            if let Some(key) = key(pressed) {
                look.press(key);
            }
        }
    }
    Ok(())
}

/// Reads the run when its files have changed, so that keys do not wait for it.
fn reader(run: PathBuf) -> Receiver<Result<Glance, ReportError>> {
    let (send, news) = sync_channel(1);
    thread::spawn(move || {
        let mut seen = stamp(&run);
        let mut pause = INTERVAL;
        loop {
            thread::sleep(pause);
            let now = stamp(&run);
            if now == seen {
                continue;
            }
            seen = now;
            let begin = Instant::now();
            let read = Glance::of(&run);
            pause = INTERVAL.max(begin.elapsed() * RARELY);
            // Nobody looks any more.
            if send.send(read).is_err() {
                return;
            }
        }
    });
    news
}

fn age(run: &Path) -> Option<Duration> {
    std::fs::metadata(run.join("metrics.jsonl")).ok()?.modified().ok()?.elapsed().ok()
}

fn ends(pressed: KeyEvent) -> bool {
    let control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    pressed.kind != KeyEventKind::Release
        && (matches!(pressed.code, KeyCode::Char('q') | KeyCode::Esc)
            || control && pressed.code == KeyCode::Char('c'))
}

fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    match pressed.code {
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        _ => None,
    }
}
