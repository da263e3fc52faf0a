package store

// A migration brings the schema from one version to the next. It only adds:
// the release before must run on the new schema. Where that cannot be, least
// is the oldest version whose programs can.
type migration struct {
	least      int
	statements []string
}

// migrations returns the steps from an empty database to the schema of this
// program; version n is what the first n steps make.
//
// Times are milliseconds since 1970 in UTC, 0 for none. The body and the plan
// stand last in their rows, so that the columns before them are read without
// the pages that a long one overflows to.
//
// notifications.delivery is the planned delivery that covers the row; with 0 it
// waits. Rows of settled deliveries are deleted. reported is 1 where a fallback
// space was told: of the notification, or of the delivery's death; and for a
// delivery that reports something itself. The two columns of notifications are
// never NULL, but not declared so: where a constraint may stop a change of many
// rows half way, SQLite keeps a journal more of all pages that it touches.
//
// The partial indexes hold only what is not over or not reported. That of the
// unreported begins with a column that never differs in it: without one SQLite
// prefers to read all dead deliveries. incidents.key is a digest of space,
// receiver and group key: a group key has no limit, but an index entry has
// (2,704 bytes in PostgreSQL). deliveries.steps are the steps without their
// bodies; those stand in plan, which is empty once a delivery is done.
func migrations() []migration {
	return []migration{{least: 1, statements: []string{
		`CREATE TABLE notifications (
			id {id},
			delivery BIGINT DEFAULT 0,
			reported BIGINT DEFAULT 0,
			received_at BIGINT NOT NULL,
			space TEXT NOT NULL,
			receiver TEXT NOT NULL,
			group_key TEXT NOT NULL,
			unknown TEXT NOT NULL,
			body {blob} NOT NULL)`,
		`CREATE INDEX notifications_waiting ON notifications (space, id) WHERE delivery = 0`,
		`CREATE INDEX notifications_covered ON notifications (delivery) WHERE delivery > 0`,
		`CREATE TABLE incidents (
			key TEXT PRIMARY KEY NOT NULL,
			updated_at BIGINT NOT NULL,
			space TEXT NOT NULL,
			receiver TEXT NOT NULL,
			group_key TEXT NOT NULL,
			state TEXT NOT NULL)`,
		`CREATE INDEX incidents_updated ON incidents (updated_at)`,
		`CREATE TABLE deliveries (
			id {id},
			status TEXT NOT NULL,
			space TEXT NOT NULL,
			ended_at BIGINT NOT NULL,
			created_at BIGINT NOT NULL,
			received_at BIGINT NOT NULL,
			latest_at BIGINT NOT NULL,
			attempts BIGINT NOT NULL,
			plain BIGINT NOT NULL,
			notice TEXT NOT NULL DEFAULT '',
			reported BIGINT NOT NULL DEFAULT 0,
			place TEXT NOT NULL,
			reason TEXT NOT NULL,
			title TEXT NOT NULL,
			error TEXT NOT NULL,
			steps TEXT NOT NULL,
			plan TEXT NOT NULL)`,
		`CREATE INDEX deliveries_by_end ON deliveries (status, space, ended_at, id)`,
		`CREATE INDEX deliveries_unreported ON deliveries (reported, id) WHERE status = 'dead' AND reported = 0`,
		`CREATE TABLE spaces (
			name TEXT PRIMARY KEY NOT NULL,
			updated_at BIGINT NOT NULL,
			health TEXT NOT NULL)`,
		`CREATE TABLE lease (
			id BIGINT PRIMARY KEY NOT NULL,
			epoch BIGINT NOT NULL,
			beat BIGINT NOT NULL DEFAULT 0,
			holder TEXT NOT NULL DEFAULT '')`,
		`INSERT INTO lease (id, epoch) VALUES (1, 0)`,
	}}}
}
