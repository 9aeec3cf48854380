//! Where a question shows its images.

use vigos_recipe::row::IMAGE_MARK;

/// The question without the marks that it begins with, as images come before the text anyway. `marks` of it are for the
/// row's `images`: as many, or none.
///
/// # Errors
/// What was found and wanted, if they are others.
pub fn of_images(question: &str, marks: usize, images: usize) -> Result<String, String> {
    check(marks, images)?;
    Ok(unmarked(question).to_owned())
}

/// Refuses marks of images that are some, and not one for each image.
pub(crate) fn check(marks: usize, images: usize) -> Result<(), String> {
    if marks == 0 || marks == images {
        return Ok(());
    }
    let (s, t) = (if marks == 1 { "" } else { "s" }, if images == 1 { "" } else { "s" });
    Err(format!(
        "found {marks} mark{s} `{IMAGE_MARK}` in the question and {images} image{t}, wanted a mark for each image, or none"
    ))
}

/// The question without the marks that it begins with.
pub(crate) fn unmarked(question: &str) -> &str {
    let mut rest = question;
    while let Some(after) = rest.trim_start().strip_prefix(IMAGE_MARK) {
        rest = after;
    }
    if rest.len() < question.len() { rest.trim_start() } else { rest }
}
