//! The migrations of `schemas/sql`, compiled in; concurrent starts wait for each other.

use std::{borrow::Cow, future::Future, pin::Pin};

use sqlx::{
    PgPool,
    error::BoxDynError,
    migrate::{MigrateError, Migration, MigrationSource, MigrationType, Migrator},
};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "roles", include_str!("../../../schemas/sql/0001_roles.sql")),
    (2, "log", include_str!("../../../schemas/sql/0002_log.sql")),
    (3, "vault", include_str!("../../../schemas/sql/0003_vault.sql")),
    (4, "engine", include_str!("../../../schemas/sql/0004_engine.sql")),
    (5, "outbox", include_str!("../../../schemas/sql/0005_outbox.sql")),
    (6, "texts", include_str!("../../../schemas/sql/0006_texts.sql")),
    (7, "transparency", include_str!("../../../schemas/sql/0007_transparency.sql")),
    (8, "text_lane", include_str!("../../../schemas/sql/0008_text_lane.sql")),
    (9, "restore", include_str!("../../../schemas/sql/0009_restore.sql")),
    (10, "mirror", include_str!("../../../schemas/sql/0010_mirror.sql")),
    (11, "webhooks", include_str!("../../../schemas/sql/0011_webhooks.sql")),
    (12, "privacy", include_str!("../../../schemas/sql/0012_privacy.sql")),
    (13, "text_codes", include_str!("../../../schemas/sql/0013_text_codes.sql")),
    (14, "invoices_of", include_str!("../../../schemas/sql/0014_invoices_of.sql")),
    (15, "webhook_turns", include_str!("../../../schemas/sql/0015_webhook_turns.sql")),
    (16, "erasures", include_str!("../../../schemas/sql/0016_erasures.sql")),
];

#[derive(Debug)]
struct Compiled;

impl<'s> MigrationSource<'s> for Compiled {
    fn resolve(self) -> Pin<Box<dyn Future<Output = Result<Vec<Migration>, BoxDynError>> + Send + 's>> {
        Box::pin(async {
            Ok(MIGRATIONS
                .iter()
                .map(|(version, name, sql)| {
                    Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, Cow::Borrowed(*sql), false)
                })
                .collect())
        })
    }
}

/// Brings the database to this program's schema.
pub async fn run(pool: &PgPool) -> Result<(), MigrateError> {
    Migrator::new(Compiled).await?.run(pool).await
}
