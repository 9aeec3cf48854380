//! One sign for what is written in several ways: as a command, as a character, as its look-alike, in ASCII.

use unicode_normalization::UnicodeNormalization;

/// Signs, and the commands that print them or one of the same meaning.
const COMMANDS: &[(&str, &[&str])] = &[
    // Relations.
    ("≤", &["le", "leq", "leqslant", "leqq"]),
    ("≥", &["ge", "geq", "geqslant", "geqq"]),
    ("≠", &["ne", "neq"]),
    ("<", &["lt"]),
    (">", &["gt"]),
    ("≈", &["approx", "approxeq"]),
    ("∼", &["sim"]),
    ("≅", &["cong"]),
    ("≡", &["equiv"]),
    ("∝", &["propto"]),
    ("∈", &["in"]),
    ("∉", &["notin"]),
    ("⊂", &["subset"]),
    ("⊆", &["subseteq"]),
    ("⊥", &["perp"]),
    ("∥", &["parallel"]),
    // Operations.
    ("*", &["cdot", "times", "ast"]),
    ("/", &["div"]),
    ("±", &["pm"]),
    ("∓", &["mp"]),
    ("∪", &["cup"]),
    ("∩", &["cap"]),
    ("∧", &["land", "wedge"]),
    ("∨", &["lor", "vee"]),
    ("¬", &["neg", "lnot"]),
    // Things.
    ("°", &["circ", "degree", "textdegree"]),
    ("℃", &["celsius", "degreeCelsius"]),
    ("∞", &["infty"]),
    ("∅", &["emptyset", "varnothing"]),
    ("∂", &["partial"]),
    ("∇", &["nabla"]),
    ("∑", &["sum"]),
    ("∏", &["prod"]),
    ("∫", &["int"]),
    ("∠", &["angle"]),
    ("△", &["triangle"]),
    ("'", &["prime"]),
    ("...", &["dots", "ldots", "cdots"]),
    ("%", &["%"]),
    // Arrows.
    ("→", &["to", "rightarrow"]),
    ("←", &["leftarrow", "gets"]),
    ("↔", &["leftrightarrow"]),
    ("⇒", &["Rightarrow", "implies"]),
    ("⇔", &["Leftrightarrow", "iff"]),
    // Letters: small ones and their variants, then capitals that are no Latin ones.
    ("α", &["alpha"]),
    ("β", &["beta"]),
    ("γ", &["gamma"]),
    ("δ", &["delta"]),
    ("ε", &["epsilon", "varepsilon"]),
    ("ζ", &["zeta"]),
    ("η", &["eta"]),
    ("θ", &["theta", "vartheta"]),
    ("ι", &["iota"]),
    ("κ", &["kappa", "varkappa"]),
    ("λ", &["lambda"]),
    ("μ", &["mu", "micro", "textmu", "upmu"]),
    ("ν", &["nu"]),
    ("ξ", &["xi"]),
    ("ο", &["omicron"]),
    ("π", &["pi", "varpi"]),
    ("ρ", &["rho", "varrho"]),
    ("σ", &["sigma", "varsigma"]),
    ("τ", &["tau"]),
    ("υ", &["upsilon"]),
    ("φ", &["phi", "varphi"]),
    ("χ", &["chi"]),
    ("ψ", &["psi"]),
    ("ω", &["omega"]),
    ("Γ", &["Gamma", "varGamma"]),
    ("Δ", &["Delta", "varDelta"]),
    ("Θ", &["Theta", "varTheta"]),
    ("Λ", &["Lambda", "varLambda"]),
    ("Ξ", &["Xi", "varXi"]),
    ("Π", &["Pi", "varPi"]),
    ("Σ", &["Sigma", "varSigma"]),
    ("Υ", &["Upsilon", "varUpsilon"]),
    ("Φ", &["Phi", "varPhi"]),
    ("Ψ", &["Psi", "varPsi"]),
    ("Ω", &["Omega", "varOmega", "ohm"]),
    ("ħ", &["hbar", "hslash"]),
    ("ℓ", &["ell"]),
];

