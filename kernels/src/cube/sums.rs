//! What one unit gathers of a pair of rows, and what a cube makes of it.
//!
//! All exponents are relative to the largest logit so far; a larger one rescales the sums. Infinities and what is
//! no number are told by their bits and never computed with: shader languages may assume that there are none.

use cubecl::prelude::*;
use vigos_cubes::reduce::{Blueprint, By, reduce};
use vigos_cubes::special::{is_broken, is_excluded, is_special};

/// Exponents below this count as probability zero; `exp` of it is still a normal number.
pub(crate) const CUT: f32 = -87.0;
/// Stands for −∞ as the largest of no logits.
pub(crate) const LOWEST: f32 = f32::MIN;
/// An exponent whose power is zero in f32, also beside subnormal numbers.
const VANISHED: f32 = 200.0;
/// Beyond every index: vocabularies are smaller.
const NOWHERE: f32 = 16_777_216.0;

pub(crate) const NAN_BITS: u32 = 0x7fc0_0000;

/// One distribution, as far as it has been read.
#[derive(CubeType)]
pub(crate) struct Side {
    /// Largest logit, and where it came first.
    pub(crate) max: f32,
    at: f32,
    /// Σ e and Σ e·x with x = (logit − max)/τ and e = exp x.
    pub(crate) mass: f32,
    moment: f32,
}

/// Both distributions and what the divergence needs of them together.
#[derive(CubeType)]
pub(crate) struct Sums {
    pub(crate) student: Side,
    pub(crate) teacher: Side,
    /// Σ e·(x − x′) over the averaging distribution, x′ being the other one's exponent.
    cross: f32,
    /// Largest logit of the averaging distribution where the other one excludes the token.
    excluded: f32,
    /// One where a logit is +∞ or no number, otherwise zero.
    broken: f32,
    pub(crate) inverse_temperature: f32,
    reverse: bool,
}

/// What is known of a row, the same in every unit.
#[derive(CubeType)]
pub(crate) struct RowResult {
    /// Finite; meaningless where `infinite` or `broken`.
    pub(crate) kl: f32,
    pub(crate) student_entropy: f32,
    pub(crate) teacher_entropy: f32,
    pub(crate) agrees: bool,
    pub(crate) infinite: bool,
    pub(crate) broken: bool,
    /// log Zq − log Zp, both relative to their largest logit.
    pub(crate) log_ratio: f32,
}

#[cube]
impl Side {
    fn new() -> Side {
        Side { max: LOWEST, at: 0.0, mass: 0.0, moment: 0.0 }
    }

    /// Makes `max` the centre; how far, in units of τ, that moved it. Beside a first finite logit everything
    /// before has no weight.
    fn raise(&mut self, max: f32, inverse_temperature: f32) -> f32 {
        let shift = select(self.max == LOWEST, VANISHED, (max - self.max) * inverse_temperature);
        let scale = (-min(shift, VANISHED)).exp();
        self.moment = scale * (self.moment - min(shift, VANISHED) * self.mass);
        self.mass *= scale;
        self.max = max;
        shift
    }

    fn entropy(&self) -> f32 {
        self.mass.ln() - self.moment / self.mass
    }
}

#[cube]
impl Sums {
    pub(crate) fn new(inverse_temperature: f32, reverse: bool) -> Sums {
        Sums {
            student: Side::new(),
            teacher: Side::new(),
            cross: 0.0,
            excluded: LOWEST,
            broken: 0.0,
            inverse_temperature,
            reverse,
        }
    }

    /// Adds the logits of the tokens from `index` on.
    pub(crate) fn add<F: Float, N: Size>(
        &mut self,
        student: Vector<F, N>,
        teacher: Vector<F, N>,
        index: usize,
    ) {
        let mut student_max = LOWEST.runtime();
        let mut teacher_max = LOWEST.runtime();
        let mut student_at = 0.0f32.runtime();
        let mut teacher_at = 0.0f32.runtime();
        #[unroll]
        for lane in 0..N::value() {
            let s = f32::cast_from(student.extract(lane));
            let t = f32::cast_from(teacher.extract(lane));
            if is_broken(s) || is_broken(t) {
                self.broken = 1.0;
            }
            let place = f32::cast_from(index + lane);
            // `>` keeps the first of equals.
            let larger = !is_excluded(s) && s > student_max;
            student_max = select(larger, s, student_max);
            student_at = select(larger, place, student_at);
            let larger = !is_excluded(t) && t > teacher_max;
            teacher_max = select(larger, t, teacher_max);
            teacher_at = select(larger, place, teacher_at);
        }
        if student_max > self.student.max {
            self.student.at = student_at;
        }
        if teacher_max > self.teacher.max {
            self.teacher.at = teacher_at;
        }
        self.raise(student_max, teacher_max);
        #[unroll]
        for lane in 0..N::value() {
            self.add_token(f32::cast_from(student.extract(lane)), f32::cast_from(teacher.extract(lane)));
        }
    }

