package config

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"gopkg.in/yaml.v3"
)

// decodeKnown reads the types that are more than their kind. It reports whether
// v is of one.
func (d *decoder) decodeKnown(n *yaml.Node, v reflect.Value, at place) bool {
	switch to := v.Addr().Interface().(type) {
	case *time.Duration:
		d.duration(n, to, at)
	case *Secret:
		at.secret = true
		if text, ok := d.text(n, at, "a string in quotes"); ok {
			*to = NewSecret(text)
		}
	case *Card:
		d.card(n, to, at)
	case *HTTPConfig:
		at.secret = true
		d.httpConfig(n, to, at)
	case *[]Space:
		d.spaces(n, to, at)
	case **regexp.Regexp:
		d.pattern(n, to, at)
	case *[]*labels.Matcher:
		d.matchers(n, to, at)
	case *promconfig.URL:
		d.proxyURL(n, to, at)
	case *promconfig.TLSVersion:
		d.tlsVersion(n, to, at)
	default:
		return false
	}
	return true
}

func (d *decoder) duration(n *yaml.Node, to *time.Duration, at place) {
	text, ok := d.text(n, at, "a duration")
	if !ok {
		return
	}
	parsed, err := model.ParseDuration(text)
	if err != nil {
		d.fault(at, "want a duration such as 10s, 5m or 1d")
		return
	}
	*to = time.Duration(parsed)
}

func (d *decoder) card(n *yaml.Node, to *Card, at place) {
	if n.Kind == yaml.ScalarNode && n.Value == cardNone {
		*to = Card{None: true}
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fault(at, "want none, or a mapping with title, subtitle, summary, alert and buttons")
		return
	}
	var card Card
	d.structure(n, reflect.ValueOf(&card).Elem(), at)
	*to = card
}

// spaces reads the list of spaces, each of which begins as the defaults.
func (d *decoder) spaces(n *yaml.Node, to *[]Space, at place) {
	if n.Kind != yaml.SequenceNode {
		d.fault(at, "want a list of spaces, not %s", kind(n))
		return
	}
	for i, item := range n.Content {
		s := Space{Settings: *d.defaults}
		below := at.item(i, item.Line)
		d.lines[below.path] = below.line // even of an item that is null
		d.decode(item, reflect.ValueOf(&s).Elem(), below)
		// A way to write messages that the space chose takes the place of the
		// other one, which is the defaults'.
		message := d.given(below.path + ".message")
		parts := d.given(below.path+".text") || d.given(below.path+".card")
		switch {
		case message && !parts:
			s.Text, s.Card = nil, Card{}
		case parts && !message:
			s.Message = ""
		}
		*to = append(*to, s)
	}
}

func (d *decoder) pattern(n *yaml.Node, to **regexp.Regexp, at place) {
	text, ok := d.text(n, at, "a regular expression")
	if !ok {
		return
	}
	if text == "" {
		d.fault(at, "is empty")
		return
	}
	// Compiled as it was written first: an error shall not show the anchors.
	if _, err := regexp.Compile(text); err != nil {
		d.fault(at, "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return
	}
	anchored, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		d.fault(at, "cannot be anchored at both ends")
		return
	}
	*to = anchored
}

// matchers reads a list of strings, each of which holds one matcher or several,
// as in Alertmanager.
func (d *decoder) matchers(n *yaml.Node, to *[]*labels.Matcher, at place) {
	if n.Kind != yaml.SequenceNode {
		d.fault(at, "want a list of matchers, not %s", kind(n))
		return
	}
	var all []*labels.Matcher
	for i, item := range n.Content {
		below := at.item(i, item.Line)
		text, ok := d.text(follow(item), below, "a matcher in quotes")
		if !ok {
			continue
		}
		parsed, err := parse.Matchers(text)
		if broken, ok := errors.AsType[*syntax.Error](err); ok {
			// It quotes the expression with anchors that nobody wrote.
			d.fault(below, "its regular expression is wrong: %s", broken.Code)
			continue
		}
		switch {
		case err != nil:
			d.fault(below, "is no matcher: %s", err)
		case len(parsed) == 0:
			d.fault(below, "is empty; want a matcher such as severity=\"critical\"")
		}
		all = append(all, parsed...)
	}
	*to = all
}

// proxyURL and what follows read an http_config: no fault shows any of it.
func (d *decoder) proxyURL(n *yaml.Node, to *promconfig.URL, at place) {
	text, ok := d.text(n, at, "a URL")
	if !ok {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		d.fault(at, "want a URL such as http://proxy:3128")
		return
	}
	to.URL = u
}

func (d *decoder) tlsVersion(n *yaml.Node, to *promconfig.TLSVersion, at place) {
	text, ok := d.text(n, at, "a version of TLS")
	if !ok {
		return
	}
	version, ok := promconfig.TLSVersions[text]
	if !ok {
		d.fault(at, "want TLS10, TLS11, TLS12 or TLS13")
		return
	}
	*to = version
}

// checkFile sees to it that a file can be read that an http_config names.
func (d *decoder) checkFile(path string, at place) {
	if !at.secret || path == "" || !strings.HasSuffix(at.path, "_file") && !strings.Contains(at.path, ".files[") {
		return
	}
	path = d.join(path)
	d.files = append(d.files, path)
	f, err := os.Open(path)
	if err != nil {
		d.fault(at, "the file cannot be read: %s", cause(err))
		return
	}
	_ = f.Close()
}

// cause returns what is behind an error of a file operation, without the path.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

func (d *decoder) httpConfig(n *yaml.Node, to *HTTPConfig, at place) {
	c := promconfig.DefaultHTTPClientConfig
	before := len(d.faults)
	d.structure(n, reflect.ValueOf(&c).Elem(), at)
	if len(d.faults) > before {
		return
	}
	// Its errors name keys, and no values but those of reserved headers.
	if err := c.Validate(); err != nil {
		d.fault(at, "%s", err)
		return
	}
	c.SetDirectory(d.dir)
	if c.OAuth2 != nil {
		if u, err := url.Parse(c.OAuth2.TokenURL); err != nil || u.Host == "" {
			d.fault(at.key("oauth2", at.line).key("token_url", d.line(at.path+".oauth2.token_url")), "want a URL such as https://auth.example.com/token")
			return
		}
	}
	// The errors of these may quote what is under http_config, so they are told
	// in words of our own.
	if _, err := promconfig.NewTLSConfig(&c.TLSConfig); err != nil {
		d.fault(at.key("tls_config", d.line(at.path+".tls_config")),
			"cannot be used: want PEM certificates, a key with its certificate, and min_version not above max_version")
		return
	}
	if _, err := promconfig.NewClientFromConfig(c, "check"); err != nil {
		d.fault(at, "cannot be used; keys that end in _ref have no meaning here")
		return
	}
	*to = HTTPConfig{value: &c}
}

// given says whether the document has a value for the path.
func (d *decoder) given(path string) bool {
	_, ok := d.lines[path]
	return ok
}

// line returns the line of a path, or of what it would stand in.
func (d *decoder) line(path string) int {
	return nearest(d.lines, path)
}

func nearest(lines map[string]int, path string) int {
	for {
		if line, ok := lines[path]; ok {
			return line
		}
		if path == "" {
			return 0
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}
