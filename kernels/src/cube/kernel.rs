//! One row a cube: sums, statistics, and the gradient over the student's logits. Each logit is read twice at most.

use super::sums::{LOWEST, NAN_BITS, RowResult, Sums, power};
use crate::operator::column;
use cubecl::prelude::*;
use vigos_cubes::reduce::Blueprint;
use vigos_cubes::special::{INFINITY_BITS, is_excluded};

/// How one row enters the loss.
#[derive(CubeType)]
struct RowArguments {
    reverse: bool,
    weight: f32,
    clip: f32,
    has_clip: bool,
}

/// What the gradient of a row needs.
#[derive(CubeType)]
struct Slopes {
    student: f32,
    teacher: f32,
    inverse_temperature: f32,
    /// weight/(τ·Zp), and Zp/Zq.
    scale: f32,
    mass_ratio: f32,
    /// log Zq − log Zp − K
    offset: f32,
    reverse: bool,
    /// Whether there is a gradient at all.
    passes: bool,
}

/// Student `[R, V]`, teacher `[R, V]`, rows `[R, 3]`, statistics `[R, 5]`; columns of logits lie side by side.
#[cube(launch_unchecked, address_type = "dynamic")]
pub(crate) fn span_kl_separate<F: Float, N: Size>(
    student: &mut Tensor<Vector<F, N>>,
    teacher: &Tensor<Vector<F, N>>,
    rows: &Tensor<f32>,
    statistics: &mut Tensor<f32>,
    inverse_temperature: f32,
    #[comptime] blueprint: Blueprint,
    #[define(F)] _precision: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.shape(0) {
        terminate!();
    }
    let length = student.shape(1) / N::value();
    let s = row * (student.stride(0) / N::value());
    let t = row * (teacher.stride(0) / N::value());
    let arguments = RowArguments::read(rows, row);
    let mut sums = gather::<F, N>(&*student, s, teacher, t, length, arguments.reverse, inverse_temperature);
    let slopes = finish(&mut sums, &arguments, statistics, row, blueprint);
    let mut i = UNIT_POS as usize;
    while i < length {
        student[s + i] = slopes.gradient::<F, N>(student[s + i], teacher[t + i]);
        i += CUBE_DIM as usize;
    }
}

/// The same for logits `[2R, V]`, the student's above the teacher's.
#[cube(launch_unchecked, address_type = "dynamic")]
pub(crate) fn span_kl_stacked<F: Float, N: Size>(
    logits: &mut Tensor<Vector<F, N>>,
    rows: &Tensor<f32>,
    statistics: &mut Tensor<f32>,
    inverse_temperature: f32,
    #[comptime] blueprint: Blueprint,
    #[define(F)] _precision: ElemType,
) {
    let row = CUBE_POS;
    let count = rows.shape(0);
    if row >= count {
        terminate!();
    }
    let length = logits.shape(1) / N::value();
    let s = row * (logits.stride(0) / N::value());
    let t = (row + count) * (logits.stride(0) / N::value());
    let arguments = RowArguments::read(rows, row);
    let mut sums = gather::<F, N>(&*logits, s, &*logits, t, length, arguments.reverse, inverse_temperature);
    let slopes = finish(&mut sums, &arguments, statistics, row, blueprint);
    let mut i = UNIT_POS as usize;
    while i < length {
        logits[s + i] = slopes.gradient::<F, N>(logits[s + i], logits[t + i]);
        i += CUBE_DIM as usize;
    }
}

/// The first pass: what this unit finds in `length` vectors of logits, the student's from `s` and the teacher's from
/// `t` on.
#[cube]
fn gather<F: Float, N: Size>(
    student: &Tensor<Vector<F, N>>,
    s: usize,
    teacher: &Tensor<Vector<F, N>>,
    t: usize,
    length: usize,
    reverse: bool,
    inverse_temperature: f32,
) -> Sums {
    let mut sums = Sums::new(inverse_temperature, reverse);
    let mut i = UNIT_POS as usize;
    while i < length {
        sums.add::<F, N>(student[s + i], teacher[t + i], i * N::value());
        i += CUBE_DIM as usize;
    }
    sums
}

