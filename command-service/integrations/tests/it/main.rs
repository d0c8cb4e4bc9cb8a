//! The adapters against servers that answer, refuse, fall silent, cut off and hang up.

mod autopay;
mod books;
mod contract;
mod declines;
mod resend;
mod responder;
mod smtp;
mod stripe;
mod twilio;

/// What a binary does first thing in `main`.
fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
