//! When does the program end?

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// SIGTERM and Ctrl-C, heard from [`Self::listen`] on, so that one right after the ready line ends the process in order.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(crate) fn listen() -> Self {
        Self { terminate: listen_to(SignalKind::terminate()), interrupt: listen_to(SignalKind::interrupt()) }
    }

    /// Returns once a signal; the next call waits for the next one.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(crate) fn listen_to(kind: SignalKind) -> Signal {
    signal(kind).expect("the system lets us listen to signals")
}

/// Returns when whoever holds the other end says that the server ends.
pub(crate) async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the server itself is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}
