-- The database of commit e586904 (before 0.1.0) on PostgreSQL, after `parlor seed`: pg_dump --inserts --no-owner --no-privileges
-- without pg_dump's settings and comments, and without the names of schemas.
CREATE TABLE deletions (
    user_id uuid NOT NULL,
    begun_at timestamp with time zone NOT NULL
);
CREATE TABLE identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    first_name character varying,
    email character varying
);
CREATE TABLE joined_rooms (
    client bytea NOT NULL,
    room_id uuid NOT NULL,
    user_id uuid NOT NULL,
    noted_at timestamp with time zone NOT NULL
);
CREATE TABLE look_alikes (
    kind character varying(5) NOT NULL,
    reading text NOT NULL,
    holder uuid NOT NULL
);
CREATE TABLE members (
    room_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role character varying(8) NOT NULL,
    joined_at timestamp with time zone NOT NULL,
    delivered_seq bigint NOT NULL,
    read_seq bigint NOT NULL,
    told_seq bigint NOT NULL,
    read_at bigint DEFAULT 0 NOT NULL
);
CREATE TABLE messages (
    room_id uuid NOT NULL,
    seq bigint NOT NULL,
    id uuid NOT NULL,
    sender_id uuid NOT NULL,
    kind character varying(9) NOT NULL,
    content text NOT NULL,
    client_message_id text,
    reply_to uuid,
    created_at timestamp with time zone NOT NULL,
    edited_at timestamp with time zone,
    deleted_at timestamp with time zone
);
CREATE TABLE rooms (
    id uuid NOT NULL,
    kind character varying(8) NOT NULL,
    name text,
    name_key text,
    password_hash text,
    owner_id uuid,
    pair_low uuid,
    pair_high uuid,
    last_seq bigint DEFAULT 0 NOT NULL,
    roster_version bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    active_at timestamp with time zone NOT NULL,
    deleted_at timestamp with time zone,
    changed_at bigint DEFAULT 0 NOT NULL
);
CREATE TABLE seaql_migrations (
    version character varying NOT NULL,
    applied_at bigint NOT NULL
);
CREATE TABLE sessions (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    address text,
    client text,
    by_password boolean DEFAULT false NOT NULL
);
CREATE TABLE tickets (
    digest bytea NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    token_expires_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone
);
CREATE TABLE users (
    id uuid NOT NULL,
    username text NOT NULL,
    username_key text NOT NULL,
    password_hash text,
    first_name text,
    last_name text,
    email text,
    phone text,
    profile text,
    is_admin boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone,
    deleted_at timestamp with time zone,
    search_text text DEFAULT ''::text NOT NULL
);
INSERT INTO look_alikes VALUES ('user', 'ada', '01a21d3c-1c2a-7629-a155-90922316f04e');
INSERT INTO look_alikes VALUES ('user', 'bob', '01a21d3c-1c65-7603-813b-82e900e2c163');
INSERT INTO look_alikes VALUES ('user', 'cyd', '01a21d3c-1c97-7421-8abd-5e7662887954');
INSERT INTO look_alikes VALUES ('group', 'tea room', '01a21d3c-1d76-7599-a46a-33f19d4f28c8');
INSERT INTO look_alikes VALUES ('group', 'library', '01a21d3c-1df8-74f6-9a40-195b110e8a22');
INSERT INTO members VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', '01a21d3c-1c2a-7629-a155-90922316f04e', 'owner', '2026-11-27 13:40:08.691+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', '01a21d3c-1c65-7603-813b-82e900e2c163', 'member', '2026-11-27 13:40:08.691+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', '01a21d3c-1c97-7421-8abd-5e7662887954', 'member', '2026-11-27 13:40:08.691+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1df8-74f6-9a40-195b110e8a22', '01a21d3c-1c65-7603-813b-82e900e2c163', 'owner', '2026-11-27 13:40:08.822+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1e08-73bb-a02b-8af8427e03d4', '01a21d3c-1c2a-7629-a155-90922316f04e', 'member', '2026-11-27 13:40:08.839+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1e08-73bb-a02b-8af8427e03d4', '01a21d3c-1c65-7603-813b-82e900e2c163', 'member', '2026-11-27 13:40:08.839+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1e2e-7302-beb5-31ff93680e41', '01a21d3c-1c2a-7629-a155-90922316f04e', 'member', '2026-11-27 13:40:08.878+00', 0, 0, 0, 0);
INSERT INTO members VALUES ('01a21d3c-1e2e-7302-beb5-31ff93680e41', '01a21d3c-1c97-7421-8abd-5e7662887954', 'member', '2026-11-27 13:40:08.878+00', 0, 0, 0, 0);
INSERT INTO messages VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', 1, '01a21d3c-1d8d-74b6-91a0-de238284b4dc', '01a21d3c-1c2a-7629-a155-90922316f04e', 'text', '"Welcome to the tea room! The kettle is on."', 'seed-tea-0', NULL, '2026-11-27 13:40:08.717+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', 2, '01a21d3c-1d9f-77d9-9ec7-72ecdeb9d5ee', '01a21d3c-1c65-7603-813b-82e900e2c163', 'text', '"Wonderful. Is there any darjeeling left?"', 'seed-tea-1', NULL, '2026-11-27 13:40:08.735+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', 3, '01a21d3c-1da2-774e-8630-78fd39a37b14', '01a21d3c-1c97-7421-8abd-5e7662887954', 'text', '"There is, I bought some yesterday."', 'seed-tea-2', NULL, '2026-11-27 13:40:08.738+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', 4, '01a21d3c-1db1-753f-8595-abcaa69d49f3', '01a21d3c-1c65-7603-813b-82e900e2c163', 'text', '"Then I am on my way."', 'seed-tea-3', NULL, '2026-11-27 13:40:08.753+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', 5, '01a21d3c-1db5-7533-b207-da6fd0ed3a37', '01a21d3c-1c2a-7629-a155-90922316f04e', 'text', '"Bring biscuits, please."', 'seed-tea-4', NULL, '2026-11-27 13:40:08.757+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1df8-74f6-9a40-195b110e8a22', 1, '01a21d3c-1e02-73b7-b88e-f2c10aef3f83', '01a21d3c-1c65-7603-813b-82e900e2c163', 'text', '"Whoever knows the password is welcome. Please keep your voice down."', 'seed-library-0', NULL, '2026-11-27 13:40:08.834+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1e08-73bb-a02b-8af8427e03d4', 1, '01a21d3c-1e0d-707a-ba62-94ac43366078', '01a21d3c-1c2a-7629-a155-90922316f04e', 'text', '"Hi Bob, shall we surprise Cyd on Friday?"', 'seed-private-0', NULL, '2026-11-27 13:40:08.845+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1e08-73bb-a02b-8af8427e03d4', 2, '01a21d3c-1e17-7632-813a-de6a7de4d630', '01a21d3c-1c65-7603-813b-82e900e2c163', 'text', '"Yes! I will see to the cake."', 'seed-private-1', NULL, '2026-11-27 13:40:08.855+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1e08-73bb-a02b-8af8427e03d4', 3, '01a21d3c-1e24-707e-913a-f3afaa696a0d', '01a21d3c-1c2a-7629-a155-90922316f04e', 'text', '"And I to the music."', 'seed-private-2', NULL, '2026-11-27 13:40:08.868+00', NULL, NULL);
INSERT INTO messages VALUES ('01a21d3c-1e2e-7302-beb5-31ff93680e41', 1, '01a21d3c-1e33-71a1-a348-9cf021c47c1d', '01a21d3c-1c97-7421-8abd-5e7662887954', 'text', '"Ada, why is everyone whispering?"', 'seed-private-3', NULL, '2026-11-27 13:40:08.883+00', NULL, NULL);
INSERT INTO messages VALUES ('01900000-0000-7000-8000-000000000001', 1, '01a21d3c-1e36-745c-b4ec-a5437ca52a31', '01a21d3c-1c2a-7629-a155-90922316f04e', 'text', '"Good morning, everyone!"', 'seed-lobby-0', NULL, '2026-11-27 13:40:08.886+00', NULL, NULL);
INSERT INTO messages VALUES ('01900000-0000-7000-8000-000000000001', 2, '01a21d3c-1e3a-778a-a9c5-e8c22626e0fb', '01a21d3c-1c97-7421-8abd-5e7662887954', 'text', '"Good morning! Who else is here?"', 'seed-lobby-1', NULL, '2026-11-27 13:40:08.89+00', NULL, NULL);
INSERT INTO messages VALUES ('01900000-0000-7000-8000-000000000001', 3, '01a21d3c-1e43-7345-a6b9-0f449bb6bc6a', '01a21d3c-1c65-7603-813b-82e900e2c163', 'text', '"I am, just looking around."', 'seed-lobby-2', NULL, '2026-11-27 13:40:08.899+00', NULL, NULL);
INSERT INTO rooms VALUES ('01a21d3c-1d76-7599-a46a-33f19d4f28c8', 'group', 'Tea room', 'tea room', '$argon2id$v=19$m=19456,t=2,p=1$Gg+4bdRqmorer8QAUW7WCw$JQuDGb01sQy6HwdtjkrLygXzh/2+R2X1IOeSEviVFaA', '01a21d3c-1c2a-7629-a155-90922316f04e', NULL, NULL, 5, 1, '2026-11-27 13:40:08.691+00', '2026-11-27 13:40:08.757+00', NULL, 0);
INSERT INTO rooms VALUES ('01a21d3c-1df8-74f6-9a40-195b110e8a22', 'group', 'Library', 'library', '$argon2id$v=19$m=19456,t=2,p=1$Rv/tlk5qctnamMlsiIlRgg$b6siTZ8GF+6Vz1LZuLtJfYk4ZXGsrBPFtowvq1XHLTo', '01a21d3c-1c65-7603-813b-82e900e2c163', NULL, NULL, 1, 1, '2026-11-27 13:40:08.822+00', '2026-11-27 13:40:08.834+00', NULL, 0);
INSERT INTO rooms VALUES ('01a21d3c-1e08-73bb-a02b-8af8427e03d4', 'direct', NULL, NULL, NULL, NULL, '01a21d3c-1c2a-7629-a155-90922316f04e', '01a21d3c-1c65-7603-813b-82e900e2c163', 3, 1, '2026-11-27 13:40:08.839+00', '2026-11-27 13:40:08.868+00', NULL, 0);
INSERT INTO rooms VALUES ('01a21d3c-1e2e-7302-beb5-31ff93680e41', 'direct', NULL, NULL, NULL, NULL, '01a21d3c-1c2a-7629-a155-90922316f04e', '01a21d3c-1c97-7421-8abd-5e7662887954', 1, 1, '2026-11-27 13:40:08.878+00', '2026-11-27 13:40:08.883+00', NULL, 0);
INSERT INTO rooms VALUES ('01900000-0000-7000-8000-000000000001', 'lobby', NULL, NULL, NULL, NULL, NULL, NULL, 3, 1, '2026-11-27 13:40:08.282+00', '2026-11-27 13:40:08.899+00', NULL, 0);
INSERT INTO seaql_migrations VALUES ('m20261121_000001_create_the_tables', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261121_000002_remember_joined_rooms', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261121_000003_drop_the_senders_index', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261127_000004_remember_deletions', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261127_000005_recognise_returning_clients', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261127_000006_remember_when_things_changed', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261127_000007_fold_names', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261127_000008_describe_sessions', 1795786808);
INSERT INTO seaql_migrations VALUES ('m20261127_000009_remember_what_issuers_said', 1795786808);
INSERT INTO sessions VALUES ('01a21d3c-1cbc-714b-81fe-9b7773295c6c', '01a21d3c-1c2a-7629-a155-90922316f04e', '2026-11-27 13:40:08+00', '2026-11-27 14:40:08+00', '2026-11-27 13:40:08.902+00', '2026-11-27 13:40:08+00', '127.0.0.1', 'parlor seed', true);
INSERT INTO sessions VALUES ('01a21d3c-1cff-7786-953e-b5f0ec335511', '01a21d3c-1c65-7603-813b-82e900e2c163', '2026-11-27 13:40:08+00', '2026-11-27 14:40:08+00', '2026-11-27 13:40:08.904+00', '2026-11-27 13:40:08+00', '127.0.0.1', 'parlor seed', true);
INSERT INTO sessions VALUES ('01a21d3c-1d40-71bc-9c58-88b4e84c85c6', '01a21d3c-1c97-7421-8abd-5e7662887954', '2026-11-27 13:40:08+00', '2026-11-27 14:40:08+00', '2026-11-27 13:40:08.906+00', '2026-11-27 13:40:08+00', '127.0.0.1', 'parlor seed', true);
INSERT INTO users VALUES ('01a21d3c-1c2a-7629-a155-90922316f04e', 'ada', 'ada', '$argon2id$v=19$m=19456,t=2,p=1$xoBNjhhpPY5k53kzESWR2Q$lCKFU9D/ST9fcJgC/VoUK8NHvvv3U7IRfIUYFH/6zV8', 'Ada', 'Lovelace', NULL, NULL, '{"img":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEUda0////83BICvAAAAJElEQVR42mNgoAdg/P+/gXRGHRjRh1H///8/0hn0dCF5DFoDAEvXQWWfwN2UAAAAAElFTkSuQmCC","role":"host"}', false, '2026-11-27 13:40:08.362+00', NULL, NULL, 'ada
ada
lovelace');
INSERT INTO users VALUES ('01a21d3c-1c65-7603-813b-82e900e2c163', 'bob', 'bob', '$argon2id$v=19$m=19456,t=2,p=1$FTsBeu8OeHwriTvoIv6Brw$pTgfBO3/2fUx/i07RJCHz7B0jwAhLtABU5NGh7kL2Vw', 'Bob', 'Kahn', NULL, NULL, '{"img":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEUvXZ7////OP7XTAAAAHElEQVR42mNgoAeo//+/gXRGHRjRhzFcXUhrAAAefk1r/yq5jQAAAABJRU5ErkJggg==","role":"guest"}', false, '2026-11-27 13:40:08.421+00', NULL, NULL, 'bob
bob
kahn');
INSERT INTO users VALUES ('01a21d3c-1c97-7421-8abd-5e7662887954', 'cyd', 'cyd', '$argon2id$v=19$m=19456,t=2,p=1$KUKQJeWs/2IaQnz+v4QctQ$kCD+fN56x2AB/Yrkk0LaLn0qNGvV5yKFBKxoKEbac1M', 'Cyd', 'Charisse', NULL, NULL, '{"img":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEWaSi/////zNlV4AAAAIklEQVR42mNgoAdg/P+/gXRGHRiRwWAY9Awy/EVeGNIaAAD95DKhowlvogAAAABJRU5ErkJggg==","role":"guest"}', false, '2026-11-27 13:40:08.471+00', NULL, NULL, 'cyd
cyd
charisse');
ALTER TABLE ONLY deletions
    ADD CONSTRAINT deletions_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (issuer, subject);
ALTER TABLE ONLY joined_rooms
    ADD CONSTRAINT joined_rooms_pkey PRIMARY KEY (client, room_id);
ALTER TABLE ONLY look_alikes
    ADD CONSTRAINT look_alikes_pkey PRIMARY KEY (kind, reading);
ALTER TABLE ONLY members
    ADD CONSTRAINT members_pkey PRIMARY KEY (room_id, user_id);
ALTER TABLE ONLY messages
    ADD CONSTRAINT messages_id_key UNIQUE (id);
ALTER TABLE ONLY messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (room_id, seq);
ALTER TABLE ONLY rooms
    ADD CONSTRAINT rooms_name_key_key UNIQUE (name_key);
ALTER TABLE ONLY rooms
    ADD CONSTRAINT rooms_pkey PRIMARY KEY (id);
ALTER TABLE ONLY seaql_migrations
    ADD CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);
ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_pkey PRIMARY KEY (digest);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
ALTER TABLE ONLY users
    ADD CONSTRAINT users_username_key_key UNIQUE (username_key);
CREATE INDEX identities_user ON identities USING btree (user_id);
CREATE INDEX joined_rooms_of_user ON joined_rooms USING btree (user_id, noted_at);
CREATE INDEX look_alikes_holder ON look_alikes USING btree (holder);
CREATE INDEX members_user ON members USING btree (user_id);
CREATE UNIQUE INDEX messages_client_id ON messages USING btree (room_id, sender_id, client_message_id);
CREATE UNIQUE INDEX rooms_pair ON rooms USING btree (pair_low, pair_high);
CREATE INDEX sessions_expiry ON sessions USING btree (expires_at);
CREATE INDEX sessions_user ON sessions USING btree (user_id);
CREATE INDEX tickets_expiry ON tickets USING btree (expires_at);
CREATE INDEX tickets_session ON tickets USING btree (session_id);
ALTER TABLE ONLY deletions
    ADD CONSTRAINT deletions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id);
ALTER TABLE ONLY identities
    ADD CONSTRAINT identities_user_id FOREIGN KEY (user_id) REFERENCES users(id);
ALTER TABLE ONLY joined_rooms
    ADD CONSTRAINT joined_rooms_room_id_fkey FOREIGN KEY (room_id) REFERENCES rooms(id);
ALTER TABLE ONLY joined_rooms
    ADD CONSTRAINT joined_rooms_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id);
ALTER TABLE ONLY members
    ADD CONSTRAINT members_room_id FOREIGN KEY (room_id) REFERENCES rooms(id);
ALTER TABLE ONLY members
    ADD CONSTRAINT members_user_id FOREIGN KEY (user_id) REFERENCES users(id);
ALTER TABLE ONLY messages
    ADD CONSTRAINT messages_room_id FOREIGN KEY (room_id) REFERENCES rooms(id);
ALTER TABLE ONLY messages
    ADD CONSTRAINT messages_sender_id FOREIGN KEY (sender_id) REFERENCES users(id);
ALTER TABLE ONLY rooms
    ADD CONSTRAINT rooms_owner_id FOREIGN KEY (owner_id) REFERENCES users(id);
ALTER TABLE ONLY rooms
    ADD CONSTRAINT rooms_pair_high FOREIGN KEY (pair_high) REFERENCES users(id);
ALTER TABLE ONLY rooms
    ADD CONSTRAINT rooms_pair_low FOREIGN KEY (pair_low) REFERENCES users(id);
ALTER TABLE ONLY sessions
    ADD CONSTRAINT sessions_user_id FOREIGN KEY (user_id) REFERENCES users(id);
ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_session_id FOREIGN KEY (session_id) REFERENCES sessions(id);
ALTER TABLE ONLY tickets
    ADD CONSTRAINT tickets_user_id FOREIGN KEY (user_id) REFERENCES users(id);
