package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"alertchat/receiver/alert"
	"alertchat/receiver/sample"
)

// maxPayload is the largest payload that is read, in bytes: that of the HTTP API.
const maxPayload = 32 << 20

// payloadSource is where a command takes a payload from.
type payloadSource struct {
	file   string // "-" for standard input
	sample string
}

func (p *payloadSource) addFlags(c *kingpin.CmdClause) {
	names := sample.Names()
	c.Arg("file", "The payload, as Alertmanager posts it to a webhook; - stands for standard input.").SetValue((*fileArg)(&p.file))
	c.Flag("sample", "A built-in payload in place of the file: "+strings.Join(names, ", ")+".").PlaceHolder("NAME").EnumVar(&p.sample, names...)
}

// fileArg is an argument that names a file. Kingpin hands over a single - as
// nothing.
type fileArg string

// Set implements [kingpin.Value].
func (f *fileArg) Set(s string) error {
	*f = fileArg(cmp.Or(s, "-"))
	return nil
}

// String implements [kingpin.Value].
func (f *fileArg) String() string { return string(*f) }

// given counts how many sources the command line names.
func (p *payloadSource) given() int {
	n := 0
	for _, s := range []string{p.file, p.sample} {
		if s != "" {
			n++
		}
	}
	return n
}

// name returns what errors call the payload.
func (p *payloadSource) name() string {
	switch {
	case p.sample != "":
		return "sample " + p.sample
	case p.file == "-":
		return "standard input"
	}
	return p.file
}

// read returns the payload.
func (p *payloadSource) read(env environment, now time.Time) ([]byte, error) {
	if s, ok := sample.ByName(p.sample, now); ok {
		return s.Body()
	}
	from := env.stdin
	if p.file != "-" {
		f, err := os.Open(p.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	body, err := io.ReadAll(io.LimitReader(from, maxPayload+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the payload: %w", err)
	case len(body) > maxPayload:
		return nil, fmt.Errorf("read %s: it is larger than %d MiB", p.name(), maxPayload>>20)
	}
	return body, nil
}

// explain says of an error with a payload which one it is, and what would be
// right.
func (p *payloadSource) explain(err error) error {
	for _, kind := range []error{alert.ErrNotJSON, alert.ErrVersion, alert.ErrNoAlerts} {
		if errors.Is(err, kind) {
			return fmt.Errorf("read %s: %w; it must be what Alertmanager posts to a webhook, such as --sample=firing", p.name(), err)
		}
	}
	return err
}