/// Characters of one meaning, where compatibility forms do not say it already.
const CHARACTERS: &[(&str, &str)] = &[
    ("-", "−–‐‑‒"),
    ("*", "×·∙⋅∗"),
    ("/", "÷∕⁄"),
    ("'", "’‘′"),
    ("\"", "“”"),
    ("°", "∘◦˚"),
    ("≤", "⩽≦"),
    ("≥", "⩾≧"),
    ("Δ", "∆"),
    ("∼", "～〜"),
    // Of no width, or of no meaning to a reader.
    ("", "\u{ad}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2060}\u{2061}\u{2062}\u{2063}\u{feff}"),
];

/// Signs in ASCII, the longer ones first.
const ASCII: [(&str, &str); 5] = [("<=>", "⇔"), ("<=", "≤"), (">=", "≥"), ("->", "→"), (" != ", " ≠ ")];

/// What a command prints; none for one that is none of these.
pub(super) fn of_command(name: &str) -> Option<&'static str> {
    COMMANDS.iter().find(|(_, names)| names.contains(&name)).map(|(sign, _)| *sign)
}

/// What a character is a form of; none for one that stands for itself.
pub(super) fn of_character(c: char) -> Option<&'static str> {
    if c.is_ascii() {
        return None;
    }
    CHARACTERS.iter().find(|(_, forms)| forms.contains(c)).map(|(sign, _)| *sign)
}

/// `text` with signs written in ASCII as the characters that they stand for.
pub(super) fn from_ascii(text: &str) -> String {
    ASCII.iter().fold(text.to_owned(), |text, (ascii, sign)| text.replace(ascii, sign))
}

/// Characters of a text in their common forms: those of full width, of a letter-like symbol or a mathematical alphabet
/// are the plain ones, accents are one with their letters.
pub(super) fn composed(text: &str) -> String {
    if text.is_ascii() {
        text.to_owned()
    } else {
        text.nfkc().map(|c| if c == 'ς' { 'σ' } else { c }).collect()
    }
}

/// The numerator and denominator of a character such as ½.
pub(super) fn fraction(c: char) -> Option<(String, String)> {
    if c.is_ascii() {
        return None;
    }
    let parts: String = std::iter::once(c).nfkc().collect();
    let (above, below) = parts.split_once('⁄')?;
    (!above.is_empty() && !below.is_empty()).then(|| (above.to_owned(), below.to_owned()))
}

/// The plain character of a raised one.
pub(super) fn raised(c: char) -> Option<char> {
    match c {
        '²' | '³' | '¹' | '⁰' | 'ⁱ' | '⁴'..='ⁿ' => plain_form(c),
        _ => None,
    }
}

/// The plain character of a lowered one.
pub(super) fn lowered(c: char) -> Option<char> {
    match c {
        '₀'..='₎' | 'ₐ'..='ₜ' | 'ᵢ'..='ᵥ' | 'ⱼ' => plain_form(c),
        _ => None,
    }
}

fn plain_form(c: char) -> Option<char> {
    let plain = std::iter::once(c).nfkc().next()?;
    Some(if plain == '−' { '-' } else { plain })
}

/// Small letters throughout, but for a Greek capital that stands alone: Δ is no δ, as a word's first letter is.
pub(super) fn lower_case(text: &str) -> String {
    let greek = |c: Option<char>| c.is_some_and(is_greek);
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let alone = is_greek(c) && !greek(before) && !greek(chars.peek().copied());
        if alone && matches!(c, 'Γ' | 'Δ' | 'Θ' | 'Λ' | 'Ξ' | 'Π' | 'Σ' | 'Υ' | 'Φ' | 'Ψ' | 'Ω') {
            out.push(c);
        } else {
            out.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    out
}

/// Whether it is a letter of the Greek alphabet, without accents.
pub(super) fn is_greek(c: char) -> bool {
    matches!(c, 'Α'..='Ω' | 'α'..='ω')
}
