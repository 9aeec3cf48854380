//! Whether two expressions have the same value, whatever their form.
//!
//! Both are computed in f64 at a few fixed points, negative ones among them; sums of products of powers that
//! agree at all of them are the same. The grammar, over normalised text:
//!
//! ```text
//! sum     = ["+" | "-"] product (("+" | "-") product)*
//! product = power (("*" | "/") ["-"] power | power)*          the last form multiplies
//! power   = atom ["^" ["-"] power]
//! atom    = number | letter ["_" index] | "π" | "pi" | "(" sum ")" | "{" sum "}" | root | fraction | mixed number
//! ```

use super::signs::is_greek;
use super::value::Value;

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
        match a.same(&b) {
            None => {}
            Some(true) => agreeing += 1,
            Some(false) => return false,
        }
    }
    agreeing >= ENOUGH
}

/// Whether a letter may be a variable.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || (is_greek(c) && c != 'π')
}

/// Whether a text may be an expression at all, and no word: letters stand alone, or in pairs if there is a digit,
/// a sum or a power as well, or are those of a command.
fn is_symbolic(text: &str) -> bool {
    let sums = text.contains(|c: char| c.is_ascii_digit() || matches!(c, '+' | '^'));
    let most = if sums { 2 } else { 1 };
    let plain = text.replace("\\frac", " ").replace("\\sqrt", " ");
    let known = |run: &str| run.chars().count() <= most || matches!(run, "pi" | "sqrt");
    let single = text.chars().count() == 1 || text == "pi";
    plain.split(|c: char| !is_letter(c)).all(known)
        && (single || text.contains(|c: char| !c.is_alphabetic() && c != ' ') || text.contains('π'))
}

/// The value of `text` at a point; not finite where it has none; nothing if it is no expression.
fn value(text: &str, point: usize) -> Option<Value> {
    let mut reader = Reader { rest: text.trim(), point, depth: 0 };
    let value = reader.sum()?;
    reader.skip();
    reader.rest.is_empty().then_some(value)
}

/// Of a letter with its index: spread over ±(0.5 to 2.5), other at each point, of no simple relation to each other.
fn variable(letter: char, index: &str, point: usize) -> Value {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    const PLASTIC: f64 = 0.754_877_666_246_692_7;
    let code = index.bytes().fold(letter as u32, |code, b| code.wrapping_mul(131).wrapping_add(b.into()));
    let turn = (f64::from(code) * GOLDEN + point as f64 * PLASTIC).fract();
    let size = 0.5 + 2.0 * turn;
    // Two points have all variables above zero, as roots and powers want them.
    let negative = point >= 4 && (code as usize + point).is_multiple_of(2);
    Value::irrational(if negative { -size } else { size })
}

