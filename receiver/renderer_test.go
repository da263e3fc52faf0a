package receiver

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"alertchat/receiver/config"
	"alertchat/receiver/render"
)

// TestTheExampleShowsTheBuiltInStrings: config.example.yml shows the default
// of every key; those of the messages are render's.
func TestTheExampleShowsTheBuiltInStrings(t *testing.T) {
	text, err := os.ReadFile("../config.example.yml")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(folder+"/ops.url", []byte("https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse("config.example.yml", text, folder, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &c.Spaces[0]
	if s.Text == nil || s.Card.Title == nil || s.Card.Buttons == nil {
		t.Fatal("the example does not show the strings of text and card")
	}
	got := messages(s)
	got.Name = ""
	if diff := cmp.Diff(render.Builtin(), got); diff != "" {
		t.Errorf("config.example.yml differs from the built-in strings (-built-in +example):\n%s", diff)
	}
	bare, err := config.Parse("c", []byte("spaces: [{name: ops, webhook_url_file: ops.url}]"), folder, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got = messages(&bare.Spaces[0])
	got.Name = ""
	if diff := cmp.Diff(render.Builtin(), got); diff != "" {
		t.Errorf("a config that says nothing differs from the built-in strings:\n%s", diff)
	}
}
