//! The results as Markdown.

use crate::figures::Picture;
use crate::results::{CellResults, Results, RunResults, StepResults, SweepResults};
use vigos_eval::{Mean, Table};

/// A measure of a finished run.
type Measure<'a> = (String, Box<dyn Fn(&RunResults) -> Option<f64> + 'a>, Format);

/// How a mean over seeds is written.
#[derive(Clone, Copy)]
enum Format {
    Percent,
    Tokens,
    Ratio,
}

/// The page: tables, and links to the pictures beside it.
pub(crate) fn markdown(results: &Results, pictures: &[Picture]) -> String {
    let mut text = format!("# {}\n\n", results.title);
    let seeds = results.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    text += &format!(
        "Recipe `{}`, seeds {seeds}; {} of {} runs done. ± is the standard error over seeds; `results.json` has \
         every number.\n",
        results.recipe.display(),
        results.done,
        results.total,
    );
    let link = |text: &mut String, names: &[&str]| {
        for picture in pictures.iter().filter(|picture| names.contains(&picture.name)) {
            let Picture { name, title, .. } = picture;
            *text += &format!("\n![{title}]({name}.svg)\n\n[SVG]({name}.svg), [PNG]({name}.png)\n");
        }
    };
    text += &format!("\n## After training\n\n{}", methods(results));
    link(&mut text, &["score", "palr"]);
    let seeds = before_and_after(results);
    if !seeds.is_empty() {
        text += &format!("\n## Before and after, seed by seed\n\n{seeds}");
    }
    if let Some(sweep) = &results.sweep {
        text += &format!("\n## {}\n\n{}", sweep.title, swept(sweep));
        link(&mut text, &["sweep"]);
    }
    if pictures.iter().any(|picture| matches!(picture.name, "losses" | "clipped")) {
        text += "\n## Training\n";
        link(&mut text, &["losses", "clipped"]);
    }
    text
}

/// A row a method.
fn methods(results: &Results) -> String {
    let mut measures: Vec<Measure> = vec![
        ("valid format, %".into(), Box::new(|run| Some(run.last()?.valid)), Format::Percent),
        ("accuracy, %".into(), Box::new(|run| Some(run.last()?.accuracy.value)), Format::Percent),
    ];
    for wording in results.wordings() {
        let (score, prior) = (format!("Score ({wording}), %"), format!("Prior ({wording}), %"));
        let key = wording.clone();
        measures.push((score, Box::new(move |run| run.last()?.score_of(&key)), Format::Percent));
        measures.push((prior, Box::new(move |run| run.last()?.prior_of(&wording)), Format::Percent));
    }
    if results.runs.iter().any(|run| run.palr.is_some()) {
        let of = |run: &RunResults| run.palr.as_ref().filter(|palr| palr.valid > 0).cloned();
        measures.push((
            "PALR T_ra".into(),
            Box::new(move |run| Some(of(run)?.reasoning_answer.value)),
            Format::Ratio,
        ));
        measures.push((
            "PALR T_y".into(),
            Box::new(move |run| Some(of(run)?.completion.value)),
            Format::Ratio,
        ));
    }
    measures.push(("tokens".into(), Box::new(|run| Some(run.last()?.tokens)), Format::Tokens));

    let mut head = vec!["method".to_owned()];
    head.extend(measures.iter().map(|(name, ..)| name.clone()));
    head.push("seeds".into());
    let mut table = Table::new(&head);
    for method in &results.methods {
        let runs: Vec<&RunResults> = results.of(&method.name).collect();
        let mut row = vec![method.name.clone()];
        row.extend(measures.iter().map(|(_, of, format)| {
            let values: Vec<f64> = runs.iter().filter_map(|run| of(run)).collect();
            format.write(&Mean::of(&values))
        }));
        row.push(if method.trained { runs.len().to_string() } else { "–".into() });
        table.row(&row);
    }
    table.markdown()
}

/// A row a method and seed: what it was and what it came to.
fn before_and_after(results: &Results) -> String {
    let wordings = results.wordings();
    let mut head = vec!["method".to_owned(), "seed".into()];
    for wording in &wordings {
        head.extend([format!("Score ({wording}), %"), format!("Prior ({wording}), %")]);
    }
    head.push("accuracy, %".into());
    let mut table = Table::new(&head);
    let mut rows = 0;
    for run in results.methods.iter().flat_map(|method| results.of(&method.name)) {
        let (Some(seed), [first, .., last]) = (run.seed, run.steps.as_slice()) else { continue };
        let pair = |of: &dyn Fn(&StepResults) -> Option<f64>| match (of(first), of(last)) {
            (Some(first), Some(last)) => format!("{:.1} → {:.1}", 100.0 * first, 100.0 * last),
            _ => "–".into(),
        };
        let mut row = vec![run.method.clone(), seed.to_string()];
        for wording in &wordings {
            row.extend([pair(&|step| step.score_of(wording)), pair(&|step| step.prior_of(wording))]);
        }
        row.push(pair(&|step| Some(step.accuracy.value)));
        table.row(&row);
        rows += 1;
    }
    if rows == 0 { String::new() } else { table.markdown() }
}

/// A column a value of the dial.
fn swept(sweep: &SweepResults) -> String {
    let mut head = vec!["method, measure".to_owned()];
    head.extend(sweep.values.iter().map(ToString::to_string));
    let mut table = Table::new(&head);
    let mut wordings: Vec<&String> = sweep.cells.iter().flat_map(|cell| cell.end.score.keys()).collect();
    wordings.sort();
    wordings.dedup();
    for method in &sweep.methods {
        let mut add = |name: String, of: &dyn Fn(&StepResults) -> Option<f64>| {
            let mut row = vec![format!("{method}, {name}")];
            row.extend(sweep.values.iter().map(|value| {
                let cells = sweep.at(method, *value);
                let values: Vec<f64> = cells.filter_map(|cell: &CellResults| of(&cell.end)).collect();
                Format::Percent.write(&Mean::of(&values))
            }));
            table.row(&row);
        };
        for wording in &wordings {
            add(format!("Score ({wording}), %"), &|step| step.score_of(wording));
            add(format!("Prior ({wording}), %"), &|step| step.prior_of(wording));
        }
        add("accuracy, %".into(), &|step| Some(step.accuracy.value));
    }
    table.markdown()
}

impl Format {
    fn write(self, mean: &Mean) -> String {
        let (scale, places) = match self {
            Self::Percent => (100.0, 1),
            Self::Tokens => (1.0, 1),
            Self::Ratio => (1.0, 3),
        };
        match (mean.n, mean.standard_error) {
            (0, _) => "–".into(),
            (_, Some(error)) => format!("{:.places$} ± {:.places$}", scale * mean.value, scale * error),
            (_, None) => format!("{:.places$}", scale * mean.value),
        }
    }
}

impl RunResults {
    /// Its last evaluation.
    pub(crate) fn last(&self) -> Option<&StepResults> {
        self.steps.last()
    }
}

impl StepResults {
    /// Score of a wording.
    pub(crate) fn score_of(&self, wording: &str) -> Option<f64> {
        self.score.get(wording).filter(|mean| mean.n > 0).map(|mean| mean.value)
    }

    /// Prior of a wording.
    pub(crate) fn prior_of(&self, wording: &str) -> Option<f64> {
        self.prior.get(wording).filter(|mean| mean.n > 0).map(|mean| mean.value)
    }
}
