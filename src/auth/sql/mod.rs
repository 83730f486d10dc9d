//! SQL text of the one read that docs/performance.md measures. `db::values_list` puts its list in the place
//! of `(rows)`.

/// Those of the sessions that have not ended, of users who are neither deleted nor disabled.
pub(super) const LIVE_USERS: &str = "SELECT sessions.id, users.id, users.username, users.first_name, users.is_admin, \
    sessions.created_at \
    FROM sessions INNER JOIN users ON users.id = sessions.user_id \
    WHERE sessions.revoked_at IS NULL AND users.deleted_at IS NULL AND users.disabled_at IS NULL \
    AND sessions.id IN (rows)";
