//! Whether a service can do its duty, said by the service itself and asked by others over the bus.

use tokio::sync::watch;

/// Whether a service can do its duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It can.
    Serving,
    /// It cannot, and why.
    NotServing(String),
}

impl State {
    /// The state as one line: `SERVING`, or `NOT_SERVING: <why>`.
    #[must_use]
    pub fn to_line(&self) -> String {
        match self {
            Self::Serving => "SERVING".to_owned(),
            Self::NotServing(why) => format!("NOT_SERVING: {why}"),
        }
    }

    /// Such a line turned back.
    #[must_use]
    pub fn from_line(line: &str) -> Self {
        match line.strip_prefix("NOT_SERVING: ") {
            Some(why) => Self::NotServing(why.to_owned()),
            None => Self::Serving,
        }
    }
}

/// The health of one service. Clones are the same health.
#[derive(Clone, Debug)]
pub struct Health(watch::Sender<State>);

impl Default for Health {
    fn default() -> Self {
        Self(watch::Sender::new(State::NotServing("starting".to_owned())))
    }
}

impl Health {
    /// Says how the service is.
    pub fn set(&self, state: State) {
        self.0.send_if_modified(|current| {
            let changed = *current != state;
            if changed {
                *current = state;
            }
            changed
        });
    }

    /// Tells whenever it is said to be another.
    pub(crate) fn changes(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// How the service is.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.borrow().clone()
    }
}
