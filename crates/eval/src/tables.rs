//! Tables that read well as text and as Markdown.

use crate::statistics::Mean;

/// A table whose first column is text and whose others are numbers.
#[derive(Clone, Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column heads.
    pub fn new(head: &[String]) -> Self {
        Self { rows: vec![head.to_vec()] }
    }

    /// Adds a row, of as many cells as the head has.
    pub fn row(&mut self, cells: &[String]) {
        // A bar would end its cell, a line break its row.
        self.rows.push(cells.iter().map(|c| c.replace('|', "\\|").replace(['\n', '\r'], " ")).collect());
    }

    /// Its lines, columns aligned.
    pub fn markdown(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!(" {cell:<width$} |"),
                _ => format!(" {cell:>width$} |"),
            });
            format!("|{}\n", cells.collect::<String>())
        };
        let rule = widths.iter().enumerate().map(|(column, width)| match column {
            0 => format!(" {} |", "-".repeat(*width)),
            _ => format!(" {}: |", "-".repeat(width - 1)),
        });
        let rule = format!("|{}\n", rule.collect::<String>());
        let mut lines = self.rows.iter().map(line);
        let head = lines.next().unwrap_or_default();
        head + &rule + &lines.collect::<String>()
    }
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// A mean share in percent with its standard error.
pub(crate) fn percent_mean(mean: &Mean) -> String {
    match (mean.n, mean.standard_error) {
        (0, _) => "–".into(),
        (_, Some(error)) => format!("{:.2} ± {:.2}", 100.0 * mean.value, 100.0 * error),
        (_, None) => percent(mean.value),
    }
}

/// A number with one decimal.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.1}")
}
