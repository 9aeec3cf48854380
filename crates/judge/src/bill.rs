//! What a judge costs.

/// What a million tokens cost, in any currency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Of those that are read.
    pub read: f64,
    /// Of those that are written.
    pub written: f64,
}

/// What was asked of a server and what it counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    /// Requests, those that failed too.
    pub calls: u64,
    /// Tokens that the model read.
    pub read: u64,
    /// Tokens that it wrote.
    pub written: u64,
    /// Verdicts that were there already.
    pub kept: u64,
}

impl Bill {
    /// What that comes to.
    pub fn spend(&self, prices: Prices) -> f64 {
        (self.read as f64 * prices.read + self.written as f64 * prices.written) / 1e6
    }
}
