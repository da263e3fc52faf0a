package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"alertchat/receiver/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The golden file has a case for each line that begins with "=== ": its name,
// the config file, and after a line "---" the error that it gives.
func TestErrorsReadAsInTheGoldenFile(t *testing.T) {
	const golden = "testdata/errors.golden"
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "ops.url"), goodURL+"\n")
	writeFile(t, filepath.Join(dir, "empty.url"), " \n")
	writeFile(t, filepath.Join(dir, "bad.url"), "https://bad.example.com/"+canary)
	writeFile(t, filepath.Join(dir, "long.url"), strings.Repeat("x", 9<<10))
	writeFile(t, filepath.Join(dir, "ops.json"), goodKey)
	writeFile(t, filepath.Join(dir, "empty.json"), "\ufeff\n")
	writeFile(t, filepath.Join(dir, "bad.json"), badKey)
	writeFile(t, filepath.Join(dir, "long.json"), strings.Repeat("x", 65<<10))
	writeFile(t, filepath.Join(dir, "no.pem"), "no certificate "+canary)
	if err := os.Mkdir(filepath.Join(dir, "templates"), 0o755); err != nil {
		t.Fatal(err)
	}

	var rewritten strings.Builder
	cases := strings.Split(string(text), "=== ")
	rewritten.WriteString(cases[0])
	for _, c := range cases[1:] {
		name, rest, ok := strings.Cut(c, "\n")
		end := strings.LastIndex(rest, "\n---\n") // the last one: a case is about two documents
		if !ok || end < 0 {
			t.Fatalf("case %q has no name or no ---", name)
		}
		input, want := rest[:end]+"\n", strings.TrimSpace(rest[end+len("\n---\n"):])
		_, err := config.Parse("config.yml", []byte(input), dir, options)
		got := "no error"
		if err != nil {
			got = err.Error()
		}
		rewritten.WriteString("=== " + name + "\n" + input + "---\n" + got + "\n\n")
		if strings.Contains(got, canary) {
			t.Errorf("%s: the error shows a secret: %s", name, got)
		}
		if !*update && got != want {
			t.Errorf("%s:\n got: %s\nwant: %s", name, got, want)
		}
		if err == nil && !*update {
			t.Errorf("%s: no error", name)
		}
	}
	if *update {
		writeFile(t, golden, strings.TrimSuffix(rewritten.String(), "\n"))
	}
}

func TestErrorHoldsTheFaultsApart(t *testing.T) {
	_, err := config.Parse("c.yml", []byte("spaces:\n- name: ops\n  webhook_url: x\n  timeout: 1h\n  repeats: no way\n"), ".", config.Options{})
	var faults *config.Error
	if !errors.As(err, &faults) || len(faults.Faults) != 2 {
		t.Fatalf("error is %#v, want an Error of 2 faults", err)
	}
	want := config.Fault{File: "c.yml", Line: 4, Path: "spaces[0].timeout", Message: "want more than 0 and at most 10s"}
	if faults.Faults[0] != want {
		t.Errorf("first fault is %+v, want %+v", faults.Faults[0], want)
	}
}

func TestNewErrorPutsFaultsInOrderAndEachOnce(t *testing.T) {
	if err := config.NewError(nil); err != nil {
		t.Errorf("NewError(nil) = %v, want nil", err)
	}
	a := config.Fault{File: "c", Line: 1, Message: "a"}
	b := config.Fault{File: "c", Line: 2, Path: "p", Message: "b"}
	given := []config.Fault{b, a, b}
	if got, want := config.NewError(given).Error(), "c:1: a\nc:2: p: b"; got != want {
		t.Errorf("error is %q, want %q", got, want)
	}
	if given[0] != b {
		t.Error("NewError changed the order of what it was given")
	}
}

func TestLoadSaysWhatIsWrongWithTheFileItself(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.yml")
	writeFile(t, large, strings.Repeat("#", 10<<20+1))
	tests := []struct{ name, path, want string }{
		{"a missing file", filepath.Join(dir, "none.yml"), "open " + filepath.Join(dir, "none.yml") + ": no such file or directory"},
		{"a folder", dir, "read " + dir + ": is a directory"},
		{"a file that is too large", large, large + ": is larger than 10 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(tt.path, config.Options{})
			if err == nil || err.Error() != tt.want {
				t.Errorf("Load() fails with %v, want %s", err, tt.want)
			}
		})
	}
}

// Aliases that multiply would take for ever, or all memory, if followed.
func TestAliasesThatMultiplyAreRefused(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		bomb.WriteString(strings.NewReplacer("N", string(rune('1'+i)), "O", string(rune('0'+i))).Replace(
			"aN: &aN [*aO,*aO,*aO,*aO,*aO,*aO,*aO,*aO,*aO,*aO]\n"))
	}
	_, err := config.Parse("c.yml", []byte(bomb.String()), ".", config.Options{})
	if want := "c.yml:1: its aliases expand to too much"; err == nil || err.Error() != want {
		t.Errorf("Parse(bomb) fails with %v, want %s", err, want)
	}
	if _, err := config.DecodeYAML([]byte(bomb.String())); err == nil {
		t.Error("DecodeYAML(bomb) succeeds")
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	for _, depth := range []int{201, 9_000, 100_000} {
		text := "templates: " + strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if _, err := config.Parse("c.yml", []byte(text), ".", config.Options{}); err == nil || !strings.Contains(err.Error(), "deep") && !strings.Contains(err.Error(), "depth") {
			t.Errorf("%d levels: Parse() fails with %v, want a word on the depth", depth, err)
		}
		text = strings.Repeat("[", depth) + strings.Repeat("]", depth)
		if _, err := config.DecodeYAML([]byte(text)); err == nil {
			t.Errorf("%d levels: DecodeYAML() succeeds", depth)
		}
	}
}
