//! Every kernel as it is before a device's compiler gets it, for whoever lowers them without a device.

use crate::few_rows::Plan;
use crate::reduce::Blueprint;
use crate::tile::Tiling;
use crate::{adamw, attention, attention_back, decode, dropout, few_rows, gate, likeliest, norm, rotary};
use cubecl::ir::{DeviceProperties, ElemType, TargetProperties};
use cubecl::prelude::*;
use std::sync::Arc;

/// What the kernels are to run on.
pub struct Target {
    /// The device.
    pub device: Arc<DeviceProperties>,
    /// What its compiler has to know.
    pub properties: Arc<TargetProperties>,
    /// Whether units of a plane exchange registers.
    pub planes: bool,
    /// Most neighbouring values of one load.
    pub vector: usize,
}

/// Width of a head, as the published models of the larger sizes have it.
const HEAD: usize = 128;
/// Units of kernels that share nothing.
const UNITS: u32 = 256;

/// Every kernel in a precision, by name.
pub fn all(target: &Target, precision: ElemType) -> Vec<(&'static str, KernelDefinition)> {
    let hardware = &target.device.hardware;
    let plane = target.planes.then_some(hardware.plane_size_max);
    let blueprint = |units| Blueprint { units, plane };
    let settings = |dim: CubeDim| KernelSettings::new(dim.into(), ExecutionMode::Checked, AddressType::U32);
    let with = |dim: CubeDim| (settings(dim), target.device.clone(), target.properties.clone());
    let line = |units: u32| with(CubeDim::new_1d(units));
    let (vector, four) = (target.vector, 4);
    let tiling = |held| Tiling::fitting(hardware, held, HEAD, four);
    let plan = Plan::new(hardware, 2, 16);
    let mut all = Vec::new();

    let (s, d, p) = with(tiling(2).units());
    all.push((
        "attention",
        attention::forward::Forward::new(
            s,
            d,
            p,
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            (),
            four,
            tiling(2),
            precision,
        )
        .define(),
    ));
    let (s, d, p) = line(UNITS);
    all.push((
        "attention_centre",
        attention_back::centre::Centre::new(s, d, p, t(), t(), t(), four, HEAD / four, precision).define(),
    ));
    let (s, d, p) = with(tiling(3).units());
    all.push((
        "attention_of_queries",
        attention_back::of_queries::OfQueries::new(
            s,
            d,
            p,
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            (),
            four,
            tiling(3),
            precision,
        )
        .define(),
    ));
    let (s, d, p) = with(tiling(4).units());
    all.push((
        "attention_of_keys",
        attention_back::of_keys::OfKeys::new(
            s,
            d,
            p,
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            (),
            four,
            tiling(4),
            precision,
        )
        .define(),
    ));
    let (s, d, p) = line(128);
    all.push((
        "decode_attention",
        decode::attend_one::AttendOne::new(
            s,
            d,
            p,
            t(),
            t(),
            t(),
            t(),
            t(),
            (),
            (),
            four,
            HEAD / four,
            blueprint(128),
            precision,
        )
        .define(),
    ));
    let (s, d, p) = line(128);
    all.push((
        "attend_new",
        decode::turn_store_attend::TurnStoreAttend::new(
            s,
            d,
            p,
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            (),
            (),
            four,
            HEAD / four,
            blueprint(128),
            precision,
        )
        .define(),
    ));
    for (name, plan) in
        [("few_rows", plan), ("few_rows_int8", plan.quantised(8)), ("few_rows_int4", plan.quantised(4))]
    {
        let (s, d, p) = with(plan.units());
        let some_outputs = few_rows::some_outputs::SomeOutputs::new(
            s,
            d,
            p,
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            t(),
            (),
            four,
            four,
            four,
            plan,
            precision,
        );
        all.push((name, some_outputs.define()));
    }
    let (s, d, p) = line(UNITS);
    all.push((
        "dropout",
        dropout::drop_some::DropSome::new(s, d, p, t(), t(), t(), (), (), (), (), vector, precision).define(),
    ));
    let (s, d, p) = line(UNITS);
    all.push(("gate", gate::forward::Forward::new(s, d, p, t(), t(), t(), vector, precision).define()));
    let (s, d, p) = line(UNITS);
    all.push((
        "gate_back",
        gate::back::Back::new(s, d, p, t(), t(), t(), t(), t(), vector, precision).define(),
    ));
    let (s, d, p) = line(UNITS);
    all.push((
        "norm",
        norm::forward::Forward::new(s, d, p, t(), t(), t(), (), vector, blueprint(UNITS), precision).define(),
    ));
    let (s, d, p) = line(UNITS);
    all.push((
        "norm_back",
        norm::back::Back::new(s, d, p, t(), t(), t(), t(), (), vector, blueprint(UNITS), precision).define(),
    ));
    let (s, d, p) = line(UNITS);
    all.push(("rotary", rotary::turn::Turn::new(s, d, p, t(), t(), t(), t(), (), four, precision).define()));
    let (s, d, p) = line(UNITS);
    all.push((
        "likeliest",
        likeliest::of_a_row::OfARow::new(s, d, p, t(), t(), (), 32, blueprint(UNITS)).define(),
    ));
    let (s, d, p) = line(UNITS);
    let step =
        adamw::step::Step::new(s, d, p, t(), t(), t(), t(), t(), (), (), (), (), (), (), (), (), (), vector);
    all.push(("adamw", step.define()));
    all
}

/// A tensor that is nobody's.
fn t() -> TensorCompilationArg {
    TensorCompilationArg {
        meta: TensorMetaCompilationArg { len: (), rank: () },
        buffer: BufferCompilationArg { inplace: None },
    }
}