/// Between the two passes: the sums of all units, the row's statistics, and what its gradient needs.
#[cube]
fn finish(
    sums: &mut Sums,
    arguments: &RowArguments,
    statistics: &mut Tensor<f32>,
    row: usize,
    #[comptime] blueprint: Blueprint,
) -> Slopes {
    let mut scratch = Shared::<[f32]>::new_slice(comptime!(blueprint.units as usize));
    sums.total(&mut scratch, blueprint);
    let result = sums.result();
    let clipped = arguments.has_clip && (result.infinite || result.kl > arguments.clip);
    if UNIT_POS == 0 {
        write(statistics, row, &result, arguments, clipped);
    }
    let endless = arguments.reverse && result.infinite;
    Slopes {
        student: sums.student.max,
        teacher: sums.teacher.max,
        inverse_temperature: sums.inverse_temperature,
        scale: arguments.weight * sums.inverse_temperature / sums.student.mass,
        mass_ratio: sums.student.mass / sums.teacher.mass,
        offset: result.log_ratio - result.kl,
        reverse: arguments.reverse,
        passes: arguments.weight != 0.0 && !clipped && !result.broken && !endless,
    }
}

#[cube]
fn write(
    statistics: &mut Tensor<f32>,
    row: usize,
    result: &RowResult,
    arguments: &RowArguments,
    clipped: bool,
) {
    let infinite = select(result.infinite, INFINITY_BITS, u32::reinterpret(result.kl));
    let kl = select(result.broken, NAN_BITS, infinite);
    let counted = u32::reinterpret(arguments.weight * select(clipped, arguments.clip, result.kl));
    let counted = select(result.infinite && !clipped, INFINITY_BITS, counted);
    let counted = select(result.broken, NAN_BITS, counted);
    let counted = select(arguments.weight == 0.0, 0u32, counted);
    let student_entropy = select(result.broken, NAN_BITS, u32::reinterpret(result.student_entropy));
    let teacher_entropy = select(result.broken, NAN_BITS, u32::reinterpret(result.teacher_entropy));
    let at = row * comptime!(column::COUNT);
    statistics[at + comptime!(column::KL)] = f32::reinterpret(kl);
    statistics[at + comptime!(column::LOSS)] = f32::reinterpret(counted);
    statistics[at + comptime!(column::STUDENT_ENTROPY)] = f32::reinterpret(student_entropy);
    statistics[at + comptime!(column::TEACHER_ENTROPY)] = f32::reinterpret(teacher_entropy);
    statistics[at + comptime!(column::AGREES)] = select(result.agrees, 1.0, 0.0);
}

#[cube]
impl RowArguments {
    fn read(rows: &Tensor<f32>, row: usize) -> RowArguments {
        let clip = rows[row * 3 + 2];
        RowArguments {
            reverse: rows[row * 3] != 0.0,
            weight: rows[row * 3 + 1],
            clip,
            has_clip: (u32::reinterpret(clip) & INFINITY_BITS) != INFINITY_BITS,
        }
    }
}

#[cube]
impl Slopes {
    fn gradient<F: Float, N: Size>(&self, student: Vector<F, N>, teacher: Vector<F, N>) -> Vector<F, N> {
        let mut gradient = Vector::<F, N>::zeroed();
        if self.passes {
            #[unroll]
            for lane in 0..N::value() {
                let slope =
                    self.token(f32::cast_from(student.extract(lane)), f32::cast_from(teacher.extract(lane)));
                gradient.insert(lane, F::cast_from(slope));
            }
        }
        gradient
    }

    fn token(&self, student: f32, teacher: f32) -> f32 {
        let a = select(is_excluded(student), LOWEST, student) - self.student;
        let b = select(is_excluded(teacher), LOWEST, teacher) - self.teacher;
        let p = power(a * self.inverse_temperature);
        let q = power(b * self.inverse_temperature);
        // Both are exactly zero for equal logits, however products and sums are contracted.
        let forward = p - q * self.mass_ratio;
        let reverse = select(p == 0.0, 0.0, p * ((a - b) * self.inverse_temperature + self.offset));
        select(self.reverse, reverse, forward) * self.scale
    }
}
