package receiver

import (
	"fmt"
	"slices"

	"alertchat/receiver/config"
	"alertchat/receiver/render"
)

// warnOfGlobs tells of globs that match no file.
func (s *Setup) warnOfGlobs(add func(path, format string, args ...any)) {
	for _, i := range s.config.Unmatched() {
		add(fmt.Sprintf("templates[%d]", i), "matches no file; is it right, seen from the folder of the config file?")
	}
}

// unreached tells of templates in files that no space uses, though they have
// the name of a built-in one or nearly so. Others may be Alertmanager's, which
// can have the same file.
func (s *Setup) unreached() []config.Fault {
	var common []render.Definition
	for i := range s.config.Spaces {
		of := s.renderers[s.config.Spaces[i].Name].of.Unreached()
		if i == 0 {
			common = of
		}
		common = slices.DeleteFunc(common, func(d render.Definition) bool { return !slices.Contains(of, d) })
	}
	var faults []config.Fault
	for _, d := range common {
		message := fmt.Sprintf("no message uses the template %q", d.Name)
		switch meant := meant(d.Name); meant {
		case "":
			continue
		case d.Name:
			message += ": no string of a space leads to it"
		default:
			message += "; did you mean " + meant + "?"
		}
		faults = append(faults, config.Fault{File: d.File, Line: d.Line, Message: message})
	}
	return faults
}

// meant returns the name of a built-in template that was meant by another name
// which is it or much like it: two letters differ. It is empty where there is
// none.
func meant(name string) string {
	best, nearest := "", 3
	for _, builtin := range []string{
		"chat.title", "chat.subtitle", "chat.summary", "chat.alert", "chat.text", "chat.digest", "chat.reply",
		"chat.name", "chat.status", "chat.where", "chat.time", "chat.labels", "chat.times",
	} {
		if d := config.Distance(name, builtin); d < nearest {
			best, nearest = builtin, d
		}
	}
	return best
}
