package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"unicode"
)

const (
	// maxCredentials is the size of a credentials_file. A service account's key
	// takes some 2 KiB.
	maxCredentials = 64 << 10
	// googleAPI is where the REST API is unless api_url says otherwise.
	googleAPI = "https://chat.googleapis.com"
)

// App is a destination over the REST API, as a Chat app.
type App struct {
	Space string `yaml:"space"` // "spaces/AAAA"; or User is set
	User  string `yaml:"user"`  // "users/123", always with a number
	// CredentialsFile is joined with the config's folder. It is empty for
	// Application Default Credentials.
	CredentialsFile string `yaml:"credentials_file"`
	APIURL          string `yaml:"api_url"` // without a slash at its end
}

// Credentials returns what the credentials file holds, and nil where there is
// none. The file is read anew each time: it may have been replaced. The error
// does not show its content.
func (a *App) Credentials() ([]byte, error) {
	if a.CredentialsFile == "" {
		return nil, nil
	}
	return readCredentials(a.CredentialsFile, a.CredentialsFile)
}

// readCredentials returns what a credentials file holds. Its errors call the
// file by the name that is shown.
func readCredentials(path, shown string) ([]byte, error) {
	const advice = "put the service account's key file there"
	return readFile(path, shown, maxCredentials, advice, advice)
}

func (d *decoder) checkApp(a *App, path string, o Options) {
	space, user := d.given(path+".space"), d.given(path+".user")
	if space == user && !d.faulty[path+".space"] && !d.faulty[path+".user"] {
		d.fault(d.at(path), "want either space or user")
	}
	d.require(isSpace(a.Space), path+".space",
		"want the name of a Google space such as spaces/AAAA, where AAAA is the end of its address in the browser")
	d.require(isUser(a.User), path+".user",
		"want a user by the number of the id, such as users/123; an e-mail address does not work for a Chat app")
	if d.given(path + ".credentials_file") {
		a.CredentialsFile = d.checkCredentials(a.CredentialsFile, d.at(path+".credentials_file"), o)
	}
	if d.given(path + ".api_url") {
		d.require(isAPI(a.APIURL), path+".api_url",
			"want a URL such as "+googleAPI+", with nothing behind its path and no password")
	} else {
		a.APIURL = googleAPI
	}
	a.APIURL = strings.TrimRight(a.APIURL, "/")
}

// isSpace and isUser know the names of resources, which become a part of URLs.
func isSpace(name string) bool {
	id, ok := strings.CutPrefix(name, "spaces/")
	return ok && id != "" && strings.Trim(id, letters+digits+"_-") == ""
}

func isUser(name string) bool {
	id, ok := strings.CutPrefix(name, "users/")
	return ok && id != "" && len(id) <= 30 && strings.Trim(id, digits) == ""
}

func isAPI(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http") &&
		u.User == nil && !strings.ContainsAny(raw, "?# ")
}

// checkCredentials reads a credentials file once, so that a wrong one is found
// at load, and returns its path made ready for reading it again.
func (d *decoder) checkCredentials(file string, at place, o Options) string {
	if d.faulty[at.path] {
		return ""
	}
	// What is in quotes or braces is the key itself.
	if !isPath(file) || strings.ContainsAny(file, `"{}`) {
		d.fault(at, "want the path of a file; the key itself has no place here")
		return ""
	}
	content, err := readCredentials(d.join(file), file)
	if o.WithoutSecrets && errors.Is(err, fs.ErrNotExist) {
		return d.join(file)
	}
	if err != nil {
		d.fault(at, "%s", err)
		return ""
	}
	if o.CheckCredentials == nil {
		return d.join(file)
	}
	if err := o.CheckCredentials(content); err != nil {
		// It promises not to repeat the content. Do not take its word for it:
		// packages for JSON and for keys quote what they cannot parse.
		if message := err.Error(); shows(message, content) {
			d.fault(at, "%s is not a usable credentials file", file)
		} else {
			d.fault(at, "%s: %s", file, message)
		}
	}
	return d.join(file)
}

// secretRun is how many bytes in a row a message must have from a file's content
// to show something of it.
const secretRun = 12

// publicWords are in most credentials files, and no secrets: a message that
// says what is wrong may have them.
var publicWords = strings.NewReplacer(
	"service_account_impersonation_url", "\x00", "impersonated_service_account", "\x00",
	"external_account_authorized_user", "\x00", "gdch_service_account", "\x00",
	"service_account", "\x00", "authorized_user", "\x00", "external_account", "\x00",
	"private_key_id", "\x00", "client_email", "\x00", "credential_source", "\x00", "subject_token_type", "\x00",
)

// shows reports whether a message repeats a line of a file's content, or so many
// bytes of it.
func shows(message string, content []byte) bool {
	for line := range bytes.Lines(content) {
		line = bytes.TrimSpace(line)
		word := bytes.ContainsFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
		if word && strings.Contains(message, string(line)) {
			return true
		}
	}
	message = publicWords.Replace(message)
	for i := range len(message) - secretRun + 1 {
		if bytes.Contains(content, []byte(message[i:i+secretRun])) {
			return true
		}
	}
	return false
}

// updates fills in how the changes of an incident are told, which depends on the
// destination, and refuses what a webhook cannot do.
func (d *decoder) updates(doc *document) {
	const cannot = "an incoming webhook cannot edit messages"
	for i := range doc.Spaces {
		s, path := &doc.Spaces[i], fmt.Sprintf("spaces[%d]", i)
		if s.Updates == "" {
			s.Updates = Reply
			if s.App != nil {
				s.Updates = Edit
			}
		}
		if s.Updates != Edit || !d.isWebhook(path) {
			continue
		}
		d.require(false, path+".updates", cannot+"; put reply here, or app in place of the webhook")
		if !d.given(path + ".updates") {
			called := s.Name
			if !isName(called) {
				called = path
			}
			d.require(false, "defaults.updates", cannot+", and "+called+" has one; put reply there, or app in place of the webhook")
		}
	}
}
