// Command alertchat brings the notifications of Prometheus Alertmanager to
// Google Chat. See README.md, and alertchat --help.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"

	_ "time/tzdata" // templates name time zones; a scratch image has no zone files
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitMisuse = 2
)

func main() {
	notify := func(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT) }
	os.Exit(run(context.Background(), os.Args[1:], environment{stdout: os.Stdout, stderr: os.Stderr, notify: notify}))
}

// command is one subcommand of the program.
type command interface {
	// run does the command's work and returns its failure. It is called once,
	// after the flags are parsed.
	run(ctx context.Context, env environment) error
}

// environment is what a command has of the outside.
type environment struct {
	stdout, stderr io.Writer
	// notify hands over the process's signals from now on: SIGHUP, SIGTERM and
	// SIGINT. Until it is called, they end the process.
	notify func(chan<- os.Signal)
	log    *slog.Logger // set by run
}

// run parses the arguments, runs the command that they name and returns the
// exit code.
func run(ctx context.Context, args []string, env environment) int {
	app := kingpin.New("alertchat", "A webhook receiver that brings the notifications of Prometheus Alertmanager to Google Chat.")
	app.UsageWriter(env.stdout)
	app.ErrorWriter(env.stderr)
	exit := -1
	app.Terminate(func(code int) { exit = code })
	app.Version(version.Print("alertchat"))
	app.HelpFlag.Short('h')
	var logging promslog.Config
	promslogflag.AddFlags(app, &logging)
	commands := map[string]command{
		"serve":       newServe(app),
		"preview":     newPreview(app),
		"healthcheck": newHealthcheck(app),
	}
	name, err := app.Parse(args)
	switch {
	case exit == exitOK:
		return exitOK // --help or --version
	case err != nil:
		fmt.Fprintf(env.stderr, "alertchat: %v; see alertchat --help\n", err)
		return exitMisuse
	}
	logging.Writer = env.stderr
	env.log = promslog.New(&logging)
	if err := commands[name].run(ctx, env); err != nil {
		fmt.Fprintf(env.stderr, "alertchat: %v\n", err)
		return exitFailed
	}
	return exitOK
}
