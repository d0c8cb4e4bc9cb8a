//! `propty keys`: the master key replaced in steps that each may be the last before a crash, and what it wraps.

use std::{path::Path, process::ExitCode};

use event_store::{
    MasterKey,
    key_service::{self, NEXT},
    rotation::{self, Rewrapped},
};
use host::Settings;

use crate::{
    cli::{Keys, KeysAction, Place},
    failure::Failure,
    node::Node,
};

pub async fn run(place: &Place, settings: Settings, args: &Keys) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = match args.action {
        KeysAction::Rotate { only_this_host } => rotate(&node, place.database_url.is_some() && !only_this_host).await,
        KeysAction::Status => status(&node).await,
    };
    let result = result.map(|text| print!("{text}"));
    node.close().await;
    result.map(|()| ExitCode::SUCCESS)
}

async fn status(node: &Node) -> Result<String, Failure> {
    use std::fmt::Write;
    let mut text = String::new();
    for one in rotation::standing(node.store.pool()).await? {
        let _ = writeln!(
            text,
            "{:<12} wraps {} keys{}",
            one.master_key,
            one.keys,
            match (one.current, one.keys) {
                (true, _) => "; it wraps what is new",
                (false, 0) => "; nothing needs it any more",
                (false, _) => "; `propty keys rotate` goes on",
            }
        );
    }
    Ok(text)
}

async fn rotate(node: &Node, shared: bool) -> Result<String, Failure> {
    let (pool, keyring) = (node.store.pool(), node.store.keyring());
    let secrets = &node.settings.secrets;
    let from_environment = secrets.master_key.is_some();
    if shared && !from_environment {
        return Err(Failure::Told(
            "other hosts may use this database, and would not find the new key's file: give every process the key by \
             PROPTY_MASTER_KEY and PROPTY_NEXT_MASTER_KEY, or say --only-this-host if there is no other"
                .to_owned(),
        ));
    }
    // To the end, the files included: whoever comes second must not take the first one's files for its own.
    let alone = rotation::exclusively(pool).await?;
    let told = |error: event_store::master_key::MasterKeyError| Failure::Told(error.to_string());
    let to = match (&secrets.next_master_key, from_environment) {
        (Some(key), true) => MasterKey::parse(key.expose()).map_err(told)?,
        (None, true) => {
            return Err(Failure::Told(
                "set PROPTY_NEXT_MASTER_KEY to the new key, here and for every process, and restart them first"
                    .to_owned(),
            ));
        }
        (_, false) => next_file(&node.data_dir).map_err(told)?,
    };
    let Rewrapped { data_keys, signing_keys, secrets, webhooks } = rotation::rotate(keyring, pool, to.id()).await?;
    let mut text = format!(
        "{} wraps everything now: {data_keys} data keys, {signing_keys} signing keys, {secrets} roots and {webhooks} notices were wrapped anew\n",
        to.id()
    );
    if from_environment {
        text.push_str(
            "set PROPTY_MASTER_KEY to it for every process, remove PROPTY_NEXT_MASTER_KEY, and restart them\n",
        );
    } else {
        key_service::settle(&node.data_dir, to.id()).map_err(told)?;
        text.push_str(
            "the former key is in the file master.key.former-… that has its id in its name; keep it with the backups that need it, and remove it here\n",
        );
    }
    alone.commit().await?;
    Ok(text)
}

/// The key that an interrupted rotation went to, or a new one.
fn next_file(folder: &Path) -> Result<MasterKey, event_store::master_key::MasterKeyError> {
    // The last step of an interrupted one: its key is in place already, or nearly.
    MasterKey::load_or_create(&folder.join(NEXT))
}
