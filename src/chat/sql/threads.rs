//! Counts of threads, for many rooms or threads at once. `db::values_list` puts its list in the place of `(rows)`.

/// The number of followed threads with unread replies of others, by room and user, which the list has.
pub(in crate::chat) const UNREAD_THREADS: &str = "SELECT asked.column1, asked.column2, COUNT(*) FROM (rows) AS asked \
    INNER JOIN thread_marks AS mark ON mark.user_id = asked.column2 AND mark.room_id = asked.column1 AND mark.following \
    INNER JOIN threads ON threads.room_id = mark.room_id AND threads.root_seq = mark.root_seq \
    AND threads.last_seq > mark.read_seq \
    WHERE EXISTS (SELECT 1 FROM messages WHERE messages.room_id = mark.room_id AND messages.thread_seq = mark.root_seq \
    AND messages.thread_seq IS NOT NULL AND messages.seq > mark.read_seq AND messages.sender_id <> mark.user_id \
    AND messages.deleted_at IS NULL) GROUP BY asked.column1, asked.column2";

/// The number of replies of others after a seq, by the seq of the root. The list has rooms, roots, seqs and users.
pub(in crate::chat) const UNREAD_REPLIES: &str = "SELECT asked.column2, COUNT(*) FROM (rows) AS asked \
    INNER JOIN messages ON messages.room_id = asked.column1 AND messages.thread_seq = asked.column2 \
    AND messages.thread_seq IS NOT NULL AND messages.seq > asked.column3 AND messages.sender_id <> asked.column4 \
    AND messages.deleted_at IS NULL GROUP BY asked.column2";

/// The number of messages of others that mention a user, within ranges of seqs, by room and user. The list has rooms, users,
/// both ends, and last once the user's id and once the one that stands for everyone.
pub(in crate::chat) const UNREAD_MENTIONS: &str = "SELECT asked.column1, asked.column2, COUNT(*) FROM (rows) AS asked \
    INNER JOIN mentions ON mentions.user_id = asked.column5 AND mentions.room_id = asked.column1 \
    AND mentions.seq > asked.column3 AND mentions.seq <= asked.column4 AND mentions.sender_id <> asked.column2 \
    GROUP BY asked.column1, asked.column2";

/// The users who have written most early in a thread, with the seq of their first reply.
pub(in crate::chat) const FIRST_USERS: &str = "SELECT messages.sender_id, MIN(messages.seq) FROM messages \
    WHERE messages.room_id = $1 AND messages.thread_seq = $2 AND messages.thread_seq IS NOT NULL \
    AND messages.deleted_at IS NULL GROUP BY messages.sender_id ORDER BY MIN(messages.seq) LIMIT 5";

/// The number of replies of a thread that are not deleted, and the newest of them.
pub(in crate::chat) const REPLIES: &str = "SELECT COUNT(*), MAX(messages.seq) FROM messages \
    WHERE messages.room_id = $1 AND messages.thread_seq = $2 AND messages.thread_seq IS NOT NULL \
    AND messages.deleted_at IS NULL";
