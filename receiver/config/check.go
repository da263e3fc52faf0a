package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"alertchat/receiver/route"
)

// check holds what was read to the rules between values, and makes paths ready
// for use. It returns the files that the globs of templates give.
func (d *decoder) check(doc *document, o Options) (templates []string) {
	templates = d.checkTemplates(doc.Templates)
	d.checkSettings("defaults", &doc.Defaults)
	if len(doc.Spaces) == 0 && !d.faulty["spaces"] {
		d.fault(d.at("spaces"), "want at least one space")
	}
	names := map[string]int{}
	for i := range doc.Spaces {
		s, path := &doc.Spaces[i], fmt.Sprintf("spaces[%d]", i)
		d.checkName(s.Name, path, names, i)
		d.checkSettings(path, &s.Settings)
		d.checkDestination(s, path, o)
	}
	d.checkFallback("defaults.fallback_space", doc.Defaults.FallbackSpace, names)
	for i := range doc.Spaces {
		s, path := &doc.Spaces[i], fmt.Sprintf("spaces[%d].fallback_space", i)
		d.require(s.FallbackSpace == "" || s.FallbackSpace != s.Name, path, "a space cannot be its own fallback")
		d.checkFallback(path, s.FallbackSpace, names)
		if s.FallbackSpace == s.Name {
			s.FallbackSpace = "" // the one of the defaults has none itself
		}
	}
	d.updates(doc)
	d.checkRoot(doc, names)
	return templates
}

// at returns the place of a path, in the line that is nearest to it.
func (d *decoder) at(path string) place {
	return place{path: path, line: d.line(path)}
}

// require makes a fault of a value that was given and is not right. One fault at
// a path is enough.
func (d *decoder) require(ok bool, path, message string) {
	if !ok && d.given(path) && !d.faulty[path] {
		d.fault(d.at(path), "%s", message)
	}
}

// checkTemplates makes patterns for [filepath.Glob] of the given globs, in
// place, and returns the files that they match. A path without any magic must
// exist.
func (d *decoder) checkTemplates(globs []string) (files []string) {
	for i, glob := range globs {
		at := d.at(fmt.Sprintf("templates[%d]", i))
		if !isPath(glob) {
			d.require(false, at.path, "want the path of a file, or a glob such as templates/*.tmpl")
			continue
		}
		if !hasMagic(glob) {
			globs[i] = escape(d.join(glob))
			if info, err := os.Stat(d.join(glob)); err != nil {
				d.fault(at, "open %s: %s", glob, cause(err))
			} else if info.IsDir() {
				d.fault(at, "%s is a folder; want its files, such as %s", glob, filepath.Join(glob, "*.tmpl"))
			}
		} else if !filepath.IsAbs(glob) {
			globs[i] = filepath.Join(escape(d.dir), glob)
		}
		found, err := expand(globs[i])
		if err != nil {
			d.fault(at, "%s is no glob: its brackets do not match", glob)
		}
		for _, f := range found {
			if !slices.Contains(files, f) {
				files = append(files, f)
			}
		}
	}
	return files
}

// expand returns the files that match a pattern, sorted. Folders are left out:
// a volume of Kubernetes has some beside the files.
func expand(pattern string) ([]string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	}), nil
}

