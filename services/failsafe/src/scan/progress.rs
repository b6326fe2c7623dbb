//! What a scan is at, for whoever waits for it: one line on the terminal, from the second second on, gone when it is done.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a scan may take before anything is shown, and between two looks.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(100);

/// The line, and the thread that writes it; nothing where nobody would see it.
pub(super) struct Progress {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    at: Mutex<&'static str>,
    done: AtomicUsize,
    ended: AtomicBool,
}

impl Progress {
    pub(super) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let seen = std::io::stderr().is_terminal();
        let watched = Arc::clone(&shared);
        let thread = seen.then(|| std::thread::spawn(move || show(&watched)));
        Self { shared, thread }
    }

    /// What is being done from now on.
    pub(super) fn say(&self, at: &'static str) {
        *self.shared.at.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.step(0);
    }

    /// How many files are done.
    pub(super) fn step(&self, done: usize) {
        self.shared.done.store(done, Ordering::Relaxed);
    }

    /// Takes the line away.
    pub(super) fn end(&mut self) {
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
        let _ = match shared.done.load(Ordering::Relaxed) {
            0 => write!(out, "\r\x1b[K{at} …"),
            done => write!(out, "\r\x1b[K{at}: {done} files …"),
        }
        .and_then(|()| out.flush());
    }
}
