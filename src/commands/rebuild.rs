//! `propty rebuild`: new generations of read models from the log, beside the live ones, with progress.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use projections::{generation, model::Model, models, rebuild};

use host::Settings;

use crate::{
    cli::{Place, Rebuild},
    failure::Failure,
    node::Node,
};

pub async fn run(place: &Place, settings: Settings, args: &Rebuild) -> Result<ExitCode, Failure> {
    let node = Node::visit(place, settings).await?;
    let result = all(&node, args).await;
    node.close().await;
    result
}

async fn all(node: &Node, args: &Rebuild) -> Result<ExitCode, Failure> {
    let models = models();
    for name in &args.names {
        if !models.iter().any(|model| model.name() == name) {
            let known: Vec<&str> = models.iter().map(|model| model.name()).collect();
            return Err(Failure::Told(format!("there is no read model {name}; there are {}", known.join(", "))));
        }
    }
    let mut equal = true;
    for model in
        models.iter().filter(|model| args.names.is_empty() || args.names.iter().any(|name| name == model.name()))
    {
        one(node, model).await?;
        if args.verify {
            let first = dump(node, model).await?;
            one(node, model).await?;
            let same = first == dump(node, model).await?;
            println!("{}: two rebuilds are {}", model.name(), if same { "byte-equal" } else { "DIFFERENT" });
            equal &= same;
        }
    }
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn dump(node: &Node, model: &Model) -> Result<Vec<String>, Failure> {
    let Some((live, _)) = generation::live(node.store.pool(), model.name()).await? else { return Ok(Vec::new()) };
    let rows = generation::dump(node.store.pool(), model.as_ref(), &live).await?;
    Ok(rows.iter().map(ToString::to_string).collect())
}

async fn one(node: &Node, model: &Model) -> Result<(), Failure> {
    let bar = ProgressBar::new(0).with_style(style());
    bar.set_message(model.name());
    rebuild::rebuild(&node.store, model.as_ref(), &mut |progress| {
        bar.set_length(u64::try_from(progress.total).unwrap_or_default());
        bar.set_position(u64::try_from(progress.done).unwrap_or_default());
    })
    .await?;
    bar.finish();
    println!("{} is rebuilt", model.name());
    Ok(())
}

/// How progress is shown.
pub fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg:<18} {wide_bar} {pos}/{len} {per_sec} ETA {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