func hasMagic(path string) bool { return strings.ContainsAny(path, `*?[\`) }

func escape(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}

// isPath says whether a value can be the path of a file, and may be shown as
// one. Somebody will put a URL with its key where a path belongs.
func isPath(s string) bool {
	return s != "" && len(s) <= 255 && !strings.Contains(s, "://") && !strings.ContainsAny(s, "\n\r\x00&=")
}

func (d *decoder) checkName(name, path string, names map[string]int, i int) {
	at := d.at(path + ".name")
	if d.faulty[at.path] {
		return
	}
	if !d.given(at.path) {
		d.fault(d.at(path), "name is missing")
		return
	}
	if !isName(name) {
		d.fault(at, "want 1 to 63 letters, digits, _ and -: the name is part of URLs and metrics")
		return
	}
	if first, ok := names[name]; ok {
		d.fault(at, "%s is the name of spaces[%d] already", name, first)
		return
	}
	names[name] = i
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

func isName(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, letters+digits+"_-") == ""
}

// checkSettings looks at what the scope itself gives. What a space has from the
// defaults is told once, there.
func (d *decoder) checkSettings(scope string, s *Settings) {
	key := func(name string) string { return scope + "." + name }
	d.require(s.Message != "", key("message"), "is empty")
	d.require(!d.given(key("text")) && !d.given(key("card")), key("message"), "stands in the place of text and card; give one or the other")
	nothing := s.Card.None && s.Text != nil && *s.Text == ""
	d.require(!nothing, key("card"), "none with an empty text leaves nothing to send")
	d.require(!nothing || d.given(key("card")), key("text"), "an empty text without a card leaves nothing to send")
	for i, b := range s.Card.Buttons {
		path := fmt.Sprintf("%s[%d]", key("card.buttons"), i)
		d.require(b.Text != "" || d.faulty[path+".text"], path, "text is missing")
		d.require(b.URL != "" || d.faulty[path+".url"], path, "url is missing")
	}
	d.require(s.Thread == ThreadIncident || s.Thread == ThreadNone || strings.Contains(s.Thread, "{{"), key("thread"),
		"want incident, none, or a template such as '{{ .CommonLabels.cluster }}'")
	d.require(s.Repeats == Timeline || s.Repeats == Drop, key("repeats"), "want timeline or drop")
	d.require(s.Updates == Reply || s.Updates == Edit, key("updates"), "want reply or edit")
	d.require(s.MaxParts >= 1 && s.MaxParts <= 20, key("max_parts"), "want 1 to 20")
	d.require(s.DigestThreshold == 0 || s.DigestThreshold >= 2, key("digest_threshold"), "want 2 groups or more, or 0 for never")
	d.require(s.RateLimit >= 0.01 && s.RateLimit <= 100, key("rate_limit"), "want 0.01 to 100 messages a second")
	d.require(s.Timeout > 0 && s.Timeout <= 10*time.Second, key("timeout"), "want more than 0 and at most 10s")
	d.require(s.MaxAge >= time.Minute, key("max_age"), "want 1m or more")
	// One attempt may take that long: with less, each that hangs would be told.
	d.require(s.FallbackAfter >= 10*time.Second, key("fallback_after"), "want 10s or more")
}

func (d *decoder) checkFallback(path, fallback string, names map[string]int) {
	if _, ok := names[fallback]; !ok && fallback != "" {
		d.require(false, path, noSpace(fallback, names))
	}
}

func noSpace(name string, names map[string]int) string {
	if !isName(name) {
		return "there is no space of this name; want one of those under spaces"
	}
	for _, there := range slices.Sorted(maps.Keys(names)) {
		if near(name, there) {
			return "there is no space " + name + "; did you mean " + there + "?"
		}
	}
	return "there is no space " + name + "; want one of those under spaces"
}

// destinations returns which of the keys for a destination a space gives.
func (d *decoder) destinations(path string) (given []string) {
	for _, key := range []string{"webhook_url", "webhook_url_file", "app"} {
		if d.given(path+"."+key) || d.faulty[path+"."+key] {
			given = append(given, key)
		}
	}
	return given
}

func (d *decoder) isWebhook(path string) bool {
	given := d.destinations(path)
	return len(given) > 0 && !slices.Contains(given, "app")
}

func (d *decoder) checkDestination(s *Space, path string, o Options) {
	given := d.destinations(path)
	if len(given) == 0 {
		d.fault(d.at(path), "webhook_url, webhook_url_file or app is missing: the URL of the space's incoming webhook, a file with it, or a Chat app")
	}
	if len(given) > 1 {
		d.fault(d.at(path+"."+given[1]), "a space has one destination; there is %s already", given[0])
	}
	if at := d.at(path + ".webhook_url"); d.given(at.path) && !d.faulty[at.path] {
		d.checkURL(s.WebhookURL.Reveal(), "", at, o)
	}
	if d.given(path + ".webhook_url_file") {
		s.WebhookURLFile = d.checkURLFile(s.WebhookURLFile, d.at(path+".webhook_url_file"), o)
	}
	if s.App != nil && !d.faulty[path+".app"] {
		d.checkApp(s.App, path+".app", o)
	}
}

// checkURLFile reads a URL file once, so that a wrong one is found at load, and
// returns its path made ready for reading it again.
func (d *decoder) checkURLFile(file string, at place, o Options) string {
	if d.faulty[at.path] {
		return ""
	}
	if !isPath(file) {
		d.fault(at, "want the path of a file; a URL belongs under webhook_url")
		return ""
	}
	raw, err := readURL(d.join(file), file)
	if o.WithoutSecrets && errors.Is(err, fs.ErrNotExist) {
		return d.join(file)
	}
	if err != nil {
		d.fault(at, "%s", err)
		return ""
	}
	d.checkURL(raw, file+": ", at, o)
	return d.join(file)
}

func (d *decoder) checkURL(raw, prefix string, at place, o Options) {
	if raw == "" {
		d.fault(at, "is empty")
		return
	}
	if o.CheckURL == nil {
		return
	}
	err := o.CheckURL(raw)
	if err == nil {
		return
	}
	// CheckURL promises not to repeat the URL. Do not take its word for it where
	// it is known to be broken: net/url quotes what it cannot parse.
	message := err.Error()
	if _, quoting := errors.AsType[*url.Error](err); quoting || strings.Contains(message, raw) {
		message = "not a valid URL"
	}
	d.fault(at, "%s%s", prefix, message)
}

// checkRoot sees to the routing tree. With a single space it may be left out.
func (d *decoder) checkRoot(doc *document, names map[string]int) {
	root := &doc.Route
	switch {
	case d.faulty["route"]:
		return
	case !d.given("route") && len(doc.Spaces) == 1:
		root.Space = doc.Spaces[0].Name
		return
	case !d.given("route") && len(doc.Spaces) > 1:
		d.fault(d.at(""), "route is missing: of several spaces it says which gets what")
		return
	case !d.given("route"):
		return
	}
	const all = "has no place at the root, which matches everything"
	d.require(len(root.Receivers) == 0, "route.receivers", all)
	d.require(len(root.Matchers) == 0, "route.matchers", all)
	d.require(!root.Continue, "route.continue", all)
	if !d.given("route.space") && !d.faulty["route.space"] {
		d.fault(d.at("route"), "space is missing: it gets what no other route takes")
	}
	d.checkRoute(root, "route", names)
}

func (d *decoder) checkRoute(n *route.Node, path string, names map[string]int) {
	if _, ok := names[n.Space]; !ok {
		d.require(false, path+".space", noSpace(n.Space, names))
	}
	for i := range n.Routes {
		d.checkRoute(&n.Routes[i], fmt.Sprintf("%s.routes[%d]", path, i), names)
	}
}
