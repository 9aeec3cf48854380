//! The table of bad inputs, `bad_inputs.toml`: each is refused with exit code 2 by one short message that says what and
//! where, and the folder stays as it was.

use crate::support;

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use support::{adapter, generate, image, model, png_header, questions, ran, root, run, set_json, vigos};

/// Processes that run at a time.
const THREADS: usize = 2;
/// The most characters of a message.
const LONGEST: usize = 600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    commands: BTreeMap<String, String>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "title")]
    _title: String,
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    command: String,
    gets: String,
    #[serde(default)]
    make: Vec<Change>,
    says: Vec<String>,
}

/// What is done to a sound folder; files are named from there.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    /// A file with this text.
    Write(String, String),
    /// A file with this text at its end.
    Append(String, String),
    /// A file with these bytes in the place of its first.
    Start(String, Vec<u8>),
    /// A file with these bytes in the place of its last.
    End(String, Vec<u8>),
    /// A file with every such text replaced.
    Replace(String, String, String),
    /// A file cut to its first bytes.
    Cut(String, usize),
    /// A JSON file with another value at a pointer.
    Set(String, String, Value),
    /// A symbolic link to what lies elsewhere.
    Link(String, String),
    /// No such file.
    Remove(String),
    /// A file of another name.
    Rename(String, String),
    /// A PNG file of no more than a header that says this size.
    Header(String, u32, u32),
    /// A picture of this size.
    Picture(String, u32, u32),
}

impl Change {
    fn make(&self, folder: &Path) {
        let at = |name: &str| folder.join(name);
        let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(at(name)).unwrap();
            change(&mut bytes);
            fs::write(at(name), bytes).unwrap();
        };
        match self {
            Self::Write(name, text) => {
                fs::create_dir_all(at(name).parent().unwrap()).unwrap();
                fs::write(at(name), filled(text)).unwrap();
            }
            Self::Append(name, text) => change(name, &|bytes| bytes.extend(filled(text).bytes())),
            Self::Start(name, start) => change(name, &|bytes| bytes[..start.len()].copy_from_slice(start)),
            Self::End(name, end) => change(name, &|bytes| {
                let start = bytes.len() - end.len();
                bytes[start..].copy_from_slice(end);
            }),
            Self::Replace(name, from, to) => change(name, &|bytes| *bytes = replaced(bytes, from, to)),
            Self::Cut(name, length) => change(name, &|bytes| bytes.truncate(*length)),
            Self::Set(name, pointer, value) => set_json(&at(name), pointer, value.clone()),
            Self::Link(name, to) => std::os::unix::fs::symlink(to, at(name)).unwrap(),
            Self::Remove(name) => fs::remove_file(at(name)).unwrap(),
            Self::Rename(from, to) => fs::rename(at(from), at(to)).unwrap(),
            Self::Header(name, width, height) => fs::write(at(name), png_header(*width, *height)).unwrap(),
            Self::Picture(name, width, height) => {
                vigos_processor::RgbImage::new(*width, *height).save(at(name)).unwrap();
            }
        }
    }
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|part| part == from.as_bytes()) {
        out.extend(&rest[..at]);
        out.extend(to.bytes());
        rest = &rest[at + from.len()..];
    }
    assert!(rest.len() < bytes.len(), "there is no {from:?} to replace");
    [out, rest.to_vec()].concat()
}

fn filled(text: &str) -> String {
    text.replace("{root}", root().to_str().unwrap()).replace("{long}", &"long ".repeat(5000))
}

/// A folder in which every command of the table works.
fn sound() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    fs::copy(image("wide.png"), dir.path().join("wide.png")).unwrap();
    for (name, from) in [("model", model()), ("adapter", adapter())] {
        fs::create_dir(dir.path().join(name)).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), dir.path().join(name).join(file.file_name())).unwrap();
        }
    }
    let demonstration = json!({"image": "wide.png", "prompt": "What?", "completion": "A cat."});
    let rollout = json!({"id": "a", "image": "wide.png", "problem": "What?", "answer": "3", "completion_token_ids": [5]});
    let scored = json!({"id": "a", "image": "wide.png", "prompt": "What?", "completion": "A cat."});
    write("rows.jsonl", &lines(&questions()));
    write("demos.jsonl", &lines(&vec![demonstration; 4]));
    write("rollouts.jsonl", &lines(&[rollout]));
    write("score.jsonl", &lines(&[scored]));
    let common = "[lora]\nrank = 4\nalpha = 8\n[train]\nsteps = 2\nbatch = 2\naccumulate = 1\n";
    let on = |data: &str| format!("[model]\npath = \"model\"\n[data]\npath = \"{data}\"\n{common}");
    let short = "[rollout]\nmax_new_tokens = 8\n[eval]\nsamples = 1\nmax_new_tokens = 4\n";
    write("recipe.toml", &format!("{}{short}", on("rows.jsonl")));
    write("sft.toml", &on("demos.jsonl"));
    write(
        "experiment.toml",
        "title = \"Two\"\nrecipe = \"recipe.toml\"\nruns = \"runs\"\nresults = \"results\"\nseeds = [1]\n\
         [sweep]\ntitle = \"Rate\"\nmethods = [\"ViGOS\"]\nset = \"optim.lr={value}\"\nvalues = [0.01, 0.02]\n\
         [[method]]\nname = \"OPSD\"\nset = [\"method.preset=opsd\"]\n[[method]]\nname = \"ViGOS\"\n",
    );
    dir
}

