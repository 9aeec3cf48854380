//! The names that the hub's tools give the files of a data set: `SPLIT-00000-of-00002.parquet`.

use std::path::Path;

/// The split that a Parquet file belongs to by its name: `train` of `train-00000-of-00002.parquet`, and a name
/// without a number if it is one that splits have. Other names tell nothing.
pub fn split_of(file: &Path) -> Option<String> {
    const USUAL: [&str; 5] = ["train", "test", "validation", "val", "dev"];
    let stem = file.file_stem()?.to_str()?;
    let numbered = stem.rsplit_once("-of-").and_then(|(head, total)| {
        let (split, number) = head.rsplit_once('-')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (digits(number) && digits(total) && !split.is_empty()).then_some(split)
    });
    numbered.or_else(|| USUAL.contains(&stem).then_some(stem)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_told_by_a_number_or_by_a_usual_name() {
        for (name, split) in [
            ("train-00000-of-00002.parquet", Some("train")),
            ("data/my-own-00001-of-00002.parquet", Some("my-own")),
            ("test.parquet", Some("test")),
            ("rows.parquet", None),
            ("-00000-of-00002.parquet", None),
            ("train-x-of-2.parquet", None),
            ("", None),
        ] {
            assert_eq!(split_of(Path::new(name)).as_deref(), split, "{name}");
        }
    }
}
