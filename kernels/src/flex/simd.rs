//! One row on the vector units: both log-sum-exps, the divergence and the gradient, logits read at most twice.
//!
//! The first pass goes over the row in blocks that stay in the first-level cache. Sums of a block are f32 in
//! each lane and are added to f64 totals; all exponents are relative to the largest logit so far, and the
//! totals are rescaled when a block raises it. Differences are taken between exponents that have been centred
//! on their own row, so that a common offset of the logits costs no precision. The second pass, for rows with a
//! gradient only, writes it over the student's logits.

use super::element::{BLOCK, Block, Element};
use macerator::{Scalar, Simd};
use vigos_operators::vector::{CUT, exp, load, store};

/// How one row enters the loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowArguments {
    pub(crate) reverse: bool,
    pub(crate) weight: f32,
    /// Infinite where there is none.
    pub(crate) clip: f32,
    pub(crate) inverse_temperature: f32,
}

/// What is known of one row after both passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowResult {
    pub(crate) kl: f32,
    pub(crate) student_entropy: f32,
    pub(crate) teacher_entropy: f32,
    pub(crate) agrees: bool,
}

/// Computes one row and writes its gradient over `student`: zeros where the row is clipped, has no weight, or
/// has no gradient (an infinite reverse divergence, or no distribution at all).
#[macerator::with_simd]
pub(crate) fn row<S: Simd, E: Element>(
    student: &mut [E],
    teacher: &[E],
    arguments: RowArguments,
) -> RowResult {
    let RowArguments { reverse, weight, clip, inverse_temperature } = arguments;
    let (mut s, mut t) = ([0.0; BLOCK], [0.0; BLOCK]);
    let mut sums = Sums::new(reverse, inverse_temperature);
    for (i, (s_block, t_block)) in student.chunks(BLOCK).zip(teacher.chunks(BLOCK)).enumerate() {
        let (s, t) = (E::read(s_block, &mut s), E::read(t_block, &mut t));
        if reverse {
            sums.add::<S, true>(s, t, i * BLOCK);
        } else {
            sums.add::<S, false>(s, t, i * BLOCK);
        }
    }
    let result = sums.result();
    let passes = weight != 0.0 && result.kl <= clip;
    if !passes || (reverse && result.kl.is_infinite()) {
        E::zero(student);
        return result;
    }
    let slopes = sums.slopes(f64::from(weight), f64::from(result.kl));
    for (s_block, t_block) in student.chunks_mut(BLOCK).zip(teacher.chunks(BLOCK)) {
        let t = E::read(t_block, &mut t);
        let mut gradient = [0.0; BLOCK];
        let source = E::read(s_block, &mut s);
        if reverse {
            slopes.write::<S, true>(source, t, &mut gradient);
        } else {
            slopes.write::<S, false>(source, t, &mut gradient);
        }
        E::write(&gradient, s_block);
    }
    result
}

/// One distribution, as far as it has been read.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// Largest logit, and where it came first.
    max: f32,
    at: usize,
    /// Σ e and Σ e·x with x = (logit − max)/τ and e = exp x.
    mass: f64,
    moment: f64,
}

impl Side {
    const EMPTY: Self = Self { max: f32::NEG_INFINITY, at: 0, mass: 0.0, moment: 0.0 };

    /// What logits are centred on: the largest one; where none is finite yet, anything.
    fn centre(&self) -> f32 {
        if self.max == f32::NEG_INFINITY { 0.0 } else { self.max }
    }

    /// Takes notice of the largest logit of a block; how far, in units of τ, that moved the centre.
    fn raise(&mut self, block: &Block, max: f32, offset: usize, inverse_temperature: f32) -> f64 {
        if max <= self.max || max.is_nan() {
            return 0.0;
        }
        let first = self.max == f32::NEG_INFINITY;
        let shift = (f64::from(max) - f64::from(self.max)) * f64::from(inverse_temperature);
        let shift = if first { 0.0 } else { shift };
        self.moment = (-shift).exp() * (self.moment - shift * self.mass);
        self.mass *= (-shift).exp();
        self.max = max;
        self.at = offset + block.iter().position(|v| *v == max).unwrap_or(0);
        shift
    }

