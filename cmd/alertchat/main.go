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
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/promslog"
	promslogflag "github.com/prometheus/common/promslog/flag"
	"github.com/prometheus/common/version"

	_ "time/tzdata" // templates name time zones; a scratch image has no zone files
)

const about = `Brings the notifications of Prometheus Alertmanager to Google Chat.

README.md tells how to begin, docs/reference.md describes all flags, config keys, template functions and metrics, and docs/templates.md tells how to write templates.`

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitMisuse = 2
)

func main() {
	notify := func(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT) }
	os.Exit(run(context.Background(), os.Args[1:], environment{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, notify: notify}))
}

// command is one subcommand of the program.
type command interface {
	// run does the command's work and returns its failure. It is called once,
	// after the flags are parsed.
	run(ctx context.Context, env environment) error
}

// environment is what a command has of the outside.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	// notify hands over the process's signals from now on: SIGHUP, SIGTERM and
	// SIGINT. Until it is called, they end the process.
	notify func(chan<- os.Signal)
	log    *slog.Logger // set by run
}

// run parses the arguments, runs the command that they name and returns the
// exit code.
func run(ctx context.Context, args []string, env environment) int {
	exit := -1
	var logging promslog.Config
	app, commands := commandLine(env, &logging, func(code int) { exit = code })
	if !completesCommand(args) {
		app.GetCommand("serve").Default()
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

// completesCommand tells whether a shell asks which commands there are: kingpin
// knows none to go on with where one is the default.
func completesCommand(args []string) bool {
	if len(args) == 0 || len(args) > 2 || args[0] != "--completion-bash" {
		return false
	}
	return len(args) == 1 || !strings.HasPrefix(args[1], "-")
}

// commandLine returns the program's flags, and its commands by name. terminate
// is called in place of [os.Exit], and must return.
func commandLine(env environment, logging *promslog.Config, terminate func(code int)) (*kingpin.Application, map[string]command) {
	app := kingpin.New("alertchat", about)
	app.UsageWriter(env.stdout)
	app.ErrorWriter(env.stderr)
	app.Terminate(terminate)
	app.HelpFlag.Short('h').Help("Show this help. --help-long shows the flags of all commands, --help-man a manual page.")
	// The flag is not kingpin's own: that one would put all these lines into the
	// head of the manual page.
	app.Flag("version", "Show the version.").PreAction(func(*kingpin.ParseContext) error {
		fmt.Fprintln(env.stdout, version.Print("alertchat"))
		terminate(exitOK)
		return nil
	}).Bool()
	promslogflag.AddFlags(app, logging)
	return app, map[string]command{
		"serve":       newServe(app),
		"preview":     newPreviewer(app),
		"render":      newRender(app),
		"send":        newSend(app),
		"check":       newCheck(app),
		"routes":      newRoutes(app),
		"healthcheck": newHealthcheck(app),
	}
}
