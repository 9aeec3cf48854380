//! Many questions at once.

use crate::question::Question;
use crate::server::{Named, Server, interrupted};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use vigos_rollout::RunError;
use vigos_rollout::engine::Completion;

/// How often `watch` is asked while no answer comes.
const GLANCE: Duration = Duration::from_millis(100);
/// Most questions that wait for an answer at a time.
const MOST: usize = 256;

/// What the threads that ask share.
struct Desk {
    waiting: Mutex<VecDeque<(usize, Question)>>,
    over: AtomicBool,
}

/// The answers to all questions, in their order, `at_once` of them asked at a time. `watch` is called with the tokens that
/// have come, and may stop the work; a question that is still out then is not waited for.
///
/// # Errors
/// As [`Server::ask`], of the first that failed.
pub(crate) fn ask_all(
    server: &Server,
    adapter: Named,
    questions: Vec<Question>,
    at_once: usize,
    watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Completion>, RunError> {
    let count = questions.len();
    let waiting = Mutex::new(questions.into_iter().enumerate().collect());
    let desk = Arc::new(Desk { waiting, over: AtomicBool::new(false) });
    let (tell, told) = channel();
    for _ in 0..at_once.clamp(1, MOST).min(count) {
        let (server, desk, tell) = (server.clone(), desk.clone(), tell.clone());
        let (name, folder) = (adapter.name.to_owned(), adapter.folder.to_owned());
        thread::spawn(move || {
            while let Some((number, question)) = next(&desk) {
                let answer = ask(&server, &desk, &question, &name, &folder);
                // Nobody listens where another one failed.
                if tell.send((number, answer)).is_err() {
                    break;
                }
            }
        });
    }
    drop(tell);
    let mut answers: Vec<Option<Completion>> = vec![None; count];
    let mut collect = || {
        let (mut left, mut drawn) = (count, 0);
        while left > 0 {
            match told.recv_timeout(GLANCE) {
                Ok((number, answer)) => {
                    let answer: Completion = answer?;
                    drawn += answer.tokens.len();
                    answers[number] = Some(answer);
                    left -= 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(interrupted()),
            }
            if watch(drawn).is_break() {
                return Err(interrupted());
            }
        }
        Ok(())
    };
    let collected = collect();
    desk.over.store(true, Ordering::Relaxed);
    collected.map(|()| answers.into_iter().flatten().collect())
}

fn next(desk: &Desk) -> Option<(usize, Question)> {
    if desk.over.load(Ordering::Relaxed) {
        return None;
    }
    desk.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn ask(
    server: &Server,
    desk: &Desk,
    question: &Question,
    name: &str,
    folder: &Path,
) -> Result<Completion, RunError> {
    server.ask(question, Named { name, folder }, &|| desk.over.load(Ordering::Relaxed))
}
