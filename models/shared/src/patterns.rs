//! Regular expressions that come with an adapter, matched as Python's `re` matches them in PEFT.
//!
//! They are other people's: one may be written to run for ever. An engine of linear time serves where it can;
//! expressions that look around or back need another one, which gets a budget, and there may be few of them.

/// Bytes that a compiled expression may take.
const MAX_SIZE: usize = 2 << 20;
/// Times that the second engine may go back in one match: no honest expression on a path of 60 letters needs
/// more than some hundred.
const MAX_BACKTRACKS: usize = 10_000;
/// Expressions that may need the second engine.
const MAX_BACKTRACKING: usize = 32;
/// Expressions at all; a model has some hundred layers.
const MAX_PATTERNS: usize = 4096;

/// Compiles the expressions of one adapter, and counts them.
#[derive(Debug, Default)]
pub struct Patterns {
    all: usize,
    backtracking: usize,
}

/// A compiled expression.
#[derive(Debug)]
pub enum Pattern {
    /// For the engine of linear time.
    Linear(regex::Regex),
    /// For the engine that goes back.
    Backtracking(fancy_regex::Regex),
}

/// Why an expression cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not one, or is one that only Python knows.
    #[error("{0}")]
    Syntax(String),
    /// There are more than any adapter has.
    #[error("too many patterns: at most {MAX_PATTERNS}, and {MAX_BACKTRACKING} that look around or back")]
    TooMany,
    /// Matching it takes too long.
    #[error("it takes too many steps to match `{0}`")]
    Runaway(String),
}

impl Patterns {
    /// An expression for a whole path: Python's `re.fullmatch`.
    ///
    /// # Errors
    /// If it cannot be understood, or there are too many.
    pub fn whole(&mut self, text: &str) -> Result<Pattern, PatternError> {
        self.compile(text, &format!("\\A(?:{text})\\z"))
    }

    /// An expression for the end of a path, from its beginning or behind a dot: what PEFT makes of the keys of
    /// `rank_pattern`.
    ///
    /// # Errors
    /// If it cannot be understood, or there are too many.
    pub fn ending(&mut self, text: &str) -> Result<Pattern, PatternError> {
        self.compile(text, &format!("\\A(.*\\.)?({text})$"))
    }

    fn compile(&mut self, text: &str, framed: &str) -> Result<Pattern, PatternError> {
        self.all += 1;
        if self.all > MAX_PATTERNS {
            return Err(PatternError::TooMany);
        }
        let linear = |text: &str| regex::RegexBuilder::new(text).size_limit(MAX_SIZE).build();
        // By itself as well: the frame must not close what the text leaves open.
        if let (Ok(_), Ok(pattern)) = (linear(text), linear(framed)) {
            return Ok(Pattern::Linear(pattern));
        }
        self.backtracking += 1;
        if self.backtracking > MAX_BACKTRACKING {
            return Err(PatternError::TooMany);
        }
        let backtracking = |text: &str| {
            fancy_regex::RegexBuilder::new(text)
                .backtrack_limit(MAX_BACKTRACKS)
                .delegate_size_limit(MAX_SIZE)
                .build()
                .map_err(|error| PatternError::Syntax(first_line(&error.to_string())))
        };
        backtracking(text)?;
        Ok(Pattern::Backtracking(backtracking(framed)?))
    }
}

impl Pattern {
    /// Whether it matches.
    ///
    /// # Errors
    /// If that takes too long to find out.
    pub fn matches(&self, path: &str) -> Result<bool, PatternError> {
        match self {
            Self::Linear(pattern) => Ok(pattern.is_match(path)),
            Self::Backtracking(pattern) => {
                pattern.is_match(path).map_err(|_| PatternError::Runaway(path.to_owned()))
            }
        }
    }
}

/// An error's first line, shortened: the library repeats the expression, which may be long.
fn first_line(message: &str) -> String {
    const MAX: usize = 200;
    let line = message.lines().next().unwrap_or_default();
    let mut short: String = line.chars().take(MAX).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}
