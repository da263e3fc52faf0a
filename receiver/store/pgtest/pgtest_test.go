package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"alertchat/receiver/store/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAServerKeepsWhatIsCommitted(t *testing.T) {
	s := pgtest.New(t)
	url := s.URL(t)
	run := func(statement string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	run(`CREATE TABLE t (x TEXT)`)
	s.Stop(t)
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		_ = conn.Close(t.Context())
		t.Error("it takes connections after Stop")
	}
	s.Start(t)
	run(`INSERT INTO t VALUES ('a')`)
	s.Kill(t)
	s.Start(t)
	run(`SELECT 1 / COUNT(*) FROM t`) // divides by zero where the row is lost
	if other := s.URL(t); other == url {
		t.Errorf("URL() = %q twice, want another database", url)
	}
}
