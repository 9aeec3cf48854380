//! A text with the places of its images.

use serde_json::Value;
use vigos_recipe::IMAGE_MARK;

/// A text with marks of images.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marked {
    pub(crate) text: String,
    /// For each mark in the text the image that it brings; none for one of the row's.
    pub(crate) marks: Vec<Option<Value>>,
}

impl Marked {
    /// A text whose marks are of the row's images.
    pub(crate) fn plain(text: &str) -> Self {
        let mut marked = Self::default();
        marked.say(text);
        marked
    }

    /// A text without images, whatever it says.
    pub(crate) fn bare(text: String) -> Self {
        Self { text, marks: Vec::new() }
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.marks.resize(self.marks.len() + text.matches(IMAGE_MARK).count(), None);
    }

    pub(crate) fn show(&mut self, image: Option<Value>) {
        self.text.push_str(IMAGE_MARK);
        self.marks.push(image);
    }
}
