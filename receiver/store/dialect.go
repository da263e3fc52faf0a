package store

import "strings"

// dialect is what differs between the engines in the statements.
type dialect struct {
	begin string // starts a transaction that is going to write
	id    string // the type of a primary key whose values the engine gives and never gives again
	blob  string // the type of bytes
}

// sqliteDialect waits for the write lock at the start of a transaction: a transaction
// that only comes to need it later cannot wait for it.
func sqliteDialect() dialect {
	return dialect{
		begin: "BEGIN IMMEDIATE",
		id:    "INTEGER PRIMARY KEY AUTOINCREMENT",
		blob:  "BLOB",
	}
}

// ddl returns a statement of the schema with the engine's types in it.
func (d dialect) ddl(statement string) string {
	return strings.NewReplacer("{id}", d.id, "{blob}", d.blob).Replace(statement)
}
