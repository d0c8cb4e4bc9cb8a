//! From starting the process to being ready: on an empty folder, and on one that was used before.

use super::{RUNS, child::Served, report::Figure, scratch::Scratch};
use crate::failure::Failure;

pub async fn figures(scratch: &Scratch) -> Result<Vec<Figure>, Failure> {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let place = scratch.place(&format!("start-{run}"));
        for runs in [&mut cold, &mut warm] {
            let served = Served::start(&place).await?;
            runs.push(served.ready_after.as_secs_f64());
            served.stop().await?;
        }
    }
    Ok(vec![
        Figure::new("start to ready, cold (with initdb)", "s", cold).below(2.5),
        Figure::new("start to ready, warm", "s", warm).below(0.5),
    ])
}
