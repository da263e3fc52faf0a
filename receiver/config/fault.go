package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a config file. It never quotes the
// value of a secret.
type Fault struct {
	File    string // as it was given to [Load]
	Line    int    // from 1 on; 0 where no line is known
	Path    string // "spaces[2].webhook_url_file"; empty for the whole file
	Message string
}

// String returns the fault as one line: "config.yml:12: spaces[2].timeout: want
// a duration such as 10s".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Error is all that is wrong with a config file.
type Error struct {
	Faults []Fault // at least one, in the order of the lines
}

// NewError returns an [Error] of the faults, put in order and each once, or nil
// where there are none.
func NewError(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	faults = slices.Clone(faults)
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return &Error{Faults: slices.Compact(faults)}
}

// Error returns the faults, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
