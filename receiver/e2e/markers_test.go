package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"
)

// markers are secrets, by what they are.
type markers map[string]string

// addWebhook adds the key and the token of a webhook's URL.
func (m markers) addWebhook(t *testing.T, what, raw string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key", "token"} {
		if m[what+"'s "+name] = u.Query().Get(name); m[what+"'s "+name] == "" {
			t.Fatalf("the webhook of %s has no %s", what, name)
		}
	}
}

// wantAbsent fails the test if the beginning or the end of a secret stands in a
// text, in any of the ways in which it could be written.
func (m markers) wantAbsent(t *testing.T, where, text string) {
	t.Helper()
	lower := strings.ToLower(text)
	for what, secret := range m {
		for _, form := range forms(secret) {
			if i := strings.Index(lower, strings.ToLower(form)); i >= 0 {
				t.Errorf("%s shows the %s: …%q…", where, what, text[max(0, i-120):min(len(text), i+80)])
				break
			}
		}
	}
}

// forms returns how a secret may be written, the whole or a part of it.
func forms(secret string) []string {
	const part = 12
	var all []string
	for _, s := range []string{secret[:min(len(secret), part)], secret[max(0, len(secret)-part):]} {
		all = append(all, s, url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s)))
	}
	// Where a secret begins within a group of three bytes is not known.
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(secret[shift:]))
		all = append(all, encoded[:min(len(encoded)-4, 16)])
	}
	return all
}

// wantAbsentFromFiles does the same for all files of a folder, byte by byte.
func (m markers) wantAbsentFromFiles(t *testing.T, folder string) {
	t.Helper()
	files := 0
	content := os.DirFS(folder)
	err := fs.WalkDir(content, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(content, path)
		files++
		m.wantAbsent(t, "the file "+path, string(text))
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("search %s: %d files, error %v", folder, files, err)
	}
}

func TestMarkersAreFound(t *testing.T) {
	t.Parallel()
	const secret = "Sx7/k+canary=marker&of=this%test"
	tests := []struct{ name, text string }{
		{"as it is", "post " + secret + ": refused"},
		{"in a query", "?token=" + url.QueryEscape(secret)},
		{"in a path", "/" + url.PathEscape(secret)},
		{"its beginning", "token Sx7/k+canary…"},
		{"its end", "…of=this%test"},
		{"in capitals", strings.ToUpper(secret)},
		{"in basic authentication", base64.StdEncoding.EncodeToString([]byte("user:" + secret))},
		{"in basic authentication of another name", base64.StdEncoding.EncodeToString([]byte("alertmanager:" + secret))},
		{"as hexadecimal digits", hex.EncodeToString([]byte(secret))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lower := strings.ToLower(test.text)
			for _, form := range forms(secret) {
				if strings.Contains(lower, strings.ToLower(form)) {
					return
				}
			}
			t.Errorf("no form of the secret is found in %q", test.text)
		})
	}
}
