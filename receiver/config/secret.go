package config

import (
	"fmt"
	"io"
	"log/slog"

	promconfig "github.com/prometheus/common/config"
)

// hidden is what every way of printing shows of a secret.
const hidden = "<secret>"

// Secret is a string that prints itself as <secret>, whatever prints it.
type Secret struct {
	redacted

	// A pointer, so that even fmt on an unexported field, where it calls no
	// methods, prints an address and not the value.
	value *string
}

// NewSecret returns a secret with the given value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the secret's value: empty for the zero secret.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// HTTPConfig is a space's http_config. It prints itself as <secret>: passwords
// and tokens stand in it, and proxy URLs and headers that may hold some.
type HTTPConfig struct {
	redacted

	value *promconfig.HTTPClientConfig // a pointer, for the same reason
}

// Reveal returns what makes an HTTP client. It is shared: the caller must not
// change what its pointers lead to.
func (c HTTPConfig) Reveal() promconfig.HTTPClientConfig {
	if c.value == nil {
		return promconfig.DefaultHTTPClientConfig
	}
	return *c.value
}

// redacted prints as <secret> in all the ways there are, and so does what
// embeds it.
type redacted struct{}

// String returns "<secret>".
func (redacted) String() string { return hidden }

// GoString returns "<secret>".
func (redacted) GoString() string { return hidden }

// Format writes "<secret>", whatever the verb.
func (redacted) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, hidden) }

// LogValue returns "<secret>".
func (redacted) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns "<secret>".
func (redacted) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON returns "<secret>" as a JSON string.
func (redacted) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// MarshalYAML returns "<secret>".
func (redacted) MarshalYAML() (any, error) { return hidden, nil }
