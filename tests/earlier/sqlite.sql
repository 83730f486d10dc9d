-- The database of commit e586904 (before 0.1.0) on SQLite, after `parlor seed`: sqlite3 data/parlor.db .dump
PRAGMA foreign_keys = OFF;
CREATE TABLE "deletions" ( "user_id" uuid_text NOT NULL PRIMARY KEY, "begun_at" timestamp_with_timezone_text NOT NULL, FOREIGN KEY ("user_id") REFERENCES "users" ("id") );
CREATE TABLE "identities" ( "issuer" text NOT NULL, "subject" text NOT NULL, "user_id" uuid_text NOT NULL, "created_at" timestamp_with_timezone_text NOT NULL, "first_name" varchar NULL, "email" varchar NULL, PRIMARY KEY ("issuer", "subject"), FOREIGN KEY ("user_id") REFERENCES "users" ("id") );
CREATE TABLE "joined_rooms" ( "client" blob(32) NOT NULL, "room_id" uuid_text NOT NULL, "user_id" uuid_text NOT NULL, "noted_at" timestamp_with_timezone_text NOT NULL, PRIMARY KEY ("client", "room_id"), FOREIGN KEY ("room_id") REFERENCES "rooms" ("id"), FOREIGN KEY ("user_id") REFERENCES "users" ("id") );
CREATE TABLE "look_alikes" ( "kind" varchar(5) NOT NULL, "reading" text NOT NULL, "holder" uuid_text NOT NULL, PRIMARY KEY ("kind", "reading") );
INSERT INTO "look_alikes" VALUES('user','ada',X'01A21D3BACB17093B923B63B8CE6C3CA');
INSERT INTO "look_alikes" VALUES('user','bob',X'01A21D3BACCD74F883E36AFECE2A451C');
INSERT INTO "look_alikes" VALUES('user','cyd',X'01A21D3BACE772DF93F672E434188721');
INSERT INTO "look_alikes" VALUES('group','tea room',X'01A21D3BAD68747AB06D8932A3B55D20');
INSERT INTO "look_alikes" VALUES('group','library',X'01A21D3BADA273CEA59232829ED468E5');
CREATE TABLE "members" ( "room_id" uuid_text NOT NULL, "user_id" uuid_text NOT NULL, "role" varchar(8) NOT NULL, "joined_at" timestamp_with_timezone_text NOT NULL, "delivered_seq" integer NOT NULL, "read_seq" integer NOT NULL, "told_seq" integer NOT NULL, "read_at" integer NOT NULL DEFAULT 0, PRIMARY KEY ("room_id", "user_id"), FOREIGN KEY ("room_id") REFERENCES "rooms" ("id"), FOREIGN KEY ("user_id") REFERENCES "users" ("id") );
INSERT INTO "members" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',X'01A21D3BACB17093B923B63B8CE6C3CA','owner','2026-11-27T13:39:40.007+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',X'01A21D3BACCD74F883E36AFECE2A451C','member','2026-11-27T13:39:40.007+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',X'01A21D3BACE772DF93F672E434188721','member','2026-11-27T13:39:40.007+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BADA273CEA59232829ED468E5',X'01A21D3BACCD74F883E36AFECE2A451C','owner','2026-11-27T13:39:40.062+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BADAC7103AD1FCC5FE1C8BDF3',X'01A21D3BACB17093B923B63B8CE6C3CA','member','2026-11-27T13:39:40.076+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BADAC7103AD1FCC5FE1C8BDF3',X'01A21D3BACCD74F883E36AFECE2A451C','member','2026-11-27T13:39:40.076+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BADB776859F5C71281B326454',X'01A21D3BACB17093B923B63B8CE6C3CA','member','2026-11-27T13:39:40.087+00:00',0,0,0,0);
INSERT INTO "members" VALUES(X'01A21D3BADB776859F5C71281B326454',X'01A21D3BACE772DF93F672E434188721','member','2026-11-27T13:39:40.087+00:00',0,0,0,0);
CREATE TABLE "messages" ( "room_id" uuid_text NOT NULL, "seq" integer NOT NULL, "id" uuid_text NOT NULL UNIQUE, "sender_id" uuid_text NOT NULL, "kind" varchar(9) NOT NULL, "content" text NOT NULL, "client_message_id" text NULL, "reply_to" uuid_text NULL, "created_at" timestamp_with_timezone_text NOT NULL, "edited_at" timestamp_with_timezone_text NULL, "deleted_at" timestamp_with_timezone_text NULL, PRIMARY KEY ("room_id", "seq"), FOREIGN KEY ("room_id") REFERENCES "rooms" ("id"), FOREIGN KEY ("sender_id") REFERENCES "users" ("id") );
INSERT INTO "messages" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',1,X'01A21D3BAD71743295DA27BD47F2DFAF',X'01A21D3BACB17093B923B63B8CE6C3CA','text','"Welcome to the tea room! The kettle is on."','seed-tea-0',NULL,'2026-11-27T13:39:40.017+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',2,X'01A21D3BAD767358A7DB479138E29D17',X'01A21D3BACCD74F883E36AFECE2A451C','text','"Wonderful. Is there any darjeeling left?"','seed-tea-1',NULL,'2026-11-27T13:39:40.022+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',3,X'01A21D3BAD7970B18B5006807F62AEAA',X'01A21D3BACE772DF93F672E434188721','text','"There is, I bought some yesterday."','seed-tea-2',NULL,'2026-11-27T13:39:40.025+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',4,X'01A21D3BAD7B74D097E4B9777D7529FD',X'01A21D3BACCD74F883E36AFECE2A451C','text','"Then I am on my way."','seed-tea-3',NULL,'2026-11-27T13:39:40.027+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20',5,X'01A21D3BAD7C77B38C0562B40EEBED3D',X'01A21D3BACB17093B923B63B8CE6C3CA','text','"Bring biscuits, please."','seed-tea-4',NULL,'2026-11-27T13:39:40.028+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BADA273CEA59232829ED468E5',1,X'01A21D3BADA9719E9AC1885550ECC094',X'01A21D3BACCD74F883E36AFECE2A451C','text','"Whoever knows the password is welcome. Please keep your voice down."','seed-library-0',NULL,'2026-11-27T13:39:40.073+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BADAC7103AD1FCC5FE1C8BDF3',1,X'01A21D3BADAF7466B4691170894C2B07',X'01A21D3BACB17093B923B63B8CE6C3CA','text','"Hi Bob, shall we surprise Cyd on Friday?"','seed-private-0',NULL,'2026-11-27T13:39:40.079+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BADAC7103AD1FCC5FE1C8BDF3',2,X'01A21D3BADB2717A97A739BFC27CB89A',X'01A21D3BACCD74F883E36AFECE2A451C','text','"Yes! I will see to the cake."','seed-private-1',NULL,'2026-11-27T13:39:40.082+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BADAC7103AD1FCC5FE1C8BDF3',3,X'01A21D3BADB5708D80115E86B757D973',X'01A21D3BACB17093B923B63B8CE6C3CA','text','"And I to the music."','seed-private-2',NULL,'2026-11-27T13:39:40.084+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01A21D3BADB776859F5C71281B326454',1,X'01A21D3BADBA7451B3A59EB0800929CE',X'01A21D3BACE772DF93F672E434188721','text','"Ada, why is everyone whispering?"','seed-private-3',NULL,'2026-11-27T13:39:40.090+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01900000000070008000000000000001',1,X'01A21D3BADBB7709BDE39056CF4CACE0',X'01A21D3BACB17093B923B63B8CE6C3CA','text','"Good morning, everyone!"','seed-lobby-0',NULL,'2026-11-27T13:39:40.091+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01900000000070008000000000000001',2,X'01A21D3BADBC779CAF0D0A9C564621CC',X'01A21D3BACE772DF93F672E434188721','text','"Good morning! Who else is here?"','seed-lobby-1',NULL,'2026-11-27T13:39:40.092+00:00',NULL,NULL);
INSERT INTO "messages" VALUES(X'01900000000070008000000000000001',3,X'01A21D3BADBE762BABE3E1C72D58986B',X'01A21D3BACCD74F883E36AFECE2A451C','text','"I am, just looking around."','seed-lobby-2',NULL,'2026-11-27T13:39:40.094+00:00',NULL,NULL);
CREATE TABLE "rooms" ( "id" uuid_text NOT NULL PRIMARY KEY, "kind" varchar(8) NOT NULL, "name" text NULL, "name_key" text UNIQUE, "password_hash" text NULL, "owner_id" uuid_text NULL, "pair_low" uuid_text NULL, "pair_high" uuid_text NULL, "last_seq" integer NOT NULL DEFAULT 0, "roster_version" integer NOT NULL DEFAULT 0, "created_at" timestamp_with_timezone_text NOT NULL, "active_at" timestamp_with_timezone_text NOT NULL, "deleted_at" timestamp_with_timezone_text NULL, "changed_at" integer NOT NULL DEFAULT 0, FOREIGN KEY ("owner_id") REFERENCES "users" ("id"), FOREIGN KEY ("pair_low") REFERENCES "users" ("id"), FOREIGN KEY ("pair_high") REFERENCES "users" ("id") );
INSERT INTO "rooms" VALUES(X'01900000000070008000000000000001','lobby',NULL,NULL,NULL,NULL,NULL,NULL,3,1,'2026-11-27T13:39:39.766+00:00','2026-11-27T13:39:40.094+00:00',NULL,0);
INSERT INTO "rooms" VALUES(X'01A21D3BAD68747AB06D8932A3B55D20','group','Tea room','tea room','$argon2id$v=19$m=19456,t=2,p=1$XMzBhBLsMLXssQiRP2I+0A$GrtKx0hesrumntNylGl3OBUuc7u3/8GgG5F3TmDeZpQ',X'01A21D3BACB17093B923B63B8CE6C3CA',NULL,NULL,5,1,'2026-11-27T13:39:40.007+00:00','2026-11-27T13:39:40.028+00:00',NULL,0);
INSERT INTO "rooms" VALUES(X'01A21D3BADA273CEA59232829ED468E5','group','Library','library','$argon2id$v=19$m=19456,t=2,p=1$Fgxh2vMsZ51tg6LnziP6NQ$JEHmlx3T2xrzAcwc1oaI7Y5YuP0r++gXioSE9+aHeZg',X'01A21D3BACCD74F883E36AFECE2A451C',NULL,NULL,1,1,'2026-11-27T13:39:40.062+00:00','2026-11-27T13:39:40.073+00:00',NULL,0);
INSERT INTO "rooms" VALUES(X'01A21D3BADAC7103AD1FCC5FE1C8BDF3','direct',NULL,NULL,NULL,NULL,X'01A21D3BACB17093B923B63B8CE6C3CA',X'01A21D3BACCD74F883E36AFECE2A451C',3,1,'2026-11-27T13:39:40.076+00:00','2026-11-27T13:39:40.084+00:00',NULL,0);
INSERT INTO "rooms" VALUES(X'01A21D3BADB776859F5C71281B326454','direct',NULL,NULL,NULL,NULL,X'01A21D3BACB17093B923B63B8CE6C3CA',X'01A21D3BACE772DF93F672E434188721',1,1,'2026-11-27T13:39:40.087+00:00','2026-11-27T13:39:40.090+00:00',NULL,0);
CREATE TABLE "seaql_migrations" ( "version" varchar NOT NULL PRIMARY KEY, "applied_at" integer NOT NULL );
INSERT INTO "seaql_migrations" VALUES('m20261121_000001_create_the_tables',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261121_000002_remember_joined_rooms',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261121_000003_drop_the_senders_index',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261127_000004_remember_deletions',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261127_000005_recognise_returning_clients',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261127_000006_remember_when_things_changed',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261127_000007_fold_names',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261127_000008_describe_sessions',1795786779);
INSERT INTO "seaql_migrations" VALUES('m20261127_000009_remember_what_issuers_said',1795786779);
CREATE TABLE "sessions" ( "id" uuid_text NOT NULL PRIMARY KEY, "user_id" uuid_text NOT NULL, "created_at" timestamp_with_timezone_text NOT NULL, "expires_at" timestamp_with_timezone_text NOT NULL, "revoked_at" timestamp_with_timezone_text NULL, "last_used_at" timestamp_with_timezone_text NULL, "address" text NULL, "client" text NULL, "by_password" boolean NOT NULL DEFAULT FALSE, FOREIGN KEY ("user_id") REFERENCES "users" ("id") );
INSERT INTO "sessions" VALUES(X'01A21D3BAD0A751E8D3A14C893BE2815',X'01A21D3BACB17093B923B63B8CE6C3CA','2026-11-27T13:39:39+00:00','2026-11-27T14:39:39+00:00','2026-11-27T13:39:40.094+00:00','2026-11-27T13:39:39+00:00','127.0.0.1','parlor seed',1);
INSERT INTO "sessions" VALUES(X'01A21D3BAD297575977D7EB4981A8058',X'01A21D3BACCD74F883E36AFECE2A451C','2026-11-27T13:39:39+00:00','2026-11-27T14:39:39+00:00','2026-11-27T13:39:40.095+00:00','2026-11-27T13:39:39+00:00','127.0.0.1','parlor seed',1);
INSERT INTO "sessions" VALUES(X'01A21D3BAD47776ABC248743C167FF36',X'01A21D3BACE772DF93F672E434188721','2026-11-27T13:39:39+00:00','2026-11-27T14:39:39+00:00','2026-11-27T13:39:40.096+00:00','2026-11-27T13:39:39+00:00','127.0.0.1','parlor seed',1);
CREATE TABLE "tickets" ( "digest" blob(1) NOT NULL PRIMARY KEY, "user_id" uuid_text NOT NULL, "session_id" uuid_text NOT NULL, "token_expires_at" timestamp_with_timezone_text NOT NULL, "expires_at" timestamp_with_timezone_text NOT NULL, "used_at" timestamp_with_timezone_text NULL, FOREIGN KEY ("user_id") REFERENCES "users" ("id"), FOREIGN KEY ("session_id") REFERENCES "sessions" ("id") );
CREATE TABLE "users" ( "id" uuid_text NOT NULL PRIMARY KEY, "username" text NOT NULL, "username_key" text NOT NULL UNIQUE, "password_hash" text NULL, "first_name" text NULL, "last_name" text NULL, "email" text NULL, "phone" text NULL, "profile" text NULL, "is_admin" boolean NOT NULL DEFAULT FALSE, "created_at" timestamp_with_timezone_text NOT NULL, "last_seen_at" timestamp_with_timezone_text NULL, "deleted_at" timestamp_with_timezone_text NULL , "search_text" text NOT NULL DEFAULT '');
INSERT INTO "users" VALUES(X'01A21D3BACB17093B923B63B8CE6C3CA','ada','ada','$argon2id$v=19$m=19456,t=2,p=1$RBrw8o9FskTx4FcJhesoFw$Td3aMhjz99XAhAC7hty+2ZQwppz5mzAVecw9t4NakmU','Ada','Lovelace',NULL,NULL,'{"img":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEUda0////83BICvAAAAJElEQVR42mNgoAdg/P+/gXRGHRjRh1H///8/0hn0dCF5DFoDAEvXQWWfwN2UAAAAAElFTkSuQmCC","role":"host"}',0,'2026-11-27T13:39:39.825+00:00',NULL,NULL,'ada
ada
lovelace');
INSERT INTO "users" VALUES(X'01A21D3BACCD74F883E36AFECE2A451C','bob','bob','$argon2id$v=19$m=19456,t=2,p=1$ZtgfKADYCNE4283X7REJqQ$vcAKPx7Lgov6gKMIaOhoyRqtkOroab7woCjrjdPZhSk','Bob','Kahn',NULL,NULL,'{"img":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEUvXZ7////OP7XTAAAAHElEQVR42mNgoAeo//+/gXRGHRjRhzFcXUhrAAAefk1r/yq5jQAAAABJRU5ErkJggg==","role":"guest"}',0,'2026-11-27T13:39:39.853+00:00',NULL,NULL,'bob
bob
kahn');
INSERT INTO "users" VALUES(X'01A21D3BACE772DF93F672E434188721','cyd','cyd','$argon2id$v=19$m=19456,t=2,p=1$15JphwHKXMancTLivSODfw$KxIwrhf5RosBvxZJ+vzu/mlHr1NWsILfjQ833pLhl/4','Cyd','Charisse',NULL,NULL,'{"img":"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEWaSi/////zNlV4AAAAIklEQVR42mNgoAdg/P+/gXRGHRiRwWAY9Awy/EVeGNIaAAD95DKhowlvogAAAABJRU5ErkJggg==","role":"guest"}',0,'2026-11-27T13:39:39.880+00:00',NULL,NULL,'cyd
cyd
charisse');
CREATE UNIQUE INDEX "rooms_pair" ON "rooms" ("pair_low", "pair_high");
CREATE INDEX "members_user" ON "members" ("user_id");
CREATE UNIQUE INDEX "messages_client_id" ON "messages" ("room_id", "sender_id", "client_message_id");
CREATE INDEX "sessions_user" ON "sessions" ("user_id");
CREATE INDEX "sessions_expiry" ON "sessions" ("expires_at");
CREATE INDEX "tickets_expiry" ON "tickets" ("expires_at");
CREATE INDEX "tickets_session" ON "tickets" ("session_id");
CREATE INDEX "identities_user" ON "identities" ("user_id");
CREATE INDEX "joined_rooms_of_user" ON "joined_rooms" ("user_id", "noted_at");
CREATE INDEX "look_alikes_holder" ON "look_alikes" ("holder");