    fn entropy(&self) -> f64 {
        self.mass.ln() - self.moment / self.mass
    }
}

/// Both distributions and what the divergence needs of them together.
struct Sums {
    student: Side,
    teacher: Side,
    /// Σ e·(x − x′) over the averaging distribution, x′ being the other one's exponent.
    cross: f64,
    /// Largest logit of the averaging distribution where the other one excludes the token.
    excluded: f32,
    reverse: bool,
    inverse_temperature: f32,
}

impl Sums {
    fn new(reverse: bool, inverse_temperature: f32) -> Self {
        let (student, teacher) = (Side::EMPTY, Side::EMPTY);
        Self { student, teacher, cross: 0.0, excluded: f32::NEG_INFINITY, reverse, inverse_temperature }
    }

    /// The averaging distribution, then the other one.
    fn sides(&self) -> (&Side, &Side) {
        if self.reverse { (&self.student, &self.teacher) } else { (&self.teacher, &self.student) }
    }

    /// Adds one block of logits that begins at `offset`.
    #[inline(always)]
    fn add<S: Simd, const REVERSE: bool>(&mut self, s: &Block, t: &Block, offset: usize) {
        let (s_max, t_max) = (largest::<S>(s), largest::<S>(t));
        if s_max > self.student.max || t_max > self.teacher.max {
            let mass = self.sides().0.mass;
            let s_shift = self.student.raise(s, s_max, offset, self.inverse_temperature);
            let t_shift = self.teacher.raise(t, t_max, offset, self.inverse_temperature);
            let (over, under) = if REVERSE { (s_shift, t_shift) } else { (t_shift, s_shift) };
            self.cross = (-over).exp() * (self.cross + (under - over) * mass);
        }
        let scale = self.inverse_temperature;
        let block = block_sums::<S, REVERSE>(s, t, self.student.centre(), self.teacher.centre(), scale);
        self.student.mass += f64::from(block.student_mass);
        self.student.moment += f64::from(block.student_moment);
        self.teacher.mass += f64::from(block.teacher_mass);
        self.teacher.moment += f64::from(block.teacher_moment);
        if block.cross.is_finite() {
            self.cross += f64::from(block.cross);
        } else {
            self.add_excluded(if REVERSE { (s, t) } else { (t, s) });
        }
    }

    /// The cross sum of a block in which one token at least is excluded by the other distribution only.
    #[cold]
    fn add_excluded(&mut self, (over, under): (&Block, &Block)) {
        let (o, u) = self.sides();
        let (o, u) = (o.centre(), u.centre());
        for (&a, &b) in over.iter().zip(under) {
            if b == f32::NEG_INFINITY {
                self.excluded = self.excluded.max(a);
                continue;
            }
            let x = (a - o) * self.inverse_temperature;
            if x >= CUT {
                let difference = f64::from(x) - f64::from(b - u) * f64::from(self.inverse_temperature);
                self.cross += f64::from(x).exp() * difference;
            }
        }
    }

    fn result(&self) -> RowResult {
        let (over, under) = self.sides();
        let excluded = self.excluded > f32::NEG_INFINITY
            && (self.excluded - over.centre()) * self.inverse_temperature >= CUT;
        let kl = if [over.mass, under.mass].iter().any(|mass| mass.is_nan() || *mass == 0.0) {
            // No finite logit at all, or something that is no number.
            f64::NAN
        } else if excluded {
            f64::INFINITY
        } else {
            self.cross / over.mass - over.mass.ln() + under.mass.ln()
        };
        RowResult {
            kl: kl as f32,
            student_entropy: self.student.entropy() as f32,
            teacher_entropy: self.teacher.entropy() as f32,
            agrees: self.student.at == self.teacher.at,
        }
    }

