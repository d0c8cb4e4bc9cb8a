//! `propty restore`: a history that came from a backup, and the person's word on it.

use std::process::ExitCode;

use command_service::quarantine;
use event_store::erasure::list::{self, ErasureList};

use host::Settings;

use crate::{
    cli::{Place, Restore, RestoreAction},
    failure::Failure,
    node::Node,
};

pub async fn run(place: &Place, settings: Settings, args: Restore) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = act(&node, &args.action).await;
    node.close().await;
    print!("{}", result?);
    Ok(ExitCode::SUCCESS)
}

async fn act(node: &Node, action: &RestoreAction) -> Result<String, Failure> {
    let pool = node.store.pool();
    match action {
        RestoreAction::Quarantine => {
            quarantine::begin(pool).await?;
            Ok("from the next start on nothing is charged or sent, until `propty restore accept`\n".to_owned())
        }
        RestoreAction::Accept => {
            // Also where no service was started since the restore.
            quarantine::since(pool).await?;
            let erasures = undone(node).await?;
            let Some(accepted) = quarantine::accept(pool).await? else {
                return Err(Failure::Told("this history was not restored; see `propty restore --help`".to_owned()));
            };
            Ok(format!(
                "accepted as incarnation {}; the history is whole up to {}\n\
                 {} calls that may have been made since are looked for at their providers before they are made\n\
                 {} texts that may have been sent since are left to you; see `propty outbox list`\n\
                 what providers did and the history does not know is named by the nightly comparison of each Stripe account\n\
                 {erasures}",
                accepted.incarnation, accepted.restored_to, accepted.doubtful, accepted.texts
            ))
        }
    }
}

/// Who was erased after the moment that was restored, and is back: whoever promised it has to say so again.
async fn undone(node: &Node) -> Result<String, Failure> {
    use std::fmt::Write;
    let Some(path) = &node.settings.erasures else {
        return Ok(
            "who was erased since is not known here, as PROPTY_ERASURES names no file; erase them again\n".to_owned()
        );
    };
    let listed =
        ErasureList::new(path).read().map_err(|source| Failure::File { path: path.display().to_string(), source })?;
    let undone = list::undone(node.store.pool(), &listed).await?;
    let mut text = String::new();
    for one in &undone {
        let _ = writeln!(
            text,
            "resident {} of organization {} was erased and is back: EraseResident has to be said again",
            one.resident, one.organization
        );
    }
    Ok(text)
}
