//! Reports side by side, before and after training for example.

use crate::report::Report;
use crate::statistics::Mean;
use crate::tables::{Table, number, percent, percent_mean};

/// A table of named reports, a column each, and the change from the first to the last. A measure that one of them
/// lacks is left out.
pub fn comparison(reports: &[(&str, &Report)]) -> String {
    let mut head = vec![String::new()];
    head.extend(reports.iter().map(|(name, _)| (*name).to_owned()));
    head.push("change".into());
    let mut table = Table::new(&head);
    let mut row = |name: String, of: &dyn Fn(&Report) -> Option<(f64, String)>, scale: f64| {
        let cells: Option<Vec<(f64, String)>> = reports.iter().map(|(_, report)| of(report)).collect();
        let Some(cells) = cells else { return };
        let (Some((first, _)), Some((last, _))) = (cells.first(), cells.last()) else { return };
        let change = format!("{:+.1}", scale * (last - first));
        let cells = cells.into_iter().map(|(_, cell)| cell);
        table.row(&std::iter::once(name).chain(cells).chain([change]).collect::<Vec<_>>());
    };
    let mean = |mean: &Mean| (mean.n > 0).then(|| (mean.value, percent_mean(mean)));

    let Some((_, first)) = reports.first() else { return String::new() };
    let (k, samples) = (first.settings.k, first.settings.samples);
    row("valid format, %".into(), &|r| Some((r.overall.valid, percent(r.overall.valid))), 100.0);
    row(format!("accuracy (Avg@{samples}), %"), &|r| mean(&r.overall.average), 100.0);
    if k > 1 {
        row(format!("Pass@{k}, %"), &|r| mean(&r.overall.pass), 100.0);
    }
    for wording in first.prior.keys() {
        row(format!("Score ({wording}), %"), &|r| mean(&r.prior.get(wording)?.score), 100.0);
        row(format!("Prior ({wording}), %"), &|r| mean(&r.prior.get(wording)?.prior), 100.0);
    }
    let tokens = |value: f64| Some((value, number(value)));
    row("tokens of a completion".into(), &|r| tokens(r.overall.lengths.completion), 1.0);
    row("tokens of a description".into(), &|r| tokens(r.overall.lengths.description), 1.0);
    row("tokens of reasoning and answer".into(), &|r| tokens(r.overall.lengths.reasoning_answer), 1.0);
    table.markdown()
}