    /// Raises both centres to these logits where they are lower.
    fn raise(&mut self, student: f32, teacher: f32) {
        if student > self.student.max || teacher > self.teacher.max {
            let mass = select(self.reverse, self.student.mass, self.teacher.mass);
            let student_shift = self.student.raise(max(student, self.student.max), self.inverse_temperature);
            let teacher_shift = self.teacher.raise(max(teacher, self.teacher.max), self.inverse_temperature);
            let over = select(self.reverse, student_shift, teacher_shift);
            let under = select(self.reverse, teacher_shift, student_shift);
            let over = min(over, VANISHED);
            self.cross = (-over).exp() * (self.cross + (under - over) * mass);
        }
    }

    fn add_token(&mut self, student: f32, teacher: f32) {
        let (student_out, teacher_out) = (is_excluded(student), is_excluded(teacher));
        let a = select(student_out, LOWEST, student) - self.student.max;
        let b = select(teacher_out, LOWEST, teacher) - self.teacher.max;
        let (x, y) = (a * self.inverse_temperature, b * self.inverse_temperature);
        let (p, q) = (power(x), power(y));
        self.student.mass += p;
        self.teacher.mass += q;
        self.student.moment += p * max(x, CUT);
        self.teacher.moment += q * max(y, CUT);
        let over_out = select(self.reverse, student_out, teacher_out);
        let under_out = select(self.reverse, teacher_out, student_out);
        if under_out {
            if !over_out {
                self.excluded = max(self.excluded, select(self.reverse, student, teacher));
            }
        } else {
            let e = select(self.reverse, p, q);
            // Scaled once subtracted: equal logits differ by exactly zero, however products and sums are contracted.
            let difference = select(self.reverse, a - b, b - a) * self.inverse_temperature;
            self.cross += select(e > 0.0, e * difference, 0.0);
        }
    }

    /// Brings the sums of all units together.
    pub(crate) fn total(&mut self, scratch: &mut Shared<[f32]>, #[comptime] blueprint: Blueprint) {
        let student_max = reduce(self.student.max, scratch, By::Largest, blueprint);
        let teacher_max = reduce(self.teacher.max, scratch, By::Largest, blueprint);
        // The first token among the units that found the largest logit.
        let student_at = select(self.student.max == student_max, self.student.at, NOWHERE);
        let teacher_at = select(self.teacher.max == teacher_max, self.teacher.at, NOWHERE);
        self.raise(student_max, teacher_max);
        self.student.at = reduce(student_at, scratch, By::Smallest, blueprint);
        self.teacher.at = reduce(teacher_at, scratch, By::Smallest, blueprint);
        self.student.mass = reduce(self.student.mass, scratch, By::Sum, blueprint);
        self.teacher.mass = reduce(self.teacher.mass, scratch, By::Sum, blueprint);
        self.student.moment = reduce(self.student.moment, scratch, By::Sum, blueprint);
        self.teacher.moment = reduce(self.teacher.moment, scratch, By::Sum, blueprint);
        self.cross = reduce(self.cross, scratch, By::Sum, blueprint);
        self.excluded = reduce(self.excluded, scratch, By::Largest, blueprint);
        self.broken = reduce(self.broken, scratch, By::Largest, blueprint);
    }

    pub(crate) fn result(&self) -> RowResult {
        let log_ratio = (self.teacher.mass / self.student.mass).ln();
        let over_mass = select(self.reverse, self.student.mass, self.teacher.mass);
        let over_max = select(self.reverse, self.student.max, self.teacher.max);
        let kl = self.cross / over_mass + select(self.reverse, log_ratio, -log_ratio);
        let cut_off = self.excluded > LOWEST && (self.excluded - over_max) * self.inverse_temperature >= CUT;
        RowResult {
            kl,
            student_entropy: self.student.entropy(),
            teacher_entropy: self.teacher.entropy(),
            agrees: self.student.at == self.teacher.at,
            // What overflows is infinite as well.
            infinite: cut_off || is_special(kl),
            broken: self.broken > 0.0 || self.student.max == LOWEST || self.teacher.max == LOWEST,
            log_ratio,
        }
    }
}

/// e to the power of `x` ≤ 0; zero below [`CUT`].
#[cube]
pub(crate) fn power(x: f32) -> f32 {
    select(x < CUT, 0.0, max(x, CUT).exp())
}
