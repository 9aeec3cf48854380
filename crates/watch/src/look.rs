//! What is looked at: a run at a glance, the curve and the rollout that are chosen, what a key does.

use std::time::Duration;
use vigos_report::Glance;

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The curve before.
    Up,
    /// The curve after.
    Down,
    /// The rollout before.
    Left,
    /// The rollout after.
    Right,
    /// The text further up.
    PageUp,
    /// The text further down.
    PageDown,
}

/// A run and what is chosen of it.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The run.
    pub glance: Glance,
    /// How long ago its metrics changed.
    pub age: Option<Duration>,
    /// The chosen curve's place.
    pub curve: usize,
    /// The chosen rollout's place.
    pub rollout: usize,
    /// Lines of the rollout's text that are above what is shown.
    pub scroll: u16,
}

impl Look {
    /// Takes a newer state of the run; what is chosen stays, and of a newer snapshot the first rollout is.
    pub fn renew(&mut self, glance: Glance, age: Option<Duration>) {
        let step = |glance: &Glance| glance.rollouts.first().map(|rollout| rollout.step);
        if step(&glance) != step(&self.glance) {
            (self.rollout, self.scroll) = (0, 0);
        }
        // A metric that is new may stand before the chosen one.
        let name = self.glance.curves.get(self.curve).map(|curve| curve.name.clone());
        let place = glance.curves.iter().position(|curve| Some(&curve.name) == name.as_ref());
        self.curve = place.unwrap_or(0);
        self.rollout = self.rollout.min(glance.rollouts.len().saturating_sub(1));
        (self.glance, self.age) = (glance, age);
    }

    /// Does what a key means.
    pub fn press(&mut self, key: Key) {
        match key {
            Key::Up => self.curve = self.curve.saturating_sub(1),
            Key::Down => self.curve = (self.curve + 1).min(self.glance.curves.len().saturating_sub(1)),
            Key::Left => (self.rollout, self.scroll) = (self.rollout.saturating_sub(1), 0),
            Key::Right => {
                let last = self.glance.rollouts.len().saturating_sub(1);
                (self.rollout, self.scroll) = ((self.rollout + 1).min(last), 0);
            }
            Key::PageUp => self.scroll = self.scroll.saturating_sub(4),
            Key::PageDown => self.scroll = self.scroll.saturating_add(4),
        }
    }
}
