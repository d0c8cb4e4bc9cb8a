//! Where the other database is, and a client of it.

use std::fmt;

use eventstore::{Client, ClientSettings};

/// The address of EventStoreDB or KurrentDB.
#[derive(Clone)]
pub struct Target {
    settings: ClientSettings,
}

/// Why the other database cannot be addressed.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error(
        "the address is not understood; expected kurrentdb://host:2113?tls=false, kurrentdb+discover:// or esdb://"
    )]
    Address,
    #[error("a client cannot be made: {0}")]
    Client(String),
}

impl Target {
    /// Of `kurrentdb://…` or, as it was called before, `esdb://…`; the rest of the address is the client's.
    pub fn parse(address: &str) -> Result<Self, TargetError> {
        let address = match address.strip_prefix("kurrentdb") {
            Some(rest) => format!("esdb{rest}"),
            None => address.to_owned(),
        };
        // The error of the client's parser quotes the address, and with it the password.
        let settings = address.parse().map_err(|_| TargetError::Address)?;
        Ok(Self { settings })
    }

    /// A new client, which connects when it is first used.
    pub(crate) fn client(&self) -> Result<Client, TargetError> {
        Client::new(self.settings.clone()).map_err(|error| TargetError::Client(error.to_string()))
    }
}

impl fmt::Debug for Target {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(self.settings.hosts()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_of_the_protocol_are_understood_and_no_secret_is_shown() {
        for address in
            ["kurrentdb://admin:pa55word@db.example.com:2113?tls=false", "esdb://admin:pa55word@db.example.com"]
        {
            let shown = format!("{:?}", Target::parse(address).expect("an address"));
            assert!(shown.contains("db.example.com") && !shown.contains("pa55word"), "{shown}");
        }
        let Err(error) = Target::parse("mysql://admin:pa55word@db.example.com") else {
            panic!("not an address of ours")
        };
        assert!(!format!("{error} {error:?}").contains("pa55word"));
    }
}
