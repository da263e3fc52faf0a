package webui_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/chat"
	"alertchat/receiver/webui"
)

func draw(t *testing.T, body string) string {
	t.Helper()
	got, err := webui.Draw([]byte(body), chat.ByApp)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func message(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// golden compares what was drawn with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestDrawnMessages(t *testing.T) {
	for _, name := range []string{"widgets", "alert-card", "alert-card-app"} {
		golden(t, name+".html", draw(t, message(t, name+".json")))
	}
}
