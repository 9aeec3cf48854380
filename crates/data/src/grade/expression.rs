//! Whether two expressions have the same value, whatever their form.
//!
//! Both are computed in f64 at a few fixed points, negative ones among them; sums of products of powers that
//! agree at all of them are the same. The grammar, over normalised text:
//!
//! ```text
//! sum     = ["+" | "-"] product (("+" | "-") product)*
//! product = power (("*" | "/") ["-"] power | power)*          the last form multiplies
//! power   = atom ["^" ["-"] power]
//! atom    = number | letter | "π" | "pi" | "(" sum ")" | "{" sum "}" | root | fraction | mixed number
//! ```

/// How far apart two values may be, relative to the larger one.
const TOLERANCE: f64 = 1e-9;
/// The same for values near zero, where terms have cancelled.
const NEAR_ZERO: f64 = 1e-12;
/// Points at which expressions with variables are compared.
const POINTS: usize = 8;
/// Of these, how many have to have a value.
const ENOUGH: usize = 3;
/// How deep brackets, powers and signs may lie in each other.
const DEEPEST: usize = 40;

/// Whether both normalised texts are expressions and of one value.
pub(super) fn same_expression(a: &str, b: &str) -> bool {
    if !is_symbolic(a) || !is_symbolic(b) {
        return false;
    }
    let mut agreeing = 0;
    for point in 0..POINTS {
        let (Some(a), Some(b)) = (value(a, point), value(b, point)) else { return false };
        match (a.is_finite(), b.is_finite()) {
            (false, false) => {}
            (true, true) if near(a, b) => agreeing += 1,
            _ => return false,
        }
    }
    agreeing >= ENOUGH
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= (TOLERANCE * a.abs().max(b.abs())).max(NEAR_ZERO)
}

/// Whether a text may be an expression at all, and no word: letters stand alone, or in pairs if there is a digit,
/// a sum or a power as well, or are those of a command.
fn is_symbolic(text: &str) -> bool {
    let sums = text.contains(|c: char| c.is_ascii_digit() || matches!(c, '+' | '^'));
    let most = if sums { 2 } else { 1 };
    let plain = text.replace("\\frac", " ").replace("\\sqrt", " ");
    let known = |run: &str| run.len() <= most || matches!(run, "pi" | "sqrt");
    let single = text.len() == 1 || text == "pi";
    plain.split(|c: char| !c.is_ascii_alphabetic()).all(known)
        && (single || text.contains(|c: char| !c.is_alphabetic() && c != ' ') || text.contains('π'))
}

/// The value of `text` at a point; not finite where it has none; nothing if it is no expression.
fn value(text: &str, point: usize) -> Option<f64> {
    let mut reader = Reader { rest: text.trim(), point, depth: 0 };
    let value = reader.sum()?;
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

/// Of a letter: spread over ±(0.5 to 2.5), other at each point, of no simple relation to each other.
fn variable(letter: char, point: usize) -> f64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    const PLASTIC: f64 = 0.754_877_666_246_692_7;
    let turn = (f64::from(letter as u32) * GOLDEN + point as f64 * PLASTIC).fract();
    let size = 0.5 + 2.0 * turn;
    // Two points have all variables above zero, as roots and powers want them.
    if point >= 4 && (letter as usize + point).is_multiple_of(2) { -size } else { size }
}

/// Reads an expression from left to right and computes it on the way.
struct Reader<'a> {
    rest: &'a str,
    point: usize,
    depth: usize,
}

