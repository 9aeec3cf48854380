//! A judge: many answers, asked together, each until it has a verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use vigos_core::text::one_line;

use crate::bill::{Bill, Prices};
use crate::error::JudgeError;
use crate::kept::{Entry, Kept, key};
use crate::score::score_of;
use crate::server::{Fault, Reply, Server};
use crate::template::Template;

/// Questions under way at a time.
const TOGETHER: usize = 8;
/// Most letters that are kept of a reply.
const SAID: usize = 1000;
/// How much warmer a model is asked that said nothing that can be read.
const WARMER: f64 = 0.5;
/// The warmest that a server takes.
const WARMEST: f64 = 2.0;
/// What is added for such a model.
const PLAINER: &str = "\nReply with the number alone.";
/// The longest wait between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often it is looked whether the work was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Whom to ask, and how much.
#[derive(Clone)]
pub struct Settings {
    /// The server's address up to its `/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// The key that it wants.
    pub key: Option<String>,
    /// The folder that verdicts are kept in.
    pub folder: PathBuf,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// Attempts at one verdict, at least one.
    pub attempts: usize,
    /// The wait before the second attempt; it doubles from one to the next.
    pub pause: Duration,
    /// Requests that the folder's verdicts may take. None: as many as it needs.
    pub max_calls: Option<u64>,
    /// What they may cost. None: as much as it needs.
    pub max_spend: Option<f64>,
    /// What a million tokens cost.
    pub prices: Prices,
}

impl Settings {
    /// Refuses what no judge can be opened with.
    ///
    /// # Errors
    /// [`JudgeError::Setting`].
    pub fn check(&self) -> Result<(), JudgeError> {
        let Self { url, model, key, prices, .. } = self;
        let fault =
            |key, found: &str, wanted| Err(JudgeError::Setting { key, found: format!("{found:?}"), wanted });
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return fault("url", url, "an address that starts with http:// or https://");
        }
        if model.trim().is_empty() {
            return fault("model", model, "the name of a model at eval.judge.url");
        }
        if key.as_ref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            // The key itself is not shown.
            return fault("key", "a variable with another text", "a key without spaces and line breaks");
        }
        if self.max_spend.is_some() && prices.read == 0.0 && prices.written == 0.0 {
            return fault("max_spend", "a limit without prices", "price_read and price_written too");
        }
        Ok(())
    }
}

/// An answer to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case<'a> {
    /// The question.
    pub problem: &'a str,
    /// The answer that is right.
    pub reference: &'a str,
    /// The answer that was given.
    pub answer: &'a str,
}

/// What a judge says of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// From 0, all wrong, to 1, all right.
    pub score: f64,
    /// The model's words.
    pub said: String,
}

/// A judge. Several threads ask at a time; what it says depends on what is asked alone.
#[derive(Debug)]
pub struct Judge {
    server: Server,
    kept: Kept,
    attempts: usize,
    pause: Duration,
    max_calls: Option<u64>,
    max_spend: Option<f64>,
    prices: Prices,
    bill: Mutex<Bill>,
    /// What earlier work left in the folder.
    before: Bill,
}

impl Judge {
    /// Opens a judge; nothing is asked yet.
    ///
    /// # Errors
    /// If a setting is wrong, or the folder of verdicts cannot be used.
    pub fn open(settings: Settings) -> Result<Self, JudgeError> {
        settings.check()?;
        let Settings { url, model, key, folder, timeout, attempts, pause, .. } = settings;
        let Settings { max_calls, max_spend, prices, .. } = settings;
        let (kept, before) = Kept::open(&folder)?;
        let server = Server::new(&url, &model, key, timeout);
        let (attempts, bill) = (attempts.max(1), Mutex::default());
        Ok(Self { server, kept, attempts, pause, max_calls, max_spend, prices, bill, before })
    }

