package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"alertchat/receiver/delivery"
	"alertchat/receiver/store"
)

func TestARescueKeepsWhatWasReportedAndHowSpacesAreDoing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	synctest.Test(t, func(t *testing.T) {
		book := &logBook{}
		s := openAt(t, folder, book.options())
		ids := add(t, s, note("ops", "g", []byte("{}")), note("ops", "h", []byte("{}")))
		told, untold := dead(t, s, "ops"), dead(t, s, "ops")
		report(t, s, notice("fallback"), ids[:1], []int64{told})
		health := map[string]delivery.Health{"ops": {FailingSince: start, LastError: "404"}}
		if err := s.SaveHealth(t.Context(), acquire(t, s), "ops", health["ops"]); err != nil {
			t.Fatalf("SaveHealth() = %v", err)
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		wantReady(t, s)
		if book.count("taken over") == 0 {
			t.Errorf("nothing was taken over:\n%s", book)
		}
		if got := undelivered(t, s, "ops"); len(got) != 2 || got[0].Reported || !got[1].Reported {
			t.Errorf("Undelivered() = %+v, want two, the second reported", got)
		}
		equal(t, "what nobody was told of", unreported(t, s), []int64{untold})
		got, err := s.Health(t.Context())
		if err != nil {
			t.Errorf("Health() = %v", err)
		}
		equal(t, "how the spaces are doing", got, health)
	})
}

func TestADamagedPlanIsNotRetried(t *testing.T) {
	folder := t.TempDir()
	s := openAt(t, folder, store.Options{})
	id := dead(t, s, "ops")
	onFile(t, folder, `UPDATE deliveries SET plan = '{"bodies":'`)
	if space, err := s.Retry(t.Context(), id, anySpace); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Retry(damaged) = %q, %v, want an error that says so", space, err)
	}
	wantReady(t, s)
	if counts, err := s.Counts(t.Context()); err != nil || counts["ops"].Dead != 1 {
		t.Errorf("Counts() = %v, %v, want it dead still", counts, err)
	}
}

func TestADamagedHealthIsLeftOut(t *testing.T) {
	folder := t.TempDir()
	book := &logBook{}
	s := openAt(t, folder, book.options())
	for _, space := range []string{"ops", "database"} {
		if err := s.SaveHealth(t.Context(), acquire(t, s), space, delivery.Health{LastError: "404"}); err != nil {
			t.Fatalf("SaveHealth() = %v", err)
		}
	}
	onFile(t, folder, `UPDATE spaces SET health = '{' WHERE name = 'ops'`)
	got, err := s.Health(t.Context())
	if err != nil {
		t.Errorf("Health() = %v", err)
	}
	equal(t, "how the spaces are doing", got, map[string]delivery.Health{"database": {LastError: "404"}})
	if book.count("is damaged") != 1 {
		t.Errorf("the log does not tell:\n%s", book)
	}
}
