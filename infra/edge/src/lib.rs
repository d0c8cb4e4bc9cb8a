//! What both HTTP services share at their edge: problem details, who is calling, and what is asked of every answer.

pub mod caller;
pub mod credentials;
pub mod guard;
pub mod problem;

pub use caller::{Authenticator, Caller, Ticket};
pub use credentials::Credentials;
pub use problem::Problem;