impl Reader<'_> {
    fn sum(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let negative = self.sign();
        let mut total = self.product()? * negative;
        loop {
            if self.take("+") {
                total += self.product()?;
            } else if self.take("-") {
                total -= self.product()?;
            } else {
                self.depth -= 1;
                return Some(total);
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut total = self.power()?;
        loop {
            if self.take("*") {
                total *= self.sign() * self.power()?;
            } else if self.take("/") {
                total /= self.sign() * self.power()?;
            } else if self.begins_factor() {
                total *= self.power()?;
            } else {
                return Some(total);
            }
        }
    }

    fn power(&mut self) -> Option<f64> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let base = self.atom()?;
        let value = if self.take("^") { base.powf(self.sign() * self.power()?) } else { base };
        self.depth -= 1;
        Some(value)
    }

    fn atom(&mut self) -> Option<f64> {
        if let Some(number) = self.number() {
            return self.mixed(number);
        }
        if self.take("(") {
            return self.closed_by(")");
        }
        if self.take("{") {
            return self.closed_by("}");
        }
        if self.take("\\frac") {
            let above = self.argument()?;
            return Some(above / self.argument()?);
        }
        if self.take("\\sqrt") {
            let degree = if self.take("[") { self.closed_by("]")? } else { 2.0 };
            return Some(root(self.argument()?, degree));
        }
        if self.take("sqrt") || self.take("√") {
            return Some(root(self.atom()?, 2.0));
        }
        if self.take("π") || self.take("pi") {
            return Some(std::f64::consts::PI);
        }
        let letter = self.peek().filter(char::is_ascii_alphabetic)?;
        self.rest = self.rest.get(1..)?;
        Some(variable(letter, self.point))
    }

    /// What a command takes: a group, or the next digit or letter alone.
    fn argument(&mut self) -> Option<f64> {
        if self.take("{") {
            return self.closed_by("}");
        }
        let next = self.peek()?;
        match next.to_digit(10) {
            Some(digit) => {
                self.rest = self.rest.get(1..)?;
                Some(f64::from(digit))
            }
            None => self.atom(),
        }
    }

    fn closed_by(&mut self, bracket: &str) -> Option<f64> {
        let value = self.sum()?;
        self.take(bracket).then_some(value)
    }

    /// An unsigned decimal, perhaps with a power of ten.
    fn number(&mut self) -> Option<f64> {
        self.skip();
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(self.rest);
        let mut end = whole;
        let fraction = self.rest.get(end..)?.strip_prefix('.').map(digits);
        end += fraction.map_or(0, |n| n + 1);
        if whole + fraction.unwrap_or(0) == 0 {
            return None;
        }
        if let Some(power) = self.rest.get(end..)?.strip_prefix('e') {
            let sign = usize::from(power.starts_with(['-', '+']));
            let count = digits(power.get(sign..)?);
            end += if count > 0 { 1 + sign + count } else { 0 };
        }
        let (number, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        number.parse().ok()
    }

    /// A whole number, and the fraction of digits behind it that makes it a mixed number: `1 1/2` or
    /// `1\frac{1}{2}`.
    fn mixed(&mut self, whole: f64) -> Option<f64> {
        let before = self.rest;
        if whole.fract() != 0.0 {
            return Some(whole);
        }
        if let Some(rest) = before.strip_prefix(' ') {
            self.rest = rest;
            if let Some(above) = self.number() {
                // Two numbers side by side are a mixed number or nothing.
                return if self.take("/") { Some(whole + above / self.number()?) } else { None };
            }
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let fraction = before.trim_start().strip_prefix("\\frac{").and_then(|rest| {
            let (above, rest) = rest.split_once("}{")?;
            let (below, rest) = rest.split_once('}')?;
            (digits(above) && digits(below)).then_some((above, below, rest))
        });
        let Some((above, below, rest)) = fraction else {
            self.rest = before;
            return Some(whole);
        };
        self.rest = rest;
        let (above, below): (f64, f64) = (above.parse().ok()?, below.parse().ok()?);
        Some(whole + above / below)
    }

    /// Whether a factor follows without a sign of multiplication.
    fn begins_factor(&self) -> bool {
        self.peek().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '(' | '{' | '\\' | 'π' | '√'))
    }

    /// Minus one behind a minus sign, else one.
    fn sign(&mut self) -> f64 {
        let mut sign = 1.0;
        loop {
            if self.take("-") {
                sign = -sign;
            } else if !self.take("+") {
                return sign;
            }
        }
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.trim_start().chars().next()
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

/// The root of a degree; odd ones of negative numbers are negative.
fn root(of: f64, degree: f64) -> f64 {
    if of < 0.0 && degree % 2.0 == 1.0 { -(-of).powf(1.0 / degree) } else { of.powf(1.0 / degree) }
}