    /// The verdicts on answers in `template`, in their order; none on one of which the model said nothing that can be read.
    /// None at all if `stop` was set.
    ///
    /// # Errors
    /// If the server refuses or stays away, or a limit is reached. Verdicts that there are by then are kept.
    pub fn verdicts(
        &self,
        template: &Template,
        cases: &[Case],
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Option<Verdict>>>, JudgeError> {
        let filled = |case: &Case| template.filled(case.problem, case.reference, case.answer);
        let prompts: Vec<String> = cases.iter().map(filled).collect();
        let different: Vec<&String> = prompts.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let next = AtomicUsize::new(0);
        let found: Mutex<BTreeMap<&String, Option<Verdict>>> = Mutex::default();
        let failed: Mutex<Option<JudgeError>> = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..TOGETHER.min(different.len()) {
                scope.spawn(|| {
                    while let Some(&prompt) = different.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if stop.load(Ordering::SeqCst) || held(&failed).is_some() {
                            return;
                        }
                        match self.verdict(prompt, stop) {
                            Ok(verdict) => drop(held(&found).insert(prompt, verdict)),
                            Err(error) => drop(held(&failed).get_or_insert(error)),
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        if stop.load(Ordering::SeqCst) {
            return Ok(None);
        }
        let found = held(&found);
        Ok(Some(prompts.iter().map(|prompt| found.get(prompt).cloned().flatten()).collect()))
    }

    /// What was asked since the judge was opened.
    pub fn bill(&self) -> Bill {
        *held(&self.bill)
    }

    /// What that cost.
    pub fn spend(&self) -> f64 {
        self.bill().spend(self.prices)
    }

    /// The verdict on one prompt, kept or asked for; none if the replies cannot be read or the work was stopped.
    fn verdict(&self, prompt: &str, stop: &AtomicBool) -> Result<Option<Verdict>, JudgeError> {
        let key = key(&self.server.model, prompt);
        if let Some(Entry { score, said, .. }) = self.kept.find(&key)? {
            held(&self.bill).kept += 1;
            return Ok(Some(Verdict { score, said }));
        }
        let mut taken = Bill::default();
        let (mut unread, mut pause, mut last) = (0_u32, self.pause, None);
        for attempt in 1..=self.attempts {
            if stop.load(Ordering::SeqCst) {
                return Ok(None);
            }
            self.afford()?;
            taken.calls += 1;
            let asked = if unread == 0 { prompt.to_owned() } else { format!("{prompt}{PLAINER}") };
            match self.server.ask(&asked, (f64::from(unread) * WARMER).min(WARMEST)) {
                Ok(reply) => {
                    self.pay(&reply, &mut taken);
                    let said = one_line(&reply.text, SAID).into_owned();
                    if let Some(score) = score_of(&reply.text) {
                        let Bill { calls, read, written, .. } = taken;
                        let entry = Entry { score, said: said.clone(), calls, read, written };
                        self.kept.keep(&key, &entry)?;
                        return Ok(Some(Verdict { score, said }));
                    }
                    (unread, last) = (unread + 1, None);
                }
                Err(Fault::Lasting { status, message }) => return Err(self.refused(status, message)),
                Err(Fault::Passing { reason, wait }) => {
                    last = Some(reason);
                    if attempt < self.attempts {
                        rest(wait.unwrap_or(pause), stop);
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                }
            }
        }
        let (url, attempts) = (self.server.url.clone(), self.attempts);
        last.map_or(Ok(None), |reason| Err(JudgeError::GaveUp { url, reason, attempts }))
    }

    /// Counts a request, unless there may be no more.
    fn afford(&self) -> Result<(), JudgeError> {
        let mut bill = held(&self.bill);
        let calls = self.before.calls.saturating_add(bill.calls);
        if let Some(limit) = self.max_calls.filter(|limit| calls >= *limit) {
            let (found, limit) = (format!("{calls} calls"), limit.to_string());
            return Err(JudgeError::Limit { key: "max_calls", found, limit });
        }
        let spend = self.before.spend(self.prices) + bill.spend(self.prices);
        if let Some(limit) = self.max_spend.filter(|limit| spend >= *limit) {
            let (found, limit) = (format!("{spend:.4} spent"), limit.to_string());
            return Err(JudgeError::Limit { key: "max_spend", found, limit });
        }
        bill.calls += 1;
        Ok(())
    }

    fn pay(&self, reply: &Reply, taken: &mut Bill) {
        let mut bill = held(&self.bill);
        for bill in [&mut *bill, taken] {
            bill.read = bill.read.saturating_add(reply.read);
            bill.written = bill.written.saturating_add(reply.written);
        }
    }

    fn refused(&self, status: u16, message: String) -> JudgeError {
        let hint = match status {
            401 | 403 => "; is the variable that eval.judge.key names set to the server's key?",
            404 => "; are eval.judge.url, up to its /v1, and eval.judge.model as the server has them?",
            _ => "",
        };
        JudgeError::Refused { url: self.server.url.clone(), status, message, hint: hint.to_owned() }
    }
}

/// Waits, but not for long once the work is stopped.
fn rest(wait: Duration, stop: &AtomicBool) {
    let until = Instant::now() + wait;
    while !stop.load(Ordering::SeqCst) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
