//! The published method, its baselines and its ablations, each as a teacher table.

use crate::method::Fidelity;
use serde::{Deserialize, Serialize};

use crate::method::{Divergence, Input, Reads, Span, Teacher, When};

/// A method by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Visually grounded self-distillation: perception, reasoning and reference teacher.
    #[default]
    Vigos,
    /// On-policy self-distillation: a plain prompt and one privileged teacher over every token.
    Opsd,
    /// The same with the student's prompt and the reference teacher's context of `vigos`.
    OpsdSamePrompt,
    /// `vigos` with the perception loss weighted 0.
    VigosNoPerception,
    /// `vigos` with the reasoning loss weighted 0.
    VigosNoReasoning,
    /// `vigos` with a forward divergence on invalid rollouts.
    VigosForwardReference,
    /// `vigos` whose perception and reasoning teachers each supervise all of an invalid rollout.
    VigosNoReference,
}

impl Preset {
    /// Every preset, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Vigos,
        Self::Opsd,
        Self::OpsdSamePrompt,
        Self::VigosNoPerception,
        Self::VigosNoReasoning,
        Self::VigosForwardReference,
        Self::VigosNoReference,
    ];

    /// What the preset stands for at a fidelity.
    pub fn expand(self, fidelity: Fidelity) -> Expansion {
        let perception = perception(fidelity);
        let reasoning = reasoning(fidelity);
        let reference = reference();
        let teachers = match self {
            Self::Vigos => vec![perception, reasoning, reference],
            Self::VigosNoPerception => vec![Teacher { weight: 0.0, ..perception }, reasoning, reference],
            Self::VigosNoReasoning => vec![perception, Teacher { weight: 0.0, ..reasoning }, reference],
            Self::VigosForwardReference => {
                vec![perception, reasoning, Teacher { divergence: Divergence::Forward, ..reference }]
            }
            Self::VigosNoReference => {
                // The same names: a teacher's valid and invalid rollouts make up one token mean.
                let perception_fallback = fallback(&perception);
                let reasoning_fallback = Teacher { prefill: "<description>".into(), ..fallback(&reasoning) };
                vec![perception, reasoning, perception_fallback, reasoning_fallback]
            }
            Self::Opsd => {
                vec![Teacher { prompt: "plain_reference".into(), prefill: String::new(), ..privileged() }]
            }
            Self::OpsdSamePrompt => vec![privileged()],
        };
        let (prompt, prefill) = match self {
            Self::Opsd => ("plain", ""),
            _ => ("student", "<description>"),
        };
        Expansion { student_prompt: prompt.into(), student_prefill: prefill.into(), teachers }
    }
}

/// What a preset stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Expansion {
    /// Template of the student's prompt.
    pub student_prompt: String,
    /// Text that the student's answer starts with.
    pub student_prefill: String,
    /// The teacher table.
    pub teachers: Vec<Teacher>,
}

/// Sees the image alone and supervises the description.
fn perception(fidelity: Fidelity) -> Teacher {
    Teacher {
        name: "perception".into(),
        context: vec![Input::Image],
        prompt: "perception".into(),
        prefill: match fidelity {
            Fidelity::Paper => "<description>".into(),
            Fidelity::Released => String::new(),
        },
        reads: Reads::Completion,
        spans: vec![Span::Description],
        when: When::Valid,
        divergence: Divergence::Forward,
        weight: 1.0,
    }
}

/// Sees the reference answer as well and supervises how the student gets there.
fn reasoning(fidelity: Fidelity) -> Teacher {
    let (prefill, reads) = match fidelity {
        Fidelity::Paper => ("<description>", Reads::Completion),
        Fidelity::Released => ("<think>", Reads::Span),
    };
    Teacher {
        name: "reasoning".into(),
        context: vec![Input::Image, Input::Problem, Input::Reference],
        prompt: "reasoning".into(),
        prefill: prefill.into(),
        reads,
        spans: vec![Span::ReasoningAnswer],
        when: When::Valid,
        divergence: Divergence::Forward,
        weight: 1.0,
    }
}

/// Pulls a rollout that lost the output format back to it.
fn reference() -> Teacher {
    Teacher {
        name: "reference".into(),
        context: vec![Input::Image, Input::Problem, Input::Reference],
        prompt: "reference".into(),
        prefill: "<description>".into(),
        reads: Reads::Completion,
        spans: vec![Span::Completion],
        when: When::Invalid,
        divergence: Divergence::Reverse,
        weight: 2.0,
    }
}

/// The one teacher of plain self-distillation.
fn privileged() -> Teacher {
    Teacher { when: When::Always, divergence: Divergence::Forward, weight: 1.0, ..reference() }
}

/// The same teacher over every token of an invalid rollout.
fn fallback(teacher: &Teacher) -> Teacher {
    Teacher {
        reads: Reads::Completion,
        spans: vec![Span::Completion],
        when: When::Invalid,
        ..teacher.clone()
    }
}
