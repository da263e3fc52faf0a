package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"alertchat/receiver"
	"alertchat/receiver/chat"
)

// send delivers a payload or a text right now.
type send struct {
	configFile string
	space      string
	payload    payloadSource
	text       string
	timeout    time.Duration
}

func newSend(app *kingpin.Application) *send {
	s := &send{}
	c := app.Command("send", "Deliver a payload, or a text, to a space right now, and print the names of the messages. No running receiver takes part in it: nothing is stored, and what fails for good is only told.")
	c.Flag("config.file", "The configuration file.").Default("config.yml").StringVar(&s.configFile)
	c.Flag("space", "The name of the space.").Required().StringVar(&s.space)
	c.Flag("text", "A text to send as it is, in Google Chat's markup.").PlaceHolder("TEXT").StringVar(&s.text)
	c.Flag("timeout", "How long to try.").Default("30s").DurationVar(&s.timeout)
	s.payload.addFlags(c)
	c.Validate(func(*kingpin.CmdClause) error {
		sources := s.payload.given()
		if s.text != "" {
			sources++
		}
		if sources != 1 {
			return errors.New("send takes one thing to send: a file, - for standard input, --sample=firing, or --text")
		}
		return nil
	})
	return s
}

func (s *send) run(ctx context.Context, env environment) error {
	setup, err := receiver.Load(receiver.LoadOptions{ConfigFile: s.configFile, Logger: env.log})
	if err != nil {
		return err
	}
	draft, err := s.draft(setup, env)
	if err != nil {
		return err
	}
	report(env.stderr, draft)
	if len(draft.Bodies()) == 0 {
		return errors.New("send: nothing was sent")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within the %s of --timeout", s.timeout))
	defer cancel()
	err = setup.Send(ctx, draft, func(r chat.Receipt) {
		if r.Message == "" {
			fmt.Fprintln(env.stderr, "Google Chat has the message from an attempt before, and does not say its name.")
			return
		}
		fmt.Fprintln(env.stdout, r.Message)
	})
	if failure, ok := errors.AsType[*receiver.SendError](err); ok {
		return fmt.Errorf("%w; %s", err, advice(failure))
	}
	return err
}

func (s *send) draft(setup *receiver.Setup, env environment) (*receiver.Draft, error) {
	if s.text != "" {
		return setup.Text(s.space, s.text)
	}
	return draftOf(setup, s.space, &s.payload, env)
}

// advice says what to do about a message that was not delivered.
func advice(e *receiver.SendError) string {
	var what string
	switch e.Err.Outcome {
	case chat.Denied, chat.Exists, chat.Gone:
		if e.Door == chat.ByApp {
			what = "the destination comes from here: " + e.Destination
			break
		}
		what = "the webhook is gone or its URL is wrong: make a new one in the Google Chat space (Apps & integrations, Webhooks), and put its URL in the place of the old one: " + e.Destination
	case chat.Refused, chat.BadThread:
		what = "Google Chat takes no such message: see with alertchat render what it was given"
	case chat.NotDone, chat.Unknown:
		switch e.Err.Code {
		case "config":
			what = "the URL comes from here: " + e.Destination
		case "token":
			what = "see whether this machine reaches Google's token endpoint, and whether the space's http_config needs a proxy_url"
		case "connection", "timeout":
			what = "see whether this machine reaches the URL's host, and whether the space's http_config needs a proxy_url"
		default:
			what = "Google Chat is busy or ill: try later, or longer with --timeout"
		}
	}
	if e.InDoubt {
		what += "; the message may have arrived all the same: look before you send it again"
	}
	return what
}
