package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"alertchat/receiver"
	"alertchat/receiver/route"
)

// routes prints which alert of a payload goes to which space.
type routes struct {
	configFile string
	payload    payloadSource
}

func newRoutes(app *kingpin.Application) *routes {
	r := &routes{}
	c := app.Command("routes", "Print for each alert of a payload which space it goes to, and by which routes of the configuration. It sends nothing.")
	c.Flag("config.file", "The configuration file.").Default("config.yml").StringVar(&r.configFile)
	r.payload.addFlags(c)
	c.Validate(func(*kingpin.CmdClause) error {
		if r.payload.given() != 1 {
			return errors.New("routes takes a payload: either a file, - for standard input, or --sample=firing")
		}
		return nil
	})
	return r
}

func (r *routes) run(_ context.Context, env environment) error {
	setup, err := receiver.Load(receiver.LoadOptions{ConfigFile: r.configFile, Logger: env.log})
	if err != nil {
		return err
	}
	body, err := r.payload.read(env, time.Now())
	if err != nil {
		return err
	}
	alerts, err := setup.Routes(body)
	if err != nil {
		return r.payload.explain(err)
	}
	for _, a := range alerts {
		for _, m := range a.Matches {
			fmt.Fprintf(env.stdout, "%s  %s  (%s)\n", labelText(a.Labels), m.Space, wayText(m.Nodes))
		}
	}
	return nil
}

// labelText returns labels as Alertmanager's matchers have them, by name.
func labelText(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, fmt.Sprintf("%s=%q", name, labels[name]))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// wayText returns the routes on an alert's way, from the root on.
func wayText(steps []route.Step) string {
	var parts []string
	for _, s := range steps {
		part := s.Path[max(strings.LastIndex(s.Path, "routes["), 0):]
		if s.Rule != "" {
			part += " {" + s.Rule + "}"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " > ")
}