/// Every file below a folder with its content, and every folder.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            all.insert(path.clone(), fs::read_link(path).unwrap().into_os_string().into_encoded_bytes());
        } else if path.is_dir() {
            all.extend(content(&path));
            all.insert(path, Vec::new());
        } else {
            all.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    all
}

/// What is wrong with how an input is refused.
fn faults(commands: &BTreeMap<String, String>, input: &Input) -> Vec<String> {
    let folder = sound();
    input.make.iter().for_each(|change| change.make(folder.path()));
    let before = content(folder.path());
    let mut line = input.command.clone();
    for (name, command) in commands {
        line = line.replace(&format!("{{{name}}}"), command);
    }
    let words = line.split(' ').map(|word| filled(word).trim_end().to_owned());
    let ran = ran(vigos().args(words).current_dir(folder.path()).output().unwrap());

    let mut faults = Vec::new();
    let mut fault = |is: bool, what: String| {
        if is {
            faults.push(what)
        }
    };
    fault(ran.code != Some(2), format!("it ends with {:?}", ran.code));
    fault(!ran.stdout.is_empty(), format!("it writes to stdout: {}", ran.stdout));
    fault(ran.stderr.contains("panicked"), "it panics".into());
    let length = ran.stderr.chars().count();
    fault(length > LONGEST, format!("it says {length} characters"));
    // One line says what is wrong, another may say what to do; clap's are followed by how the command is used.
    let lines = ran.stderr.lines().filter(|line| !line.trim().is_empty()).count();
    fault(lines > 2 && !ran.stderr.contains("try '--help'"), format!("it says {lines} lines"));
    for part in &input.says {
        fault(!ran.stderr.contains(part), format!("it does not say {part:?}"));
    }
    fault(content(folder.path()) != before, "it changes the folder".into());
    if !faults.is_empty() {
        faults.push(format!("stderr: {}", ran.stderr.chars().take(2000).collect::<String>()));
    }
    faults
}

#[test]
fn every_bad_input_of_the_table_is_refused_by_one_message_and_changes_nothing() {
    let table: Table = toml::from_str(include_str!("bad_inputs.toml")).unwrap();
    let inputs: Vec<&Input> = table.group.iter().flat_map(|group| &group.inputs).collect();
    assert!(inputs.len() >= 80, "{}", inputs.len());
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(input) = inputs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let faults = faults(&table.commands, input);
            if !faults.is_empty() {
                let text = format!("{} ({}):\n  {}", input.command, input.gets, faults.join("\n  "));
                found.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| _ = scope.spawn(work)));
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} of {}:\n{}", found.len(), inputs.len(), found.join("\n"));
}

#[test]
fn the_folder_of_the_table_is_sound() {
    let folder = sound();
    for line in [
        "generate --model model --adapter adapter --image wide.png --prompt What? --max-new-tokens 1",
        "score --model model --input score.jsonl --output scores.jsonl",
        "train recipe.toml --run-dir train",
        "sft sft.toml --run-dir sft",
        "eval recipe.toml --run-dir eval",
        "replay recipe.toml --rollouts rollouts.jsonl --out replay",
        "experiment experiment.toml --print-plan",
        "merge --model model --adapter adapter --out merged",
    ] {
        ran(vigos().args(line.split(' ')).current_dir(folder.path()).output().unwrap()).ok();
    }
}

#[test]
fn no_escape_codes_are_written_where_there_is_no_terminal() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let ran = run(args.iter().map(String::as_str).chain(["-vv"]));
    assert!(ran.stderr.contains("device") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let refused = run(["train", "none.toml"]);
    assert!(!refused.stderr.contains('\u{1b}'), "{}", refused.stderr);
}
