//! The operators on every CubeCL runtime: the kernels of `vigos-cubes` behind the backends' traits.

use crate::adamw::fused::AdamWBackend;
use crate::adamw::{AdamWStep, Rounded};
use crate::attention::Segments;
use crate::attention::fused::AttentionBackend;
use crate::decode::Columns;
use crate::decode::fused::{DecodeBackend, StepBackend};
use crate::dropout::fused::DropBackend;
use crate::few_rows::{FewRowsBackend, Present};
use crate::gate::fused::GateBackend;
use crate::likeliest::fused::LikeliestBackend;
use crate::norm::fused::NormBackend;
use crate::rotary::fused::RotaryBackend;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use vigos_cubes::attention_back::Forward;
use vigos_cubes::{
    adamw, attention, attention_back, decode, dropout, few_rows, gate, likeliest, norm, rotary,
};

impl AdamWBackend for CubeBackend {
    fn adamw_step(
        weight: CubeTensor,
        gradient: CubeTensor,
        mean: CubeTensor,
        square: CubeTensor,
        step: AdamWStep,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let Rounded { betas, rests, corrections, epsilon, lr, kept } = step.rounded();
        let update = adamw::Update { betas, rests, corrections, epsilon, lr, kept };
        let [weight, mean, square] = adamw::adamw(weight, gradient, [mean, square], update);
        (weight, mean, square)
    }
}

impl AttentionBackend for CubeBackend {
    fn attend(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        segments: Segments,
        is_causal: bool,
    ) -> CubeTensor {
        Self::attend_kept(query, key, value, segments, is_causal).0
    }

    fn attend_kept(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        segments: Segments,
        is_causal: bool,
    ) -> (CubeTensor, CubeTensor) {
        let ranges = ranges(&segments, is_causal, &query);
        attention::attend(query, key, value, ranges)
    }

    fn attend_back(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        output: CubeTensor,
        log_sums: CubeTensor,
        upstream: CubeTensor,
        segments: Segments,
        is_causal: bool,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let ranges = ranges(&segments, is_causal, &query);
        attention_back::attend_back(Forward { query, key, value, output, log_sums, ranges }, upstream)
    }
}

fn ranges(segments: &Segments, is_causal: bool, beside: &CubeTensor) -> CubeTensor {
    segments.table(is_causal).on(beside, attention::RANGES, || segments.ranges(is_causal))
}

/// The first column of every row and how many it had when that was sent, and the tokens that every row has had since.
fn places(columns: &Columns, beside: &CubeTensor) -> (CubeTensor, u32) {
    let (table, since) = columns.table();
    (table.on(beside, decode::PLACES, || columns.places()), since as u32)
}

impl DecodeBackend for CubeBackend {
    fn decode_attend(
        query: CubeTensor,
        keys: CubeTensor,
        values: CubeTensor,
        columns: Columns,
    ) -> CubeTensor {
        let (places, since) = places(&columns, &query);
        decode::attend(query, keys, values, places, since)
    }
}

impl StepBackend for CubeBackend {
    fn attend_new(
        query: CubeTensor,
        key: CubeTensor,
        value: CubeTensor,
        cos: CubeTensor,
        sin: CubeTensor,
        keys: CubeTensor,
        values: CubeTensor,
        columns: Columns,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let (places, since) = places(&columns, &query);
        let token = decode::NewToken { query, key, value, cos, sin };
        decode::attend_new(token, keys, values, places, since)
    }
}

impl FewRowsBackend for CubeBackend {
    fn few_rows(
        x: CubeTensor,
        weight: CubeTensor,
        bias: CubeTensor,
        a: CubeTensor,
        b: CubeTensor,
        residual: CubeTensor,
        scale: f32,
        present: Present,
    ) -> CubeTensor {
        layer(x, few_rows::Weight::Plain(weight), [bias, a, b, residual], scale, present)
    }

    fn few_rows_quantised(
        x: CubeTensor,
        words: CubeTensor,
        scales: CubeTensor,
        bits: usize,
        bias: CubeTensor,
        a: CubeTensor,
        b: CubeTensor,
        residual: CubeTensor,
        scale: f32,
        present: Present,
    ) -> CubeTensor {
        let weight = few_rows::Weight::Quantised { words, scales, bits };
        layer(x, weight, [bias, a, b, residual], scale, present)
    }
}

fn layer(
    x: CubeTensor,
    weight: few_rows::Weight,
    [bias, a, b, residual]: [CubeTensor; 4],
    scale: f32,
    present: Present,
) -> CubeTensor {
    few_rows::adapted(few_rows::Layer {
        x,
        weight,
        bias: present.bias.then_some(bias),
        update: present.update.then_some((a, b, scale)),
        residual: present.residual.then_some(residual),
    })
}

impl DropBackend for CubeBackend {
    fn dropped(x: CubeTensor, rows: CubeTensor, site: u64, threshold: u32, scale: f32) -> CubeTensor {
        dropout::dropped(x, rows, site, threshold, scale)
    }
}

impl GateBackend for CubeBackend {
    fn gated(gate: CubeTensor, up: CubeTensor) -> CubeTensor {
        gate::gated(gate, up)
    }

    fn gated_back(gate: CubeTensor, up: CubeTensor, upstream: CubeTensor) -> (CubeTensor, CubeTensor) {
        gate::gated_back(gate, up, upstream)
    }
}

impl LikeliestBackend for CubeBackend {
    fn likeliest(logits: CubeTensor, k: usize, room: usize) -> CubeTensor {
        likeliest::likeliest(logits, k, room)
    }
}

impl NormBackend for CubeBackend {
    fn rms_norm(x: CubeTensor, scale: CubeTensor, epsilon: f32) -> CubeTensor {
        norm::rms_norm(x, scale, epsilon)
    }

    fn rms_norm_back(x: CubeTensor, scale: CubeTensor, upstream: CubeTensor, epsilon: f32) -> CubeTensor {
        norm::rms_norm_back(x, scale, upstream, epsilon)
    }
}

impl RotaryBackend for CubeBackend {
    fn rotate(x: CubeTensor, cos: CubeTensor, sin: CubeTensor, direction: f32) -> CubeTensor {
        rotary::rotate(x, cos, sin, direction)
    }
}
