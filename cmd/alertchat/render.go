package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"alertchat/receiver"
)

// render prints what a space would be sent for a payload.
type render struct {
	configFile string
	space      string
	payload    payloadSource
	pretty     bool
}

func newRender(app *kingpin.Application) *render {
	r := &render{}
	c := app.Command("render", "Print the exact request bodies that a space would be sent for a payload if nothing were known of its group, one JSON document a line. What was mended or cut, and templates that failed, are told on standard error. The exit code is 1 where a template failed.")
	c.Flag("config.file", "The configuration file.").Default("config.yml").StringVar(&r.configFile)
	c.Flag("space", "The name of the space.").Required().StringVar(&r.space)
	c.Flag("pretty", "Indent the documents.").BoolVar(&r.pretty)
	r.payload.addFlags(c)
	c.Validate(func(*kingpin.CmdClause) error {
		if r.payload.given() != 1 {
			return errors.New("render takes a payload: either a file, - for standard input, or --sample=firing")
		}
		return nil
	})
	return r
}

func (r *render) run(_ context.Context, env environment) error {
	setup, err := receiver.Load(receiver.LoadOptions{ConfigFile: r.configFile, Logger: env.log})
	if err != nil {
		return err
	}
	draft, err := draftOf(setup, r.space, &r.payload, env)
	if err != nil {
		return err
	}
	for _, body := range draft.Bodies() {
		if err := printBody(env.stdout, body, r.pretty); err != nil {
			return err
		}
	}
	report(env.stderr, draft)
	if n := len(draft.Failures); n > 0 {
		return fmt.Errorf("render: %s failed: what is built in would be sent in its place", count(n, "template"))
	}
	return nil
}

// draftOf renders a payload for a space.
func draftOf(setup *receiver.Setup, space string, from *payloadSource, env environment) (*receiver.Draft, error) {
	now := time.Now()
	body, err := from.read(env, now)
	if err != nil {
		return nil, err
	}
	draft, err := setup.Render(space, body, now)
	return draft, from.explain(err)
}

// printBody prints a request body on a line of its own, or indented.
func printBody(out io.Writer, body []byte, pretty bool) error {
	if pretty {
		var indented bytes.Buffer
		if err := json.Indent(&indented, body, "", "  "); err != nil {
			return err
		}
		body = indented.Bytes()
	}
	_, err := fmt.Fprintf(out, "%s\n", body)
	return err
}

// report prints what there is to say of a draft.
func report(out io.Writer, draft *receiver.Draft) {
	for _, remark := range draft.Remarks {
		fmt.Fprintln(out, remark)
	}
	for _, failure := range draft.Failures {
		fmt.Fprintln(out, failure)
	}
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
