import GRDB

/// The tables and how they came to be: one migration a version, never edited once released.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { try $0.execute(sql: version1) }
        migrator.registerMigration("2") { try $0.execute(sql: version2) }
        migrator.registerMigration("3") { try $0.execute(sql: version3) }
        return migrator
    }

    private static let version1 = """
        CREATE TABLE settings (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT;

        CREATE TABLE nodes (
            id TEXT PRIMARY KEY NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL,
            key_digest TEXT NOT NULL,
            identity TEXT,
            labels TEXT NOT NULL,
            inventory TEXT NOT NULL,
            status TEXT,
            desired_release TEXT,
            probation TEXT,
            generation INTEGER NOT NULL,
            plan_generation INTEGER NOT NULL,
            registration_id TEXT,
            token_id TEXT,
            was_admitted INTEGER NOT NULL,
            was_online INTEGER NOT NULL,
            wipe_requested INTEGER NOT NULL,
            registered INTEGER NOT NULL,
            last_seen INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX nodes_by_key ON nodes (key_digest);
        CREATE INDEX nodes_by_identity ON nodes (identity);

        CREATE TABLE registrations (
            id TEXT PRIMARY KEY NOT NULL,
            secret_hash TEXT NOT NULL,
            node_key TEXT NOT NULL,
            certificate_request TEXT NOT NULL,
            commitment TEXT NOT NULL,
            server_nonce TEXT NOT NULL,
            node_nonce TEXT,
            token_id TEXT,
            inventory TEXT NOT NULL,
            phase TEXT NOT NULL,
            node_id TEXT,
            certificate TEXT,
            wrong_codes INTEGER NOT NULL,
            remote_address TEXT NOT NULL,
            created INTEGER NOT NULL,
            last_poll INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX registrations_by_poll ON registrations (phase, last_poll);

        CREATE TABLE tokens (
            id TEXT PRIMARY KEY NOT NULL,
            secret_hash TEXT NOT NULL UNIQUE,
            note TEXT NOT NULL,
            uses_left INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            is_revoked INTEGER NOT NULL,
            labels TEXT NOT NULL,
            created INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE releases (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            product TEXT NOT NULL,
            version TEXT NOT NULL,
            epoch INTEGER NOT NULL,
            architecture TEXT NOT NULL,
            pack_bytes INTEGER NOT NULL,
            root_bytes INTEGER NOT NULL,
            tree_bytes INTEGER NOT NULL,
            uki_bytes INTEGER NOT NULL,
            boot_bytes INTEGER NOT NULL,
            published INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE release_keys (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            key TEXT NOT NULL
        ) STRICT;

        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            time INTEGER NOT NULL,
            node TEXT,
            kind TEXT NOT NULL,
            message TEXT NOT NULL,
            step TEXT,
            step_key TEXT,
            state TEXT
        ) STRICT;
        CREATE INDEX events_by_node ON events (node, sequence);
        CREATE INDEX events_of_progress ON events (node, step_key) WHERE step_key IS NOT NULL;

        CREATE TABLE steps (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
            step_key TEXT NOT NULL,
            report TEXT NOT NULL,
            time INTEGER NOT NULL,
            UNIQUE (node, step_key)
        ) STRICT;

        CREATE TABLE commands (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            time INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX commands_by_node ON commands (node, position);

        CREATE TABLE logs (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
            source TEXT NOT NULL,
            time INTEGER NOT NULL,
            text TEXT NOT NULL,
            bytes INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX logs_by_node ON logs (node, sequence);
        """

    /// Workloads. What changes gets another `position`, which never comes again: it serves as a version.
    private static let version2 = """
        CREATE TABLE workloads (
            name TEXT PRIMARY KEY NOT NULL,
            document TEXT NOT NULL,
            revision TEXT NOT NULL,
            is_stopped INTEGER NOT NULL,
            restarts INTEGER NOT NULL,
            created INTEGER NOT NULL,
            changed INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE revisions (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            workload TEXT NOT NULL REFERENCES workloads (name) ON DELETE CASCADE,
            revision TEXT NOT NULL,
            document TEXT NOT NULL,
            applied INTEGER NOT NULL,
            UNIQUE (workload, revision)
        ) STRICT;

        CREATE TABLE secrets (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL UNIQUE,
            value BLOB NOT NULL,
            changed INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE registries (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            host TEXT NOT NULL UNIQUE,
            account TEXT NOT NULL,
            changed INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE assignments (
            node TEXT PRIMARY KEY NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
            generation INTEGER NOT NULL,
            fingerprint TEXT NOT NULL,
            reported_generation INTEGER,
            images TEXT NOT NULL
        ) STRICT;

        CREATE TABLE workload_reports (
            node TEXT NOT NULL REFERENCES nodes (id) ON DELETE CASCADE,
            workload TEXT NOT NULL,
            report TEXT NOT NULL,
            since INTEGER NOT NULL,
            PRIMARY KEY (node, workload)
        ) STRICT;
        CREATE INDEX workload_reports_by_workload ON workload_reports (workload, node);
        """

    /// Users, roles, API tokens and the audit log, which the database itself refuses to change.
    private static let version3 = """
        CREATE TABLE users (
            name TEXT PRIMARY KEY NOT NULL,
            password TEXT,
            grants TEXT NOT NULL,
            is_disabled INTEGER NOT NULL,
            failures INTEGER NOT NULL,
            locked_until INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) STRICT;

        CREATE TABLE roles (name TEXT PRIMARY KEY NOT NULL, verbs TEXT NOT NULL) STRICT;

        CREATE TABLE api_tokens (
            id TEXT PRIMARY KEY NOT NULL,
            secret_hash TEXT NOT NULL UNIQUE,
            user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            note TEXT NOT NULL,
            grants TEXT,
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            used INTEGER,
            is_revoked INTEGER NOT NULL
        ) STRICT;
        CREATE INDEX api_tokens_by_user ON api_tokens (user);

        CREATE TABLE audit (sequence INTEGER PRIMARY KEY NOT NULL, entry TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
        CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
        CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
            BEGIN SELECT RAISE(ABORT, 'the audit log is never shortened'); END;
        """
}
