//! What long work is at, for whoever waits for it: one line on the terminal, from the second second on, gone when it is done.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long work may take before anything is shown, and between two looks.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

/// The line, and the thread that writes it; nothing where nobody would see it.
pub(crate) struct Progress {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    at: Mutex<&'static str>,
    /// What is counted, how many are done, and of how many; 0 when that is not known.
    unit: &'static str,
    done: AtomicUsize,
    total: AtomicUsize,
    ended: AtomicBool,
}

impl Progress {
    /// Starts to show, counting in `unit`.
    pub(crate) fn start(unit: &'static str) -> Self {
        let shared = Arc::new(Shared { unit, ..Shared::default() });
        let seen = std::io::stderr().is_terminal();
        let watched = Arc::clone(&shared);
        let thread = seen.then(|| std::thread::spawn(move || show(&watched)));
        Self { shared, thread }
    }

    /// What is being done from now on.
    pub(crate) fn say(&self, at: &'static str) {
        *self.shared.at.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.step(0);
    }

    /// Of how many it will be done.
    pub(crate) fn of(&self, total: usize) {
        self.shared.total.store(total, Ordering::Relaxed);
    }

    /// How many are done.
    pub(crate) fn step(&self, done: usize) {
        self.shared.done.store(done, Ordering::Relaxed);
    }

    /// Takes the line away.
    pub(crate) fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn show(shared: &Shared) {
    let mut shown = false;
    let mut wait = PATIENCE;
    loop {
        std::thread::park_timeout(wait);
        wait = LOOK;
        let mut out = std::io::stderr();
        if shared.ended.load(Ordering::Relaxed) {
            if shown {
                let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
            }
            return;
        }
        shown = true;
        let at = *shared.at.lock().unwrap_or_else(PoisonError::into_inner);
        let unit = shared.unit;
        let _ = match (shared.done.load(Ordering::Relaxed), shared.total.load(Ordering::Relaxed)) {
            (0, _) => write!(out, "\r\x1b[K{at} …"),
            (done, 0) => write!(out, "\r\x1b[K{at}: {done} {unit} …"),
            (done, total) => write!(out, "\r\x1b[K{at}: {done} of {total} {unit} ({} %) …", 100 * done / total),
        }
        .and_then(|()| out.flush());
    }
}
