//! The months into which the append-only tables are divided: each is made before it begins.

use super::Store;

impl Store {
    /// Makes what this month and the next need, where it is missing. Any number of replicas may do so at a time.
    ///
    /// # Errors
    /// When PostgreSQL is away, or the role may not.
    pub async fn make_months(&self) -> Result<(), sqlx::Error> {
        sqlx::query(
            "SELECT make_month((date_trunc('month', now() AT TIME ZONE 'UTC') + n * interval '1 month')::date)
             FROM generate_series(0, 1) AS n",
        )
        .execute(&self.pool)
        .await
        .map(|_| ())
    }
}