/// Reads an expression from left to right and computes it on the way.
struct Reader<'a> {
    rest: &'a str,
    point: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn sum(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let negative = self.negative();
        let mut total = signed(negative, self.product()?);
        loop {
            if self.take("+") {
                total = total.plus(self.product()?);
            } else if self.take("-") {
                total = total.plus(self.product()?.negated());
            } else {
                self.depth -= 1;
                return Some(total);
            }
        }
    }

    fn product(&mut self) -> Option<Value> {
        let mut total = self.power()?;
        loop {
            if self.take("*") {
                total = total.times(signed(self.negative(), self.power()?));
            } else if self.take("/") {
                total = total.over(signed(self.negative(), self.power()?));
            } else if self.begins_factor() {
                total = total.times(self.power()?);
            } else {
                return Some(total);
            }
        }
    }

    fn power(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let base = self.atom()?;
        let value =
            if self.take("^") { base.raised_to(signed(self.negative(), self.power()?)) } else { base };
        self.depth -= 1;
        Some(value)
    }

    fn atom(&mut self) -> Option<Value> {
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
            return Some(above.over(self.argument()?));
        }
        if self.take("\\sqrt") {
            let degree = if self.take("[") { self.closed_by("]")? } else { Value::whole(2) };
            return Some(self.argument()?.root(degree));
        }
        if self.take("sqrt") || self.take("√") {
            return Some(self.atom()?.root(Value::whole(2)));
        }
        if self.take("π") || self.take("pi") {
            return Some(Value::irrational(std::f64::consts::PI));
        }
        let letter = self.peek().filter(|c| is_letter(*c))?;
        self.rest = self.rest.get(letter.len_utf8()..)?;
        let index = if self.take("_") { self.index()? } else { "" };
        Some(variable(letter, index, self.point))
    }

    /// What tells one variable of a letter from another: a group, some digits or a letter.
    fn index(&mut self) -> Option<&'a str> {
        let (index, rest) = match self.rest.strip_prefix('{') {
            Some(inner) => inner.split_once('}').filter(|(index, _)| !index.contains('{'))?,
            None => {
                let digits = digits(self.rest);
                let end = if digits > 0 { digits } else { self.peek().filter(|c| is_letter(*c))?.len_utf8() };
                self.rest.split_at_checked(end)?
            }
        };
        self.rest = rest;
        Some(index.trim())
    }

    /// What a command takes: a group, or the next digit or letter alone.
    fn argument(&mut self) -> Option<Value> {
        if self.take("{") {
            return self.closed_by("}");
        }
        match self.peek()?.to_digit(10) {
            Some(digit) => {
                self.rest = self.rest.get(1..)?;
                Some(Value::whole(digit))
            }
            None => self.atom(),
        }
    }

    fn closed_by(&mut self, bracket: &str) -> Option<Value> {
        let value = self.sum()?;
        self.take(bracket).then_some(value)
    }

    /// An unsigned decimal, perhaps with a power of ten.
    fn number(&mut self) -> Option<Value> {
        self.skip();
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
        Value::read(number)
    }

    /// A whole number, and the fraction of digits behind it that makes it a mixed number: `1 1/2`, `1\frac{1}{2}` or
    /// `1\frac12`.
    fn mixed(&mut self, whole: Value) -> Option<Value> {
        let before = self.rest;
        if !whole.is_whole() {
            return Some(whole);
        }
        if let Some(rest) = before.strip_prefix(' ') {
            self.rest = rest;
            if let Some(above) = self.number() {
                // Two numbers side by side are a mixed number or nothing.
                return if self.take("/") { Some(whole.plus(above.over(self.number()?))) } else { None };
            }
        }
        let fraction = before.trim_start().strip_prefix("\\frac").and_then(|rest| {
            let (above, rest) = digits_of(rest)?;
            let (below, rest) = digits_of(rest)?;
            Some((above, below, rest))
        });
        let Some((above, below, rest)) = fraction else {
            self.rest = before;
            return Some(whole);
        };
        self.rest = rest;
        Some(whole.plus(Value::read(above)?.over(Value::read(below)?)))
    }

    /// Whether a factor follows without a sign of multiplication.
    fn begins_factor(&self) -> bool {
        self.peek().is_some_and(|c| is_letter(c) || matches!(c, '(' | '{' | '\\' | 'π' | '√'))
    }

    /// Whether the signs that follow are negative together.
    fn negative(&mut self) -> bool {
        let mut negative = false;
        loop {
            if self.take("-") {
                negative = !negative;
            } else if !self.take("+") {
                return negative;
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

fn signed(negative: bool, value: Value) -> Value {
    if negative { value.negated() } else { value }
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// A group of digits or a digit alone, as a command takes it, and what follows it.
fn digits_of(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (number, rest) = match text.strip_prefix('{') {
        Some(inner) => inner.split_once('}').map(|(number, rest)| (number.trim(), rest))?,
        None => text.split_at_checked(1)?,
    };
    (!number.is_empty() && digits(number) == number.len()).then_some((number, rest))
}
