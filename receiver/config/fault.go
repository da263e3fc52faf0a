package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a config file or a file that it names.
// It never quotes the value of a secret.
type Fault struct {
	File    string `json:"file"`             // as it was given to [Load]
	Line    int    `json:"line,omitempty"`   // from 1 on; 0 where no line is known
	Column  int    `json:"column,omitempty"` // in bytes, from 1 on; 0 where none is known
	Path    string `json:"path,omitempty"`   // "spaces[2].webhook_url_file"; empty for the whole file
	Message string `json:"message"`
}

// String returns the fault as one line: "config.yml:12: spaces[2].timeout: want
// a duration such as 10s".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Column > 0 {
		fmt.Fprintf(&b, ":%d", f.Column)
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
	Faults []Fault // at least one, as [Sorted] returns them
}

// NewError returns an [Error] of the faults, or nil where there are none.
func NewError(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	return &Error{Faults: Sorted(faults)}
}

// Sorted returns the faults by file and line, each once. It is never nil.
func Sorted(faults []Fault) []Fault {
	faults = append([]Fault{}, faults...)
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(faults)
}

// Error returns the faults, one a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
