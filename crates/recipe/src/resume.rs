//! What may change between a run and its continuation: the keys whose `x-resume` names the run.

use schemars::JsonSchema;

use crate::keys::join;
use crate::schema::{Node, Takes, schema};

/// A kind of run that can be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// `vigos train`
    Train,
    /// `vigos sft`
    Sft,
    /// `vigos eval`
    Eval,
    /// `vigos palr`
    Palr,
}

impl Run {
    /// Its name, as commands and `x-resume` have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Sft => "sft",
            Self::Eval => "eval",
            Self::Palr => "palr",
        }
    }
}

/// The keys and whole sections of a recipe that may be others when a run goes on.
pub fn free<R: JsonSchema>(run: Run) -> Vec<String> {
    let mut free = Vec::new();
    collect(Node::new(&schema::<R>()), "", run, &mut free);
    free
}

fn collect(section: Node, name: &str, run: Run, free: &mut Vec<String>) {
    for (part, node) in section.properties() {
        let name = join(name, part);
        if node.list("x-resume").any(|named| named == run.name()) {
            free.push(name);
        } else if matches!(node.takes(), Takes::Table) {
            collect(node, &name, run, free);
        }
    }
}
