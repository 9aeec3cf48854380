//! Data sets that are drawn and are nowhere: `shapes:SPLIT`, or `shapes:SPLIT?DIAL=VALUE&DIAL=VALUE` for another
//! world than that of the defaults.
//!
//! They have the rows that `vigos data shapes` writes, in the same order.

use std::path::Path;
use std::sync::Arc;

use vigos_core::files::Progress;
use vigos_data::{
    BadRow, DataRequest, Dataset, DatasetError, Demonstration, ImageSource, Labels, Place, Role, Row,
    RowFields, Scheme, SourceError,
};
use vigos_recipe::prompts::Prompts;
use vigos_world::{Member, Sample, Split, Triple, Wording, World, WorldConfig, WorldError, png};

/// What names begin with.
const SCHEME: &str = "shapes";
/// Rows about each picture of the prior suite.
const WORDINGS: usize = Wording::ALL.len();

/// Opens the splits of the drawn world, whose rows are drawn whenever they are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Shapes;

impl Scheme for Shapes {
    fn name(&self) -> &str {
        SCHEME
    }

    fn open(&self, request: &DataRequest, _progress: &mut Progress) -> Result<Dataset, DatasetError> {
        request.names_its_split()?;
        match &request.fields {
            RowFields::Questions(_) => questions(request.path, request.limit),
            RowFields::Demonstrations(_) => demonstrations(request.path, request.limit),
            RowFields::Benchmark(benchmark) => Err(DatasetError::Setting {
                key: request.key.into(),
                found: request.path.display().to_string(),
                wanted: format!("rows of {}", benchmark.name()),
            }),
        }
    }
}

/// The questions that `name` stands for, the first `limit` of them if given; not of a split that has none to train or
/// to evaluate on.
fn questions(name: &Path, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    let Name { split, world } = Name::parse(name)?;
    let origin = name.display().to_string();
    let samples = count(&world, split);
    let rows = |rows: usize| rows.min(limit.unwrap_or(usize::MAX));
    match split {
        Split::Train => Dataset::generated(name, rows(samples), move |index| {
            let sample = world.train(index as u64);
            question(&sample, sample.answer(), &origin)
        }),
        Split::Test => Dataset::generated(name, rows(samples), move |index| {
            let sample = world.test(index as u64);
            question(&sample, sample.truth(), &origin)
        }),
        Split::Prior => {
            // A world in which nothing is usual has no such suite.
            let triples = if world.prior(0).is_some() { samples } else { 0 };
            let each = Triple::MEMBERS * WORDINGS;
            Dataset::generated(name, rows(triples * each), move |index| {
                let triple = world.prior((index / each) as u64);
                let member = triple.as_ref().and_then(|t| t.members.get(index % each / WORDINGS));
                let Some((triple, member)) = triple.as_ref().zip(member) else {
                    return Err(bad(&origin, index.to_string(), "a world in which nothing is usual".into()));
                };
                prior(triple.number, member, Wording::ALL[index % WORDINGS], &origin)
            })
        }
        Split::Warmup => Err(wrong_split(name, "shapes:train, shapes:test or shapes:prior")),
    }
}

/// The warm-up that `name` stands for, the first `limit` demonstrations if given. Prompts are rendered with the
/// templates that the world's `prompts` names.
fn demonstrations(name: &Path, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    let Name { split, world } = Name::parse(name)?;
    if split != Split::Warmup {
        return Err(wrong_split(name, "shapes:warmup"));
    }
    let prompts = Prompts::load(Some(&world.config().prompts)).map_err(|e| SourceError::new(e, true))?;
    let origin = name.display().to_string();
    let rows = count(&world, split).min(limit.unwrap_or(usize::MAX));
    Dataset::generated(name, rows, move |index| {
        let warmup = world.warmup(index as u64);
        let sample = &warmup.sample;
        let prompt = prompts.render(warmup.form.word(), &warmup.problem(), warmup.reference());
        Ok(Row {
            id: sample.id(),
            images: vec![picture(sample, &origin)?],
            problem: prompt.map_err(|e| bad(&origin, sample.id(), e.to_string()))?,
            answer: String::new(),
            before: Vec::new(),
            demonstration: Some(Demonstration {
                prefill: warmup.form.prefill().to_owned(),
                completion: warmup.completion(),
            }),
            origin: place(&origin, sample),
            labels: Labels::default(),
        })
    })
}

/// A name, read.
struct Name {
    split: Split,
    world: World,
}

impl Name {
    fn parse(name: &Path) -> Result<Self, DatasetError> {
        let text = name.to_str().and_then(|name| name.split_once(':')).map_or("", |(_, text)| text);
        let (split, dials) = text.split_once('?').unwrap_or((text, ""));
        let every = Split::ALL.map(|split| format!("{SCHEME}:{}", split.word())).join(", ");
        let split = Split::named(split).ok_or_else(|| wrong_split(name, &format!("one of {every}")))?;
        let dials: Vec<String> = dials.split('&').filter(|d| !d.is_empty()).map(str::to_owned).collect();
        // Dials are named as where they stand.
        let config = WorldConfig::load(None, &dials).map_err(|error| match error {
            WorldError::Config(error) => fault(error.within(name.display().to_string()).into()),
            other => fault(other),
        })?;
        Ok(Self { split, world: World::new(config).map_err(fault)? })
    }
}

fn fault(error: WorldError) -> SourceError {
    let is_input = error.is_input();
    SourceError::new(error, is_input)
}

fn wrong_split(name: &Path, wanted: &str) -> DatasetError {
    DatasetError::Setting {
        key: "the data set's path".into(),
        found: format!("\"{}\"", name.display()),
        wanted: format!("{wanted}, with ?DIAL=VALUE if need be"),
    }
}

fn count(world: &World, split: Split) -> usize {
    usize::try_from(world.samples(split)).unwrap_or(usize::MAX)
}

fn question(sample: &Sample, answer: &str, origin: &str) -> Result<Row, BadRow> {
    Ok(Row {
        id: sample.id(),
        problem: sample.problem(),
        answer: answer.to_owned(),
        before: Vec::new(),
        images: vec![picture(sample, origin)?],
        origin: place(origin, sample),
        labels: Labels { kind: Some(sample.question.kind().word().to_owned()), ..Labels::default() },
        demonstration: None,
    })
}

fn prior(triple: u64, member: &Member, wording: Wording, origin: &str) -> Result<Row, BadRow> {
    let sample = member.worded(wording);
    let role = match member.role {
        vigos_world::Role::Prior => Role::Prior,
        vigos_world::Role::Score => Role::Score,
    };
    let word = wording.word().to_owned();
    let mut row = question(&sample, sample.truth(), origin)?;
    row.id = format!("{}-{word}", row.id);
    row.labels.place = Some(Place { triple, role, wording: Some(word) });
    Ok(row)
}

fn picture(sample: &Sample, origin: &str) -> Result<ImageSource, BadRow> {
    let bytes = png(&sample.id(), &sample.draw()).map_err(|e| bad(origin, sample.id(), e.to_string()))?;
    Ok(ImageSource::Bytes(Arc::from(bytes)))
}

fn bad(origin: &str, id: String, reason: String) -> BadRow {
    BadRow { origin: origin.to_owned(), id, reason }
}

fn place(origin: &str, sample: &Sample) -> String {
    format!("{origin}: sample {}", sample.number)
}