    fn slopes(&self, weight: f64, kl: f64) -> Slopes {
        let weight = weight * f64::from(self.inverse_temperature);
        Slopes {
            student: self.student.centre(),
            teacher: self.teacher.centre(),
            inverse_temperature: self.inverse_temperature,
            student_scale: (weight / self.student.mass) as f32,
            teacher_scale: (weight / self.teacher.mass) as f32,
            offset: (self.teacher.mass.ln() - self.student.mass.ln() - kl) as f32,
        }
    }
}

/// What the gradient of a row needs: centres, weight/(τ·Σe) of both, and log Zq − log Zp − K.
struct Slopes {
    student: f32,
    teacher: f32,
    inverse_temperature: f32,
    student_scale: f32,
    teacher_scale: f32,
    offset: f32,
}

impl Slopes {
    #[inline(always)]
    fn write<S: Simd, const REVERSE: bool>(&self, s: &Block, t: &Block, gradient: &mut Block) {
        let (s_centre, t_centre) = (self.student.splat::<S>(), self.teacher.splat::<S>());
        let scale = self.inverse_temperature.splat::<S>();
        let (s_scale, t_scale) = (self.student_scale.splat::<S>(), self.teacher_scale.splat::<S>());
        let (zero, offset) = (0.0f32.splat::<S>(), self.offset.splat::<S>());
        let lanes = f32::lanes::<S>();
        for ((s, t), g) in
            s.chunks_exact(lanes).zip(t.chunks_exact(lanes)).zip(gradient.chunks_exact_mut(lanes))
        {
            let x = (load::<S>(s) - s_centre) * scale;
            let y = (load::<S>(t) - t_centre) * scale;
            let p = exp::<S>(x) * s_scale;
            // Products are rounded before they are subtracted: equal logits give exactly zero.
            let value = if REVERSE {
                p.ne(zero).select(p * ((x - y) + offset), zero)
            } else {
                p - exp::<S>(y) * t_scale
            };
            store::<S>(value, g);
        }
    }
}

/// The sums over one block.
struct BlockSums {
    student_mass: f32,
    student_moment: f32,
    teacher_mass: f32,
    teacher_moment: f32,
    cross: f32,
}

#[inline(always)]
fn block_sums<S: Simd, const REVERSE: bool>(
    s: &Block,
    t: &Block,
    s_centre: f32,
    t_centre: f32,
    inverse_temperature: f32,
) -> BlockSums {
    let zero = 0.0f32.splat::<S>();
    let (s_centre, t_centre) = (s_centre.splat::<S>(), t_centre.splat::<S>());
    let (scale, cut) = (inverse_temperature.splat::<S>(), CUT.splat::<S>());
    let (mut s_mass, mut s_moment, mut t_mass, mut t_moment, mut cross) = (zero, zero, zero, zero, zero);
    let lanes = f32::lanes::<S>();
    for (s, t) in s.chunks_exact(lanes).zip(t.chunks_exact(lanes)) {
        let x = (load::<S>(s) - s_centre) * scale;
        let y = (load::<S>(t) - t_centre) * scale;
        let (p, q) = (exp::<S>(x), exp::<S>(y));
        s_mass += p;
        t_mass += q;
        // −∞ · 0 is no number; where the exponential is zero any finite exponent does.
        s_moment = p.mul_add(x.lt(cut).select(cut, x), s_moment);
        t_moment = q.mul_add(y.lt(cut).select(cut, y), t_moment);
        let (over, difference) = if REVERSE { (p, x - y) } else { (q, y - x) };
        cross += over.gt(zero).select(over * difference, zero);
    }
    BlockSums {
        student_mass: s_mass.reduce_add(),
        student_moment: s_moment.reduce_add(),
        teacher_mass: t_mass.reduce_add(),
        teacher_moment: t_moment.reduce_add(),
        cross: cross.reduce_add(),
    }
}

/// The largest logit of a block.
#[inline(always)]
fn largest<S: Simd>(block: &Block) -> f32 {
    let lanes = f32::lanes::<S>();
    let mut max = f32::NEG_INFINITY.splat::<S>();
    for values in block.chunks_exact(lanes) {
        max = load::<S>(values).max(max);
    }
    max.reduce_max()
}
