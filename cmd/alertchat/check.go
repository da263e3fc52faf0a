package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"alertchat/receiver"
)

// check says all that is wrong with a config and its templates.
type check struct {
	configFile string
	format     string
}

func newCheck(app *kingpin.Application) *check {
	c := &check{}
	cmd := app.Command("check", "Load the configuration and the templates as serve would, render samples for every space, and tell every fault with its file and line. It sends nothing. The exit code is 1 where there is a fault; warnings are told apart and change nothing.")
	cmd.Flag("config.file", "The configuration file.").Default("config.yml").StringVar(&c.configFile)
	cmd.Flag("format", "How to print: text for people, one finding a line, or json for editors and CI.").Default("text").EnumVar(&c.format, "text", "json")
	return c
}

func (c *check) run(_ context.Context, env environment) error {
	r := receiver.Check(receiver.LoadOptions{ConfigFile: c.configFile, Logger: env.log}, time.Now())
	if err := c.print(env.stdout, r); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return errors.New(r.Summary())
	}
	if c.format == "text" {
		fmt.Fprintln(env.stdout, r.Summary())
	}
	return nil
}

func (c *check) print(out io.Writer, r receiver.Report) error {
	if c.format == "json" {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	for _, f := range r.Faults {
		fmt.Fprintln(out, f)
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(out, "warning: "+w.String())
	}
	return nil
}
