//! Where a question shows its images.

use vigos_recipe::row::IMAGE_MARK;

/// The question without the marks that it begins with, as images come before the text anyway. `marks` of it are for the
/// row's `images`: as many, or none.
pub(crate) fn of_images(question: &str, marks: usize, images: usize) -> Result<String, String> {
    if marks != 0 && marks != images {
        let (s, t) = (if marks == 1 { "" } else { "s" }, if images == 1 { "" } else { "s" });
        return Err(format!(
            "found {marks} mark{s} `{IMAGE_MARK}` in the question and {images} image{t}, wanted a mark for each image, or none"
        ));
    }
    let mut rest = question;
    while let Some(after) = rest.trim_start().strip_prefix(IMAGE_MARK) {
        rest = after;
    }
    let was_marked = rest.len() < question.len();
    Ok(if was_marked { rest.trim_start() } else { rest }.to_owned())
}
