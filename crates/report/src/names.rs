//! Names of metrics, and patterns of them.

/// Whether a name is one of those that a pattern stands for.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            let part = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            part.is_some_and(|part| !part.is_empty() && !part.contains('/'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_one_part_of_a_name() {
        assert!(
            fits("terms/*/kl", "terms/perception/kl")
                && fits("loss", "loss")
                && fits("seconds/*", "seconds/update")
        );
        assert!(
            !fits("terms/*/kl", "terms/a/b/kl") && !fits("terms/*/kl", "terms/kl") && !fits("loss", "losses")
        );
    }
}
